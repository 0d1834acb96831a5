package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/kernels"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

func (a *app) finetuneCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "finetune TASK",
		Aliases: []string{"train", "fine-tune"},
		Short:   "Train a model for a task",
		Long: `Train a model for a task, keep the best on dev, and write a report.

The run's folder holds best/ and last/ (models), snapshots/, log.jsonl, run.json
and report.html. Ctrl-C saves and stops; the same command with --resume goes on.

Every setting of a task is a flag, too: 'unimo settings TASK' lists them.
--device computes on an accelerator: 'unimo devices' lists what is there.`,
		Example: `  unimo finetune sst-2 --data DIR --preset mini --out RUN
  unimo finetune sst-2 --data DIR --preset base --init unimo_base_en.tar.gz --vocab DICT --out RUN
  unimo finetune cola --data DIR --out RUN --epochs 3 --learning-rate 5e-4
  unimo finetune sst-2 --data DIR --out RUN --resume`,
		Args: a.needTask,
		// Reached without a task that exists only; its flags are those of the task.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE:               noArgs,
	}
	a.addTasks(c, a.finetuned(), a.finetuneTaskCommand)
	return c
}

// addTasks gives c a sub-command for each task, also by other spellings of its name.
func (a *app) addTasks(c *cobra.Command, list run.Tasks, command func(t *run.Task) *cobra.Command) {
	for _, t := range list {
		sub := command(t)
		for _, word := range a.args {
			if found, err := list.Find(word); err == nil && found == t && word != t.Name {
				sub.Aliases = append(sub.Aliases, word)
			}
		}
		c.AddCommand(sub)
	}
}

// needTask refuses a command whose first argument is no known task.
func (a *app) needTask(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s needs a task: %s%s", commandName(c), strings.Join(a.finetuned().Names(), ", "), seeHelp(c))
	}
	if _, err := a.finetuned().Find(args[0]); err != nil {
		return usagef("%w%s", err, seeHelp(c))
	}
	return nil
}

// finetuneFlags are the flags of "unimo finetune TASK".
type finetuneFlags struct {
	options  run.Options
	grid     []string
	settings settingFlags
}

// taskHelp is what a task's kind says in the help of a command, or the usual.
func taskHelp(t *run.Task, command, long, example string) (string, string) {
	if h, ok := t.Kind.(run.Helper); ok {
		ownLong, ownExample := h.Help(t, command)
		long, example = long+ownLong, cmp.Or(ownExample, example)
	}
	return long, example
}

func (a *app) finetuneTaskCommand(t *run.Task) *cobra.Command {
	var f finetuneFlags
	f.options.Task = t
	c := &cobra.Command{
		Use:   t.Name + " --out RUN",
		Short: "Train for " + t.Title,
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o := f.options
			if o.Resume && !c.Flags().Changed("preset") {
				o.Size = "" // the run's own
			}
			if o.Set, err = f.settings.merge(o.Set); err != nil {
				return err
			}
			return a.train(c.Context(), o, f.grid)
		},
	}
	o := &f.options
	flags := c.Flags()
	if files := t.Kind.DataFiles(t); files != nil { // else settings name the data
		flags.StringVarP(&o.Data, "data", "d", "", "`DIR` with "+strings.Join(files, ", "))
		flags.StringVar(&o.Dev, "dev", "", "dev `FILE`, where --data is the training file or has none of these names")
		c.MarkFlagRequired("data")
		c.Use = t.Name + " --data DIR --out RUN"
	}
	presetFlag(c, &o.Size)
	flags.StringVar(&o.Init, "init", "", "`MODEL` or checkpoint to start from (folder, .safetensors, .tar.gz, or a name of 'unimo pull')")
	flags.StringVar(&o.Vocab, "vocab", "", "`DIR` with the vocabulary (default: that of --init, or trained on the data)")
	flags.StringVarP(&o.Out, "out", "o", "", "folder `RUN` to keep the run in")
	flags.BoolVar(&o.Resume, "resume", false, "go on with the run in --out")
	flags.StringVar(&o.ConfigFile, "config", "", "`FILE` of settings (YAML or JSON)")
	flags.StringArrayVar(&o.Set, "set", nil, "a setting, `KEY=VALUE` (repeatable); see below")
	flags.StringArrayVar(&f.grid, "grid", nil, "values to try, `KEY=V1,V2` (repeatable), or 'reference' for the reference's grid")
	f.settings.registerTraining(c, t)
	c.Long, c.Example = taskHelp(t, "finetune", "Train a model and score the best one on dev.", fmt.Sprintf(`  unimo finetune %[1]s --data DIR --preset mini --out RUN
  unimo finetune %[1]s --data DIR --preset base --init MODEL --vocab DICT --out RUN --epochs 3
  unimo finetune %[1]s --data DIR --out RUN --grid batch_size=16,32 --grid learning_rate=1e-5,2e-5,3e-5 --grid seed=1,2,3`, t.Name))
	c.MarkFlagRequired("out")
	return c
}

// train trains a model, or those of a grid, with progress shown, prints the scores, and says how to go on
// where it was interrupted.
func (a *app) train(ctx context.Context, o run.Options, grid []string) error {
	if len(grid) > 0 && a.rank.one {
		err := usagef("a grid makes one run after the other; over several ranks make them one by one, or leave the launcher out")
		if o.Group != nil {
			return collective.Agree(o.Group, err)
		}
		return err
	}
	if o.Group == nil {
		var err error
		if o.Group, err = a.join(o.Set); err != nil {
			return err
		}
	}
	o.Log = a.log
	o.Command = append([]string{"unimo"}, a.args...)
	o.Version = runVersion()
	began := time.Now()
	watch, done := a.watch(o.Task)
	defer done()
	o.Observer = watch
	var summary *run.Summary
	var err error
	if len(grid) > 0 {
		err = a.finetuneGrid(ctx, o, grid)
	} else {
		summary, err = run.Finetune(ctx, o)
	}
	done()
	if err == nil && summary != nil && !a.rank.silent() {
		err = a.printSummary(o, summary)
	}
	if err == nil && (summary == nil || !summary.Complete) {
		a.log.Info("done in " + span(time.Since(began)))
	}
	if errors.Is(err, context.Canceled) {
		lost, ended := errors.AsType[*pjrt.EndedError](err)
		if ended {
			a.log.Warn(lost.Said())
		}
		if o.Group.Size() > 1 {
			a.log.Info("go on with the same command and --resume, with any number of ranks")
		} else if ended && train.HasSnapshot(o.Out) {
			a.log.Info("what was saved before stays; go on with: unimo resume " + shellQuote(o.Out))
		} else if train.HasSnapshot(o.Out) || len(grid) > 0 {
			a.log.Info("saved; go on with: unimo resume " + shellQuote(o.Out))
		} else {
			a.log.Info("nothing had been trained yet; begin again with: " + resumeCommand(o.Command))
		}
	}
	var setting *names.Error
	if errors.As(err, &setting) && setting.Kind == "setting" {
		err = fmt.Errorf("%w (see 'unimo settings %s')", err, o.Task.Name)
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

// shellQuote writes a word so that a shell reads it as one, and a terminal does nothing with it: what
// [printable.String] would escape, a line break in a folder's name say, is an escape of bash, ksh and zsh.
func shellQuote(word string) string {
	if printable.String(word) != word {
		var b strings.Builder
		b.WriteString("$'")
		for len(word) > 0 {
			_, size := utf8.DecodeRuneInString(word)
			switch c := word[:size]; {
			case printable.String(c) != c:
				for i := range size {
					fmt.Fprintf(&b, `\x%02x`, c[i])
				}
			case c == "'" || c == `\`:
				b.WriteString(`\` + c)
			default:
				b.WriteString(c)
			}
			word = word[size:]
		}
		return b.String() + "'"
	}
	if word == "" || strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(shellSafe, r) }) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// shellSafe are the characters that mean nothing to a shell.
const shellSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%"

// asUsage marks errors in what the user asked for, so that they exit with 2.
func asUsage(err error) error {
	var wrong *run.SettingError
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

func (a *app) printSummary(o run.Options, s *run.Summary) error {
	for _, note := range s.Notes {
		a.log.Warn(note)
	}
	if a.json {
		return a.printJSON(resultJSON(o.Task, s.Metrics, s.Notes, map[string]string{"model": s.Dir.Best(), "report": s.Dir.Report()}))
	}
	printable.Fprintf(a.stdout, "%s on %s, best model (step %d of %d):\n", o.Task.Title, o.Task.ChosenOn(), s.Outcome.BestStep, s.Outcome.Steps)
	if s.Complete {
		printMetrics(a.stdout, o.Task, s.Metrics)
	} else {
		a.printResults(o.Task, s.Results)
	}
	printable.Fprintf(a.stdout, "\nmodel   %s\nreport  %s\n\n", s.Dir.Best(), s.Dir.Report())
	_, err := fmt.Fprintln(a.stdout, o.Task.Kind.Use(shellQuote(s.Dir.Best())))
	return err
}
