package classify

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train/adversarial"
)

// Settings are those of classification and regression.
type Settings struct {
	run.CommonSettings
	adversarial.Recipe
	PoolerAct string  `json:"pooler_act" help:"activation of the pooled first token, relu, tanh or gelu (default: that of --init; relu in a new model)"`
	MaxSeqLen int     `json:"max_seq_len" help:"longest text in tokens, special ones included; longer ones are cut"`
	Columns   string  `json:"columns" help:"columns of the data whose names are not known, as text=review,label=stars; text may be given several times"`
	DevShare  float64 `json:"dev_share" help:"share of the training examples that are drawn for dev, where there is no dev file (0: none)"`
	DevSeed   uint64  `json:"dev_seed" help:"seed of that draw; it does not follow seed, so that runs have the same dev set"`

	joined     bool // in a model for many tasks
	separators int  // between the texts of a pair, of the model that it starts from
}

func (k *Kind) settings(size string, c run.CommonSettings) *Settings {
	s := &Settings{CommonSettings: c, Recipe: adversarial.None(), MaxSeqLen: 512}
	if size == "mini" {
		// From random weights, chosen by measurement on SST-2: see docs/results/2026-11-23-sst-2.md.
		s.LearningRate = 7e-4
		s.BatchSize = 64
		s.Epochs = k.MiniEpochs
		s.WeightDecay = 0.1
		s.HiddenDropout = 0.3
		if s.EvalSteps = 250; k.Schema.Open {
			s.EvalSteps = 0 // after each epoch: own data may have few steps
		}
		s.MaxSeqLen = model.Sizes[size].MaxTokens()
		s.EvalBatchSize = 64
	}
	return s
}

// Validate implements [run.Settings].
func (s *Settings) Validate(func(key string) bool) error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	err := cmp.Or(
		s.ValidateAttacks(false),
		settings.Want(s.MaxSeqLen >= batches.MinSeqLen, "max_seq_len", s.MaxSeqLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(slices.Contains([]string{"", "relu", "tanh", "gelu"}, s.PoolerAct), "pooler_act", s.PoolerAct, "relu, tanh or gelu"),
		settings.Want(s.PoolerAct == "" || !s.joined, "pooler_act", s.PoolerAct, "nothing: all tasks of a model have relu"),
		settings.Want(s.DevShare >= 0 && s.DevShare < 1, "dev_share", s.DevShare, "0 or more and less than 1"),
	)
	if err != nil {
		return err
	}
	_, err = labelled.ParseColumns(s.Columns)
	return err
}

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) {
	s.MaxSeqLen, s.PoolerAct, s.separators = min(s.MaxSeqLen, cfg.MaxTokens()), cfg.PoolerAct, cfg.PairSeparators
}

// Join implements [run.Joiner]. The pooler is one of the maps that all tasks of a model share, those with images, too.
func (s *Settings) Join() { s.joined, s.PoolerAct = true, "" }

// columns are those that the setting names; Validate has read it.
func (s *Settings) columns() labelled.Columns {
	c, _ := labelled.ParseColumns(s.Columns)
	return c
}

// EvalSettings are those of scoring a finished model.
type EvalSettings struct {
	Columns string `json:"columns" help:"columns of labelled texts whose names are not known: text=NAME,label=NAME; text may be given several times"`
}

// Validate implements [run.Flags].
func (s *EvalSettings) Validate(func(key string) bool) error {
	_, err := labelled.ParseColumns(s.Columns)
	return err
}

func (s *EvalSettings) columns() labelled.Columns {
	c, _ := labelled.ParseColumns(s.Columns)
	return c
}
