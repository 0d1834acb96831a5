package retrieve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
)

// IndexOptions say how [Retriever.Index] works.
type IndexOptions struct {
	Features bool // what is indexed are region features, not pictures
	Replace  bool // an index of something else gives way
	SkipBad  bool
	Stores   []string // URLs of the servers of a database for the vectors; none: those that the index has
	NoStore  bool     // the index is taken out of its database
	Tick     func(stage string, done, total int)
}

// Index makes or updates the index out of the pictures in the folder from and its folders, or of
// the region features there.
func (r *Retriever) Index(ctx context.Context, from, out string, o IndexOptions) (rank.IndexInfo, error) {
	if r.Config.ContrastSize == 0 {
		return rank.IndexInfo{}, fmt.Errorf("model %s has no vectors to search by (contrast_size is 0); fine-tune it with contrast_size", r.Dir)
	}
	source, spec, err := r.indexed(from, o)
	if err != nil {
		return rank.IndexInfo{}, err
	}
	defer source.Close()
	if err := r.CheckWeights(); err != nil {
		return rank.IndexInfo{}, err
	}
	digest, err := r.modelDigest()
	if err != nil {
		return rank.IndexInfo{}, err
	}
	return r.scorer.WriteIndex(ctx, out, source, rank.IndexOptions{
		Model: digest, ModelDir: r.Dir, Source: from, Features: o.Features, Extractor: spec, Replace: o.Replace, Tick: o.Tick,
		Stores: o.Stores, NoStore: o.NoStore, OpenStore: r.stores, Texts: r.randomTexts(50),
		Bad: func(id string, err error) error {
			if !o.SkipBad {
				return fmt.Errorf("%w; correct or remove it, or leave such images out with --skip-bad", err)
			}
			r.log.Warn(fmt.Sprintf("%s is left out: %v", id, err))
			return nil
		},
	})
}

// randomTexts are texts of random words, the same each time.
func (r *Retriever) randomTexts(n int) rank.Texts {
	rng := rand.New(rand.NewPCG(1, 1))
	texts := make(rank.Texts, n)
	for i := range texts {
		texts[i] = append(texts[i], r.encoder.Tokenizer.CLS())
		for range min(8, r.encoder.MaxLen-2) {
			texts[i] = append(texts[i], rng.Int32N(int32(r.encoder.Tokenizer.VocabSize())))
		}
		texts[i] = append(texts[i], r.encoder.Tokenizer.SEP())
	}
	return texts
}

func (r *Retriever) indexed(from string, o IndexOptions) (regions.Source, *regions.Spec, error) {
	if o.Features {
		source, info, err := regions.Open(from, regions.Options{SkipBad: o.SkipBad})
		if err != nil {
			return nil, nil, err
		}
		if err := r.Trained().Check(from, source.Dim(), info.Extractor); err != nil {
			source.Close()
			return nil, nil, err
		}
		return source, info.Extractor, nil
	}
	x, err := r.Extractor()
	if err != nil {
		return nil, nil, err
	}
	list, err := regions.ListPictures(from)
	if err != nil {
		return nil, nil, err
	}
	others := list.OtherKinds()
	if len(list.IDs) == 0 {
		if others != "" {
			others = "; it holds " + others
		}
		return nil, nil, fmt.Errorf("%s has no pictures (.jpg, .png, .gif, .webp)%s", from, others)
	}
	if others != "" {
		r.log.Warn("files passed over: " + others)
	}
	spec := x.Spec()
	return regions.NewPictures(from, list.IDs, x, r.Limits, 0), &spec, nil
}

// modelDigest returns a digest of all that decides what the model makes of images and tokens.
func (r *Retriever) modelDigest() (string, error) {
	if r.digest != "" {
		return r.digest, nil
	}
	weights, err := r.Digest()
	if err != nil {
		return "", err
	}
	config, err := json.Marshal(r.Config)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", weights, config)
	if spec := r.Spec(); spec != nil {
		if spec.Trained() {
			fmt.Fprintln(h, spec.Fingerprint)
		} else {
			fmt.Fprintf(h, "{Extractor:%s ImageSize:%d PatchSize:%d Grid:%d}\n", spec.Extractor, spec.ImageSize, spec.PatchSize, spec.Grid)
		}
	}
	r.digest = hex.EncodeToString(h.Sum(nil))
	return r.digest, nil
}

// Search answers queries from an index.
type Search struct {
	Info     rank.IndexInfo
	Stale    int // images that are left out, see [rank.Index]
	r        *Retriever
	pairs    *calibration.Calibration
	index    *rank.Index
	searcher *rank.Searcher
}

// IndexModel returns the folder of the model that made an index.
func IndexModel(index string) (string, error) {
	info, err := rank.ReadIndexInfo(index)
	if err != nil {
		return "", err
	}
	dir := filepath.FromSlash(picture.Name(info.ModelDir))
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the model of index %s is not at %s any more; name it (--model)", index, dir)
	}
	return dir, nil
}

// OpenIndex opens an index that this model made, and the database that has its vectors.
func (r *Retriever) OpenIndex(ctx context.Context, dir string) (*Search, error) {
	digest, err := r.modelDigest()
	if err != nil {
		return nil, err
	}
	ix, err := rank.OpenIndex(dir, digest)
	if err != nil {
		return nil, err
	}
	differs, err := ix.Connect(ctx, r.stores)
	if err != nil {
		ix.Close()
		return nil, err
	}
	if differs {
		r.log.Warn(fmt.Sprintf("index %s and its store are not of the same pictures, as where an update was interrupted: what differs is left out; run \"unimo index\" again", dir))
	}
	s, err := rank.NewSearcher(r.scorer, ix)
	if err != nil {
		ix.Close()
		return nil, err
	}
	pairs, err := r.pairs()
	if err != nil {
		ix.Close()
		return nil, err
	}
	return &Search{ix.Info, ix.Stale, r, pairs, ix, s}, nil
}

// Says returns what the calibration says of a picture that a text found: by its match score, where the full model looked at it, else
// by its similarity.
func (s *Search) Says(h rank.Found) run.Matched {
	if h.Ranked {
		return matched(s.pairs.Match, h.Match)
	}
	m := matched(s.pairs.Similarity, h.Similarity)
	m.Similarity = true
	return m
}

// IDs lists the pictures of the index.
func (s *Search) IDs() []string { return s.index.IDs }

// From is the folder or file that the index was made of.
func (s *Search) From() string { return filepath.FromSlash(s.Info.Source) }

// Candidates is how many pictures the full model puts in order, where nothing else is said; none of one that was trained for vectors alone.
func (s *Search) Candidates() int {
	if s.r.VectorsOnly {
		return 0
	}
	return Candidates
}

// Candidates is [Search.Candidates] of a model with a match head: with these a query of the mini model takes some 20 ms.
const Candidates = 20

// Path returns the file of a picture that was found; "" if the index is of region features.
func (s *Search) Path(id string) string {
	if s.Info.Features {
		return ""
	}
	dir := filepath.FromSlash(picture.Name(s.Info.Source))
	file, err := picture.Find(dir, id)
	if err != nil { // which no index of ours has
		return filepath.Join(dir, "?")
	}
	return file
}

// Close releases the index, not the model.
func (s *Search) Close() error { return errors.Join(s.searcher.Close(), s.index.Close()) }

// Encode implements [run.TextReader].
func (s *Search) Encode(text string) (tokens []int32, cut bool) { return s.r.Encode(text) }

// Search answers queries together.
func (s *Search) Search(ctx context.Context, queries []rank.Query) ([][]rank.Found, error) {
	return s.searcher.Search(ctx, queries)
}

// Text finds k pictures for a text; the candidates best ones by vectors are put in order by the full model.
func (s *Search) Text(ctx context.Context, text string, k, candidates int) ([]rank.Found, error) {
	tokens, _ := s.r.encoder.Encode(text)
	return s.searcher.Text(ctx, tokens, k, candidates)
}

// Image finds the k pictures most like one.
func (s *Search) Image(ctx context.Context, im *regions.Image, k int) ([]rank.Found, error) {
	return s.searcher.Image(ctx, im, k)
}
