package cli

import (
	"strings"

	"github.com/unimo-go/unimo/internal/base/cmdline"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
)

func (a *app) evaluateCommand() *cmdline.Command {
	var dataPath, modelDir, page, columns string
	var decode decodeFlags
	var o run.EvaluateOptions
	c := &cmdline.Command{
		Use:     "evaluate [TASK] --data FILE_OR_DIR --model DIR",
		Aliases: []string{"eval"},
		Short:   "Score a model on labelled data",
		Long: `Score a model on a file, or on the dev files of a folder.
Without TASK it is the one that the model was fine-tuned for. The tasks are ` + strings.Join(run.Names(), ", ") + `.

The keys of --json are task, model and data, and the metrics' names: accuracy, matthews, pearson, spearman,
loss, examples; of MNLI's second dev set with _dev_mm behind; and notes, where there is something to
know about them, such as that they are over very few examples. A metric that is
undefined (0/0) is null. Of tasks that generate, loss and perplexity are those of the
reference texts, and the metrics compare what the model wrote: f1, em and both by domain
(f1_mctest) for coqa; rouge-1, rouge-2, rouge-l for summaries; bleu-1 to bleu-4, meteor,
caption-rouge-l for questions. The flags of decoding change what the model was fine-tuned for.

Of retrieval they are image_recall@1, @5 and @10 (the picture of a caption), text_recall@1, @5 and
@10 (a caption of a picture), image_mean_rank, text_mean_rank, mean_rank and recall@1 (the means of
both ways), images, and examples, the captions. Without --two-stage every picture is scored with every
caption; with --scores what was scored is kept in a folder, and the same command goes on with it.
--two-stage N lets the full model order the N best by vectors; on the first --compare pictures it is
compared with scoring every pair (keys compared_exhaustive_..., compared_two_stage_..., compared_lost_...).`,
		Example: `  unimo evaluate sst-2 --data DIR/dev.tsv --model RUN/best --json
  unimo evaluate mnli --data DIR --model RUN/best
  unimo evaluate coqa --data coqa-dev-v1.0.json --model RUN/best --json
  unimo evaluate flickr8k --data DIR --split test --model RUN/best --two-stage 20 --json
  unimo evaluate flickr30k --data DIR --features FEATURES --model RUN/best --scores SCORES
  unimo evaluate sts-b --data dev.csv --model RUN/best --predictions OUT`,
		Args: func(c *cmdline.Command, args []string) error {
			if len(args) == 0 && c.Flags().Changed("model") {
				return nil // the model says it
			}
			if err := needTask(c, args); err != nil {
				return err
			}
			return noArgs(c, args[1:])
		},
		ValidArgsFunction: completeFirst(run.Names()...),
		RunE: func(c *cmdline.Command, args []string) error {
			preset, err := evaluatedTask(args, modelDir)
			if err != nil {
				return asUsage(err)
			}
			if err := checkKind(c, preset); err != nil {
				return err
			}
			if err := checkRank(c, o.Rank); err != nil {
				return err
			}
			progress := a.newProgress()
			progress.Stage("scoring")
			o.Decode, o.Tick, o.Rank.Log, o.Log = decode.apply, progress.Tick, a.log, a.log
			if o.Columns, err = labelled.ParseColumns(columns); err != nil {
				return usageError{err}
			}
			results, err := run.Evaluate(c.Context(), preset, modelDir, dataPath, o)
			progress.finish()
			if err != nil {
				return asUsage(err)
			}
			notes := run.Notes(results)
			for _, note := range notes {
				a.log.Warn(note)
			}
			if page != "" {
				about := []report.Item{{Key: "model", Value: modelDir}, {Key: "data", Value: dataPath}, {Key: "unimo", Value: currentVersion().Version}}
				if err := run.WriteGallery(page, preset, results[0], about); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(resultJSON(preset, run.Metrics(results), notes, map[string]string{"model": modelDir, "data": dataPath}))
			}
			printable.Fprintf(a.stdout, "%s, model %s:\n", preset.Title, modelDir)
			a.printResults(preset, results)
			return nil
		},
	}
	c.Flags().StringVarP(&dataPath, "data", "d", "", "labelled `FILE`, or folder with the dev files")
	modelFlag(c, &modelDir)
	c.Flags().StringVar(&o.Predictions, "predictions", "", "new `DIR` to write what was predicted to: labels in the reference's and GLUE's form, texts, or what was found")
	c.Flags().StringVar(&o.Split, "split", "", "the split: train, dev (default) or test")
	decode.register(c)
	columnsFlag(c, &columns)
	flags := c.Flags()
	flags.StringVar(&o.Rank.Features, "features", "", "retrieval: region features, file or folder (default: the data's pictures)")
	flags.StringVar(&o.Rank.Order, "order", "", "retrieval: of width and height in lines of features: width or height first (default: by the boxes)")
	flags.IntVar(&o.Rank.MaxRegions, "max-regions", 0, "retrieval: most regions of an image of features (0: 100)")
	flags.BoolVar(&o.Rank.SkipBad, "skip-bad", false, "retrieval: leave out images that cannot be read or have no features, and count them")
	flags.IntVar(&o.Rank.TwoStage, "two-stage", 0, "retrieval: candidates by vectors that the full model orders (0: score every pair)")
	flags.IntVar(&o.Rank.Images, "first", 0, "retrieval: score the first pictures of the split only (0: all)")
	flags.IntVar(&o.Rank.Compare, "compare", 0, "retrieval: pictures on which --two-stage is compared with scoring every pair (0: none)")
	flags.StringVar(&o.Rank.Scores, "scores", "", "retrieval: folder that keeps the scores, to go on after an interruption")
	flags.StringVar(&page, "report", "", "retrieval: HTML page with pictures to write")
	c.MarkFlagRequired("data")
	return c
}

// evaluatedTask finds the task that is named, or the one that the model says it is for.
func evaluatedTask(args []string, modelDir string) (*run.Preset, error) {
	if len(args) == 0 {
		return run.OfModel(modelDir)
	}
	return run.Find(args[0])
}

// columnsFlag names the columns of labelled texts.
func columnsFlag(c *cmdline.Command, columns *string) {
	c.Flags().StringVar(columns, "columns", "", "columns of labelled texts whose names are not known: text=NAME,label=NAME; text may be given several times")
}

// rankFlags are the flags of retrieval.
var rankFlags = []string{"features", "order", "max-regions", "skip-bad", "two-stage", "first", "compare", "scores", "report"}

// checkKind refuses flags that are for tasks of another kind.
func checkKind(c *cmdline.Command, p *run.Preset) error {
	for _, kind := range []struct {
		is    bool
		tasks string
		flags []string
	}{
		{p.Retrieval != nil, "retrieval", rankFlags},
		{p.Generation != nil, "tasks that generate", decodeNames},
		{p.Labelled(), "tasks of labelled texts", []string{"columns"}},
	} {
		for _, name := range kind.flags {
			if !kind.is && c.Flags().Changed(name) {
				return usagef("--%s is for %s, not for %s; leave it out", name, kind.tasks, p.Name)
			}
		}
	}
	return nil
}

// checkRank refuses impossible values.
func checkRank(c *cmdline.Command, o run.RankOptions) error {
	switch {
	case o.TwoStage < 0 || o.Images < 0 || o.Compare < 0:
		return usagef("--two-stage, --first and --compare are numbers from 0 on")
	case o.TwoStage == 0 && c.Flags().Changed("compare"):
		return usagef("--compare is for --two-stage, which it compares with scoring every pair; leave it out")
	case o.TwoStage > 0 && o.Scores != "":
		return usagef("--scores keeps the scores of all pairs; leave out --two-stage")
	}
	return nil
}
