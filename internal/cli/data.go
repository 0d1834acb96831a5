package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/cmdline"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

func (a *app) dataCommand() *cmdline.Command {
	c := &cmdline.Command{
		Use:   "data",
		Short: "Prepare data sets and say what is wrong with files",
		Long: `Prepare data sets of text-to-text tasks and of images with captions from their
official files, and say what is in a task's files and what is wrong with them.`,
		Example: `  unimo data prepare coqa coqa-train-v1.0.json DATA --split 0.1
  unimo data validate coqa DATA --vocab DICT
  unimo data prepare flickr DIR_WITH_PICTURES DATA`,
	}
	return group(c, a.dataPrepareCommand(), a.dataValidateCommand())
}

// textForms are the values of --texts.
var textForms = map[string]seq2seq.Texts{"auto": seq2seq.TextsAuto, "text": seq2seq.TextsPlain, "ids": seq2seq.TextsIDs}

func textsFlag(c *cmdline.Command, form *string) {
	c.Flags().StringVar(form, "texts", "auto", "what a TSV file holds: text, ids (of tokens), or auto to look")
}

func parseTexts(form string) (seq2seq.Texts, error) {
	texts, ok := textForms[form]
	if !ok {
		return 0, choice("form of texts", form, "auto", "text", "ids")
	}
	return texts, nil
}

// prepareFlags are the flags of "unimo data prepare".
type prepareFlags struct {
	fraction    float64
	seed        uint64
	ids         bool
	vocab, form string
	images      string
}

// preparation is what "unimo data prepare --json" prints.
type preparation struct {
	Task   string             `json:"task"`
	Out    string             `json:"out"`
	Splits []seq2seq.Prepared `json:"splits"`
}

func (a *app) dataPrepareCommand() *cmdline.Command {
	var f prepareFlags
	c := &cmdline.Command{
		Use:   "prepare TASK SRC DST",
		Short: "Write a data folder from official files, or from your own",
		Long: `Write the new folder DST with train.jsonl, dev.jsonl and test.jsonl from SRC: a file,
or a folder in which the names of the files say the split (train, dev or valid, test).
The tasks are ` + strings.Join(seq2seq.Names(), ", ") + ` and flickr.

SRC may hold CoQA's JSON (coqa); SQuAD's JSON, or src-*.txt with tgt-*.txt of Du et
al. (squad-qg); .story files with the lists all_train.txt, all_val.txt and
all_test.txt, or JSON lines with article and highlights (cnn-dailymail);
*.article.txt with *.title.txt (gigaword); and for every task JSON lines, CSV, and
the reference's TSV. docs/reference/text.md describes them.

With flickr (flickr30k and flickr8k are the same) DST gets images/, captions.csv and the
lists train.txt, dev.txt and test.txt of pictures. SRC may hold Karpathy's
dataset_*.json; COCO's captions_*.json; a JSON list of images and captions (BLIP,
ALBEF); metadata.jsonl; the original .token files; CSV with image and caption; the
reference's .ids; or NAME.txt beside NAME.jpg; with lists of the images of a split, if
there are any.
Pictures are looked for in SRC, or in --images, and are not copied where a hard link can
be made; without pictures DST goes with a file of their region features.

--split takes that part of the training examples for dev.jsonl. What is about one
passage stays together, and split.json says what went where. Bad examples are left
out and counted; 'unimo data validate' lists them all.`,
		Example: `  unimo data prepare coqa DIR_WITH_CoQA DATA
  unimo data prepare squad-qg DIR DATA --split 0.1 --seed 1
  unimo data prepare cnn-dailymail DIR_WITH_STORIES DATA
  unimo data prepare gigaword DIR DATA --ids --vocab DICT
  unimo data prepare flickr dataset_flickr30k.json DATA --images flickr30k-images`,
		Args:              needs("TASK", "SRC", "DST"),
		ValidArgsFunction: completeFirst(append(seq2seq.Names(), "flickr")...),
		RunE: func(c *cmdline.Command, args []string) error {
			if c.Flags().Changed("split") && !(f.fraction > 0 && f.fraction < 1) {
				return usagef("--split %v: give a fraction between 0 and 1", f.fraction)
			}
			name, err := names.Find("task", args[0], slices.Concat(seq2seq.Names(), run.ImageNames(), []string{"flickr"}))
			if err != nil {
				if p, found := run.Find(args[0]); found == nil {
					return usagef("the data of %s need no preparing: name their folder to 'unimo finetune %s --data DIR'", p.Name, p.Name)
				}
				return usagef("%w%s", err, seeHelp(c))
			}
			dst, err := newPath(args[2])
			if err != nil {
				return err
			}
			if name == "flickr" || isImageTask(name) {
				if f.ids || f.vocab != "" || c.Flags().Changed("texts") {
					return usagef("--ids, --vocab and --texts are for tasks of texts; leave them out")
				}
				return a.prepareImages(c.Context(), args[1], dst, f)
			}
			t, err := seq2seq.Find(name)
			if err != nil {
				return usageError{err}
			}
			if f.images != "" {
				return usagef("--images is for flickr; leave it out")
			}
			if f.ids != (f.vocab != "") {
				return usagef("--ids needs --vocab, the vocabulary to write ids of, and the other way round")
			}
			return a.prepareData(c.Context(), t, args[1], dst, f)
		},
	}
	flags := c.Flags()
	flags.Float64Var(&f.fraction, "split", 0, "fraction of the training examples to write as dev instead")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of --split")
	flags.BoolVar(&f.ids, "ids", false, "write the reference's TSV of ids instead of JSON lines")
	flags.StringVar(&f.vocab, "vocab", "", "folder of the vocabulary for --ids")
	flags.StringVar(&f.images, "images", "", "folder of the pictures for flickr; without, they are looked for in SRC")
	textsFlag(c, &f.form)
	return c
}

// warnedProblems is how many bad examples are shown while preparing.
const warnedProblems = 10

func (a *app) prepareData(ctx context.Context, t seq2seq.Task, src, dst string, f prepareFlags) error {
	texts, err := parseTexts(f.form)
	if err != nil {
		return err
	}
	opt := seq2seq.PrepareOptions{Fraction: f.fraction, Seed: f.seed, Texts: texts}
	if f.ids {
		vocabulary, err := tokenizer.Load(f.vocab)
		if err != nil {
			return err
		}
		opt.Coder = vocabulary
	}
	problems := 0
	opt.Problem = func(err error) {
		if problems++; problems <= warnedProblems {
			a.log.Warn(fmt.Sprintf("left out: %v", err))
		}
	}
	bar := a.newProgress()
	opt.Stage, opt.Tick = bar.count, bar.counted
	splits, err := seq2seq.Prepare(ctx, t, src, dst, opt)
	bar.finish()
	if err != nil {
		return err
	}
	if problems > warnedProblems {
		a.log.Warn(fmt.Sprintf("%d more were left out: see 'unimo data validate'", problems-warnedProblems))
	}
	if a.json {
		return a.printJSON(preparation{Task: t.Name, Out: dst, Splits: splits})
	}
	for _, s := range splits {
		printable.Fprintf(a.stdout, "%s: %d examples from %s (%s)%s\n", filepath.Join(dst, s.File), s.Examples, s.Source, s.Kind, leftOut(s.Skipped, s.InvalidUTF8))
	}
	return nil
}

// leftOut lists what was skipped and what is odd.
func leftOut(skipped map[string]int, invalid int) string {
	var b strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Fprintf(&b, "; left out: %d %s", skipped[reason], reason)
	}
	if invalid > 0 {
		fmt.Fprintf(&b, "; %d with bytes that are not UTF-8", invalid)
	}
	return b.String()
}

// shownProblems is how many problems are printed.
const shownProblems = 100

// validateFlags are the flags of "unimo data validate".
type validateFlags struct {
	vocab, model, form, columns string
	maxPixels                   int
}

func (a *app) dataValidateCommand() *cmdline.Command {
	var f validateFlags
	c := &cmdline.Command{
		Use:   "validate TASK DIR_OR_FILE",
		Short: "Say what is in a task's files and what is wrong with them",
		Long: `Read a file, or all files of a task in a folder, and say what is wrong by file and
line, what the splits have in common, how long the texts are and, with --vocab or
--model, how many tokens they have and how many are cut at the task's limits.
The tasks are ` + strings.Join(run.Names(), ", ") + `.
Of the classification tasks the first error of each file and the labels are shown.
Of images with captions (flickr30k, flickr8k) every picture is read: missing and broken
ones are shown, and pictures that two splits have in common, by name or byte by byte.

Exit code 1 if something is wrong; at most ` + fmt.Sprint(shownProblems) + ` problems are printed.`,
		Example: `  unimo data validate coqa DATA
  unimo data validate gigaword train.jsonl --vocab DICT --json
  unimo data validate sst-2 DIR
  unimo data validate classify reviews.csv --columns text=review,label=stars
  unimo data validate flickr30k DATA`,
		Args: func(c *cmdline.Command, args []string) error {
			if len(args) > 0 {
				if err := needTask(c, args); err != nil {
					return err
				}
			}
			return needs("TASK", "DIR_OR_FILE")(c, args)
		},
		ValidArgsFunction: completeFirst(run.Names()...),
		RunE: func(c *cmdline.Command, args []string) error {
			preset, err := run.Find(args[0])
			if err != nil {
				return usageError{err}
			}
			if preset.Retrieval != nil {
				return a.validateImages(c.Context(), args[1], f)
			}
			if t, err := seq2seq.Find(preset.Name); err == nil {
				return a.validatePairs(c.Context(), t, args[1], f)
			}
			columns, err := labelled.ParseColumns(f.columns)
			if err != nil {
				return usageError{err}
			}
			return a.validateLabelled(preset, args[1], columns)
		},
	}
	c.Flags().StringVar(&f.vocab, "vocab", "", "`DIR` of the vocabulary to count tokens with")
	c.Flags().StringVarP(&f.model, "model", "m", "", "`DIR` of the model to count tokens for: its vocabulary, its positions")
	exclusive(c, "vocab", "model")
	c.Flags().IntVar(&f.maxPixels, "max-pixels", picture.DefaultLimits.MaxPixels, "refuse pictures with more")
	textsFlag(c, &f.form)
	columnsFlag(c, &f.columns)
	return c
}

func (a *app) validatePairs(ctx context.Context, t seq2seq.Task, path string, f validateFlags) error {
	texts, err := parseTexts(f.form)
	if err != nil {
		return err
	}
	cfg := model.Sizes["base"]
	vocab := f.vocab
	if f.model != "" {
		vocab = modeldir.Resolve(f.model)
		if cfg, err = model.ReadConfig(filepath.Join(vocab, modeldir.Config)); err != nil {
			return err
		}
	}
	opt := seq2seq.ValidateOptions{Texts: texts, MaxProblems: shownProblems, Encoder: seq2seq.Encoder{
		Dialogue: t.Dialogue, MaxSource: t.MaxSource, MaxTarget: t.MaxTarget, TurnTypes: cmp.Or(cfg.TurnTypes, 16), MaxPositions: cfg.MaxPositions,
	}}
	if vocab != "" {
		vocabulary, err := tokenizer.Load(vocab)
		if err != nil {
			return err
		}
		if err := opt.Encoder.Check(); err != nil {
			return fmt.Errorf("model %s: %w", vocab, err)
		}
		opt.Encoder.Tokenizer = vocabulary
	}
	bar := a.newProgress()
	opt.Stage, opt.Tick = bar.count, bar.counted
	v, err := seq2seq.Validate(ctx, t, path, opt)
	bar.finish()
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(v)
	} else {
		a.printValidation(v, opt.Encoder)
	}
	return errors.Join(err, problemsFound(v.ProblemCount))
}

// problemsFound is the error of a validation with problems, which are printed.
func problemsFound(n int) error {
	switch n {
	case 0:
		return nil
	case 1:
		return reportedError{errors.New("1 problem found")}
	}
	return reportedError{fmt.Errorf("%d problems found", n)}
}

func (a *app) printValidation(v seq2seq.Validation, e seq2seq.Encoder) {
	a.printProblems(v.Problems, v.ProblemCount)
	for _, f := range v.Files {
		kind := cmp.Or(f.Kind, "of no known kind")
		printable.Fprintf(a.stdout, "%s: %s (%s): %d examples", f.Split, f.File, kind, f.Examples)
		if f.Groups > 0 {
			fmt.Fprintf(a.stdout, " in %d groups", f.Groups)
		}
		fmt.Fprintln(a.stdout, leftOut(f.Skipped, f.InvalidUTF8))
		a.printLengths("source", f.Source)
		a.printLengths("target", f.Target)
		if f.Truncated != nil {
			fmt.Fprintf(a.stdout, "  cut at %d tokens of a source: %d; at %d of a target: %d", e.MaxSource, f.Truncated.Source, e.MaxTarget, f.Truncated.Target)
			if e.Dialogue {
				fmt.Fprintf(a.stdout, "; old turns dropped: %d", f.Truncated.Turns)
			}
			fmt.Fprintln(a.stdout)
		}
	}
	for _, s := range v.Shared {
		printable.Fprintf(a.stdout, "%s and %s share %d examples and %d groups\n", s.Splits[0], s.Splits[1], s.Examples, s.Groups)
	}
}

func (a *app) printLengths(side string, l seq2seq.TextLengths) {
	for _, unit := range []struct {
		name string
		d    *seq2seq.Distribution
	}{{"characters", l.Characters}, {"words", l.Words}, {"tokens", l.Tokens}} {
		if d := unit.d; d != nil {
			printable.Fprintf(a.stdout, "  %s %-10s min %-6d median %-6d 95 %% %-6d max %d\n", side, unit.name, d.Min, d.Median, d.P95, d.Max)
		}
	}
}

// labelledFile is what a file of a classification task is like.
type labelledFile struct {
	Split    string         `json:"split"`
	File     string         `json:"file"`
	Examples int            `json:"examples"`
	Labels   map[string]int `json:"labels,omitempty"` // of a classification
	LeftOut  int            `json:"left_out"`         // examples without label
	Problem  string         `json:"problem,omitempty"`

	shares   string
	notes    []string
	examples []labelled.Example
}

// labelledFiles is what "unimo data validate --json" prints of a classification task.
type labelledFiles struct {
	Task         string           `json:"task"`
	Files        []labelledFile   `json:"files"`
	Shared       []sharedExamples `json:"shared,omitempty"`
	ProblemCount int              `json:"problem_count"`
}

// sharedExamples counts the examples of a split whose texts are in the training file too.
type sharedExamples struct {
	Split    string `json:"split"`
	Examples int    `json:"examples"`
}

func (a *app) validateLabelled(p *run.Preset, path string, columns labelled.Columns) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	result := labelledFiles{Task: p.Name}
	opt := labelled.ReadOptions{Columns: columns}
	if !info.IsDir() {
		f, _ := validateLabelledFile(p, "file", path, opt)
		result.Files = append(result.Files, f)
	} else {
		train := append([]run.Split{p.Train}, p.Dev...)
		for i, split := range append(train, p.Test...) {
			file, err := textfile.Resolve(path, split.Name, split.Files)
			if i >= len(train) {
				opt.Labels = labelled.LabelsIgnored
			}
			if err == nil {
				var f labelledFile
				f, p = validateLabelledFile(p, split.Name, file, opt)
				result.Files = append(result.Files, f)
			} else if i == 0 || i == 1 && !p.Schema.Open {
				return err // training needs both
			}
		}
	}
	for i, f := range result.Files {
		if f.Problem != "" {
			result.ProblemCount++
		}
		if n := labelled.Shared(result.Files[0].examples, f.examples); i > 0 && n > 0 {
			result.Shared = append(result.Shared, sharedExamples{f.Split, n})
		}
	}
	if a.json {
		err = a.printJSON(result)
	} else {
		a.printLabelled(result)
	}
	return errors.Join(err, problemsFound(result.ProblemCount))
}

// validateLabelledFile reads a file. It returns the preset with the labels of the training file, where these
// are the data's own: the files after it must have no others.
func validateLabelledFile(p *run.Preset, split, file string, opt labelled.ReadOptions) (labelledFile, *run.Preset) {
	f := labelledFile{Split: split, File: file}
	examples, report, err := labelled.Read(file, p.Schema, opt)
	resolved := p
	if unresolved := p.Schema.Labels == nil && p.Schema.MinScore == p.Schema.MaxScore; err == nil && unresolved && opt.Labels == labelled.LabelsRequired {
		resolved, err = p.WithLabels(examples)
	}
	if err != nil {
		f.Problem = err.Error()
		return f, p
	}
	f.examples, f.Examples, f.LeftOut = examples, len(examples), report.Unlabelled
	f.notes = append(report.Notes(file), report.PassedOver(file))
	if opt.Labels == labelled.LabelsIgnored {
		return f, resolved
	}
	f.shares = run.Shares(resolved.Schema, examples)
	if p.Schema.Regression {
		return f, resolved
	}
	f.Labels = map[string]int{}
	for _, x := range examples {
		f.Labels[x.Label]++
	}
	return f, resolved
}

func (a *app) printLabelled(result labelledFiles) {
	for _, f := range result.Files {
		if f.Problem != "" {
			printable.Fprintf(a.stdout, "%s\n", f.Problem)
			continue
		}
		printable.Fprintf(a.stdout, "%s: %s: %d examples", f.Split, f.File, f.Examples)
		if f.shares != "" {
			printable.Fprintf(a.stdout, ": %s", f.shares)
		}
		fmt.Fprintln(a.stdout)
		for _, note := range f.notes {
			if note != "" {
				printable.Fprintf(a.stdout, "  %s\n", note)
			}
		}
		if len(f.Labels) == 1 && f.Split == result.Files[0].Split {
			a.log.Warn(fmt.Sprintf("%s: all examples have the same label: a model learns nothing from them but that", f.File))
		}
	}
	for _, s := range result.Shared {
		a.log.Warn(fmt.Sprintf("%d examples of %s are in the training file too: a score on them says less about new ones", s.Examples, s.Split))
	}
}
