package retrieve

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Settings are those of image-text retrieval.
type Settings struct {
	run.CommonSettings
	MaxSeqLen int `json:"max_seq_len" help:"longest caption in tokens, special ones included; longer ones are cut"`
	images.Settings

	Negatives   int     `json:"negatives" help:"wrong pairs in a caption's group: half have another image, half another caption"`
	Margin      float64 `json:"margin" help:"of the circle loss"`
	ScaleCircle float64 `json:"scale_circle" help:"of the circle loss"`
	UseSigmoid  bool    `json:"use_sigmoid" help:"circle loss of the sigmoid of scores"`

	ContrastSize      int     `json:"contrast_size" help:"size of the vectors of images and texts alone, for search (0: none)"`
	ContrastWeight    float64 `json:"contrast_weight" help:"of the contrastive loss of these vectors beside the circle loss"`
	ContrastOverStep  bool    `json:"contrast_over_step" help:"this loss compares with the images and captions of all batches of a step, not of one"`
	Temperature       float64 `json:"temperature" help:"of the contrastive loss"`
	ContrastEpochs    int     `json:"contrast_epochs" help:"epochs at the start that train the vectors only, which is cheap (-1: 11 of 12 of them, rounded down)"`
	ContrastBatchSize int     `json:"contrast_batch_size" help:"captions of a batch in these epochs, or regions and tokens with in_tokens"`
	HardNegatives     bool    `json:"hard_negatives" help:"draw wrong pairs from the batch, likelier the more alike their vectors are"`

	MinCropArea float64 `json:"min_crop_area" help:"pictures are cropped to a random share of their area from this up (1: never)"`
	Flip        bool    `json:"flip" help:"mirror half of the pictures, and left and right in their captions"`

	EvalImages     int `json:"eval_images" help:"dev images that evaluations score, the first ones (0: all)"`
	EvalCandidates int `json:"eval_candidates" help:"evaluations let the match head order this many candidates found by vectors (0: score every pair)"`
}

func defaults(size string, c run.CommonSettings) *Settings {
	// The reference's recipe; see its script/retrieval/Flickr30k.
	c.LRScheduler, c.WarmupProportion, c.Epochs, c.BatchSize, c.LearningRate, c.WeightDecay = "scale_by_epoch_decay", 0, 40, 4, 5e-6, 0.1
	if size == "large" {
		c.BatchSize = 2
	}
	s := &Settings{
		CommonSettings: c, MaxSeqLen: 50, Settings: images.Default,
		Negatives: 20, Margin: 0.2, ScaleCircle: 1, Temperature: 0.07, ContrastBatchSize: 64, MinCropArea: 1, EvalImages: 100,
	}
	if size == "mini" {
		// From random weights, chosen by measurement on Flickr8k: see docs/results/2026-11-26-retrieval.md.
		s.LRScheduler, s.WarmupProportion, s.LearningRate, s.WeightDecay = "linear_warmup_decay", 0.06, 1e-3, 0.05
		s.Epochs, s.ContrastEpochs, s.BatchSize, s.ContrastBatchSize = 12, -1, 32, 64
		s.VocabSize, s.ImageSize, s.PatchSize, s.MinCropArea, s.Flip = 3000, 96, 16, 0.5, true
		s.Negatives, s.HardNegatives, s.ContrastSize, s.ContrastWeight = 4, true, 128, 1
		s.EvalImages, s.EvalCandidates = 500, 20
	}
	return s
}

// Validate implements [Settings].
func (s *Settings) Validate(given func(key string) bool) error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	if s.ContrastEpochs == -1 {
		s.ContrastEpochs = s.Epochs * 11 / 12
	}
	err := cmp.Or(
		s.Settings.Validate(given),
		settings.Want(s.MaxSeqLen >= batches.MinSeqLen, "max_seq_len", s.MaxSeqLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(s.Negatives >= 2, "negatives", s.Negatives, "2 or more"),
		settings.Want(s.Margin >= 0 && s.Margin <= 1, "margin", s.Margin, "0 to 1"),
		settings.Want(s.ScaleCircle > 0 && s.ScaleCircle < 1e6, "scale_circle", s.ScaleCircle, "more than 0"),
		settings.Want(s.ContrastSize >= 0, "contrast_size", s.ContrastSize, "0 or more"),
		settings.Want(s.ContrastWeight >= 0, "contrast_weight", s.ContrastWeight, "0 or more"),
		settings.Want(s.Temperature > 0 && s.Temperature <= 10, "temperature", s.Temperature, "more than 0"),
		settings.Want(s.ContrastEpochs >= 0 && s.ContrastEpochs <= s.Epochs, "contrast_epochs", s.ContrastEpochs, fmt.Sprintf("0 to epochs, which is %d (contrast_epochs=%[1]d trains vectors only), or -1 for 11 of 12", s.Epochs)),
		settings.Want(s.ContrastBatchSize >= 1, "contrast_batch_size", s.ContrastBatchSize, "1 or more"),
		settings.Want(s.MinCropArea > 0 && s.MinCropArea <= 1, "min_crop_area", s.MinCropArea, "more than 0, 1 at most"),
		settings.Want(s.EvalImages >= 0, "eval_images", s.EvalImages, "0 or more"),
		settings.Want(s.EvalCandidates >= 0, "eval_candidates", s.EvalCandidates, "0 or more"),
	)
	if err != nil {
		return err
	}
	if s.ContrastSize == 0 && (s.ContrastEpochs > 0 || s.HardNegatives || s.EvalCandidates > 0 || s.ContrastWeight > 0) {
		return errors.New("contrast_size is 0: contrast_epochs, contrast_weight, hard_negatives and eval_candidates need vectors; set it, or set them to 0")
	}
	return nil
}

// Join implements [run.Joiner]: while only vectors are trained the other tasks would go on, and no model would be the best.
func (s *Settings) Join() { s.ContrastEpochs = 0 }

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) {
	s.MaxSeqLen = min(s.MaxSeqLen, cfg.MaxTokens())
	s.ContrastSize = cmp.Or(cfg.ContrastSize, s.ContrastSize)
}

// EvalSettings are those of scoring a finished model.
type EvalSettings struct {
	images.EvalSettings
	TwoStage int    `json:"two_stage" help:"candidates by vectors that the full model orders (0: score every pair, or go by vectors where only these were trained)"`
	First    int    `json:"first" help:"score the first pictures of the split only (0: all)"`
	Compare  int    `json:"compare" help:"pictures on which --two-stage is compared with scoring every pair (0: none)"`
	Scores   string `json:"scores" help:"folder that keeps the scores of all pairs, to go on after an interruption"`
}

// Validate implements [run.Flags].
func (s *EvalSettings) Validate(given func(key string) bool) error {
	switch {
	case s.TwoStage < 0 || s.First < 0 || s.Compare < 0:
		return errors.New("--two-stage, --first and --compare are numbers from 0 on")
	case s.TwoStage == 0 && given("compare"):
		return errors.New("--compare is for --two-stage, which it compares with scoring every pair; leave it out")
	case s.TwoStage > 0 && s.Scores != "":
		return errors.New("--scores keeps the scores of all pairs; leave out --two-stage")
	}
	return s.EvalSettings.Validate(given)
}
