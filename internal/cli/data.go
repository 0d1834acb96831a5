package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/run"
)

func (a *app) dataCommand() *cobra.Command {
	c := &cobra.Command{
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

// tasksThat are the tasks whose kind can do something.
func (a *app) tasksThat(can func(k run.Kind) bool) run.Tasks {
	return slices.DeleteFunc(a.finetuned(), func(t *run.Task) bool { return !can(t.Kind) })
}

// dataNames are the names of the tasks' data, each once.
func dataNames(tasks run.Tasks) []string {
	var list []string
	for _, t := range tasks {
		if name := cmp.Or(t.Data, t.Name); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// onlyFor returns the assignments of flags that several tasks share. A flag that is not the task's is an error.
func (s *settingFlags) onlyFor(t *run.Task, of run.Flags) ([]string, error) {
	own := settings.List(of)
	for _, f := range s.given {
		if !slices.ContainsFunc(own, func(s settings.Setting) bool { return s.Key == f.setting.Key }) {
			return nil, usagef("--%s is not for %s; leave it out", strings.ReplaceAll(f.setting.Key, "_", "-"), t.Name)
		}
	}
	return s.assignments(), nil
}

func (a *app) dataPrepareCommand() *cobra.Command {
	var flags settingFlags
	tasks := a.tasksThat(func(k run.Kind) bool { _, ok := k.(run.Preparer); return ok })
	c := &cobra.Command{
		Use:   "prepare TASK SRC DST",
		Short: "Write a data folder from official files, or from your own",
		Long: `Write the new folder DST with train.jsonl, dev.jsonl and test.jsonl from SRC: a file,
or a folder in which the names of the files say the split (train, dev or valid, test).
The tasks are ` + strings.Join(dataNames(tasks), ", ") + `.

SRC may hold CoQA's JSON (coqa); SQuAD's JSON, or src-*.txt with tgt-*.txt of Du et
al. (squad-qg); .story files with the lists all_train.txt, all_val.txt and
all_test.txt, or JSON lines with article and highlights (cnn-dailymail);
*.article.txt with *.title.txt (gigaword); and for every task JSON lines, CSV, and
the reference's TSV. docs/reference/text.md describes them.

With flickr (flickr30k, flickr8k and coco-caption are the same) DST gets images/, captions.csv and the
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
		ValidArgsFunction: completeFirst(dataNames(tasks)...),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := names.Find("task", args[0], append(tasks.Names(), dataNames(tasks)...))
			if err != nil {
				if t, found := a.finetuned().Find(args[0]); found == nil {
					return usagef("the data of %s need no preparing; name their folder to 'unimo finetune %s --data DIR'", t.Name, t.Name)
				}
				return usagef("%w%s", err, seeHelp(c))
			}
			dst, err := newPath(args[2])
			if err != nil {
				return err
			}
			t := tasks[slices.IndexFunc(tasks, func(t *run.Task) bool { return t.Name == name || t.Data == name })]
			kind := t.Kind.(run.Preparer)
			s := kind.PrepareSettings()
			set, err := flags.onlyFor(t, s)
			if err != nil {
				return err
			}
			if err := run.SetFlags(s, set); err != nil {
				return asUsage(err)
			}
			bar := a.newProgress()
			env := a.env()
			env.Observer = bar
			prepared, err := kind.Prepare(c.Context(), t, args[1], dst, s, env.Ready())
			bar.finish()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(prepared)
			}
			prepared.Print(a.stdout, a.log)
			return nil
		},
	}
	for _, t := range tasks {
		flags.register(c, t.Kind.(run.Preparer).PrepareSettings())
	}
	return c
}

func (a *app) dataValidateCommand() *cobra.Command {
	var flags settingFlags
	tasks := a.tasksThat(func(k run.Kind) bool { _, ok := k.(run.Checker); return ok })
	c := &cobra.Command{
		Use:   "validate TASK DIR_OR_FILE",
		Short: "Say what is in a task's files and what is wrong with them",
		Long: `Read a file, or all files of a task in a folder, and say what is wrong by file and
line, what the splits have in common, how long the texts are and, with --vocab or
--model, how many tokens they have and how many are cut at the task's limits.
The tasks are ` + strings.Join(tasks.Names(), ", ") + `.
Of the classification tasks the first error of each file and the labels are shown.
Of images with captions (flickr30k, flickr8k, coco-caption) every picture is read: missing and broken
ones are shown, and pictures that two splits have in common, by name or byte by byte. Of questions
about pictures (vqa) every question and every picture is looked at; a test set needs no answers.

Exit code 1 if something is wrong; at most ` + fmt.Sprint(run.ShownProblems) + ` problems are printed.`,
		Example: `  unimo data validate coqa DATA
  unimo data validate gigaword train.jsonl --vocab DICT --json
  unimo data validate sst-2 DIR
  unimo data validate classify reviews.csv --columns text=review,label=stars
  unimo data validate flickr30k DATA
  unimo data validate vqa DATA --images-dir COCO`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				if err := a.needTask(c, args); err != nil {
					return err
				}
			}
			return needs("TASK", "DIR_OR_FILE")(c, args)
		},
		ValidArgsFunction: completeFirst(tasks.Names()...),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := tasks.Find(args[0])
			if err != nil {
				return usageError{err}
			}
			kind := t.Kind.(run.Checker)
			s := kind.CheckSettings()
			set, err := flags.onlyFor(t, s)
			if err != nil {
				return err
			}
			if err := run.SetFlags(s, set); err != nil {
				return asUsage(err)
			}
			if absent(args[1]) {
				return notThere(args[1], "check the path")
			}
			bar := a.newProgress()
			env := a.env()
			env.Observer = bar
			checked, err := kind.Check(c.Context(), t, args[1], s, env.Ready())
			bar.finish()
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(checked)
			} else {
				checked.Print(a.stdout, a.log)
			}
			return errors.Join(err, problemsFound(checked.NumProblems()))
		},
	}
	for _, t := range tasks {
		flags.register(c, t.Kind.(run.Checker).CheckSettings())
	}
	c.Flags().Lookup("model").Shorthand = "m"
	exclusive(c, "vocab", "model")
	return c
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
