package unimo

import (
	"context"
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
)

// Retriever is an open model that compares pictures with texts. It is safe for concurrent
// use; calls take turns, as each uses all cores, and a long one lets others in between its batches.
// A call that waits heeds its context.
type Retriever struct {
	handle *handle
	r      *retrieve.Retriever
}

// OpenRetriever opens the model in the folder dir, or the best model of a run's folder. See
// [Open] about its files and errors. A model for another kind of task is [ErrWrongTask].
func OpenRetriever(dir string, options ...Option) (*Retriever, error) {
	from, err := environment(dir, options)
	if err != nil {
		return nil, err
	}
	m := new(Retriever)
	m.handle, err = from.open(dir, func(env run.Env) (err error) {
		m.r, err = retrieve.Open(dir, env)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Close releases the model like [Model.Close]. Its indexes are of no use afterwards, but have to be closed, too.
func (m *Retriever) Close() error { return m.handle.close(func() error { return m.r.Close() }) }

// Match is how well a picture and a text fit.
type Match struct {
	Score       float32 `json:"score"`                 // the higher, the better: it compares texts, or pictures
	Probability float64 `json:"probability,omitempty"` // that they fit, of a model that was calibrated ("unimo evaluate --calibrate")
	Fits        bool    `json:"fits,omitempty"`        // the probability reaches the model's threshold; false of a model that was not calibrated
}

// Match returns how well the picture, the content of a JPEG, PNG, GIF or WebP file, fits each text. Scores are those of the full model;
// of a model that was trained for vectors alone they are the similarities of the vectors.
// They are in the order of the texts. Errors are those of [Captioner.Caption].
func (m *Retriever) Match(ctx context.Context, picture []byte, texts ...string) ([]Match, error) {
	var matched []run.Matched
	err := m.handle.use(ctx, func(ctx context.Context, c *call) error {
		im, err := m.r.Decode(ctx, picture)
		if err != nil {
			return err
		}
		matched, err = m.r.Match(ctx, im, texts, func(int, int) { c.giveWay() })
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]Match, len(matched))
	for i, x := range matched {
		list[i] = Match{x.Score, x.Probability, x.Fits}
	}
	return list, nil
}

// WriteIndex makes the folder index out of the pictures in the folder pictures and its folders, or
// brings it up to date with them: those that are new or have changed are read, those that are gone
// leave it. A picture that cannot be read ends it with an error, and so does an index of another
// folder: remove that first.
//
// The vectors go to a vector database as well, which is then searched, if the URLs of its servers are given, or the index has some from before; see
// [Stores].
func (m *Retriever) WriteIndex(ctx context.Context, pictures, index string, stores ...string) error {
	if pictures == "" || index == "" {
		return &settingError{fmt.Errorf("index the folder %q in %q; name both folders", pictures, index)}
	}
	return m.handle.use(ctx, func(ctx context.Context, c *call) error {
		_, err := m.r.Index(ctx, pictures, index, retrieve.IndexOptions{
			Stores: stores,
			Tick:   func(string, int, int) { c.giveWay() },
		})
		return err
	})
}

// Index is an open index of pictures. It is safe for concurrent use.
type Index struct {
	handle *handle
	r      *retrieve.Retriever
	s      *retrieve.Search
	model  *Retriever // that is closed with the index, if it was opened with it
}

// OpenIndex opens an index and the model that made it, if that is where it was then. Closing the
// index closes both.
func OpenIndex(dir string, options ...Option) (*Index, error) {
	if _, err := environment(dir, options); err != nil {
		return nil, err
	}
	model, err := retrieve.IndexModel(dir)
	if err != nil {
		return nil, err
	}
	m, err := OpenRetriever(model, options...)
	if err != nil {
		return nil, err
	}
	x, err := m.OpenIndex(dir)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	x.model = m
	return x, nil
}

// OpenIndex opens an index that this model made. A folder without one is [io/fs.ErrNotExist].
func (m *Retriever) OpenIndex(dir string) (*Index, error) {
	var x *Index
	err := m.handle.use(context.Background(), func(ctx context.Context, _ *call) error {
		s, err := m.r.OpenIndex(ctx, dir)
		if err == nil {
			x = &Index{handle: m.handle.part(), r: m.r, s: s}
		}
		return err
	})
	return x, err
}

// Close releases the index like [Model.Close], also after its model was closed.
func (x *Index) Close() error {
	err := x.handle.close(func() error { return x.s.Close() })
	if x.model != nil {
		err = errors.Join(err, x.model.Close())
	}
	return err
}

// Found is a picture that was found.
type Found struct {
	Path       string  `json:"path"`       // of the picture's file, absolute
	Similarity float64 `json:"similarity"` // of the vectors of query and picture, -1 to 1
	Ranked     bool    `json:"ranked"`     // the full model looked at it
	Match      float64 `json:"match"`      // its match score then

	Probability float64 `json:"probability,omitempty"` // that it fits the text, of a model that was calibrated
	Fits        bool    `json:"fits,omitempty"`        // the probability reaches the model's threshold; false of a model that was not calibrated
}

// Candidates is how many pictures the full model puts in order, the best ones by vectors, where nothing else is
// said: it makes a query of the mini model take some 20 ms.
const Candidates = retrieve.Candidates

// Search finds the k pictures that fit a text best, the best first. Every vector is looked at; the
// full model puts the best [Candidates] in order, unless it was trained for vectors alone. There are fewer than k if the index has no more.
// Errors are ctx's, [ErrClosed], a k below 1 ([ErrSetting]), and what reading the index, a picture or the model gives.
func (x *Index) Search(ctx context.Context, text string, k int) ([]Found, error) {
	return x.SearchWith(ctx, text, k, x.s.Candidates())
}

// SearchWith is [Index.Search] with another number of candidates: more are slower and find more; with 0
// the vectors alone decide, as they should where training was of vectors alone.
func (x *Index) SearchWith(ctx context.Context, text string, k, candidates int) ([]Found, error) {
	if candidates < 0 {
		return nil, &settingError{fmt.Errorf("search among %d candidates; want 0 or more", candidates)}
	}
	return x.find(ctx, k, x.s.Says, func(ctx context.Context) ([]rank.Found, error) { return x.s.Text(ctx, text, k, candidates) })
}

// Similar finds the k pictures most like one, the content of a picture file. See [Index.Search] about k.
func (x *Index) Similar(ctx context.Context, picture []byte, k int) ([]Found, error) {
	unknown := func(rank.Found) (none run.Matched) { return none } // of two pictures
	return x.find(ctx, k, unknown, func(ctx context.Context) ([]rank.Found, error) {
		im, err := x.r.Decode(ctx, picture)
		if err != nil {
			return nil, err
		}
		return x.s.Image(ctx, im, k)
	})
}

func (x *Index) find(ctx context.Context, k int, says func(rank.Found) run.Matched, search func(ctx context.Context) ([]rank.Found, error)) ([]Found, error) {
	if k < 1 {
		return nil, &settingError{fmt.Errorf("search for %d pictures; ask for 1 or more", k)}
	}
	var hits []rank.Found
	err := x.handle.use(ctx, func(ctx context.Context, _ *call) (err error) {
		hits, err = search(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]Found, len(hits))
	for i, h := range hits {
		said := says(h)
		list[i] = Found{x.s.Path(h.ID), float64(h.Similarity), h.Ranked, float64(h.Match), said.Probability, said.Fits}
	}
	return list, nil
}
