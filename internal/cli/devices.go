package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// deviceList is what "unimo devices --json" prints.
type deviceList struct {
	CPU     string         `json:"cpu"`
	Helper  deviceHelper   `json:"helper"`
	Plugins []devicePlugin `json:"plugins"`
}

// deviceHelper is the program that loads plugins.
type deviceHelper struct {
	Path   string   `json:"path,omitempty"`
	Looked []string `json:"looked"`
	Error  string   `json:"error,omitempty"`
}

type devicePlugin struct {
	Name      string       `json:"name"` // that --device takes
	Path      string       `json:"path"`
	Kind      string       `json:"kind,omitempty"`
	Package   string       `json:"package,omitempty"`
	Version   string       `json:"version,omitempty"`
	Platform  string       `json:"platform,omitempty"`
	Runtime   string       `json:"platform_version,omitempty"`
	API       string       `json:"api,omitempty"`
	StableHLO string       `json:"stablehlo,omitempty"`
	Devices   []deviceChip `json:"devices"`
	Error     string       `json:"error,omitempty"`
}

type deviceChip struct {
	Number int    `json:"number"`
	Kind   string `json:"kind"`
	Memory int64  `json:"memory,omitempty"` // bytes
}

// pluginPatience is how long a plugin may take to say what it has.
const pluginPatience = time.Minute

func (a *app) devicesCommand() *cobra.Command {
	return &cobra.Command{
		Annotations: map[string]string{sharesAnnotation: "true"},
		Use:         "devices [PLUGIN]...",
		Short:       "List what models can be computed with",
		Long: `List what models can be computed with: this machine's processor, and accelerators
that a PJRT plugin is there for. Plugins are looked for where UNIMO_PJRT_PATH says,
beside this program and in Python's environments; with PLUGIN, that file alone is
looked at. Each is loaded by the program unimo-xla, for a moment.

--device NAME computes there: finetune, pretrain and resume train on it, evaluate
scores, the commands that ask a model ask it there, serve serves it, and features
extract computes what a network sees. NAME is what stands before the colon in the
list (cuda, cuda:1 for the second chip; pjrt:PLUGIN, pjrt:PLUGIN:1). --precision
says how products are rounded there, --devices on how many chips a step is
trained.`,
		Example: `  unimo devices
  unimo devices --json
  unimo devices xla_cuda_plugin.so
  unimo predict --model RUN/best --device pjrt:xla_cuda_plugin.so "a fine film"
  unimo finetune sst-2 --data DIR --out RUN --device cuda --precision bf16
  unimo serve --model RUN/best --device cuda:1`,
		RunE: func(c *cobra.Command, args []string) error {
			for i, plugin := range args {
				args[i] = cmp.Or(device.PluginOf(plugin), plugin) // as --device takes it
				switch there := !absent(args[i]); {
				case plugin == "":
					return usagef("PLUGIN is empty; name a file%s", seeHelp(c))
				case !there && slices.Contains(device.Names, plugin):
					return usagef("PLUGIN is a file, and %s a name of a device; leave it out: all that are there are listed%s", plugin, seeHelp(c))
				case !there:
					return notThere(args[i], "check the path")
				}
			}
			list := deviceList{CPU: cpu.NewLimited(parallel.Limit(a.threads)).Name(), Plugins: []devicePlugin{}}
			var err error
			if list.Helper.Path, list.Helper.Looked, err = pjrt.FindHelper(""); err != nil {
				list.Helper.Error = err.Error()
			}
			plugins := pjrt.Find()
			names := namesOf(plugins)
			if len(args) > 0 {
				plugins, names = pjrt.Named(args), nil
				for _, p := range plugins {
					names = append(names, device.Plugged(p.Path))
				}
			}
			failed := ""
			for i, p := range plugins {
				d := devicePlugin{Name: names[i], Path: p.Path, Kind: p.Kind, Package: p.Package, Version: p.Version, Devices: []deviceChip{}}
				if list.Helper.Error == "" {
					if err := d.ask(c.Context()); errors.Is(err, context.Canceled) {
						return err
					} else if err != nil {
						d.Error, failed = err.Error(), err.Error()
					}
				}
				list.Plugins = append(list.Plugins, d)
			}
			if a.json {
				err = a.printJSON(list)
			} else {
				err = a.printDevices(list)
			}
			switch {
			case err != nil || len(args) == 0:
				return err
			case list.Helper.Error != "":
				return errors.New(list.Helper.Error)
			case failed != "":
				return errors.New("a plugin that was named cannot be used")
			}
			return nil
		},
	}
}

// ask loads the plugin and asks what it has.
func (d *devicePlugin) ask(ctx context.Context) error {
	f, err := infile.Open(d.Path) // of a pipe the helper program would wait for somebody who writes
	if err != nil {
		return err
	}
	f.Close()
	type answer struct {
		info pjrt.Info
		err  error
	}
	answers := make(chan answer, 1)
	start := func(o pjrt.Options) (a answer) {
		c, err := pjrt.Start(o)
		if err != nil {
			return answer{err: err}
		}
		defer c.Close()
		return answer{info: c.Info()}
	}
	go func() { // with this program its helper ends, whatever the plugin does
		a := start(pjrt.Options{Plugin: d.Path})
		if a.err != nil { // without its devices it may still say what it is
			a.info = start(pjrt.Options{Plugin: d.Path, Ahead: true}).info
		}
		answers <- a
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pluginPatience):
		return fmt.Errorf("said nothing for %v", pluginPatience)
	case a := <-answers:
		i := a.info
		if i.Plugin != "" {
			d.Platform, d.Runtime, d.API, d.StableHLO = i.Platform, i.PlatformVersion, fmt.Sprintf("%d.%d", i.Major, i.Minor), i.StableHLO
		}
		for n, chip := range i.Devices {
			d.Devices = append(d.Devices, deviceChip{n, chip.Kind, chip.Memory})
		}
		return a.err
	}
}

func (a *app) printDevices(list deviceList) (err error) {
	say := func(format string, args ...any) {
		if err == nil {
			_, err = printable.Fprintf(a.stdout, format+"\n", args...)
		}
	}
	say("%s", list.CPU)
	switch {
	case len(list.Plugins) == 0:
		say("no plugin of an accelerator was found; pip has some (jax-cuda13-pjrt, jax-rocm7-pjrt), and %s names one", pjrt.PathVariable)
	case list.Helper.Error != "":
		say("plugins are not loaded: %s", list.Helper.Error)
	}
	for _, p := range list.Plugins {
		var about []string
		for _, part := range [][2]string{{p.Package, p.Version}, {"API", p.API}, {"StableHLO", p.StableHLO}} {
			if part[0] != "" && part[1] != "" {
				about = append(about, part[0]+" "+part[1])
			}
		}
		if device.PluginOf(p.Name) == "" { // else it has been said
			about = append(about, p.Path)
		}
		if len(about) > 0 {
			p.Name += ": "
		}
		say("%s%s", p.Name, strings.Join(about, ", "))
		if p.Error != "" {
			say("  cannot be used: %s", strings.Join(strings.Split(strings.TrimSpace(p.Error), "\n"), "; "))
		}
		for _, chip := range p.Devices {
			if chip.Memory > 0 {
				chip.Kind += ", " + size(chip.Memory)
			}
			say("  %d: %s", chip.Number, chip.Kind)
		}
	}
	return err
}
