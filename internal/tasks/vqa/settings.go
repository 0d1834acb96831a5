package vqa

import (
	"cmp"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train/adversarial"
)

// Texts are the settings of a model that writes.
type Texts = texts.Settings

// The values of answer_by.
const (
	byChoice = "choose"
	byWords  = "generate"
)

// Settings are those of questions about pictures.
type Settings struct {
	run.CommonSettings
	MaxSeqLen int `json:"max_seq_len" help:"longest question in tokens, special ones included; longer ones are cut"`
	pairs.Folder
	images.Settings
	adversarial.Recipe

	AnswerBy string `json:"answer_by" help:"choose takes one of the most frequent answers, generate writes one word by word"`
	Texts

	Answers        int     `json:"answers" help:"answers that the model chooses from: the most frequent ones of the training questions"`
	MinAnswerCount int     `json:"min_answer_count" help:"an answer of fewer training questions is none of them"`
	DevShare       float64 `json:"dev_share" help:"share of the training pictures that are drawn for dev, with their questions, where there is no dev file (0: none)"`
	DevSeed        uint64  `json:"dev_seed" help:"seed of that draw; it does not follow seed, so that runs have the same dev set"`
	MinCropArea    float64 `json:"min_crop_area" help:"pictures are cropped to a random share of their area from this up (1: never)"`
}

// vqaAnswers is how many answers models for VQA v2 choose from: those of nine training questions or more.
const vqaAnswers = 3129

func defaults(size string, c run.CommonSettings) *Settings {
	// Ours: the paper does not say how it was trained.
	c.BatchSize, c.LearningRate, c.Epochs, c.WeightDecay = 64, 3e-5, 10, 0.01
	if size == "large" {
		c.LearningRate = 1e-5
	}
	s := &Settings{CommonSettings: c, MaxSeqLen: 50, Settings: images.Default, Recipe: adversarial.None(), AnswerBy: byChoice, Texts: texts.NewSettings(maxAnswerTokens, search), Answers: vqaAnswers, MinAnswerCount: 1, MinCropArea: 1}
	s.LabelSmooth, s.DecodeExamples = 0, 2000 // a probability is told of an answer, and answers are short
	if size == "mini" {
		// From random weights, chosen by measurement on easy-VQA: with the usual small weights a model is slow to see pictures at all.
		s.HiddenSize, s.Layers, s.Heads, s.InitRange = 128, 2, 4, 0.1
		s.LearningRate, s.Epochs, s.WeightDecay, s.EvalBatchSize = 1e-3, 6, 0.05, 64
		s.VocabSize, s.ImageSize, s.PatchSize = 2000, 64, 16
	}
	return s
}

// Validate implements [run.Settings].
func (s *Settings) Validate(given func(key string) bool) error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	return cmp.Or(
		settings.Want(s.AnswerBy == byChoice || s.AnswerBy == byWords, "answer_by", s.AnswerBy, byChoice+" or "+byWords),
		s.Settings.Validate(given), s.Texts.Validate(),
		s.Recipe.ValidateAttacks(true),
		settings.Want(s.MaxSeqLen >= batches.MinSeqLen, "max_seq_len", s.MaxSeqLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(s.Answers >= 2, "answers", s.Answers, "2 or more"),
		settings.Want(s.MinAnswerCount >= 1, "min_answer_count", s.MinAnswerCount, "1 or more"),
		settings.Want(s.DevShare >= 0 && s.DevShare < 1, "dev_share", s.DevShare, "0 or more and less than 1"),
		settings.Want(s.MinCropArea > 0 && s.MinCropArea <= 1, "min_crop_area", s.MinCropArea, "more than 0, 1 at most"),
	)
}

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) {
	most := cfg.MaxTokens()
	s.MaxSeqLen, s.MaxTgtLen, s.MaxOutLen = min(s.MaxSeqLen, most), min(s.MaxTgtLen, most), min(s.MaxOutLen, most)
}

// EvalSettings are those of scoring a finished model.
type EvalSettings struct {
	pairs.Folder
	images.EvalSettings
}
