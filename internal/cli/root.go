package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/collective/mpi"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
	"github.com/unimo-go/unimo/internal/demo"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/store"
	"github.com/unimo-go/unimo/internal/tasks"
)

// Exit codes of the command.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// app is what every command shares: the streams and the global flags.
type app struct {
	stdin     io.Reader
	stdout    *output
	stderr    *screen
	json      bool
	verbose   bool
	threads   int
	args      []string // as the user gave them
	tasks     run.Tasks
	task      string // that is opened of a model for several: the flag --task
	extractor string // of pictures, where an opened model has none: the flag --extractor
	log       *slog.Logger
	tell      teller
	ending    atomic.Pointer[ending] // what an interruption waits for; nil: nothing
	rank      member
	device    *device.Device // that the command's flags choose; nil: the processor
}

// standardInput is what messages call it.
const standardInput = "standard input"

// input returns standard input as text. Waiting for it ends with ctx.
func (a *app) input(ctx context.Context) io.Reader {
	return infile.Text(infile.Interruptible(ctx, a.stdin), standardInput)
}

// Main runs the command line args and returns the process's exit code, with which the caller
// ends it. Ctrl-C, SIGTERM and SIGHUP cancel the command's context: what is trained is saved. A second one ends
// the process at once.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	signals := make(chan os.Signal, 64)
	a := newApp(args, stdin, stdout, stderr)
	signal.Notify(signals, endingSignals()...)
	if a.rank.one {
		signal.Notify(signals, mpi.Gentle...)
	}
	defer signal.Stop(signals)
	code := supervise(&a.tell, signals, a.ending.Load, a.run)
	if a.rank.left {
		a.rank.group.Exit(code)
	}
	return code
}

func newApp(args []string, stdin io.Reader, stdout, stderr io.Writer) *app {
	a := &app{stdin: stdin, stdout: newOutput(stdout), stderr: newScreen(stderr), args: args, tasks: slices.Concat(tasks.All, demo.Tasks)}
	a.tell.stderr = a.stderr
	a.rank.launch = mpi.Launched(os.Getenv)
	if mpi.Built && a.rank.launch.Several() {
		a.isRank()
	}
	return a
}

func (a *app) run(ctx context.Context) int {
	root := a.rootCommand()
	err := checkpoint.Guard(func() error {
		return engine.Guard(func() error {
			root.SetArgs(append([]string{}, a.withTask(root)...)) // nil would be the process's own
			return root.ExecuteContext(ctx)
		})
	})
	a.closeDevice()
	err = a.together(a.failedDevice(atomicfile.Explain(err)))
	code, message := outcome(err)
	var reported reportedError
	if code != exitDone && (a.json || slices.Contains(a.args, "--json")) && !errors.As(err, &reported) {
		a.printJSON(failure{message, code}) // where that fails, standard error has it
	}
	if lost := a.stdout.close(); err == nil && lost != nil {
		code, message = outcome(fmt.Errorf("print the result: %w", atomicfile.Explain(lost)))
	}
	if code != exitDone && a.speaks(ctx, err) {
		a.tell.failure(message)
	}
	a.leave(err, code)
	return code
}

// outcome returns the exit code of an error and what is said about it.
func outcome(err error) (code int, message string) {
	switch {
	case err == nil:
		return exitDone, ""
	case errors.Is(err, context.Canceled):
		return exitInterrupted, "interrupted"
	case collective.IsWrongUse(err):
		return exitUsage, oneLine(err)
	}
	return exitFailed, oneLine(err)
}

// failure is what --json prints of a command that did not do what was asked: the last line of
// standard output.
type failure struct {
	Error string `json:"error"`
	Code  int    `json:"code"` // the exit code
}

// reportedError marks an error that the result on standard output tells already.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

// oneLine returns an error's message with its line breaks, as joined errors have them, made
// semicolons, and without the middle of a very long one.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return shortened(printable.String(strings.Join(lines, "; ")))
}

// maxMessage is more than any message of the program's own has. What makes one longer is a name or a value
// of a file, such as a token of many megabytes.
const maxMessage = 8 << 10

// shortened leaves out the middle of a message that is too long: it begins with where and ends with what to do.
func shortened(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	head, tail := message[:maxMessage*3/4], message[len(message)-maxMessage/4:]
	return strings.ToValidUTF8(head, "") + " ... " + strings.ToValidUTF8(tail, "")
}

// env is what work has from outside. Every model has a device of its own, of an accelerator the same memory. --threads is for the whole process.
func (a *app) env() run.Env {
	e := run.Env{Log: a.log, Task: a.task, Extractor: a.extractor, OpenStore: store.Open}
	if a.device != nil {
		e.Device = a.device.ForModel()
	}
	return e
}

// finetuned are the tasks of "unimo finetune" and "unimo evaluate".
func (a *app) finetuned() run.Tasks { return a.tasks.Of("finetune") }

func init() { cobra.EnableCommandSorting = false } // commands() has an order of its own

// rootCommand is unimo with all of its commands.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "unimo",
		Short: "Train, evaluate and run UNIMO models",
		Long: `unimo trains, evaluates and runs UNIMO, one Transformer for text and images
(Li et al., ACL 2021), on the CPU of this machine or, with --device, on a GPU or
another chip: 'unimo devices' lists what there is.

Results are printed on standard output, everything else on standard error.
With --json a failure is there as well: {"error": "...", "code": 1}.
Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.`,
		Example: `  unimo demo
  unimo finetune sst-2 --data DIR --preset mini --out RUN
  unimo evaluate sst-2 --data DIR/dev.tsv --model RUN/best --json
  unimo predict --model RUN/best "a gripping and funny film"
  unimo predict --model RUN/best --device cuda - < sentences.txt`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			for _, check := range []func(*cobra.Command) error{checkRequired, checkExclusive} {
				if err := check(c); err != nil {
					return err
				}
			}
			if err := a.checkRanks(c); err != nil {
				return err
			}
			level := slog.LevelInfo
			if a.verbose {
				level = slog.LevelDebug
			}
			if a.rank.silent() {
				level = max(level, slog.LevelWarn)
			}
			a.log = slog.New(newLineHandler(a.stderr, level))
			if a.rank.silent() {
				a.log = a.log.With("rank", a.rank.launch.Rank)
			}
			if a.threads < 0 {
				return usagef("--threads is %d, want 0 or more (0: one per core)", a.threads)
			}
			if a.threads > 0 {
				parallel.SetThreads(a.threads)
			}
			if f := c.Flags().Lookup("task"); f != nil {
				a.task = f.Value.String()
			}
			if f := c.Flags().Lookup(extractorName); f != nil {
				a.extractor = f.Value.String()
			}
			if err := kernels.CheckEnv(); err != nil {
				return usageError{err}
			}
			if err := a.checkPaths(c); err != nil {
				return err
			}
			return a.openDevice(c)
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(a.printHelp)
	flags := root.PersistentFlags()
	flags.BoolP("help", "h", false, "show this help")
	flags.BoolVar(&a.json, "json", false, "print the result as one JSON object")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log details")
	flags.IntVar(&a.threads, "threads", 0, "threads to compute with (0: one per core); results do not depend on it")
	root.SetIn(a.stdin)
	root.SetOut(a.stdout.exact())
	root.SetErr(a.stderr)
	root.CompletionOptions.DisableDefaultCmd = true // there is one with examples
	help := a.helpCommand()
	root.SetHelpCommand(help)
	group(root, append(a.commands(), help)...)
	version := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(c *cobra.Command, _ []string) error {
		if *version {
			return a.printVersion()
		}
		return c.Help()
	}
	a.addCompletion(root)
	// "--max_pixels" is "--max-pixels": keys of settings have underscores.
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	return root
}

// printJSON prints a command's result as one line of JSON.
func (a *app) printJSON(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", printable.JSON(raw))
	return err
}
