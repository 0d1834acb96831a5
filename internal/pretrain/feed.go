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

// Feed gives the batches of a run one after the other and prepares the next ones meanwhile. Of processes that share the batches of a step, each
// draws all samples and prepares its own batches:
//
//	Count(step) --kinds--> streams --next(place)--> Batch with the place behind it --channel--> Batch(number)
//	                       ahead of the model, in a goroutine of its own                        given: the place of the newest
//
// Which kind a batch has depends on what all batches had until two steps before, which the processes tell each other. What they
// have not told yet counts as much as the mean.
type Feed struct {
	prepare *Preparer
	streams [len(Kinds)]*corpus.Stream // nil: no such collection
	drawing sync.Mutex                 // of samples, which their reports wait for
	step    int                        // batches that are counted together
	mine    func(number int) bool      // batches that are prepared here

	given   cursor // behind the batches given so far
	open    int    // of them: not counted yet
	failed  error  // the end of all batches
	kinds   chan uint8
	batches chan *Batch
	room    chan struct{} // full: enough batches are ready
	stop    chan struct{}
	stopped sync.WaitGroup
	waited  time.Duration
}

const (
	ahead     = 2   // batches that are ready before they are needed
	lead      = 2   // steps whose kinds are known ahead
	baseEvery = 100 // batches that are drawn between two bases
	useless   = 20  // batches in a row without a sample of use: nothing more is expected
)

// emptyBatch is the reason why batches are [Feed.Empty].
const emptyBatch = "no sample is of use, so their steps do without"

// cursor is a place between two steps: everything that the next batches depend on.
type cursor struct {
	place
	mixture
}

// place is where the streams are.
type place struct {
	Number int   `json:"number"` // of the next batch
	Base   *base `json:"base"`
	// Since are the kinds of the batches that were drawn since the base.
	Since []uint8 `json:"since"`
}

// base is where the streams stood some batches ago. Their states are large, so they are not taken
// with each batch: the samples since are drawn again and passed over.
type base struct {
	Streams map[corpus.Kind]corpus.State `json:"streams"`
}

// after is the place behind a batch. The place itself stays as it is: batches keep theirs.
func (p place) after(kind uint8) place {
	p.Since = append(slices.Clip(p.Since), kind)
	p.Number++
	return p
}

// mixture is what has come of each kind, and what comes next.
type mixture struct {
	Tokens  [len(Kinds)]float64 `json:"tokens"`  // of the batches counted
	Batches [len(Kinds)]int     `json:"batches"` // counted
	Next    []uint8             `json:"next"`    // kinds of the batches from here on
	// Useless are the newest batches in a row without a sample of use, of masked and of fragmented ones.
	Useless [len(Kinds)][2]int `json:"useless"`
	Lost    corpus.Report      `json:"lost"`  // samples
	Empty   corpus.Report      `json:"empty"` // batches without a sample of use
}

// count takes notice of the next batches, from number first on, and chooses as many more.
func (m *mixture) count(r *Recipe, first int, notes []Note) error {
	for i, note := range notes {
		kind, masking := m.Next[i], 0
		if r.seq2Seq(first+i, Kinds[kind]) {
			masking = 1
		}
		m.Tokens[kind] += float64(note.Tokens)
		m.Batches[kind]++
		m.Lost.Add(note.Lost)
		row := &m.Useless[kind][masking]
		if note.Problem == "" {
			*row = 0
			continue
		}
		m.Empty.Skip(emptyBatch, note.Problem)
		if *row++; *row == useless {
			return fmt.Errorf("no sample of the last %d batches of %s could be used: %s", useless, Kinds[kind], note.Problem)
		}
	}
	m.Next = m.Next[len(notes):]
	m.choose(r.Ratios, len(notes))
	return nil
}

// choose adds n kinds to the next ones, each time the one that has had least of its share of the tokens.
func (m *mixture) choose(ratios [len(Kinds)]float64, n int) {
	var all, batches float64
	for i, b := range m.Batches {
		all, batches = all+m.Tokens[i], batches+float64(b)
	}
	tokens := m.Tokens
	expected := tokens // of a batch
	for i, b := range m.Batches {
		switch {
		case b > 0:
			expected[i] /= float64(b)
		case batches > 0:
			expected[i] = all / batches
		default:
			expected[i] = 1
		}
	}
	for _, kind := range m.Next {
		tokens[kind] += expected[kind]
	}
	m.Next = slices.Clip(m.Next)
	for range n {
		best := -1
		for i, ratio := range ratios {
			if ratio > 0 && (best < 0 || tokens[i]/ratio < tokens[best]/ratios[best]) {
				best = i
			}
		}
		tokens[best] += expected[best]
		m.Next = append(m.Next, uint8(best))
	}
}

// NewFeed makes a feed of streams by kind, at its beginning. step is how many batches are counted together; those that are mine are prepared.
func NewFeed(p *Preparer, streams map[corpus.Kind]*corpus.Stream, step int, mine func(number int) bool) (*Feed, error) {
	f := &Feed{prepare: p, step: step, mine: mine}
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
	f.given.choose(p.Recipe.Ratios, lead*step)
	return f, nil
}

// Batch returns the batch of that number. Batches come in order: another number is an error.
func (f *Feed) Batch(number int) (*Batch, error) {
	if !f.mine(number) {
		return nil, fmt.Errorf("batch %d was asked for, which another process prepares", number)
	}
	return f.take(number)
}

// Skip passes over a batch that another process prepares.
func (f *Feed) Skip(number int) error {
	_, err := f.take(number)
	return err
}

func (f *Feed) take(number int) (*Batch, error) {
	switch {
	case f.failed != nil:
		return nil, f.failed
	case number != f.given.Number:
		return nil, fmt.Errorf("batch %d was asked for where batch %d comes next", number, f.given.Number)
	case f.open == f.step:
		return nil, fmt.Errorf("batch %d was asked for before the %d of the step were counted", number, f.step)
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
	if f.mine(number) {
		<-f.room
	}
	f.given.place = b.after
	f.open++
	return b, nil
}

// Note is what there is to know of a batch that only the process knows that prepares it.
type Note struct {
	Tokens  int
	Problem string        // why no sample is of use; "" if some are
	Lost    corpus.Report // the samples that are of none
}

// Count takes notice of the batches that were given since it was last called, in their order.
func (f *Feed) Count(notes []Note) error {
	if len(notes) != f.open {
		return fmt.Errorf("%d notes of %d batches", len(notes), f.open)
	}
	if f.failed = f.given.count(f.prepare.Recipe, f.given.Number-f.open, notes); f.failed != nil {
		return f.failed
	}
	if f.batches != nil {
		f.tell(f.given.Next[len(f.given.Next)-f.open:])
	}
	f.open = 0
	return nil
}

// tell gives kinds to the goroutine.
func (f *Feed) tell(kinds []uint8) {
	for _, kind := range kinds {
		f.kinds <- kind
	}
}

// Lost says which samples of the batches counted could not be used, or not wholly, besides those that the streams passed over; one
// that came several times counts each time.
func (f *Feed) Lost() corpus.Report { return f.given.Lost }

// Empty says which of the batches counted have no sample of use.
func (f *Feed) Empty() corpus.Report { return f.given.Empty }

// Waited returns how long batches were waited for.
func (f *Feed) Waited() time.Duration { return f.waited }

func (f *Feed) start() {
	f.kinds, f.batches = make(chan uint8, lead*f.step), make(chan *Batch, lead*f.step)
	f.room, f.stop = make(chan struct{}, ahead), make(chan struct{})
	f.tell(f.given.Next)
	at := f.given.place
	f.stopped.Go(func() {
		for {
			var b *Batch
			select {
			case kind := <-f.kinds:
				b = f.next(at, kind)
			case <-f.stop:
				return
			}
			if b == nil {
				return
			}
			f.batches <- b // there is as much room as there are kinds
			if b.failed != nil {
				return
			}
			at = b.after
		}
	})
}

// next draws the batch at a place, where the streams are, and prepares it if it is to be prepared here. It is nil where the feed stops.
func (f *Feed) next(at place, kind uint8) *Batch {
	if at.Base == nil || len(at.Since) >= baseEvery {
		at.Base, at.Since = f.takeBase(), nil
	}
	samples, err := f.draw(int(kind))
	if err != nil {
		return &Batch{failed: err}
	}
	b := &Batch{}
	if f.mine(at.Number) {
		select {
		case f.room <- struct{}{}:
		case <-f.stop:
			return nil
		}
		b = f.prepare.Prepare(at.Number, Kinds[kind], samples, f.prepare.Recipe.seq2Seq(at.Number, Kinds[kind]))
	}
	b.after = at.after(kind)
	return b
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

// State returns, in JSON, where the feed stands after the batches given so far, which are counted.
func (f *Feed) State() ([]byte, error) {
	if f.open > 0 {
		return nil, fmt.Errorf("place in the collections: %d batches are not counted yet", f.open)
	}
	return json.Marshal(f.given)
}

// Restore takes a feed that has given no batch yet to a place that [Feed.State] returned.
func (f *Feed) Restore(raw []byte) error {
	var s cursor
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("place in the collections: %w", infile.PlainJSON(err))
	}
	if s.Next == nil {
		return errors.New("place in the collections: an older version has saved it, which would have gone on with other batches; begin anew, from its weights with --init")
	}
	for _, kind := range slices.Concat(s.Since, s.Next) {
		if int(kind) >= len(f.streams) || f.streams[kind] == nil {
			return fmt.Errorf("place in the collections: there is no kind %d", kind)
		}
	}
	if len(s.Next) != lead*f.step {
		return fmt.Errorf("place in the collections: %d batches come next, want %d", len(s.Next), lead*f.step)
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
