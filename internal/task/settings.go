package task

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/config"
	"github.com/unimo-go/unimo/internal/data"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/tokenizer"
	"github.com/unimo-go/unimo/internal/train"
)

// Settings are all that can be set about a run.
type Settings struct {
	train.Config
	MaxSeqLen        int     `json:"max_seq_len" help:"longest text in tokens, special ones included; longer ones are cut"`
	EvalBatchSize    int     `json:"eval_batch_size" help:"examples of a batch in evaluation"`
	DoLowerCase      bool    `json:"do_lower_case" help:"lower-case text, as the released models need it"`
	VocabSize        int     `json:"vocab_size" help:"size of the vocabulary trained when none is given"`
	HiddenSize       int     `json:"hidden_size" help:"of a new model (with --init it must be the model's own)"`
	Layers           int     `json:"num_hidden_layers" help:"of a new model (with --init it must be the model's own)"`
	Heads            int     `json:"num_attention_heads" help:"of a new model (with --init it must be the model's own)"`
	HiddenDropout    float32 `json:"hidden_dropout_prob" help:"of embeddings, layers and the pooled output"`
	AttentionDropout float32 `json:"attention_probs_dropout_prob" help:"of attention probabilities"`
}

// Defaults returns the recipe of a task for a size of model, before files and
// flags.
func Defaults(p *Preset, size string) (Settings, error) {
	cfg, ok := model.Sizes[size]
	if !ok {
		return Settings{}, fmt.Errorf("unknown preset %q: choose mini, base or large", size)
	}
	s := Settings{
		Config: train.Default, MaxSeqLen: 512, EvalBatchSize: 32, DoLowerCase: true,
		VocabSize: cfg.VocabSize, HiddenSize: cfg.HiddenSize, Layers: cfg.Layers, Heads: cfg.Heads,
		HiddenDropout: cfg.HiddenDropout, AttentionDropout: cfg.AttentionDropout,
	}
	if size == "mini" {
		// From random weights, chosen by measurement on SST-2: see docs/tasks.md.
		s.LearningRate = 7e-4
		s.BatchSize = 64
		s.Epochs = p.MiniEpochs
		s.WeightDecay = 0.1
		s.HiddenDropout = 0.3
		s.EvalSteps = 250
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
func (s *Settings) overlay(file string, set []string) error {
	if file != "" {
		if err := config.File(s, file); err != nil {
			return &SettingError{err}
		}
	}
	for _, assignment := range set {
		if err := config.Set(s, assignment); err != nil {
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
	if err := s.overlay(o.ConfigFile, o.Set); err != nil {
		return err
	}
	if o.Init != "" {
		return nil // the model's own sizes are not known yet
	}
	if _, err := s.model(o.Preset, model.Sizes[o.Size]); err != nil {
		return &SettingError{err}
	}
	return nil
}

// Validate returns an error that names the first impossible value.
func (s *Settings) Validate() error {
	if err := s.Config.Validate(); err != nil {
		return err
	}
	if s.MaxSeqLen < data.MinSeqLen {
		return fmt.Errorf("max_seq_len is %d, want %d or more", s.MaxSeqLen, data.MinSeqLen)
	}
	if s.VocabSize < tokenizer.MinVocabSize {
		return fmt.Errorf("vocab_size is %d, want %d or more", s.VocabSize, tokenizer.MinVocabSize)
	}
	if s.EvalBatchSize < 1 {
		return fmt.Errorf("eval_batch_size is %d, want 1 or more", s.EvalBatchSize)
	}
	return nil
}

// model returns cfg with the settings that concern the model and the task's head.
func (s *Settings) model(p *Preset, cfg model.Config) (model.Config, error) {
	cfg.HiddenSize, cfg.Layers, cfg.Heads = s.HiddenSize, s.Layers, s.Heads
	cfg.HiddenDropout, cfg.AttentionDropout = s.HiddenDropout, s.AttentionDropout
	cfg.Task, cfg.ProblemType, cfg.NumLabels, cfg.ID2Label = p.Name, p.Problem(), p.Outputs(), nil
	if !p.Schema.Regression {
		cfg.ID2Label = map[string]string{}
		for i, label := range p.Schema.Labels {
			cfg.ID2Label[fmt.Sprint(i)] = label
		}
	}
	if s.MaxSeqLen > cfg.MaxTokens() {
		return cfg, fmt.Errorf("max_seq_len is %d, but the model reads at most %d tokens", s.MaxSeqLen, cfg.MaxTokens())
	}
	return cfg, cfg.Validate()
}

// adopt makes the settings describe an existing model: its size is not a choice.
func (s *Settings) adopt(cfg model.Config) {
	s.VocabSize, s.HiddenSize, s.Layers, s.Heads = cfg.VocabSize, cfg.HiddenSize, cfg.Layers, cfg.Heads
	s.HiddenDropout, s.AttentionDropout = cfg.HiddenDropout, cfg.AttentionDropout
	s.MaxSeqLen = min(s.MaxSeqLen, cfg.MaxTokens())
}
