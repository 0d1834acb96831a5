package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/train"
)

// ErrNoRun says that a folder holds no run.
var ErrNoRun = errors.New("holds no run (no run.json); name the folder that --out named")

// Resume returns the options that go on with the run in the folder dir, and the axes
// of a grid, as its run.json has them. Settings laid over them must not change the result.
// All processes of g, nil for one alone, call it; the first one reads.
func (ts Tasks) Resume(g collective.Group, dir string) (o Options, grid []string, err error) {
	o = Options{Env: Env{Out: dir, Group: g}, Resume: true}
	if o.leads() {
		if o.file, err = train.ReadFile(dir); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s %w", dir, ErrNoRun)
			if _, absent := os.Stat(dir); errors.Is(absent, fs.ErrNotExist) {
				err = infile.Explain(dir, absent)
			}
		}
	}
	if o.file, err = collective.Tell(o.group(), o.file, err); err == nil {
		grid, err = o.goOn(ts)
	}
	return o, grid, o.agree(err)
}

// goOn takes from the run's file what there is to go on with.
func (o *Options) goOn(ts Tasks) (grid []string, err error) {
	info, err := o.file.Info()
	if err != nil {
		return nil, err
	}
	if o.Task, err = ts.Find(info.Task); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Out, err)
	}
	if config, ok := info.Config.(map[string]any); ok {
		if axes, ok := config["grid"].([]any); ok && len(config) == 1 {
			for _, axis := range axes {
				grid = append(grid, fmt.Sprint(axis))
			}
		}
	}
	return grid, o.inherit()
}

// inherit takes from the run that is gone on with what is not given. It does nothing for a new run.
func (o *Options) inherit() error {
	defer func() { o.Size = cmp.Or(o.Size, "mini") }()
	if !o.Resume {
		return nil
	}
	var err error
	if o.file.Content == nil {
		if o.leads() {
			if o.file, err = train.ReadFile(o.Out); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		if o.file, err = collective.Tell(o.group(), o.file, err); err != nil || o.file.Content == nil {
			return err
		}
	}
	info, err := o.file.Info()
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
		return fmt.Errorf("the run in %s has the preset %s, not %s; leave out --preset, or start a new run in another folder", o.Out, from.Preset, o.Size)
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
		if hub.IsName(path.from) {
			*path.to = hub.Pinned(path.from)
		} else if path.from != "" {
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
			return nil, fmt.Errorf("%s is of an older version and has %s as the relative path %s, which is not here; go on from the folder where the run was begun", dir, name, value)
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
	recipe, err := Defaults(o.Task, o.Size)
	if err != nil {
		return err
	}
	settings.Share(s, recipe) // what the run's version did not have does not come from the model that it began with
	if err := o.file.Config(s); err != nil {
		return err
	}
	if c := s.Common(); c.Precision != device.Float32 && slices.ContainsFunc(o.Set, func(set string) bool { return settings.Key(set) == "device" }) {
		c.Precision = device.Auto // that of another device need not be this one's
	}
	here, err := os.Getwd()
	if err != nil || o.inherited.Folder == "" || o.inherited.Folder == here {
		return err
	}
	for _, setting := range settings.List(s) {
		kind := setting.Tag.Get(tag)
		if kind != tagPath && kind != tagNamedPath {
			continue
		}
		absolute := func(text *string) {
			name, path, named := "", *text, false
			if kind == tagNamedPath {
				if name, path, named = strings.Cut(path, "="); named {
					name += "="
				}
			}
			if path != "" && !filepath.IsAbs(path) && !hub.IsName(path) {
				*text = name + filepath.Join(o.inherited.Folder, path)
			}
		}
		switch at := setting.At.(type) {
		case *string:
			absolute(at)
		case *[]string:
			for i := range *at {
				absolute(&(*at)[i])
			}
		}
	}
	return nil
}

// tag is the tag of settings that do not change what is computed: of paths, whose content is
// compared, and of what only says with how much memory, how many workers, or on which machine it is computed.
const (
	tag          = "run"
	tagPath      = "path"
	tagNamedPath = "named path" // NAME=PATH
)

// free lists those settings.
func free(s Settings) []string {
	keys := slices.Clone(train.Free)
	for _, setting := range settings.List(s) {
		if setting.Tag.Get(tag) != "" {
			keys = append(keys, setting.Key)
		}
	}
	return keys
}
