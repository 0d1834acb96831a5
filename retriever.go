package unimo

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/unimo-go/unimo/internal/retrieve"
	"github.com/unimo-go/unimo/internal/task"
)

// Retriever is an open model that compares pictures with texts. It is safe for concurrent
// use; calls take turns, as each uses all cores.
type Retriever struct {
	mu sync.Mutex
	r  *task.Retriever
}

// OpenRetriever opens the model in the folder dir, or the best model of a run's folder. See
// [Open] about its files. A model for another kind of task is an error.
func OpenRetriever(dir string) (*Retriever, error) {
	r, err := task.OpenRetriever(dir)
	if err != nil {
		return nil, err
	}
	return &Retriever{r: r}, nil
}

// Close releases the model. Neither it nor its indexes must be used afterwards.
func (m *Retriever) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.r.Close()
}

// Match returns how well the picture, the content of a JPEG, PNG, GIF or WebP file, fits each text:
// the higher, the better. Scores compare texts or pictures with each other; they are no probabilities.
// Pictures of more than 50 million pixels are an error.
func (m *Retriever) Match(ctx context.Context, picture []byte, texts ...string) ([]float32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	im, err := m.r.Decode(picture)
	if err != nil {
		return nil, err
	}
	return m.r.Match(ctx, im, texts)
}

// WriteIndex makes the folder index out of the pictures in the folder pictures and its folders, or
// brings it up to date with them. A picture that cannot be read ends it with an error.
func (m *Retriever) WriteIndex(ctx context.Context, pictures, index string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.r.Index(ctx, pictures, index, task.IndexOptions{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tick: func(string, int, int) {}})
	return err
}

// Index is an open index of pictures. It is safe for concurrent use.
type Index struct {
	m *Retriever
	s *task.Search
}

// OpenIndex opens an index that this model made.
func (m *Retriever) OpenIndex(dir string) (*Index, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.r.OpenIndex(dir)
	if err != nil {
		return nil, err
	}
	return &Index{m, s}, nil
}

// Close releases the index. It must not be used afterwards.
func (x *Index) Close() error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	return x.s.Close()
}

// Found is a picture that was found.
type Found struct {
	Path       string  // of the picture, in the folder that was indexed
	Similarity float64 // of the vectors of query and picture, -1 to 1
	Ranked     bool    // the full model looked at it
	Match      float64 // its match score then
}

// searchCandidates is how many pictures the full model puts in order: it makes a query of the
// mini model take some 20 ms.
const searchCandidates = 20

// Search finds the k pictures that fit a text best, the best first. Every vector is looked at; the
// full model puts the best 20 in order.
func (x *Index) Search(ctx context.Context, text string, k int) ([]Found, error) {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	return x.found(x.s.Text(ctx, text, k, searchCandidates))
}

// Similar finds the k pictures most like one, the content of a picture file.
func (x *Index) Similar(ctx context.Context, picture []byte, k int) ([]Found, error) {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	im, err := x.m.r.Decode(picture)
	if err != nil {
		return nil, err
	}
	return x.found(x.s.Image(ctx, im, k))
}

func (x *Index) found(hits []retrieve.Found, err error) ([]Found, error) {
	if err != nil {
		return nil, err
	}
	list := make([]Found, len(hits))
	for i, h := range hits {
		list[i] = Found{filepath.Join(x.s.Info.Pictures, filepath.FromSlash(h.ID)), float64(h.Similarity), h.Ranked, float64(h.Match)}
	}
	return list, nil
}
