package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/kernels"
	"github.com/unimo-go/unimo/internal/printable"
	"github.com/unimo-go/unimo/internal/task"
	"github.com/unimo-go/unimo/internal/train"
)

func (a *app) finetuneCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "finetune",
		Short: "Train a model for a task",
		Long: `Train a model for a task, keep the best on dev, and write a report.

The run's folder holds best/ and last/ (models), snapshots/, log.jsonl, run.json
and report.html. Ctrl-C saves and stops; the same command with --resume goes on.`,
		Example: `  unimo finetune sst-2 --data DIR --preset mini --out RUN
  unimo finetune sst-2 --data DIR --preset base --init unimo_base_en.tar.gz --vocab DICT --out RUN
  unimo finetune cola --data DIR --out RUN --set epochs=3 --set learning_rate=5e-4
  unimo finetune sst-2 --data DIR --out RUN --resume`,
		Args: needTask,
		// Reached without a task that exists only; its flags are those of the task.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE:               noArgs,
	}
	for _, name := range task.Names() {
		c.AddCommand(a.finetuneTaskCommand(name))
	}
	return c
}

// needTask refuses a command that was given no known task.
func needTask(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("name a task: %s", strings.Join(task.Names(), ", "))
	}
	_, err := task.Find(args[0])
	if err != nil {
		return usageError{err}
	}
	return nil
}

// finetuneFlags are the flags of "unimo finetune TASK".
type finetuneFlags struct {
	options  task.Options
	grid     []string
	features string
}

func (a *app) finetuneTaskCommand(name string) *cobra.Command {
	preset, err := task.Find(name)
	if err != nil {
		panic(err) // the names are the presets' own
	}
	var f finetuneFlags
	f.options.Preset = preset
	c := &cobra.Command{
		Use:   name + " --data DIR --out RUN",
		Short: "Train for " + preset.Title,
		Example: fmt.Sprintf(`  unimo finetune %[1]s --data DIR --preset mini --out RUN
  unimo finetune %[1]s --data DIR --preset base --init MODEL --vocab DICT --out RUN --set epochs=3
  unimo finetune %[1]s --data DIR --out RUN --grid batch_size=16,32 --grid learning_rate=1e-5,2e-5,3e-5 --grid seed=1,2,3`, name),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.finetune(c.Context(), f) },
	}
	o := &f.options
	flags := c.Flags()
	flags.StringVar(&o.Data, "data", "", "folder with "+strings.Join(preset.FileNames(), ", "))
	flags.StringVar(&o.Dev, "dev", "", "dev file, where --data is the training file or has none of these names")
	flags.StringVar(&o.Size, "preset", "mini", "size of the model and its recipe: mini, base or large")
	flags.StringVar(&o.Init, "init", "", "model or checkpoint to start from (folder, .safetensors or .tar.gz)")
	flags.StringVar(&o.Vocab, "vocab", "", "folder with the vocabulary (default: that of --init, or trained on the data)")
	flags.StringVar(&o.Out, "out", "", "folder of the run")
	flags.BoolVar(&o.Resume, "resume", false, "go on with the run in --out")
	flags.StringVar(&o.ConfigFile, "config", "", "file of settings (YAML or JSON)")
	flags.StringArrayVar(&o.Set, "set", nil, "a setting, key=value (repeatable); see below")
	flags.StringArrayVar(&f.grid, "grid", nil, "values to try, key=V1,V2,... (repeatable), or 'reference' for the reference's grid")
	if preset.Retrieval != nil {
		flags.StringVar(&f.features, "features", "", "region features, file or folder, in place of the data's pictures (the same as --set features=...)")
	}
	c.Long = longWithSettings(preset)
	c.MarkFlagRequired("data")
	c.MarkFlagRequired("out")
	return c
}

// noArgs refuses arguments, naming the first.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q (see '%s --help')", args[0], c.CommandPath())
	}
	return nil
}

// longWithSettings lists the settings with their values for mini and base.
func longWithSettings(p *task.Preset) string {
	return fmt.Sprintf("Train a model for %s and score the best one on dev.\n\n%s", p.Title, settingsTable(p))
}

func (a *app) finetune(ctx context.Context, f finetuneFlags) error {
	o := f.options
	if f.features != "" {
		o.Set = append([]string{"features=" + strconv.Quote(f.features)}, o.Set...)
	}
	return a.train(ctx, o, f.grid)
}

// train trains a model, or those of a grid, with progress shown, prints the scores, and says how to go on
// where it was interrupted.
func (a *app) train(ctx context.Context, o task.Options, grid []string) error {
	o.Log = a.log
	o.Command = append([]string{"unimo"}, a.args...)
	o.Version = runVersion()
	progress := a.newProgress()
	defer progress.finish()
	progress.trains(o.Preset)
	defer a.saving.Store(false)
	o.Observer = progress
	var err error
	if len(grid) > 0 {
		err = a.finetuneGrid(ctx, o, grid)
	} else {
		var summary *task.Summary
		if summary, err = task.Finetune(ctx, o); err == nil {
			progress.finish()
			return a.printSummary(o, summary)
		}
	}
	progress.finish()
	if errors.Is(err, context.Canceled) {
		if train.HasSnapshot(o.Out) || len(grid) > 0 {
			a.log.Info("saved; go on with: " + resumeCommand(o.Command))
		} else {
			a.log.Info("nothing had been trained yet; begin again with: " + resumeCommand(o.Command))
		}
	}
	return asUsage(err)
}

// resumeCommand is the command with --resume, quoted for a shell.
func resumeCommand(command []string) string {
	quoted := make([]string, 0, len(command)+1)
	for _, word := range command {
		quoted = append(quoted, shellQuote(word))
	}
	if !slices.Contains(command, "--resume") {
		quoted = append(quoted, "--resume")
	}
	return strings.Join(quoted, " ")
}

// shellQuote writes a word so that a shell reads it as one.
func shellQuote(word string) string {
	if word == "" || strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(shellSafe, r) }) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// shellSafe are the characters that mean nothing to a shell.
const shellSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%"

// asUsage marks errors in what the user asked for, so that they exit with 2.
func asUsage(err error) error {
	var wrong *task.SettingError
	if errors.As(err, &wrong) {
		return usageError{err}
	}
	return err
}

func runVersion() map[string]string {
	v := currentVersion()
	m := map[string]string{"unimo": v.Version, "go": v.Go, "os": v.OS, "arch": v.Arch, "kernels": kernels.Active().String()}
	if v.Commit != "" {
		m["commit"] = v.Commit
	}
	return m
}

func (a *app) printSummary(o task.Options, s *task.Summary) error {
	if a.json {
		return a.printJSON(s.Metrics)
	}
	on := "dev"
	if o.Preset.Pretraining {
		on = "what is held out"
	}
	printable.Fprintf(a.stdout, "%s on %s, best model (step %d of %d):\n", o.Preset.Title, on, s.Outcome.BestStep, s.Outcome.Steps)
	if s.Complete {
		printMetrics(a.stdout, o.Preset, s.Metrics)
	} else {
		a.printResults(o.Preset, s.Results)
	}
	printable.Fprintf(a.stdout, "\nmodel   %s\nreport  %s\n\n", s.Dir.Best(), s.Dir.Report())
	_, err := fmt.Fprintln(a.stdout, o.Preset.Use(shellQuote(s.Dir.Best())))
	return err
}
