package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/unimo-go/unimo/internal/atomicfile"
	"github.com/unimo-go/unimo/internal/synth"
	"github.com/unimo-go/unimo/internal/task"
)

// Sizes of the demo's data, so that training takes about a minute on two cores.
const (
	demoSeed    = 1
	demoTrain   = 12000
	demoDev     = 1000 // taken from the training combinations: chooses the best model
	demoHeldOut = 2000 // combinations that training never shows: scored once
)

// demoSettings are the demo's recipe over the mini preset's.
var demoSettings = []string{"vocab_size=1024", "hidden_dropout_prob=0.1"}

const demoNotice = "Synthetic data: sentences made by a grammar of this program. The score says that the model learned to compose words it saw in other combinations; it says nothing about real reviews."

func (a *app) demoCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Train a small model on invented opinions and try it",
		Long: `Train the mini model on short opinions that a generator of this program writes
(synthetic data, no downloads), score it on combinations of words it never saw, and
classify sentences you type. Takes about a minute on two cores.`,
		Example: "  unimo demo\n  unimo demo --out RUN",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), out) },
	}
	c.Flags().StringVar(&out, "out", "", "folder of the run (default: a new one among the system's temporary files)")
	return c
}

func (a *app) demo(ctx context.Context, out string) error {
	if out == "" {
		dir, err := os.MkdirTemp("", "unimo-demo-")
		if err != nil {
			return fmt.Errorf("make a folder for the demo: %w", err)
		}
		out = filepath.Join(dir, "run")
		defer a.log.Info("the run is in " + out)
	}
	_, err := os.Stat(out)
	again := err == nil // an earlier demo's folder: go on with it, or show it again
	texts := filepath.Join(filepath.Dir(out), filepath.Base(out)+"-data")
	if err := writeOpinions(texts); err != nil {
		return err
	}
	a.log.Info(fmt.Sprintf("wrote %d synthetic opinions to %s", demoTrain+demoHeldOut, texts))
	progress := a.newProgress()
	defer progress.finish()
	preset := task.Opinions
	summary, err := task.Finetune(ctx, task.Options{
		Preset: preset, Size: "mini", Data: texts, Out: out, Resume: again, Set: demoSettings, Notice: demoNotice,
		Command: []string{"unimo", "demo"}, Version: runVersion(), Log: a.log, Observer: progress,
	})
	if err != nil {
		return err
	}
	heldOut, err := task.Evaluate(ctx, preset, summary.Dir.Best(), filepath.Join(texts, "held-out.tsv"), nil, progress.Tick)
	progress.finish()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(task.Metrics(heldOut))
	}
	fmt.Fprintf(a.stdout, "\nSynthetic opinions, %d in training. On %d with combinations that training never showed:\n", demoTrain-demoDev, demoHeldOut)
	a.printResults(preset, heldOut)
	fmt.Fprintln(a.stdout)
	p, err := task.OpenPredictor(summary.Dir.Best())
	if err != nil {
		return err
	}
	defer p.Close()
	if err := a.predict(ctx, p, synth.Examples(), false, 1); err != nil {
		return err
	}
	if err := a.converse(ctx, p); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, `
The curves and mistakes are in %s.

The same with real data (SST-2 as GLUE has it: train.tsv, dev.tsv):
  unimo finetune sst-2 --data SST-2 --preset mini --out RUN
and with the released weights (unimo_base_en.tar.gz and its dict folder):
  unimo finetune sst-2 --data SST-2 --preset base --init unimo_base_en.tar.gz --vocab dict --out RUN
`, summary.Dir.Report())
	return err
}

// writeOpinions makes the folder with train.tsv, dev.tsv and held-out.tsv. An
// earlier demo's folder is taken as it is: the sentences are always the same.
func writeOpinions(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	trainSet, heldOut := synth.Opinions(demoSeed, demoTrain, demoHeldOut)
	return atomicfile.WriteDir(dir, func(tmp string) error {
		for _, file := range []struct {
			name     string
			opinions []synth.Opinion
		}{{"train.tsv", trainSet[demoDev:]}, {"dev.tsv", trainSet[:demoDev]}, {"held-out.tsv", heldOut}} {
			err := atomicfile.Write(filepath.Join(tmp, file.name), func(w io.Writer) error { return synth.WriteTSV(w, file.opinions) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// converse classifies what the user types until an empty line. Where nobody can
// type it returns at once.
func (a *app) converse(ctx context.Context, p *task.Predictor) error {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	fmt.Fprintf(a.stdout, "\nType an opinion in words like these (an empty line ends):\n")
	return a.answer(ctx, f, p)
}

// answer classifies the lines of in up to an empty one.
func (a *app) answer(ctx context.Context, in io.Reader, p *task.Predictor) error {
	lines := bufio.NewScanner(interruptible(ctx, in))
	for fmt.Fprint(a.stdout, "> "); lines.Scan() && lines.Text() != ""; fmt.Fprint(a.stdout, "> ") {
		if err := a.predict(ctx, p, []string{synth.Normalise(lines.Text())}, false, 1); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.stdout)
	return lines.Err()
}
