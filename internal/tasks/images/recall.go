package images

import (
	"strings"

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

// All encodes the captions of a set and counts those that were cut.
func (e Captions) All(set *captions.Set) (tokens rank.Texts, cut int) {
	tokens = make(rank.Texts, len(set.Captions))
	for i, c := range set.Captions {
		if c.Tokens != nil {
			tokens[i] = captions.Truncate(c.Tokens, e.MaxLen)
			if len(tokens[i]) < len(c.Tokens) {
				cut++
			}
			continue
		}
		var shorter bool
		if tokens[i], shorter = e.Encode(c.Text); shorter {
			cut++
		}
	}
	return tokens, cut
}

// EvalSet is a set of images with captions as it is searched.
func EvalSet(set *captions.Set, source regions.Source, enc Captions) rank.Set {
	tokens, _ := enc.All(set)
	return rank.Set{Images: rank.Images{Source: source, IDs: set.Images}, Texts: tokens, ImageOf: set.ImageOf()}
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
