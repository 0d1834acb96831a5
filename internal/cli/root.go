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
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/infile"
	"github.com/unimo-go/unimo/internal/kernels"
	"github.com/unimo-go/unimo/internal/parallel"
	"github.com/unimo-go/unimo/internal/printable"
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
	stdin   io.Reader
	stdout  *output
	stderr  *screen
	json    bool
	verbose bool
	threads int
	args    []string // as the user gave them
	log     *slog.Logger
	saving  atomic.Bool // an interruption saves what was trained
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
	signal.Notify(signals, endingSignals()...)
	defer signal.Stop(signals)
	a := newApp(args, stdin, stdout, stderr)
	return supervise(a.stderr, signals, a.saving.Load, a.run)
}

// run runs a command line under ctx.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newApp(args, stdin, stdout, stderr).run(ctx)
}

func newApp(args []string, stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{stdin: stdin, stdout: newOutput(stdout), stderr: newScreen(stderr), args: args}
}

func (a *app) run(ctx context.Context) int {
	root := a.rootCommand()
	root.SetArgs(a.args)
	err := root.ExecuteContext(ctx)
	if failed := a.stdout.close(); err == nil && failed != nil {
		err = fmt.Errorf("print the result: %w", failed)
	}
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, "unimo: interrupted")
		return exitInterrupted
	case errors.As(err, &usage) || isCobraUsage(err):
		fmt.Fprintf(a.stderr, "unimo: %s\n", oneLine(err))
		return exitUsage
	default:
		fmt.Fprintf(a.stderr, "unimo: %s\n", oneLine(err))
		return exitFailed
	}
}

// oneLine returns an error's message with its line breaks, as joined errors and
// cobra's suggestions have them, made semicolons.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return printable.String(strings.Join(lines, "; "))
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "unimo",
		Short: "Train, evaluate and run UNIMO models",
		Long: `unimo trains, evaluates and runs UNIMO, one Transformer for text and images
(Li et al., ACL 2021), on the CPU of this machine.

Results are printed on standard output, everything else on standard error.
Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.`,
		Example: `  unimo demo
  unimo finetune sst-2 --data DIR --preset mini --out RUN
  unimo evaluate sst-2 --data DIR/dev.tsv --model RUN/best --json
  unimo predict --model RUN/best "a gripping and funny film"`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			level := slog.LevelInfo
			if a.verbose {
				level = slog.LevelDebug
			}
			a.log = slog.New(newLineHandler(a.stderr, level))
			if a.threads < 0 {
				return usagef("--threads %d: give the number of threads, or 0 for one per core", a.threads)
			}
			if a.threads > 0 {
				parallel.SetThreads(a.threads)
			}
			if err := kernels.CheckEnv(); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w (see '%s --help')", err, c.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print the result as one JSON object")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log details")
	flags.IntVar(&a.threads, "threads", 0, "threads to compute with (0: one per core); results do not depend on it")
	root.AddCommand(a.commands()...)
	return root
}

// usageError marks errors of the caller's making: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// isCobraUsage recognises the errors of the command line that cobra builds itself
// and gives no type to: unknown commands, argument counts, required flags.
func isCobraUsage(err error) bool {
	text := err.Error()
	for _, prefix := range []string{"unknown command", "accepts ", "requires at least", "required flag(s)", "invalid argument", "if any flags in the group"} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
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
