package multi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task     *run.Task
	settings *Settings
	env      *run.Env
	parts    []*part
}

// part is the work on one of the tasks.
type part struct {
	*member
	env   *run.Env
	job   run.Job
	files []run.File
}

// newJob makes the jobs of the tasks.
func newJob(t *run.Task, s *Settings, env *run.Env) *job {
	j := &job{task: t, settings: s, env: env}
	members, err := s.members()
	if err != nil {
		panic(err) // the settings are valid
	}
	for _, m := range members {
		p := &part{member: m, env: env.Part(nil, m.task.Name)}
		if env.Log != nil {
			p.env.Log = slog.New(named{env.Log.Handler(), m.task.Name})
		}
		p.job = m.task.Kind.Job(m.task, m.settings, p.env)
		j.parts = append(j.parts, p)
	}
	return j
}

// wrap says which task an error is of, and a setting that it suggests, if it is not one of all tasks.
func (p *part) wrap(err error) error {
	if err == nil {
		return nil
	}
	var little *engine.MemoryError
	if errors.As(err, &little) && little.Setting != "" && (p.given[little.Setting] || !slices.Contains(perTask, little.Setting)) {
		little.Setting = p.task.Name + "." + little.Setting
	}
	return fmt.Errorf("%s: %w", p.task.Name, err)
}

// named tells a logger which task its messages are about.
type named struct {
	slog.Handler
	task string
}

// Handle implements [slog.Handler].
func (n named) Handle(ctx context.Context, r slog.Record) error {
	r.Message = n.task + ": " + r.Message
	return n.Handler.Handle(ctx, r)
}

// Files implements [run.Job]: the data are settings, and the files of the tasks are kept.
func (j *job) Files(string, string) ([]run.File, error) {
	for _, p := range j.parts {
		var err error
		if p.files, err = p.job.Files(p.data, ""); err != nil {
			var none *run.NoDevError
			if errors.As(err, &none) {
				none.Task = p.task.Name
			}
			return nil, p.wrap(err)
		}
	}
	return []run.File{{Split: j.task.Train.Name}, {Split: j.task.Dev[0].Name}}, nil
}

// Read implements [run.Job].
func (j *job) Read([]run.File) error {
	for _, p := range j.parts {
		if s, ok := p.settings.(interface{ Trains() bool }); ok && s.Trains() {
			return &run.SettingError{Err: p.wrap(errors.New("train_extractor: one model for many tasks sees with a network that stays; leave it out"))}
		}
		if err := p.job.Read(p.files); err != nil {
			return p.wrap(err)
		}
	}
	return nil
}

// Texts implements [run.Job]: those of all tasks.
func (j *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, p := range j.parts {
			for text := range p.job.Texts() {
				if !yield(text) {
					return
				}
			}
		}
	}
}

// Head implements [run.Job]. Where images come from decides how long their features are, in all tasks that have images.
func (j *job) Head(cfg model.Config) (model.Config, error) {
	if len(j.parts) == 0 {
		return cfg, &run.SettingError{Err: errNoTasks}
	}
	var list []model.Config
	reads := "" // the first task with images
	for _, p := range j.parts {
		c := cfg.WithoutHead()
		c.Task, c.ProblemType = p.task.Name, p.task.Kind.Problem()
		c, err := p.job.Head(c)
		if err != nil {
			return cfg, p.wrap(err)
		}
		switch size := c.ImageEmbeddingSize; {
		case !c.ReadsImages():
		case reads == "":
			reads, cfg.ImageEmbeddingSize = p.task.Name, size
		case size != cfg.ImageEmbeddingSize:
			return cfg, &run.SettingError{Err: fmt.Errorf("images have features of %d values in %s and of %d in %s; take them all from pictures, or from the same detector",
				cfg.ImageEmbeddingSize, reads, size, p.task.Name)}
		}
		list = append(list, c)
	}
	for i := range list {
		list[i].ImageEmbeddingSize = cfg.ImageEmbeddingSize
	}
	return cfg.WithTasks(list)
}

// Specs implements [run.Job].
func (j *job) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

// Refit implements [run.Refitter].
func (j *job) Refit(r checkpoint.Reader, specs []model.Spec) checkpoint.Reader {
	for _, p := range j.parts {
		if job, ok := p.job.(run.Refitter); ok {
			r = job.Refit(r, specs)
		}
	}
	return r
}

// Digests implements [run.Job].
func (j *job) Digests() (map[string]string, error) {
	all := map[string]string{"tasks": strings.Join(j.names(), ",")} // their order is that of the parameters
	for _, p := range j.parts {
		own, err := p.job.Digests()
		if err != nil {
			return nil, p.wrap(err)
		}
		for key, digest := range own {
			all[p.task.Name+"/"+key] = digest
		}
		for _, f := range p.files {
			if f.Path == "" {
				continue
			}
			if all[p.task.Name+"/"+f.Split], err = run.DigestFile(f.Path); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func (j *job) names() []string {
	var list []string
	for _, p := range j.parts {
		list = append(list, p.task.Name)
	}
	return list
}

// Learner implements [run.Job].
func (j *job) Learner(ctx context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (run.Learner, error) {
	whole, err := run.NewModel[*model.Multi](j.env, cfg, j.settings.Seed)
	if err != nil {
		return nil, err
	}
	l := &learner{job: j, model: whole, mix: mix{seed: j.settings.Seed}}
	for _, p := range j.parts {
		log := p.env.Log
		*p.env = *j.env.Part(whole, p.task.Name)
		p.env.Log = log
		c, err := cfg.ForTask(p.task.Name)
		if err == nil {
			err = l.add(ctx, p, c, tok)
		}
		if err != nil {
			l.Close()
			return nil, p.wrap(err)
		}
	}
	if l.files, l.copies, err = l.modelFiles(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// add makes the learner of a task.
func (l *learner) add(ctx context.Context, p *part, cfg model.Config, tok *tokenizer.Tokenizer) error {
	own, err := p.job.Learner(ctx, cfg, tok)
	if err != nil {
		return err
	}
	l.parts = append(l.parts, &trained{p, own})
	l.mix.tasks, l.mix.ratios = append(l.mix.tasks, own), append(l.mix.ratios, p.ratio)
	if _, ok := own.(run.Streamer); ok {
		return &run.SettingError{Err: fmt.Errorf("%s reads a stream, which cannot be mixed with other tasks; take it out", p.task.Name)}
	}
	return nil
}

// modelFiles are the files beside the weights: how pictures are cut up, which is the same for all, and those of single
// tasks under their names.
func (l *learner) modelFiles() (files map[string][]byte, copies map[string]string, err error) {
	files = map[string][]byte{}
	first := "" // the first task with images
	for _, t := range l.parts {
		m := t.Model()
		own := m.Files
		for name, content := range own {
			if name != regions.SpecFile {
				files[model.TaskPrefix(t.task.Name)+name] = content
			}
		}
		cfg, err := l.model.Config.ForTask(t.task.Name)
		if err != nil {
			return nil, nil, err
		}
		spec := own[regions.SpecFile]
		switch {
		case !cfg.ReadsImages():
		case first == "":
			if first = t.task.Name; spec != nil {
				files[regions.SpecFile], copies = spec, m.Copies
			}
		case !bytes.Equal(spec, files[regions.SpecFile]):
			return nil, nil, &run.SettingError{Err: fmt.Errorf("%s and %s have their images from different sources (%s, %s); take them all from pictures, or from the same detector",
				first, t.task.Name, source(files[regions.SpecFile]), source(spec))}
		}
	}
	return files, copies, nil
}

// source says what a spec of regions is.
func source(spec []byte) string {
	if spec == nil {
		return "region features"
	}
	return strings.Join(strings.Fields(string(spec)), " ")
}

// about describes the data of all tasks.
func (l *learner) about() run.About {
	var all run.About
	known := true
	for _, t := range l.parts {
		own := t.About()
		all.Lines = append(all.Lines, prefixed(t.task.Name, own.Lines)...)
		all.Examples += own.Examples
		all.Tokens += own.Tokens
		known = known && own.Tokens > 0
	}
	if !known {
		all.Tokens = 0
	}
	return all
}
