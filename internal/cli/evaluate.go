package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
)

// evaluateName is the command's name.
const evaluateName = "evaluate"

func (a *app) evaluateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     evaluateName + " [TASK] --data FILE_OR_DIR --model DIR",
		Aliases: []string{"eval"},
		Short:   "Score a model on labelled data",
		Long: `Score a model on a file, or on the dev files of a folder.
Without TASK it is the one that the model was fine-tuned for. Each task has flags of its own:
'unimo evaluate TASK --help' lists them, and says what the metrics are.

The keys of --json are task, model and data, and the metrics' names; of a second dev set with its
name behind (accuracy_dev_mm of mnli); and notes, where there is something to
know about them, such as that they are over very few examples. A metric that is
undefined (0/0) is null.

--calibrate fits probabilities to what was right (dev by default) and keeps them with the model:
what predict, ask, match and search say is then as often right as it is probable. ece_before and
ece are the expected calibration errors before and after, the latter on the halves of the data
that were not fitted.`,
		Example: `  unimo evaluate sst-2 --data DIR/dev.tsv --model RUN/best --json
  unimo evaluate mnli --data DIR --model RUN/best
  unimo evaluate coqa --data coqa-dev-v1.0.json --model RUN/best --beam 5
  unimo evaluate flickr8k --data DIR --split test --model RUN/best --two-stage 20
  unimo evaluate flickr8k --data DIR --model RUN/best --calibrate
  unimo evaluate sts-b --data dev.csv --model RUN/best --predictions OUT`,
		Args: a.needTask,
		// Reached without a task only; its flags are those of the task.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := a.finetuned().OfModel(c.Flags().Lookup("model").Value.String()) // which withTask could not
			return asUsage(err)
		},
	}
	var o run.EvaluateOptions
	var page string
	evaluateFlags(c, &o, &page)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && o.Model != "" {
			return nil // the model says it
		}
		return a.needTask(c, args)
	}
	a.addTasks(c, a.tasksThat(func(k run.Kind) bool { _, ok := k.(run.Evaluator); return ok }), a.evaluateTaskCommand)
	return c
}

// evaluateFlags registers the flags that all tasks have.
func evaluateFlags(c *cobra.Command, o *run.EvaluateOptions, page *string) {
	flags := c.Flags()
	flags.StringVarP(&o.Data, "data", "d", "", "labelled `FILE`, or folder with the dev files")
	modelFlag(c, &o.Model)
	flags.StringVar(&o.Predictions, "predictions", "", "new `DIR` to write what was predicted to")
	flags.StringVar(&o.Split, "split", "", "`SPLIT` to score on: train, dev (default) or test")
	flags.BoolVar(&o.Calibrate, "calibrate", false, "fit probabilities on the data and keep them with the model")
	flags.StringVar(page, "report", "", "HTML `PAGE` to write, with what people look at")
	c.MarkFlagRequired("data")
}

func (a *app) evaluateTaskCommand(t *run.Task) *cobra.Command {
	o := run.EvaluateOptions{Task: t}
	var page string
	var flags settingFlags
	c := &cobra.Command{
		Use:   t.Name + " --data FILE_OR_DIR --model DIR",
		Short: "Score a model for " + t.Title,
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			progress := a.newProgress()
			progress.Stage("scoring")
			o.Env = a.env()
			o.Observer, o.Set = progress, flags.assignments()
			results, err := run.Evaluate(c.Context(), o)
			progress.finish()
			if err != nil {
				return asUsage(err)
			}
			notes := run.Notes(results)
			for _, note := range notes {
				a.log.Warn(note)
			}
			if page != "" {
				about := []report.Item{{Key: "model", Value: o.Model}, {Key: "data", Value: o.Data}, {Key: "unimo", Value: currentVersion().Version}}
				if err := run.WritePage(page, t, results[0], about); err != nil {
					return err
				}
			}
			about := map[string]string{"model": o.Model, "data": o.Data}
			if file := results[0].Calibrated; file != "" {
				about["calibration"] = file
			}
			if a.json {
				return a.printJSON(resultJSON(t, run.Metrics(results), notes, about))
			}
			printable.Fprintf(a.stdout, "%s, model %s:\n", t.Title, o.Model)
			a.printResults(t, results)
			if file := results[0].Calibrated; file != "" {
				printable.Fprintf(a.stdout, "the probabilities are calibrated with %s\n", file)
			}
			return nil
		},
	}
	annotate(c, taskAnnotation, t.Name)
	evaluateFlags(c, &o, &page)
	if kind, ok := t.Kind.(run.Evaluator); ok {
		own := kind.EvalSettings()
		if flags.register(c, own); readsImages(own) {
			extractorFlag(c)
		}
	}
	c.Long, c.Example = taskHelp(t, evaluateName, "Score a model on a file, or on the dev files of a folder.\n", fmt.Sprintf(`  unimo evaluate %[1]s --data DIR --model RUN/best
  unimo evaluate %[1]s --data DIR --split test --model RUN/best --json
  unimo evaluate %[1]s --data FILE --model RUN/best --predictions OUT`, t.Name))
	return c
}

// readsImages says whether a model whose evaluation has these settings reads images.
func readsImages(s run.Flags) bool {
	return slices.ContainsFunc(settings.List(s), func(one settings.Setting) bool { return one.Key == "features" })
}

// withTask returns the arguments with the task in them, where "unimo evaluate" has none and the model says
// which it is for.
func (a *app) withTask(root *cobra.Command) []string {
	c, rest, err := root.Find(a.args)
	if err != nil || c.Name() != evaluateName || c.ParseFlags(rest) != nil || !c.Flags().Changed("model") || len(c.Flags().Args()) > 0 {
		return a.args
	}
	var t *run.Task
	if name := c.Flags().Lookup("task").Value.String(); name != "" {
		t, err = a.finetuned().Find(name)
	} else {
		t, err = a.finetuned().OfModel(c.Flags().Lookup("model").Value.String())
	}
	at := slices.IndexFunc(a.args, func(word string) bool { return word == c.Name() || c.HasAlias(word) })
	if err != nil || at < 0 {
		return a.args
	}
	return slices.Insert(slices.Clone(a.args), at+1, t.Name)
}

// elsewhere says which commands beside c have a flag that c has not; "" if none has.
func elsewhere(c *cobra.Command, name string) string {
	if c.Annotations[taskAnnotation] == "" || !c.HasParent() {
		return ""
	}
	var list []string
	for _, sibling := range c.Parent().Commands() {
		if f := sibling.Flags().Lookup(name); f != nil && !f.Hidden {
			list = append(list, sibling.Name())
		}
	}
	if list == nil {
		return ""
	}
	return fmt.Sprintf("unknown flag %q of %s: it is one of %s", "--"+name, commandName(c), strings.Join(list, ", "))
}
