package pretrain

import (
	"strings"

	"github.com/unimo-go/unimo/internal/corpus"
	"github.com/unimo-go/unimo/internal/masking"
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

	Weights Weights
}

// Weights are those of the objectives in the loss. An objective of weight 0 costs nothing.
type Weights struct {
	MaskedLM, Seq2Seq, RegionFeature, RegionClass, Contrast, Rewrite float64
}

// joint says whether pairs are scored jointly, and candidates how many texts each image is scored with.
func (r *Recipe) joint() bool { return r.Weights.Rewrite > 0 && r.candidates() > 1 }

func (r *Recipe) candidates() int { return 1 + r.Positives + r.Negatives + r.BatchNegatives }

// seq2Seq says whether the texts of a batch are fragmented, not masked.
func (r *Recipe) seq2Seq(number int) bool {
	if r.Weights.MaskedLM == 0 || r.Weights.Seq2Seq == 0 {
		return r.Weights.Seq2Seq > 0
	}
	return random(r.Seed, number, -2).Float64() < r.Seq2SeqShare
}

// language says whether texts are predicted.
func (r *Recipe) language() bool { return r.Weights.MaskedLM > 0 || r.Weights.Seq2Seq > 0 }

// regions says whether regions are predicted.
func (r *Recipe) regions() bool { return r.Weights.RegionFeature > 0 || r.Weights.RegionClass > 0 }

// Weight returns the weight of an objective by its name.
func (r *Recipe) Weight(name string) float64 {
	_, objective, _ := strings.Cut(name, ".")
	return map[string]float64{
		maskedLM[1:]: r.Weights.MaskedLM, seq2Seq[1:]: r.Weights.Seq2Seq, regionFeature[1:]: r.Weights.RegionFeature,
		regionClass[1:]: r.Weights.RegionClass, contrast[1:]: r.Weights.Contrast, rewriting[1:]: r.Weights.Rewrite,
	}[objective]
}
