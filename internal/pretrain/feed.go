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
//
//	streams --next(cursor)--> Batch with the cursor behind it --channel--> Batch(number)
//	         ahead of the model, in a goroutine of its own                 given: the cursor of the newest
type Feed struct {
	prepare *Preparer
	streams [len(Kinds)]*corpus.Stream // nil: no such collection
	drawing sync.Mutex                 // of samples, which their reports wait for

	given   cursor // behind the batches given so far
	failed  error  // the end of all batches
	batches chan *Batch
	stop    chan struct{}
	stopped sync.WaitGroup
	waited  time.Duration
}

// ahead is how many batches are ready before they are needed.
const ahead = 2

// cursor is a place between two batches: everything that the next ones depend on. Its methods return the cursor
// further on and leave it as it is: batches keep theirs.
type cursor struct {
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

// drawn is behind the samples of a batch.
func (c cursor) drawn(kind int) cursor {
	c.Since = append(slices.Clip(c.Since), uint8(kind))
	return c
}

// prepared is behind a batch of so many tokens.
func (c cursor) prepared(kind, tokens int) cursor {
	c.Tokens[kind] += float64(tokens)
	c.Number++
	return c
}

// NewFeed makes a feed of streams by kind, at its beginning.
func NewFeed(p *Preparer, streams map[corpus.Kind]*corpus.Stream) (*Feed, error) {
	f := &Feed{prepare: p}
	any := false
	for i, kind := range Kinds {
		f.streams[i] = streams[kind]
		if p.Recipe.Ratios[i] > 0 {
			any = true
			if f.streams[i] == nil {
				return nil, fmt.Errorf("ratio_%s is %v, but there is no such collection; name one, or set the ratio to 0", kind, p.Recipe.Ratios[i])
			}
		}
	}
	if !any {
		return nil, errors.New("ratio_text, ratio_images and ratio_pairs are all 0; set one that there is a collection for")
	}
	return f, nil
}

// Batch returns the batch of that number. Batches come in order: another number is an error.
func (f *Feed) Batch(number int) (*Batch, error) {
	if f.failed != nil {
		return nil, f.failed
	}
	if number != f.given.Number {
		return nil, fmt.Errorf("batch %d was asked for where batch %d comes next", number, f.given.Number)
	}
	if f.batches == nil {
		f.start()
	}
	start := time.Now()
	b := <-f.batches
	f.waited += time.Since(start)
	if f.failed = b.failed; f.failed != nil {
		return nil, f.failed
	}
	f.given = b.after
	return b, nil
}

// Waited returns how long batches were waited for.
func (f *Feed) Waited() time.Duration { return f.waited }

func (f *Feed) start() {
	f.batches, f.stop = make(chan *Batch, ahead), make(chan struct{})
	at := f.given
	f.stopped.Go(func() {
		for {
			b := f.next(at)
			select {
			case f.batches <- b:
			case <-f.stop:
				return
			}
			if b.failed != nil {
				return
			}
			at = b.after
		}
	})
}

// next draws and prepares the batch at a cursor, where the streams are.
func (f *Feed) next(at cursor) *Batch {
	const attempts = 20 // batches of nothing but bad samples
	for attempt := 0; ; attempt++ {
		if at.Base == nil || len(at.Since) >= baseEvery {
			at.Base, at.Since = f.takeBase(), nil
		}
		kind := f.choose(at)
		samples, err := f.draw(kind)
		if err != nil {
			return &Batch{failed: err}
		}
		at = at.drawn(kind)
		b, err := f.prepare.Prepare(at.Number, Kinds[kind], samples, f.prepare.Recipe.seq2Seq(at.Number, Kinds[kind]))
		if err == nil && b.empty() {
			err = fmt.Errorf("%s: nothing to predict: masking needs a word, seq2seq four; set seq2seq_weight to 0 for shorter texts", samples[0].Where)
		}
		if err != nil && attempt < attempts-1 {
			continue
		} else if err != nil {
			return &Batch{failed: fmt.Errorf("no sample of the last %d batches could be used: %w", attempts, err)}
		}
		b.after = at.prepared(kind, b.Tokens)
		return b
	}
}

// choose returns the kind that has had least of its share of the tokens.
func (f *Feed) choose(at cursor) int {
	best := -1
	for i, ratio := range f.prepare.Recipe.Ratios {
		if ratio > 0 && (best < 0 || at.Tokens[i]/ratio < at.Tokens[best]/f.prepare.Recipe.Ratios[best]) {
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
func (f *Feed) State() ([]byte, error) { return json.Marshal(f.given) }

// Restore takes a feed that has given no batch yet to a place that [Feed.State] returned.
func (f *Feed) Restore(raw []byte) error {
	var s cursor
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
	f.given = s
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
