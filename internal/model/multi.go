package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/nn"
)

// Multi is a model for several tasks: one encoder with the heads of all. What the released model has (encoder, embedding
// of regions, pools, language head) the tasks share; any other parameter is of one task, whose name stands before its
// own: "sst-2.cls_out_2_w".
type Multi struct {
	Model

	parts map[string]Heads
}

// Part returns the model of one task. Its parameters are the whole model's.
func Part[M Heads](m *Multi, task string) (M, error) {
	part, ok := m.parts[task].(M)
	if !ok {
		return part, WrongTaskf("task %q of the model for several is not a %T", task, part)
	}
	return part, nil
}

func (m *Multi) build(p declare) {
	m.parts = map[string]Heads{}
	shared := m.Config.shared()
	seen := map[string]*autograd.Var{}
	for _, t := range m.Config.Tasks {
		cfg, err := m.Config.ForTask(t.Name)
		if err != nil || cfg.form().new == nil {
			continue // which Validate refuses
		}
		f := cfg.form()
		part := f.new()
		*part.common() = Model{Config: cfg, dev: m.dev, form: f}
		part.build(func(name string, init Init, shape ...int) *autograd.Var {
			stored := name
			if !shared[name] {
				stored = TaskPrefix(t.Name) + name
			}
			v, ok := seen[stored]
			if !ok {
				v = p(stored, init, shape...)
				seen[stored] = v
			}
			c := part.common()
			c.Params = append(c.Params, Parameter{Spec: Spec{Name: stored, Shape: shape, Init: init}, Var: v})
			return v
		})
		m.parts[t.Name] = part
	}
}

// shared are the names of the parameters that the tasks of a model share: those of the released form.
func (c Config) shared() map[string]bool {
	var specs []Spec
	r := &released{Model{Config: c, form: form{images: optional}}}
	r.build(nn.List(&specs))
	names := make(map[string]bool, len(specs))
	for _, s := range specs {
		names[s.Name] = true
	}
	return names
}

// TaskPrefix is what stands before the names of a task's own parameters and files in a model for several.
func TaskPrefix(task string) string { return task + "." }

// TaskConfig is one task of a model for several, in its config.json: the task's name, and the fields of the
// configuration that it has in its own way.
type TaskConfig struct {
	Name string
	Own  map[string]json.RawMessage
}

// MarshalJSON implements [json.Marshaler]: the name comes first.
func (t TaskConfig) MarshalJSON() ([]byte, error) {
	name, err := json.Marshal(t.Name)
	if err != nil || len(t.Own) == 0 {
		return fmt.Appendf(nil, `{"name":%s}`, name), err
	}
	own, err := json.Marshal(t.Own)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{"name":%s,%s`, name, own[1:]), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *TaskConfig) UnmarshalJSON(raw []byte) error {
	t.Own = nil
	if err := json.Unmarshal(raw, &t.Own); err != nil {
		return err
	}
	name, ok := t.Own["name"]
	if !ok {
		return errors.New("a task of the list tasks has no name")
	}
	delete(t.Own, "name")
	return json.Unmarshal(name, &t.Name)
}

// commonFields are those that all tasks of a model have in common: with others its parameters would have other shapes.
var commonFields = []string{
	"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "hidden_act",
	"initializer_range", "location_initializer_range", "layer_norm_eps", "image_embedding_size", "image_extractor", "tie_word_embeddings",
}

// defaultFields are those that the model has a value of, and a task may have another.
var defaultFields = []string{"hidden_dropout_prob", "attention_probs_dropout_prob"}

// maxTasks bounds the list of tasks.
const maxTasks = 64

// taskName is what a task may be called: no name of a shared parameter begins like that of a task's own.
var taskName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// WithTasks returns the configuration of a model for several tasks that has c's size. The tasks are complete
// configurations of that size, with their names in [Config.Task].
func (c Config) WithTasks(tasks []Config) (Config, error) {
	base, err := c.members(commonFields, defaultFields)
	if err != nil {
		return c, err
	}
	multi := Config{ProblemType: MultiTask, Task: c.Task, Extra: c.Extra}
	if err := multi.set(base); err != nil {
		return c, err
	}
	for _, t := range tasks {
		own, err := t.members(t.fields())
		if err != nil {
			return c, err
		}
		for _, key := range commonFields {
			if a, b := string(own[key]), string(base[key]); a != b {
				return c, fmt.Errorf("%s of task %s is %s, but that of the model is %s; all tasks of a model have the same", key, t.Task, cmp.Or(a, "not set"), cmp.Or(b, "not set"))
			}
		}
		maps.DeleteFunc(own, func(key string, value json.RawMessage) bool {
			return key == "finetuning_task" || string(value) == string(base[key])
		})
		multi.Tasks = append(multi.Tasks, TaskConfig{t.Task, own})
	}
	return multi, multi.Validate()
}

// members are the values of some fields in JSON.
func (c Config) members(keys ...[]string) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	wanted := slices.Concat(keys...)
	maps.DeleteFunc(all, func(key string, _ json.RawMessage) bool { return !slices.Contains(wanted, key) })
	return all, nil
}

// set gives fields the values that they have in JSON.
func (c *Config) set(members map[string]json.RawMessage) error {
	raw, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	return json.Unmarshal(raw, c)
}

// TaskNames lists the tasks of a model for several, nil of any other.
func (c Config) TaskNames() []string {
	var list []string
	for _, t := range c.Tasks {
		list = append(list, t.Name)
	}
	return list
}

// ForTask returns the configuration of one task of a model for several.
func (c Config) ForTask(name string) (Config, error) {
	i := slices.IndexFunc(c.Tasks, func(t TaskConfig) bool { return t.Name == name })
	if i < 0 {
		return c, fmt.Errorf("the model has no task %q; it has %s", name, strings.Join(c.TaskNames(), ", "))
	}
	own, known := c.Tasks[i].Own, c.fields()
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if slices.Contains(commonFields, key) || !slices.Contains(known, key) {
			return c, fmt.Errorf("task %s has %q of its own; leave it out", name, key)
		}
	}
	t := c.WithoutHead()
	if err := t.set(own); err != nil {
		return c, fmt.Errorf("task %s: %w", name, infile.PlainJSON(err))
	}
	t.Task = name
	return t, nil
}

// validateTasks checks the list of tasks.
func (c Config) validateTasks() error {
	if c.ProblemType != MultiTask {
		if len(c.Tasks) > 0 {
			return fmt.Errorf("the list tasks belongs to problem_type %q, but it is %q", MultiTask, c.ProblemType)
		}
		return nil
	}
	if n := len(c.Tasks); n < 1 || n > maxTasks {
		return fmt.Errorf("the list tasks has %d tasks, want 1 to %d", n, maxTasks)
	}
	seen := map[string]bool{}
	for _, t := range c.Tasks {
		switch {
		case !taskName.MatchString(t.Name):
			return fmt.Errorf("a task has the name %q; want up to 64 small letters, digits, - and _", t.Name)
		case seen[t.Name]:
			return fmt.Errorf("task %s is there twice", t.Name)
		}
		seen[t.Name] = true
		cfg, err := c.ForTask(t.Name)
		if err != nil {
			return err
		}
		if f := cfg.form(); f.problem == "" || f.new == nil || f.problem == MultiTask {
			return fmt.Errorf("task %s: problem_type is %q, which is no task's", t.Name, cfg.ProblemType)
		}
		if err := cfg.Validate(); err != nil {
			return fmt.Errorf("task %s: %w", t.Name, err)
		}
	}
	return nil
}

// describeTasks lists the tasks with what they are.
func describeTasks(c Config) string {
	var parts []string
	for _, t := range c.Tasks {
		what := "not known"
		if cfg, err := c.ForTask(t.Name); err == nil {
			what = cfg.ProblemType
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", t.Name, what))
	}
	return "tasks " + strings.Join(parts, ", ")
}

// ReadsImages says whether sequences may have an image in them.
func (c Config) ReadsImages() bool { return c.form().images != unread }

// Chooses says whether answers are chosen among labels: they may be written instead.
func (c Config) Chooses() bool { return c.form().labels[1] > 0 }

// ViewTask returns what a checkpoint of the model c for several tasks has for one: the task's own tensors under their
// plain names, and those that all share. Closing the view closes r.
func (c Config) ViewTask(r checkpoint.Reader, task string) checkpoint.Reader {
	v := &taskView{Reader: r, stored: map[string]string{}}
	for _, info := range r.Tensors() {
		owner, plain, own := strings.Cut(info.Name, ".")
		if own = own && slices.Contains(c.TaskNames(), owner); own && owner != task {
			continue
		}
		if !own {
			plain = info.Name
		}
		if _, there := v.stored[plain]; own || !there {
			v.stored[plain] = info.Name
		}
	}
	return v
}

// taskView is a checkpoint with some of another's tensors.
type taskView struct {
	checkpoint.Reader
	stored map[string]string // their names there
}

// Tensors implements [checkpoint.Reader].
func (v *taskView) Tensors() []checkpoint.Info {
	var list []checkpoint.Info
	for _, name := range slices.Sorted(maps.Keys(v.stored)) {
		if info, err := v.Info(name); err == nil {
			list = append(list, info)
		}
	}
	return list
}

// Info implements [checkpoint.Reader].
func (v *taskView) Info(name string) (checkpoint.Info, error) {
	info, err := v.Reader.Info(v.name(name))
	info.Name = name
	return info, err
}

// Bytes implements [checkpoint.Reader].
func (v *taskView) Bytes(name string) ([]byte, error) { return v.Reader.Bytes(v.name(name)) }

// Stored implements [nn.View].
func (v *taskView) Stored(name string) (checkpoint.Reader, string) { return v.Reader, v.name(name) }

// name is what a tensor is called in the checkpoint. One that the view does not have is looked for under a name that no
// tensor has.
func (v *taskView) name(plain string) string {
	if stored, ok := v.stored[plain]; ok {
		return stored
	}
	return plain + "\x00"
}
