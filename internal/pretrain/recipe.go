package pretrain

import (
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/pretrain/masking"
)

// Kinds are the kinds of collections in the order in which ratios name them.
var Kinds = [3]corpus.Kind{corpus.Text, corpus.Images, corpus.Pairs}

// Recipe says what batches are made of.
type Recipe struct {
	Seed      uint64
	BatchSize int        // samples
	Ratios    [3]float64 // of tokens: texts, images, pairs

	MaxText    int // tokens of a text, special ones included; of a longer one a piece is taken at random
	MaxCaption int // tokens of a caption; longer ones are cut

	Language     masking.Language
	Fragments    masking.Fragments
	Seq2SeqShare float64 // of the batches with text that are seq2seq, not masked
	Regions      masking.Regions
	Normalise    bool // targets of regions have mean 0 and deviation 1: for what is computed from pixels

	// CMCL, for each pair. Captions of the batch fill up what there is too little of.
	Positives       int // paraphrases, read jointly with the image
	Negatives       int // rewritten captions
	SentenceShare   float64
	BatchNegatives  int // captions of other pairs of the batch, read jointly
	RetrievedImages int // weak positives, encoded alone
	RetrievedTexts  int
	Temperature     float64

	Weights [len(Kinds)]Weights // of texts, images, pairs
}

// Weights are those of a kind's objectives in the loss: Weights{MaskedLM: 1}. An objective of weight 0 costs nothing.
type Weights [countObjectives]float64

// Of returns the weights of a kind.
func (r *Recipe) Of(kind corpus.Kind) Weights { return r.Weights[slices.Index(Kinds[:], kind)] }

// language says whether texts are predicted.
func (w Weights) language() bool { return w[MaskedLM] > 0 || w[Seq2Seq] > 0 }

// regions says whether regions are predicted.
func (w Weights) regions() bool { return w[RegionFeature] > 0 || w[RegionClass] > 0 }

// cmcl says whether pairs are compared.
func (r *Recipe) cmcl() bool { return r.joint() || r.Of(corpus.Pairs)[Contrast] > 0 }

// joint says whether pairs are scored jointly, and candidates how many texts each image is scored with.
func (r *Recipe) joint() bool { return r.Of(corpus.Pairs)[Rewrite] > 0 && r.candidates() > 1 }

func (r *Recipe) candidates() int { return 1 + r.Positives + r.Negatives + r.BatchNegatives }

// seq2Seq says whether the texts of a batch are fragmented, not masked.
func (r *Recipe) seq2Seq(number int, kind corpus.Kind) bool {
	if w := r.Of(kind); w[MaskedLM] == 0 || w[Seq2Seq] == 0 {
		return w[Seq2Seq] > 0
	}
	return random.New(r.Seed, "seq2seq", number).Float64() < r.Seq2SeqShare
}
