package run

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/train"
)

// Settings are all that can be set about a run: a pointer to the struct of the
// task's kind, which package config fills and lists.
type Settings interface {
	// Validate returns an error that names the first impossible value.
	Validate() error

	common() *CommonSettings
	// head returns cfg with what the task and the settings of its kind make of it.
	head(p *Preset, cfg model.Config) (model.Config, error)
	// adopt takes over the limits of an existing model.
	adopt(cfg model.Config)
}

// CommonSettings are those of every kind of task.
type CommonSettings struct {
	train.Config
	EvalBatchSize    int     `json:"eval_batch_size" help:"examples of a batch in evaluation"`
	DoLowerCase      bool    `json:"do_lower_case" help:"lower-case text, as the released models need it"`
	VocabSize        int     `json:"vocab_size" help:"size of the vocabulary trained when none is given"`
	HiddenSize       int     `json:"hidden_size" help:"of a new model (with --init it must be the model's own)"`
	Layers           int     `json:"num_hidden_layers" help:"of a new model (with --init it must be the model's own)"`
	Heads            int     `json:"num_attention_heads" help:"of a new model (with --init it must be the model's own)"`
	InitRange        float64 `json:"initializer_range" help:"deviation of a new model's weights"`
	HiddenDropout    float32 `json:"hidden_dropout_prob" help:"of embeddings, layers and the pooled output"`
	AttentionDropout float32 `json:"attention_probs_dropout_prob" help:"of attention probabilities"`
}

// ClassificationSettings are those of classification and regression.
type ClassificationSettings struct {
	CommonSettings
	MaxSeqLen int     `json:"max_seq_len" help:"longest text in tokens, special ones included; longer ones are cut"`
	Columns   string  `json:"columns" help:"columns of the data whose names are not known, as text=review,label=stars; text may be given several times"`
	DevShare  float64 `json:"dev_share" help:"share of the training examples that are drawn for dev, where there is no dev file (0: none)"`
	DevSeed   uint64  `json:"dev_seed" help:"seed of that draw; it does not follow seed, so that runs have the same dev set"`
}

// columns are those that the setting names; Validate has read it.
func (s *ClassificationSettings) columns() labelled.Columns {
	c, _ := labelled.ParseColumns(s.Columns)
	return c
}

// Sizes lists the presets, from small to large.
func Sizes() []string {
	return slices.SortedFunc(maps.Keys(model.Sizes), func(a, b string) int { return cmp.Compare(model.Sizes[a].HiddenSize, model.Sizes[b].HiddenSize) })
}

// Defaults returns the recipe of a task for a size of model, before files and
// flags.
func Defaults(p *Preset, size string) (Settings, error) {
	cfg, ok := model.Sizes[size]
	if !ok {
		return nil, names.Unknown("preset", size, Sizes())
	}
	c := CommonSettings{
		Config: train.Default, EvalBatchSize: 32, DoLowerCase: true,
		VocabSize: cfg.VocabSize, HiddenSize: cfg.HiddenSize, Layers: cfg.Layers, Heads: cfg.Heads,
		InitRange: cfg.InitRange, HiddenDropout: cfg.HiddenDropout, AttentionDropout: cfg.AttentionDropout,
	}
	if p.Generation != nil {
		return generationDefaults(p.Generation, size, c), nil
	}
	if p.Retrieval != nil {
		return retrievalDefaults(size, c), nil
	}
	if p.Pretraining {
		return pretrainingDefaults(size, c), nil
	}
	s := &ClassificationSettings{CommonSettings: c, MaxSeqLen: 512}
	if size == "mini" {
		// From random weights, chosen by measurement on SST-2: see docs/results/2026-11-23-sst-2.md.
		s.LearningRate = 7e-4
		s.BatchSize = 64
		s.Epochs = p.MiniEpochs
		s.WeightDecay = 0.1
		s.HiddenDropout = 0.3
		if s.EvalSteps = 250; p.Schema.Open {
			s.EvalSteps = 0 // after each epoch: own data may have few steps
		}
		s.MaxSeqLen = cfg.MaxTokens()
		s.EvalBatchSize = 64
	}
	return s, nil
}

// SettingError is a setting that does not exist or has an impossible value.
type SettingError struct{ Err error }

func (e *SettingError) Error() string { return e.Err.Error() }
func (e *SettingError) Unwrap() error { return e.Err }

// overlay lays the file and the assignments over s.
func overlay(s Settings, file string, set []string) error {
	if file != "" {
		err := settings.File(s, file)
		var unreadable *infile.Error
		if errors.As(err, &unreadable) {
			return err
		}
		if err != nil {
			return &SettingError{err}
		}
	}
	for _, assignment := range set {
		if err := settings.Set(s, assignment); err != nil {
			return &SettingError{err}
		}
	}
	if err := s.Validate(); err != nil {
		return &SettingError{err}
	}
	return nil
}

// check resolves the settings of a run as far as that is possible without data.
func (o Options) check() error {
	s, err := Defaults(o.Preset, o.Size)
	if err != nil {
		return &SettingError{err}
	}
	if err := o.restore(s); err != nil {
		return err
	}
	if err := overlay(s, o.ConfigFile, o.Set); err != nil {
		return err
	}
	if o.Init != "" {
		return nil // the model's own sizes are not known yet
	}
	if _, err := modelConfig(s, o.Preset, o.Preset.size(o.Size)); err != nil {
		return &SettingError{err}
	}
	return nil
}

func (c *CommonSettings) common() *CommonSettings { return c }

func (c *CommonSettings) validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	return cmp.Or(
		settings.Want(c.VocabSize >= 1, "vocab_size", c.VocabSize, "1 or more"),
		settings.Want(c.EvalBatchSize >= 1, "eval_batch_size", c.EvalBatchSize, "1 or more"),
	)
}

// Validate implements [Settings].
func (s *ClassificationSettings) Validate() error {
	if err := s.validate(); err != nil {
		return err
	}
	err := cmp.Or(
		settings.Want(s.MaxSeqLen >= batches.MinSeqLen, "max_seq_len", s.MaxSeqLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(s.DevShare >= 0 && s.DevShare < 1, "dev_share", s.DevShare, "0 or more and less than 1"),
	)
	if err != nil {
		return err
	}
	_, err = labelled.ParseColumns(s.Columns)
	return err
}

// modelConfig returns cfg with the settings that concern the model and its head.
func modelConfig(s Settings, p *Preset, cfg model.Config) (model.Config, error) {
	c := s.common()
	cfg.HiddenSize, cfg.Layers, cfg.Heads = c.HiddenSize, c.Layers, c.Heads
	cfg.InitRange, cfg.HiddenDropout, cfg.AttentionDropout = c.InitRange, c.HiddenDropout, c.AttentionDropout
	cfg.Task, cfg.ProblemType, cfg.NumLabels, cfg.ID2Label, cfg.RegionClasses = p.Name, p.Problem(), 0, nil, 0
	cfg.ScoreMean, cfg.ScoreScale = p.ScoreMean, p.ScoreScale
	cfg, err := s.head(p, cfg)
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

func (s *ClassificationSettings) head(p *Preset, cfg model.Config) (model.Config, error) {
	cfg.NumLabels = p.Outputs()
	if !p.Schema.Regression {
		cfg.ID2Label = map[string]string{}
		for i, label := range p.Schema.Labels {
			cfg.ID2Label[fmt.Sprint(i)] = label
		}
	}
	if s.MaxSeqLen > cfg.MaxTokens() {
		return cfg, fmt.Errorf("max_seq_len is %d, but the model reads at most %d tokens", s.MaxSeqLen, cfg.MaxTokens())
	}
	return cfg, nil
}

// adoptModel makes the settings describe an existing model: its size is not a choice.
func adoptModel(s Settings, cfg model.Config) {
	c := s.common()
	c.VocabSize, c.HiddenSize, c.Layers, c.Heads = cfg.VocabSize, cfg.HiddenSize, cfg.Layers, cfg.Heads
	c.InitRange, c.HiddenDropout, c.AttentionDropout = cfg.InitRange, cfg.HiddenDropout, cfg.AttentionDropout
	s.adopt(cfg)
}

func (s *ClassificationSettings) adopt(cfg model.Config) {
	s.MaxSeqLen = min(s.MaxSeqLen, cfg.MaxTokens())
}
