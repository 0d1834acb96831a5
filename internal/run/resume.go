package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/train"
)

// ErrNoRun says that a folder holds no run.
var ErrNoRun = errors.New("holds no run (no run.json): name the folder that --out named")

// ResumeOptions returns the options that go on with the run in the folder dir, and the axes
// of a grid, as its run.json has them. Settings laid over them must not change the result.
func ResumeOptions(dir string) (o Options, grid []string, err error) {
	info, err := train.OpenInfo(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil, fmt.Errorf("%s %w", dir, ErrNoRun)
	}
	if err != nil {
		return o, nil, err
	}
	preset, err := findRun(info.Task)
	if err != nil {
		return o, nil, fmt.Errorf("%s: %w", dir, err)
	}
	o = Options{Preset: preset, Out: dir, Resume: true}
	if config, ok := info.Config.(map[string]any); ok {
		if axes, ok := config["grid"].([]any); ok && len(config) == 1 {
			for _, axis := range axes {
				grid = append(grid, fmt.Sprint(axis))
			}
		}
	}
	return o, grid, o.inherit()
}

// findRun returns the preset that a run was made with, those of the demo and of pre-training included.
func findRun(name string) (*Preset, error) {
	for _, p := range []*Preset{Pretraining, Opinions, Stories, Scenes} {
		if p.Name == name {
			return p, nil
		}
	}
	return Find(name)
}

// inherit takes from the run that is gone on with what is not given. It does nothing for a new run.
func (o *Options) inherit() error {
	defer func() { o.Size = cmp.Or(o.Size, "mini") }()
	if !o.Resume {
		return nil
	}
	info, err := train.OpenInfo(o.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	from := info.From
	if from == nil {
		if from, err = fromCommand(o.Out, info.Command); err != nil {
			return err
		}
	}
	if o.Size != "" && o.Size != from.Preset {
		return fmt.Errorf("the run in %s has the preset %s, not %s: leave out --preset, or start a new run in another folder", o.Out, from.Preset, o.Size)
	}
	o.Size = from.Preset
	o.Data, o.Dev, o.Init, o.Vocab = cmp.Or(o.Data, from.Data), cmp.Or(o.Dev, from.Dev), cmp.Or(o.Init, from.Init), cmp.Or(o.Vocab, from.Vocab)
	o.Notice = cmp.Or(o.Notice, from.Notice)
	o.inherited = from
	return nil
}

// source says where the run's inputs are, so that it can be gone on with from any folder.
func (o *Options) source() (*train.Source, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the current folder: %w", err)
	}
	s := &train.Source{Preset: o.Size, Folder: folder, Set: o.Set, Notice: o.Notice}
	for _, path := range []struct {
		to   *string
		from string
	}{{&s.Data, o.Data}, {&s.Dev, o.Dev}, {&s.Init, o.Init}, {&s.Vocab, o.Vocab}, {&s.Config, o.ConfigFile}} {
		if path.from != "" {
			if *path.to, err = filepath.Abs(path.from); err != nil {
				return nil, fmt.Errorf("find %s: %w", path.from, err)
			}
		}
	}
	return s, nil
}

// fromCommand reads the inputs from the command of a run whose run.json has nothing better. Its paths may be
// relative to a folder that nobody knows.
func fromCommand(dir string, command []string) (*train.Source, error) {
	s := &train.Source{Preset: "mini"}
	flags := map[string]*string{"--data": &s.Data, "--dev": &s.Dev, "--init": &s.Init, "--vocab": &s.Vocab, "--preset": &s.Preset, "--config": &s.Config}
	for i := 0; i < len(command); i++ {
		name, value, given := strings.Cut(command[i], "=")
		to := flags[name]
		if to == nil {
			continue
		}
		if !given {
			if i++; i == len(command) {
				break
			}
			value = command[i]
		}
		*to = value
		if name == "--preset" {
			continue
		}
		if _, err := os.Stat(value); err != nil && !filepath.IsAbs(value) {
			return nil, fmt.Errorf("%s is of an older version and has %s as the relative path %s, which is not here: go on from the folder where the run was begun", dir, name, value)
		}
	}
	return s, nil
}

// restore lays the settings of the run that is gone on with over s. Paths in them are those of the folder
// where it was begun.
func (o *Options) restore(s Settings) error {
	if o.inherited == nil {
		return nil
	}
	if err := train.ReadConfig(o.Out, s); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil || o.inherited.Folder == "" || o.inherited.Folder == here {
		return err
	}
	for _, path := range settingPaths(s) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(o.inherited.Folder, *path)
		}
	}
	return nil
}

// settingPaths lists the settings that are paths.
func settingPaths(s Settings) []*string {
	switch s := s.(type) {
	case *RetrievalSettings:
		return []*string{&s.Features}
	case *PretrainingSettings:
		paths := []*string{&s.Paraphrases, &s.Features, &s.ImageFeatures}
		for _, list := range [][]string{s.Text, s.Images, s.Pairs} {
			for i := range list {
				paths = append(paths, &list[i])
			}
		}
		return paths
	}
	return nil
}

// freeSettings do not change what is computed: paths, of which the content is compared, and what only says how
// often something is saved or said, or with how much memory.
var freeSettings = append([]string{
	"text", "images", "pairs", "paraphrases", "features", "image_features", "image_cache", "workers",
}, train.Free...)
