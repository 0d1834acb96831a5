package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/task"
)

func (a *app) evaluateCommand() *cobra.Command {
	var dataPath, modelDir, predictions string
	var decode decodeFlags
	c := &cobra.Command{
		Use:   "evaluate TASK --data FILE_OR_DIR --model DIR",
		Short: "Score a model on labelled data",
		Long: `Score a model on a file, or on the dev files of a folder.
The tasks are ` + strings.Join(task.Names(), ", ") + `.

The keys of --json are the metrics' names: accuracy, matthews, pearson, spearman,
loss, examples; of MNLI's second dev set with _dev_mm behind. A metric that is
undefined (0/0) is null. Of tasks that generate, loss and perplexity are those of the
reference texts, and the metrics compare what the model wrote: f1, em and both by domain
(f1_mctest) for coqa; rouge-1, rouge-2, rouge-l for summaries; bleu-1 to bleu-4, meteor,
rouge-l for questions. The flags of decoding change what the model was fine-tuned for.`,
		Example: `  unimo evaluate sst-2 --data DIR/dev.tsv --model RUN/best --json
  unimo evaluate mnli --data DIR --model RUN/best
  unimo evaluate coqa --data coqa-dev-v1.0.json --model RUN/best --json
  unimo evaluate sts-b --data dev.csv --model RUN/best --predictions OUT`,
		Args: func(c *cobra.Command, args []string) error {
			if err := needTask(c, args); err != nil {
				return err
			}
			return noArgs(c, args[1:])
		},
		RunE: func(c *cobra.Command, args []string) error {
			preset, err := task.Find(args[0])
			if err != nil {
				return usageError{err}
			}
			progress := a.newProgress()
			progress.Stage("scoring")
			results, err := task.Evaluate(c.Context(), preset, modelDir, dataPath, decode.apply, progress.Tick)
			progress.finish()
			if err != nil {
				return err
			}
			if predictions != "" {
				if err := task.WritePredictions(preset, predictions, results); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(task.Metrics(results))
			}
			fmt.Fprintf(a.stdout, "%s, model %s:\n", preset.Title, modelDir)
			a.printResults(preset, results)
			return nil
		},
	}
	c.Flags().StringVar(&dataPath, "data", "", "labelled file, or folder with the dev files")
	c.Flags().StringVar(&modelDir, "model", "", "folder of the model, or of a run for its best model")
	c.Flags().StringVar(&predictions, "predictions", "", "folder to write what was predicted to, in the reference's and GLUE's form, or as text")
	decode.register(c)
	c.MarkFlagRequired("data")
	c.MarkFlagRequired("model")
	return c
}
