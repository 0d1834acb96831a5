package pretrain

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
)

// Feed gives the batches of a run one after the other and prepares the next ones meanwhile.
type Feed struct {
	prepare *Preparer
	streams [len(Kinds)]*corpus.Stream // nil: no such collection
	drawing sync.Mutex                 // of samples, which their reports wait for

	at       state // of the batch that comes next, as the model sees it
	batches  chan *Batch
	stop     chan struct{}
	stopped  sync.WaitGroup
	waited   time.Duration
	position state // of the producer
}

// ahead is how many batches are ready before they are needed.
const ahead = 2

// state is where a feed stands: everything that the next batches depend on.
type state struct {
	Number int                 `json:"number"` // of the next batch
	Tokens [len(Kinds)]float64 `json:"tokens"` // seen so far, by kind
	Base   *base               `json:"base"`
	// Since are the kinds of the batches that were drawn since the base.
	Since []uint8 `json:"since"`
}

// base is where the streams stood some batches ago. Their states are large, so they are not taken
// with each batch: the samples since are drawn again and passed over.
type base struct {
	Streams map[corpus.Kind]corpus.State `json:"streams"`
}

// baseEvery is how many batches are drawn between two bases.
const baseEvery = 100

// NewFeed makes a feed of streams by kind, at its beginning.
func NewFeed(p *Preparer, streams map[corpus.Kind]*corpus.Stream) (*Feed, error) {
	f := &Feed{prepare: p}
	any := false
	for i, kind := range Kinds {
		f.streams[i] = streams[kind]
		if p.Recipe.Ratios[i] > 0 {
			any = true
			if f.streams[i] == nil {
				return nil, fmt.Errorf("ratio_%s is %v, but there is no such collection: name one, or set the ratio to 0", kind, p.Recipe.Ratios[i])
			}
		}
	}
	if !any {
		return nil, errors.New("ratio_text, ratio_images and ratio_pairs are all 0: set one that there is a collection for")
	}
	return f, nil
}

// Batch returns the batch of that number. Batches come in order: another number is an error.
func (f *Feed) Batch(number int) (*Batch, error) {
	if number != f.at.Number {
		return nil, fmt.Errorf("batch %d was asked for where batch %d comes next", number, f.at.Number)
	}
	if f.batches == nil {
		f.start()
	}
	start := time.Now()
	b := <-f.batches
	f.waited += time.Since(start)
	if b.failed != nil {
		f.batches <- b // it stays that way
		return nil, b.failed
	}
	f.at = b.state
	return b, nil
}

// Waited returns how long batches were waited for.
func (f *Feed) Waited() time.Duration { return f.waited }

func (f *Feed) start() {
	f.batches, f.stop = make(chan *Batch, ahead), make(chan struct{})
	f.position = f.at
	f.stopped.Go(func() {
		for {
			b := f.next()
			select {
			case f.batches <- b:
			case <-f.stop:
				return
			}
			if b.failed != nil {
				return
			}
		}
	})
}

// next draws and prepares the next batch.
func (f *Feed) next() *Batch {
	const attempts = 20 // batches of nothing but bad samples
	s := &f.position
	for attempt := 0; ; attempt++ {
		if s.Base == nil || len(s.Since) >= baseEvery {
			s.Base, s.Since = f.takeBase(), nil
		}
		kind := f.choose()
		s.Since = append(s.Since[:len(s.Since):len(s.Since)], uint8(kind)) // batches keep what they were given
		samples, err := f.draw(kind)
		if err != nil {
			return &Batch{failed: err}
		}
		b, err := f.prepare.Prepare(s.Number, Kinds[kind], samples, f.prepare.Recipe.seq2Seq(s.Number, Kinds[kind]))
		if err == nil && b.empty() {
			err = fmt.Errorf("%s: nothing to predict: masking needs a word, seq2seq four; set seq2seq_weight to 0 for shorter texts", samples[0].Where)
		}
		if err != nil && attempt < attempts-1 {
			continue
		} else if err != nil {
			return &Batch{failed: fmt.Errorf("no sample of the last %d batches could be used: %w", attempts, err)}
		}
		s.Tokens[kind] += float64(b.Tokens)
		s.Number++
		b.state = *s
		return b
	}
}

// choose returns the kind that has had least of its share of the tokens.
func (f *Feed) choose() int {
	best := -1
	for i, ratio := range f.prepare.Recipe.Ratios {
		if ratio > 0 && (best < 0 || f.position.Tokens[i]/ratio < f.position.Tokens[best]/f.prepare.Recipe.Ratios[best]) {
			best = i
		}
	}
	return best
}

// Report says what the stream of a kind has read, which is ahead of the batches given.
func (f *Feed) Report(kind corpus.Kind) corpus.Report {
	f.drawing.Lock()
	defer f.drawing.Unlock()
	if s := f.streams[slices.Index(Kinds[:], kind)]; s != nil {
		return s.Report()
	}
	return corpus.Report{}
}

func (f *Feed) draw(kind int) ([]*corpus.Sample, error) {
	f.drawing.Lock()
	defer f.drawing.Unlock()
	samples := make([]*corpus.Sample, f.prepare.Recipe.BatchSize)
	for i := range samples {
		var err error
		if samples[i], err = f.streams[kind].Next(); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

func (f *Feed) takeBase() *base {
	b := &base{map[corpus.Kind]corpus.State{}}
	for i, s := range f.streams {
		if s != nil {
			b.Streams[Kinds[i]] = s.State()
		}
	}
	return b
}

// State returns, in JSON, where the feed stands after the batches given so far.
func (f *Feed) State() ([]byte, error) { return json.Marshal(f.at) }

// Restore takes a feed that has given no batch yet to a place that [Feed.State] returned.
func (f *Feed) Restore(raw []byte) error {
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("place in the collections: %w", infile.PlainJSON(err))
	}
	if s.Base != nil {
		for i, stream := range f.streams {
			if stream == nil {
				continue
			}
			if err := stream.Restore(s.Base.Streams[Kinds[i]]); err != nil {
				return err
			}
		}
		for _, kind := range s.Since {
			if int(kind) >= len(f.streams) || f.streams[kind] == nil {
				return fmt.Errorf("place in the collections: there is no kind %d", kind)
			}
			if _, err := f.draw(int(kind)); err != nil {
				return err
			}
		}
	}
	f.at = s
	return nil
}

// Close ends the preparation of batches. To close again does nothing.
func (f *Feed) Close() {
	if f == nil || f.batches == nil {
		return
	}
	close(f.stop)
	f.stopped.Wait()
	f.batches = nil
}
