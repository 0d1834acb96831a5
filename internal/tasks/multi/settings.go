package multi

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Settings are those of several tasks: the common ones, which all tasks have, and what single tasks have of their own.
type Settings struct {
	run.CommonSettings
	Tasks        []string `json:"tasks" help:"the tasks with the folders of their data: NAME=DIR,NAME=DIR" run:"named path"`
	Ratio        string   `json:"ratio" help:"how often an epoch takes a task's data, where that is not once: NAME=0.5,NAME=2"`
	TaskSettings []string `json:"task_settings" help:"settings of single tasks, NAME.KEY=VALUE; as a key of its own, too: --set NAME.KEY=VALUE"`
	images.Settings

	kind    Kind
	size    string
	adopted *model.Config // of an existing model
	started string        // its folder
}

var _ settings.Keeper = (*Settings)(nil)

func (k Kind) defaults(size string, c run.CommonSettings) *Settings {
	c.Epochs, c.BatchSize, c.LearningRate, c.WeightDecay = 10, 32, 2e-5, 0.01
	s := &Settings{CommonSettings: c, Settings: images.Default, kind: k, size: size}
	if size == "mini" {
		// Between what the tasks alone have; not tuned.
		s.LearningRate, s.WeightDecay, s.VocabSize = 1e-3, 0.05, 8000
		s.ImageSize, s.PatchSize = 96, 16
	}
	return s
}

// Keep implements [settings.Keeper].
func (s *Settings) Keep(key, value string) error {
	name, own, _ := strings.Cut(key, ".")
	t, err := s.kind.find(name)
	if err != nil {
		return err
	}
	own = strings.ReplaceAll(own, "-", "_")
	assignment := t.Name + "." + own + "=" + value
	list := slices.Clone(s.TaskSettings)
	i := slices.IndexFunc(list, func(other string) bool { return strings.HasPrefix(other, t.Name+"."+own+"=") })
	if i < 0 {
		list = append(list, assignment)
	} else {
		list[i] = assignment
	}
	s.TaskSettings = list
	return nil
}

// find returns a task that can be one of several.
func (k Kind) find(name string) (*run.Task, error) {
	t, err := k.tasks().Find(name)
	if err != nil && slices.Contains(k.all.Names(), name) {
		return nil, fmt.Errorf("%s cannot be one of several tasks; take it out, and start from its model with --init", name)
	}
	return t, err
}

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) { s.adopted = &cfg }

// Start implements [run.Starter].
func (s *Settings) Start(dir string, cfg model.Config) error {
	s.started = dir
	return s.Settings.Start(dir, cfg)
}

// Validate implements [run.Settings].
func (s *Settings) Validate(given func(key string) bool) error {
	if err := cmp.Or(s.CommonSettings.Validate(), s.Settings.Validate(given)); err != nil {
		return err
	}
	s.Tasks = separate(s.Tasks)
	_, err := s.members()
	return err
}

// member is one of the tasks.
type member struct {
	task     *run.Task
	data     string // folder
	ratio    float64
	settings run.Settings
	given    map[string]bool // settings that are its own
}

var errNoTasks = errors.New("tasks names no task; name them with the folders of their data: --tasks sst-2=DIR,gigaword=DIR")

// members are the tasks with their settings.
func (s *Settings) members() ([]*member, error) {
	var list []*member
	for _, item := range s.Tasks {
		name, data, ok := strings.Cut(item, "=")
		if !ok || data == "" {
			return nil, fmt.Errorf("tasks has %q, want NAME=DIR", item)
		}
		t, err := s.kind.find(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("tasks: %w", err)
		}
		if of(list, t.Name) != nil {
			return nil, fmt.Errorf("tasks has %s twice; name each task once", t.Name)
		}
		list = append(list, &member{task: t, data: data, ratio: 1})
	}
	if err := s.readRatio(list); err != nil {
		return nil, err
	}
	for _, m := range list {
		if err := s.settle(m); err != nil {
			return nil, err
		}
	}
	for _, assignment := range s.TaskSettings {
		name, _, _ := strings.Cut(assignment, ".")
		if of(list, name) == nil {
			return nil, fmt.Errorf("%s: %w", assignment, names.Unknown("task of the run", name, taskNames(list)))
		}
	}
	return list, nil
}

// Attacked implements [run.Attacker].
func (s *Settings) Attacked() bool {
	members, _ := s.members() // the settings are valid
	return slices.ContainsFunc(members, func(m *member) bool {
		own, ok := m.settings.(run.Attacker)
		return ok && own.Attacked()
	})
}

// of returns the member of that name, nil without one.
func of(list []*member, name string) *member {
	i := slices.IndexFunc(list, func(m *member) bool { return m.task.Name == name })
	if i < 0 {
		return nil
	}
	return list[i]
}

func taskNames(list []*member) []string {
	var all []string
	for _, m := range list {
		all = append(all, m.task.Name)
	}
	return all
}

// separate divides items at commas that another NAME= follows: folders may have commas in their names.
func separate(items []string) []string {
	var list []string
	for _, item := range items {
		for i, piece := range strings.Split(item, ",") {
			if name, _, ok := strings.Cut(piece, "="); i > 0 && (!ok || strings.ContainsAny(name, "/\\.")) {
				list[len(list)-1] += "," + piece
				continue
			}
			list = append(list, strings.TrimSpace(piece))
		}
	}
	return list
}

// readRatio gives members the ratios that the setting has.
func (s *Settings) readRatio(list []*member) error {
	given := map[string]bool{}
	for item := range strings.SplitSeq(s.Ratio, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			return fmt.Errorf("ratio has %q, want NAME=X", item)
		}
		known, err := names.Find("task of the run", strings.TrimSpace(name), taskNames(list))
		if err != nil {
			return fmt.Errorf("ratio: %w", err)
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(x >= 0.001 && x <= 1000) {
			return fmt.Errorf("ratio has %q, want NAME=X with X from 0.001 to 1000", item)
		}
		if given[known] {
			return fmt.Errorf("ratio has %s twice; name each task once", known)
		}
		given[known], of(list, known).ratio = true, x
	}
	return nil
}

// perTask are the common settings that a task may have in its own way. The others are about the one training, or the one
// model, that all share.
var perTask = []string{"batch_size", "in_tokens", "eval_batch_size", "hidden_dropout_prob", "attention_probs_dropout_prob"}

// perModel are the other settings that all tasks share: how pictures are cut up.
var perModel = []string{"extractor", "image_size", "patch_size", "grid"}

// shared says whether no single task can set something.
func shared(key string) bool {
	return slices.Contains(perModel, key) || !slices.Contains(perTask, key) &&
		slices.ContainsFunc(settings.List(new(run.CommonSettings)), func(c settings.Setting) bool { return c.Key == key })
}

// settle makes a member's settings: the task's recipe, the run's settings over it, and its own over both.
func (s *Settings) settle(m *member) error {
	own, err := run.Defaults(m.task, s.size)
	if err != nil {
		return err
	}
	if s.adopted != nil {
		own.Adopt(*s.adopted)
	}
	if starter, ok := own.(run.Starter); ok && s.started != "" {
		if err := starter.Start(s.started, *s.adopted); err != nil {
			return err
		}
	}
	if joiner, ok := own.(run.Joiner); ok {
		joiner.Join()
	}
	settings.Share(own, s)
	own.Common().Epochs = max(1, int(math.Ceil(m.ratio*float64(s.Epochs))))
	given := map[string]bool{}
	for _, assignment := range s.TaskSettings {
		name, of, ok := strings.Cut(assignment, ".")
		key, _, valued := strings.Cut(of, "=")
		switch {
		case !ok || !valued:
			return fmt.Errorf("task_settings has %q, want NAME.KEY=VALUE", assignment)
		case name != m.task.Name:
			continue
		case shared(key):
			return fmt.Errorf("%s.%s: all tasks have the same %[2]s; set %[2]s itself", name, key)
		}
		if err := settings.Set(own, of); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		given[settings.Key(of)] = true
	}
	if err := own.Validate(func(key string) bool { return given[key] }); err != nil {
		return fmt.Errorf("%s: %w", m.task.Name, err)
	}
	m.settings, m.given = own, given
	return nil
}
