package run

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/train"
)

// CommonSettings are those of every kind of task.
type CommonSettings struct {
	train.Config
	EvalBatchSize    int     `json:"eval_batch_size" help:"examples of a batch in evaluation" run:"free"`
	DoLowerCase      bool    `json:"do_lower_case" help:"lower-case text, as the released models need it"`
	VocabSize        int     `json:"vocab_size" help:"size of the vocabulary trained when none is given"`
	HiddenSize       int     `json:"hidden_size" help:"of a new model (with --init it must be the model's own)"`
	Layers           int     `json:"num_hidden_layers" help:"of a new model (with --init it must be the model's own)"`
	Heads            int     `json:"num_attention_heads" help:"of a new model (with --init it must be the model's own)"`
	InitRange        float64 `json:"initializer_range" help:"deviation of a new model's weights"`
	PlaceInitRange   float64 `json:"location_initializer_range" help:"deviation of a new model's weights of where regions are (0: initializer_range)"`
	HiddenDropout    float32 `json:"hidden_dropout_prob" help:"of embeddings, layers and the pooled output"`
	AttentionDropout float32 `json:"attention_probs_dropout_prob" help:"of attention probabilities"`
	device.Choice
}

// EvalBatch computes a batch of so many examples of an evaluation. That the device has too little memory for it is an error that names eval_batch_size.
func EvalBatch[T any](examples int, work func() (T, error)) (out T, err error) {
	err = engine.Sized("eval_batch_size", int64(examples), func() error {
		out, err = work()
		return err
	})
	return out, err
}

// Sizes lists the presets, from small to large.
func Sizes() []string {
	return slices.SortedFunc(maps.Keys(model.Sizes), func(a, b string) int { return cmp.Compare(model.Sizes[a].HiddenSize, model.Sizes[b].HiddenSize) })
}

// Defaults returns the recipe of a task for a size of model, before files and
// flags.
func Defaults(t *Task, size string) (Settings, error) {
	cfg, ok := model.Sizes[size]
	if !ok {
		return nil, names.Unknown("preset", size, Sizes())
	}
	c := CommonSettings{
		Config: train.Default, EvalBatchSize: 32, DoLowerCase: true,
		VocabSize: cfg.VocabSize, HiddenSize: cfg.HiddenSize, Layers: cfg.Layers, Heads: cfg.Heads,
		InitRange: cfg.InitRange, PlaceInitRange: cfg.PlaceInitRange, HiddenDropout: cfg.HiddenDropout, AttentionDropout: cfg.AttentionDropout,
		Choice: device.Default,
	}
	return t.Kind.Settings(t, size, c), nil
}

// SettingError is a setting that does not exist or has an impossible value.
type SettingError struct{ Err error }

func (e *SettingError) Error() string { return e.Err.Error() }
func (e *SettingError) Unwrap() error { return e.Err }

// WrongUse implements the method of [collective.IsWrongUse].
func (e *SettingError) WrongUse() bool { return true }

// FileError is an error of a file that a setting names, which is not the setting's.
type FileError struct{ Err error }

func (e *FileError) Error() string { return e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// overlay lays the file and the assignments over s.
func overlay(s Settings, file string, set []string) error {
	var given []string
	if file != "" {
		keys, err := settings.File(s, file)
		var unreadable *infile.Error
		if errors.As(err, &unreadable) {
			return err
		}
		if err != nil {
			return &SettingError{err}
		}
		given = keys
	}
	for _, assignment := range set {
		if err := settings.Set(s, assignment); err != nil {
			return &SettingError{err}
		}
		given = append(given, settings.Key(assignment))
	}
	if err := s.Validate(func(key string) bool { return slices.Contains(given, key) }); err != nil {
		return &SettingError{err}
	}
	return nil
}

// check resolves the settings of a run as far as that is possible without data.
func (o Options) check() error {
	s, err := Defaults(o.Task, o.Size)
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
	_, err = modelConfig(o.Task, s, o.Task.Kind.Job(o.Task, s, &o.Env), o.Task.size(o.Size))
	if err != nil && !errors.As(err, new(*FileError)) {
		err = &SettingError{err}
	}
	return err
}

// Common implements [Settings].
func (c *CommonSettings) Common() *CommonSettings { return c }

// Validate returns an error that names the first impossible value of these settings.
func (c *CommonSettings) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if !c.Accelerated() && c.Precision == device.BFloat16 {
		return errors.New("precision is bf16, and training on the processor (device cpu) computes with float32 alone; leave it out, or choose another device")
	}
	if err := c.Choice.Check(); err != nil {
		return err
	}
	return cmp.Or(
		settings.Want(c.VocabSize >= 1, "vocab_size", c.VocabSize, "1 or more"),
		settings.Want(c.EvalBatchSize >= 1, "eval_batch_size", c.EvalBatchSize, "1 or more"),
	)
}

// size is the model of a size before any settings.
func (t *Task) size(name string) model.Config {
	cfg := model.Sizes[name]
	if s, ok := t.Kind.(Sizer); ok {
		return s.Size(cfg)
	}
	return cfg
}

// modelConfig returns cfg with the settings that concern the model, and the job's head.
func modelConfig(t *Task, s Settings, job Job, cfg model.Config) (model.Config, error) {
	c := s.Common()
	cfg.HiddenSize, cfg.Layers, cfg.Heads = c.HiddenSize, c.Layers, c.Heads
	cfg.InitRange, cfg.PlaceInitRange = c.InitRange, c.PlaceInitRange
	cfg.HiddenDropout, cfg.AttentionDropout = c.HiddenDropout, c.AttentionDropout
	cfg = cfg.WithoutHead()
	cfg.Task, cfg.ProblemType = t.Name, t.Kind.Problem()
	cfg, err := job.Head(cfg)
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

// adoptModel makes the settings describe an existing model: its size is not a choice.
func adoptModel(s Settings, cfg model.Config) {
	c := s.Common()
	c.VocabSize, c.HiddenSize, c.Layers, c.Heads = cfg.VocabSize, cfg.HiddenSize, cfg.Layers, cfg.Heads
	c.InitRange, c.PlaceInitRange = cfg.InitRange, cfg.PlaceInitRange
	c.HiddenDropout, c.AttentionDropout = cfg.HiddenDropout, cfg.AttentionDropout
	s.Adopt(cfg)
}
