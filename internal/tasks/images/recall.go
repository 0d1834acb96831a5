package images

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
	"github.com/unimo-go/unimo/tokenizer"
)

// Captions makes tokens of captions.
type Captions struct {
	Tokenizer *tokenizer.Tokenizer
	MaxLen    int
}

// Encode returns the tokens of a caption, and whether it was cut.
func (e Captions) Encode(text string) (tokens []int32, cut bool) {
	r, cut := (&labelled.Encoder{Tokenizer: e.Tokenizer, MaxLen: e.MaxLen}).Encode(labelled.Example{TextA: text})
	return r.Tokens, cut
}

// EncodeOr is Encode for a text that data may bring with them as tokens, which come in its place and are cut as the
// reference cuts them. An error says at file and line what shows that they are of another vocabulary.
func (e Captions) EncodeOr(text string, ready []int32, file string, line int) (tokens []int32, cut bool, err error) {
	if ready == nil {
		tokens, cut = e.Encode(text)
		return tokens, cut, nil
	}
	problem := ""
	if n := len(ready); n < 2 || ready[0] != e.Tokenizer.CLS() || ready[n-1] != e.Tokenizer.SEP() {
		problem = fmt.Sprintf("the tokens do not run from [CLS] (%d) to [SEP] (%d)", e.Tokenizer.CLS(), e.Tokenizer.SEP())
	}
	for _, id := range ready {
		if id < 0 || int(id) >= e.Tokenizer.VocabSize() {
			problem = fmt.Sprintf("token %d is not in the model's vocabulary of %d", id, e.Tokenizer.VocabSize())
		}
	}
	if problem != "" {
		return nil, false, &textfile.FileError{File: file, Line: line, Problem: problem, Remedy: "give texts, or the tokens of this vocabulary"}
	}
	tokens = captions.Truncate(ready, e.MaxLen)
	return tokens, len(tokens) < len(ready), nil
}

// All encodes the captions of a set and counts those that were cut.
func (e Captions) All(set *captions.Set) (tokens rank.Texts, cut int, err error) {
	tokens = make(rank.Texts, len(set.Captions))
	for i, c := range set.Captions {
		var shorter bool
		if tokens[i], shorter, err = e.EncodeOr(c.Text, c.Tokens, set.File, c.Line); err != nil {
			return nil, 0, err
		}
		if shorter {
			cut++
		}
	}
	return tokens, cut, nil
}

// EvalSet is a set of images with captions as it is searched, and how many captions were cut.
func EvalSet(set *captions.Set, source regions.Source, enc Captions) (_ rank.Set, cut int, err error) {
	tokens, cut, err := enc.All(set)
	return rank.Set{Images: rank.Images{Source: source, IDs: set.Images}, Texts: tokens, ImageOf: set.ImageOf()}, cut, err
}

// RecallNumbers are the metrics of retrieval by their names.
func RecallNumbers(r rank.Recalls, set rank.Set) train.Numbers {
	m := train.Numbers{
		"recall@1":  train.Number((r.Image.At1 + r.Text.At1) / 2),
		"mean_rank": train.Number((r.Image.MeanRank + r.Text.MeanRank) / 2),
		"images":    train.Number(len(set.Images.IDs)), "examples": train.Number(len(set.Texts)),
	}
	for name, recall := range map[string]metrics.Recall{"image": r.Image, "text": r.Text} {
		m[name+"_recall@1"], m[name+"_recall@5"], m[name+"_recall@10"] = train.Number(recall.At1), train.Number(recall.At5), train.Number(recall.At10)
		m[name+"_mean_rank"] = train.Number(recall.MeanRank)
	}
	return m
}

// Describe says how the metrics of [RecallNumbers] are shown.
func Describe(metric string) run.Metric {
	name, _, _ := strings.Cut(metric, "@")
	switch {
	case metric == "images":
		return run.Metric{Count: true, Order: run.PlaceCount}
	case strings.HasSuffix(name, "recall"):
		return run.Share
	}
	return run.Metric{}
}
