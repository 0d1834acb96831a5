package corpus

import (
	"errors"
	"fmt"
	"io"

	"github.com/unimo-go/unimo/internal/base/random"
)

// StreamOptions are the ways to stream a collection.
type StreamOptions struct {
	Seed uint64
	// Buffer is among how many samples the next is drawn; below 1: 1, which shuffles the shards
	// only. Many shards are mixed well by a small buffer, one large file only within it.
	Buffer int
	Part   Part
}

// maxBuffer bounds what the buffer keeps in memory, about. Beyond it the buffer has fewer samples.
const maxBuffer = 256 << 20

// Stream gives the samples of a collection without end. In an epoch each comes once: the shards
// are read in an order drawn from the seed and the epoch, and each sample is drawn from a buffer
// of those read. A stream is used by one goroutine.
type Stream struct {
	c      *Collection
	o      StreamOptions
	epoch  int
	draws  int // of the epoch
	reader reader
	buffer []*Sample
	bytes  int
	report Report // of the first epoch
}

// State is where a stream is.
type State struct {
	Collection string `json:"collection"` // its fingerprint
	Epoch      int    `json:"epoch"`
	Draws      int    `json:"draws"`            // of the epoch
	Place      int    `json:"place"`            // in the epoch's order of shards
	Next       *Ref   `json:"next,omitempty"`   // in the shard there; none: its beginning
	Buffer     []Ref  `json:"buffer,omitempty"` // the samples read and not drawn yet
	Report     Report `json:"report"`
}

// Stream starts a stream.
func (c *Collection) Stream(o StreamOptions) *Stream {
	o.Buffer = max(o.Buffer, 1)
	s := &Stream{c: c, o: o}
	s.begin(0)
	return s
}

// begin starts an epoch.
func (s *Stream) begin(epoch int) {
	s.reader.stop()
	s.epoch, s.draws = epoch, 0
	order := s.random("shards", epoch).Perm(len(s.c.shards))
	s.reader = reader{c: s.c, part: s.o.Part, order: order, report: &s.report}
	if epoch > 0 {
		s.reader.report = &Report{} // the first epoch has counted it all
	}
}

// random returns the numbers for the order of shards, or for a draw. As every draw has its own, a stream can go on anywhere.
func (s *Stream) random(purpose string, numbers ...int) *random.Stream {
	return random.New(s.o.Seed, purpose+" of "+string(s.c.kind), numbers...)
}

// Next returns the next sample. An error is about files that cannot be read, or says that an
// epoch has no sample.
func (s *Stream) Next() (*Sample, error) {
	for {
		if err := s.fill(); err != nil {
			return nil, err
		}
		if len(s.buffer) > 0 {
			break
		}
		if s.draws == 0 {
			return nil, fmt.Errorf("the %s have no usable sample in the part that is asked for; name more files, or change the share that is held out", s.c.kind)
		}
		s.begin(s.epoch + 1)
	}
	s.draws++
	i, last := s.random("draw", s.epoch, s.draws).IntN(len(s.buffer)), len(s.buffer)-1
	x := s.buffer[i]
	s.buffer[i], s.buffer[last] = s.buffer[last], nil
	s.buffer = s.buffer[:last]
	s.bytes -= x.bytes
	return x, nil
}

// fill reads until the buffer is full or the epoch has been read.
func (s *Stream) fill() error {
	for len(s.buffer) < s.o.Buffer && s.bytes <= maxBuffer {
		x, err := s.reader.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.buffer = append(s.buffer, x)
		s.bytes += x.bytes
	}
	return nil
}

// Report says what the stream has read in its first epoch, so far; later ones read the same.
func (s *Stream) Report() Report { return s.report.clone() }

// State returns where the stream is.
func (s *Stream) State() State {
	state := State{Collection: s.c.Fingerprint(), Epoch: s.epoch, Draws: s.draws, Place: s.reader.at, Report: s.Report()}
	if s.reader.current != nil {
		next := s.reader.current.place()
		state.Next = &next
	}
	for _, x := range s.buffer {
		state.Buffer = append(state.Buffer, x.Ref)
	}
	return state
}

// Restore takes the stream to where one of the same collection and options was: the same
// samples follow. What waits in the buffer is read again. After an error the stream is of no use.
func (s *Stream) Restore(state State) error {
	if state.Collection != s.c.Fingerprint() {
		return fmt.Errorf("the files of the %s have changed since the state was saved; use them as they were, or start anew", s.c.kind)
	}
	buffer, err := s.c.load(state.Buffer)
	if err != nil {
		return err
	}
	s.begin(state.Epoch)
	if state.Place < 0 || state.Place > len(s.reader.order) || state.Draws < 0 || state.Epoch < 0 {
		return errChanged
	}
	s.draws, s.reader.at = state.Draws, state.Place
	if next := state.Next; next != nil {
		if state.Place == len(s.reader.order) || next.Shard != s.reader.order[state.Place] || next.Number < 0 || next.Offset < 0 {
			return errChanged
		}
		if s.reader.current, err = s.c.shards[next.Shard].open(*next); err != nil {
			return err
		}
	}
	s.buffer, s.bytes = buffer, 0
	for _, x := range buffer {
		s.bytes += x.bytes
	}
	s.report = state.Report.clone()
	return nil
}
