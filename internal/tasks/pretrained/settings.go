package pretrained

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/pretrain/masking"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/tokenizer"
)

// Settings are those of pre-training.
type Settings struct {
	run.CommonSettings
	Text        []string `json:"text" help:"collections of texts: files, folders, patterns" run:"path"`
	Images      []string `json:"images" help:"collections of images" run:"path"`
	Pairs       []string `json:"pairs" help:"collections of images with captions" run:"path"`
	Paraphrases string   `json:"paraphrases" help:"file of paraphrases of captions, such as back-translations" run:"path"`

	RatioText   float64 `json:"ratio_text" help:"share of the tokens that are those of texts"`
	RatioImages float64 `json:"ratio_images" help:"the same of images"`
	RatioPairs  float64 `json:"ratio_pairs" help:"the same of pairs"`

	MaxTextLen    int     `json:"max_text_len" help:"longest text in tokens, special ones included; of a longer one a piece is taken"`
	MaxSeqLen     int     `json:"max_seq_len" help:"longest caption in tokens, special ones included; longer ones are cut"`
	ShuffleBuffer int     `json:"shuffle_buffer" help:"samples of a collection that the next one is drawn from"`
	Workers       int     `json:"workers" help:"samples prepared at once while the model computes" run:"free"`
	HeldOutShare  float64 `json:"held_out_share" help:"share of each collection that is not trained on (0: 0.01, and of small ones as much as holds out 50 samples, at most 0.1)"`
	HeldOut       int     `json:"held_out" help:"most samples of a collection that evaluations measure"`

	Features      string `json:"features" help:"region features of the pairs: file or folder (empty: their pictures)" run:"path"`
	ImageFeatures string `json:"image_features" help:"the same of the images alone" run:"path"`
	ImageCache    int    `json:"image_cache" help:"most memory for the resized pictures of a kind, or their features, in MiB; others are decoded each time" run:"free"`
	Order         string `json:"feature_order" help:"of width and height in lines of features: width, height (empty: by the boxes)"`
	MaxRegions    int    `json:"max_regions" help:"most regions of an image of features, the global one not counted"`
	images.Cut

	MaskShare     float64 `json:"mask_share" help:"share of the tokens that are hidden"`
	PhraseShare   float64 `json:"phrase_share" help:"share of the hidden spans that are phrases, not words"`
	MaxWords      int     `json:"max_words" help:"longest hidden phrase or fragment in words"`
	Seq2SeqShare  float64 `json:"seq2seq_share" help:"share of the batches with text that generate fragments"`
	FragmentShare float64 `json:"fragment_share" help:"share of a text that is taken out in fragments"`
	RegionShare   float64 `json:"region_share" help:"share of the regions that are hidden"`
	RegionOverlap float64 `json:"region_overlap" help:"regions that overlap a hidden one by more (intersection over union) are hidden with it"`

	MaskedLMWeight          float64 `json:"masked_lm_weight" help:"of masked language modelling of texts (0: off, as with all weights)"`
	Seq2SeqWeight           float64 `json:"seq2seq_weight" help:"of generating fragments of texts"`
	RegionFeatureWeight     float64 `json:"region_feature_weight" help:"of predicting hidden regions' features, of images"`
	RegionClassWeight       float64 `json:"region_class_weight" help:"of predicting hidden regions' classes, of images whose features have them"`
	PairMaskedLMWeight      float64 `json:"pair_masked_lm_weight" help:"of masked language modelling of pairs"`
	PairSeq2SeqWeight       float64 `json:"pair_seq2seq_weight" help:"of generating fragments of pairs' captions"`
	PairRegionFeatureWeight float64 `json:"pair_region_feature_weight" help:"of predicting hidden regions' features, of pairs"`
	PairRegionClassWeight   float64 `json:"pair_region_class_weight" help:"of predicting hidden regions' classes, of pairs"`
	RewriteWeight           float64 `json:"rewrite_weight" help:"of contrastive learning with rewritten captions, read jointly"`
	ContrastWeight          float64 `json:"contrast_weight" help:"of contrastive learning of images and texts alone, with retrieved ones"`

	Positives        int     `json:"positives" help:"other captions or paraphrases that a pair is compared with"`
	Negatives        int     `json:"negatives" help:"rewritten captions that a pair is compared with"`
	SentenceShare    float64 `json:"sentence_share" help:"share of these that are captions of other images, most alike; the others exchange words"`
	BatchNegatives   int     `json:"batch_negatives" help:"captions of the batch's other pairs that a pair is compared with"`
	RetrievedImages  int     `json:"retrieved_images" help:"images retrieved for a pair, as weak positives"`
	RetrievedTexts   int     `json:"retrieved_texts" help:"texts retrieved for a pair, as weak positives"`
	ContrastSize     int     `json:"contrast_size" help:"size of the vectors of images and texts alone"`
	ContrastOverStep bool    `json:"contrast_over_step" help:"contrastive learning of images and texts alone compares with those of all batches of a step, not of one"`
	Temperature      float64 `json:"temperature" help:"of contrastive learning of images and texts alone"`
}

func defaults(size string, c run.CommonSettings) *Settings {
	// The paper's, where it says: mixture, shares, rate; the numbers of negatives are for one machine.
	c.Epochs, c.MaxSteps, c.LearningRate, c.WarmupProportion, c.WeightDecay = 1, 100000, 5e-5, 0.06, 0.01
	c.EvalSteps, c.BatchSize = 1000, 32
	s := &Settings{
		CommonSettings: c, RatioText: 1, RatioImages: 1, RatioPairs: 5,
		MaxTextLen: 512, MaxSeqLen: 64, ShuffleBuffer: 10000, Workers: 2, HeldOut: 256, MaxRegions: 100,
		Cut: images.Default.Cut, ImageCache: images.Default.ImageCache,
		MaskShare: 0.15, PhraseShare: 0.5, MaxWords: 3, Seq2SeqShare: 0.5, FragmentShare: 0.25, RegionShare: 0.15, RegionOverlap: 0.3,
		MaskedLMWeight: 1, Seq2SeqWeight: 1, RegionFeatureWeight: 1, RegionClassWeight: 1,
		PairMaskedLMWeight: 1, PairSeq2SeqWeight: 1, PairRegionFeatureWeight: 1, PairRegionClassWeight: 1, RewriteWeight: 1, ContrastWeight: 1,
		Positives: 1, Negatives: 4, SentenceShare: 0.25, RetrievedImages: 1, RetrievedTexts: 1, ContrastSize: c.HiddenSize, Temperature: 0.07,
	}
	if size == "mini" {
		// Chosen by measurement on small scale: see docs/results/2026-11-26-pretraining.md.
		s.LearningRate, s.MaxSteps, s.EvalSteps = 1e-3, 2000, 500
		s.VocabSize, s.MaxTextLen, s.MaxSeqLen, s.ContrastSize = 8000, 64, 40, 128
		s.Extractor, s.ImageSize, s.PatchSize, s.Grid = regions.Statistics, 128, 0, 4
		s.Positives, s.Negatives, s.ContrastWeight = 1, 3, 5
	}
	return s
}

// Validate implements [Settings].
func (s *Settings) Validate(given func(key string) bool) error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	share := func(key string, v float64) error { return settings.Want(v >= 0 && v <= 1, key, v, "0 to 1") }
	atLeast0 := func(key string, v float64) error { return settings.Want(v >= 0 && v < 1e6, key, v, "0 or more") }
	err := cmp.Or(
		settings.Want(s.MaxSteps >= 1, "max_steps", s.MaxSteps, "1 or more: a stream has no end"),
		settings.Want(s.Epochs == 1, "epochs", s.Epochs, "1: max_steps says how long pre-training goes on"),
		settings.Want(!s.InTokens, "in_tokens", s.InTokens, "false: a batch is of so many samples"),
		settings.Want(s.MaxTextLen >= batches.MinSeqLen, "max_text_len", s.MaxTextLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(s.MaxSeqLen >= batches.MinSeqLen, "max_seq_len", s.MaxSeqLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(s.ShuffleBuffer >= 1, "shuffle_buffer", s.ShuffleBuffer, "1 or more"),
		settings.Want(s.Workers >= 1, "workers", s.Workers, "1 or more"),
		settings.Want(s.HeldOutShare >= 0 && s.HeldOutShare < 1, "held_out_share", s.HeldOutShare, "0 or more, and less than 1"),
		settings.Want(s.HeldOut >= 1, "held_out", s.HeldOut, "1 or more"),
		settings.Want(s.MaxRegions >= 1, "max_regions", s.MaxRegions, "1 or more"),
		s.Cut.Validate(given),
		settings.Want(s.ImageCache >= 0, "image_cache", s.ImageCache, "0 or more"),
		settings.Want(s.MaxWords >= 1, "max_words", s.MaxWords, "1 or more"),
		settings.Want(s.ContrastSize >= 1, "contrast_size", s.ContrastSize, "1 or more"),
		settings.Want(s.Temperature > 0 && s.Temperature <= 10, "temperature", s.Temperature, "more than 0"),
		share("mask_share", s.MaskShare), share("phrase_share", s.PhraseShare), share("seq2seq_share", s.Seq2SeqShare),
		share("fragment_share", s.FragmentShare), share("region_share", s.RegionShare), share("region_overlap", s.RegionOverlap),
		share("sentence_share", s.SentenceShare),
		atLeast0("ratio_text", s.RatioText), atLeast0("ratio_images", s.RatioImages), atLeast0("ratio_pairs", s.RatioPairs),
		atLeast0("masked_lm_weight", s.MaskedLMWeight), atLeast0("seq2seq_weight", s.Seq2SeqWeight), atLeast0("region_feature_weight", s.RegionFeatureWeight),
		atLeast0("region_class_weight", s.RegionClassWeight), atLeast0("pair_masked_lm_weight", s.PairMaskedLMWeight), atLeast0("pair_seq2seq_weight", s.PairSeq2SeqWeight),
		atLeast0("pair_region_feature_weight", s.PairRegionFeatureWeight), atLeast0("pair_region_class_weight", s.PairRegionClassWeight), atLeast0("rewrite_weight", s.RewriteWeight),
		atLeast0("contrast_weight", s.ContrastWeight), atLeast0("positives", float64(s.Positives)), atLeast0("negatives", float64(s.Negatives)),
		atLeast0("batch_negatives", float64(s.BatchNegatives)), atLeast0("retrieved_images", float64(s.RetrievedImages)), atLeast0("retrieved_texts", float64(s.RetrievedTexts)),
	)
	if err != nil {
		return err
	}
	if s.RatioText+s.RatioImages+s.RatioPairs == 0 {
		return errors.New("ratio_text, ratio_images and ratio_pairs are all 0, so there is nothing to train on; set one that there is a collection for")
	}
	if err := s.checkObjectives(true); err != nil {
		return err
	}
	compares := s.RatioPairs > 0 && (s.ContrastWeight > 0 || s.RewriteWeight > 0)
	if compares && s.BatchSize < 2 {
		return errors.New("batch_size is 1, but contrastive learning compares the pairs of a batch; set it to 2 or more, or contrast_weight and rewrite_weight to 0")
	}
	if compares && s.RewriteWeight > 0 && s.Negatives+s.BatchNegatives == 0 {
		return errors.New("rewrite_weight is not 0, but there is nothing wrong to compare a pair with; set negatives or batch_negatives, or rewrite_weight to 0")
	}
	if others := s.BatchSize - 1; compares && s.RewriteWeight > 0 && s.BatchNegatives > others {
		return fmt.Errorf("batch_negatives is %d, but a batch has only %d other pairs; lower it, or raise batch_size", s.BatchNegatives, others)
	}
	return nil
}

// checkObjectives refuses a kind of collection that no objective learns from; classes says whether regions have any.
func (s *Settings) checkObjectives(classes bool) error {
	for i, w := range s.weights() {
		if !classes {
			w[pretrain.RegionClass] = 0
		}
		if s.ratios()[i] > 0 && w == (pretrain.Weights{}) {
			return fmt.Errorf("ratio_%s is not 0, but all objectives that learn from these have weight 0; raise a weight, or set the ratio to 0", pretrain.Kinds[i])
		}
	}
	return nil
}

// ratios are those of texts, images and pairs.
func (s *Settings) ratios() [3]float64 {
	return [3]float64{s.RatioText, s.RatioImages, s.RatioPairs}
}

// weights are those of the objectives of texts, images and pairs.
func (s *Settings) weights() [3]pretrain.Weights {
	w := [3]pretrain.Weights{
		{pretrain.MaskedLM: s.MaskedLMWeight, pretrain.Seq2Seq: s.Seq2SeqWeight},
		{pretrain.RegionFeature: s.RegionFeatureWeight, pretrain.RegionClass: s.RegionClassWeight},
		{
			pretrain.MaskedLM: s.PairMaskedLMWeight, pretrain.Seq2Seq: s.PairSeq2SeqWeight,
			pretrain.RegionFeature: s.PairRegionFeatureWeight, pretrain.RegionClass: s.PairRegionClassWeight,
			pretrain.Rewrite: s.RewriteWeight, pretrain.Contrast: s.ContrastWeight,
		},
	}
	for i := range w {
		if w[i][pretrain.MaskedLM] > 0 && w[i][pretrain.Seq2Seq] > 0 { // one that no batch is given is not measured either
			switch s.Seq2SeqShare {
			case 0:
				w[i][pretrain.Seq2Seq] = 0
			case 1:
				w[i][pretrain.MaskedLM] = 0
			}
		}
	}
	return w
}

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) {
	s.MaxTextLen, s.MaxSeqLen = min(s.MaxTextLen, cfg.MaxTokens()), min(s.MaxSeqLen, cfg.MaxTokens())
	if cfg.ContrastSize > 0 {
		s.ContrastSize = cfg.ContrastSize
	}
}

// paths are the collections of a kind.
func (s *Settings) paths(kind corpus.Kind) []string {
	return map[corpus.Kind][]string{corpus.Text: s.Text, corpus.Images: s.Images, corpus.Pairs: s.Pairs}[kind]
}

func (s *Settings) corpus(kind corpus.Kind, x regions.Extractor) corpus.Options {
	return corpus.Options{
		Extractor: x, Limits: picture.DefaultLimits, CacheBytes: int64(s.ImageCache) << 20, Features: map[corpus.Kind]string{corpus.Images: s.ImageFeatures, corpus.Pairs: s.Features}[kind], Order: s.Order, MaxRegions: s.MaxRegions, HeldOut: s.HeldOutShare,
	}
}

// recipe is what the settings make of a vocabulary; computed says that features are of pictures, by an extractor.
func (s *Settings) recipe(tok *tokenizer.Tokenizer, computed bool) *pretrain.Recipe {
	return &pretrain.Recipe{
		Seed: s.Seed, BatchSize: s.BatchSize, Ratios: s.ratios(),
		MaxText: s.MaxTextLen, MaxCaption: s.MaxSeqLen,
		Language:     masking.Language{Vocabulary: tok, Share: s.MaskShare, PhraseShare: s.PhraseShare, MaxWords: s.MaxWords},
		Fragments:    masking.Fragments{Vocabulary: tok, Share: s.FragmentShare, MaxWords: s.MaxWords},
		Seq2SeqShare: s.Seq2SeqShare, Regions: masking.Regions{Share: s.RegionShare, Overlap: s.RegionOverlap}, Normalise: computed,
		Positives: s.Positives, Negatives: s.Negatives, SentenceShare: s.SentenceShare, BatchNegatives: s.BatchNegatives,
		RetrievedImages: s.RetrievedImages, RetrievedTexts: s.RetrievedTexts, Temperature: s.Temperature,
		Weights: s.weights(),
	}
}
