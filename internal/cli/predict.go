package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classify"
)

func (a *app) predictCommand() *cobra.Command {
	var modelDir string
	var pair bool
	var o run.PredictOptions
	c := &cobra.Command{
		Use:   "predict --model DIR [PICTURE] [TEXT... | -]",
		Short: "Classify or score texts, or pictures with texts",
		Long: `Classify or score texts: those of the command line, or with '-' the lines of
standard input. Without a text a terminal asks line by line. A line of output is label, probability and text, tab-separated
(score and text for a regression), with tabs and line breaks in the text made spaces;
with --json one object a line, the text as it is. With --pair every input is two
texts (or more, of a model for more) with tabs between them, and so is the text of the output.

The model may be a classifier or a cross-encoder of Hugging Face's transformers, as it comes.

A model that reads a picture with a text, such as one for snli-ve, is given the picture (JPEG, PNG,
GIF, WebP) before the texts.

With --data a file of examples is answered, labelled or not, and what the model says is written to
the new folder --out, in the files of 'unimo evaluate --predictions'. --set has the settings of the
task's evaluation (--set images_dir=DIR). TASK stands in place of the texts where the model is for several.`,
		Example: `  unimo predict --model RUN/best "a gripping and funny film"
  unimo predict --model RUN/best --json - < sentences.txt
  printf 'A man sleeps.\tSomebody rests.\n' | unimo predict --model MNLI/best --pair -
  unimo predict --model VE/best dog.jpg "an animal is running" "the dog is asleep"
  unimo predict snli-ve --model VE/best --data test.csv --out ANSWERS`,
		RunE: func(c *cobra.Command, args []string) error {
			o.Model = modelDir
			if o.Data != "" || o.Into != "" || len(o.Set) > 0 {
				return a.predictFile(c, o, args)
			}
			t, alone, err := a.finetuned().ReplierOf(modelDir, a.env().Task)
			pictured := len(args) > 0 && picture.IsPicture(args[0])
			var several *run.SettingError
			reads := t != nil || errors.As(err, &several)
			switch {
			case pictured && several != nil:
				return asUsage(err)
			case t != nil && (alone || pictured):
				return a.replyAll(c, t, modelDir, args)
			}
			if err := a.checkTexts(c, args, ""); err != nil {
				return err
			}
			p, err := classify.Open(modelDir, a.env())
			if errors.Is(err, model.ErrWrongTask) && reads {
				return usagef("model %s answers about a picture with texts; give it a picture file before the texts%s", modelDir, seeHelp(c))
			}
			if err != nil {
				return err
			}
			defer p.Close()
			return a.eachText(c, args, func(texts []string, first int) error { return a.predict(c.Context(), p, texts, pair, first) })
		},
	}
	modelFlag(c, &modelDir)
	extractorFlag(c)
	flags := c.Flags()
	flags.BoolVar(&pair, "pair", false, "inputs are two texts with a tab between them")
	flags.StringVarP(&o.Data, "data", "d", "", "`FILE` of examples to answer")
	flags.StringVarP(&o.Into, "out", "o", "", "new `DIR` for the answers about --data")
	flags.StringArrayVar(&o.Set, "set", nil, "setting of the task's evaluation as `KEY=VALUE`; may be repeated")
	return c
}

// predictFile answers about the examples of a file.
func (a *app) predictFile(c *cobra.Command, o run.PredictOptions, args []string) error {
	if o.Data == "" || o.Into == "" || len(args) > 1 {
		return usagef("with a file of examples give --data FILE and --out DIR, and no text%s", seeHelp(c))
	}
	var err error
	if name := cmp.Or(strings.Join(args, ""), a.task); name != "" {
		o.Task, err = a.finetuned().Find(name)
	} else {
		o.Task, err = a.finetuned().OfModel(o.Model)
	}
	if err != nil {
		return asUsage(err)
	}
	progress := a.newProgress()
	progress.Stage("answering")
	o.Env = a.env()
	o.Observer = progress
	done, err := run.PredictFile(c.Context(), o)
	progress.finish()
	if err != nil {
		return asUsage(err)
	}
	for _, note := range done.Notes {
		a.log.Warn(note)
	}
	if a.json {
		return a.printJSON(struct {
			Task     string   `json:"task"`
			Model    string   `json:"model"`
			Data     string   `json:"data"`
			Examples int      `json:"examples"`
			Files    []string `json:"files"`
			Notes    []string `json:"notes,omitempty"`
		}{o.Task.Name, o.Model, o.Data, done.Examples, done.Files, done.Notes})
	}
	_, err = printable.Fprintf(a.stdout, "%s in %s\n", run.Count(done.Examples, "answer"), strings.Join(done.Files, " and "))
	return err
}

// replyAll answers about a picture, the first argument, with the texts behind it.
func (a *app) replyAll(c *cobra.Command, t *run.Task, dir string, args []string) error {
	if len(args) == 0 || len(args) == 1 && (args[0] == "-" || a.typist() == nil) || !picture.IsPicture(args[0]) && args[0] != "-" && len(args) == 1 {
		return usagef("a model for %s reads a picture and a text; give it a picture file, then texts, or '-' for lines of standard input%s", t.Name, seeHelp(c))
	}
	env := a.env()
	m, err := t.Kind.(run.Replier).OpenReplying(dir, env.Ready())
	if err != nil {
		return err
	}
	defer m.Close()
	im, err := m.Picture(args[0])
	if err != nil {
		return err
	}
	texts := args[1:]
	if len(texts) > 0 && texts[0] != "-" {
		return a.reply(c.Context(), m, im, args[0], texts, 1)
	}
	return a.eachText(c, texts, func(texts []string, first int) error { return a.reply(c.Context(), m, im, args[0], texts, first) })
}

func (a *app) reply(ctx context.Context, m run.Replying, im *regions.Image, file string, texts []string, first int) error {
	replies, err := m.Reply(ctx, []*regions.Image{im}, texts, func(int, int) {})
	if err != nil {
		return err
	}
	for i, r := range replies {
		if r.Truncated {
			a.log.Warn(fmt.Sprintf("text %d is longer than what the model reads and was cut", first+i))
		}
		if !a.json {
			if _, err := printable.Fprintf(a.stdout, "%s\t%.4f\t%s\n", printable.String(r.Label), r.Probability, oneField.Replace(texts[i])); err != nil {
				return err
			}
			continue
		}
		line := answer.Prediction{Image: picture.ID(file), Text: texts[i]}
		line.Says(r, func(class int) string { return m.Labels()[class] })
		if err := a.printJSON(line); err != nil {
			return err
		}
	}
	return nil
}

// warnOfFiles says where a text is the name of a file, which c does not read.
func (a *app) warnOfFiles(c *cobra.Command, texts []string) {
	data := c.Flags().Lookup("data") != nil
	for _, text := range texts {
		info, err := os.Stat(text)
		switch {
		case err != nil || !info.Mode().IsRegular():
		case picture.IsPicture(text):
			a.log.Warn(fmt.Sprintf("%s is a picture, and its name is taken for the text; this model reads texts alone", shellQuote(text)))
		case data && slices.Contains([]string{".csv", ".tsv", ".jsonl", ".json"}, strings.ToLower(filepath.Ext(text))):
			a.log.Warn(fmt.Sprintf("%s is a file, and its name is taken for the text; its examples are answered by: unimo %s --model DIR --data %[1]s --out ANSWERS", shellQuote(text), commandName(c)))
		default:
			a.log.Warn(fmt.Sprintf("%s is a file, and its name is taken for the text; its lines are read by: unimo %s --model DIR - < %[1]s", shellQuote(text), commandName(c)))
		}
	}
}

// predictChunk lines of standard input are answered together, or fewer if they have chunkBytes: input of any length
// needs the memory of one chunk.
const (
	predictChunk = 256
	chunkBytes   = 4 << 20
)

// checkTexts refuses arguments that are no texts to answer; or is what else the command reads.
func (a *app) checkTexts(c *cobra.Command, args []string, or string) error {
	if len(args) == 0 && a.typist() == nil {
		return usagef("give texts, or '-' to read lines of standard input%s%s", or, seeHelp(c))
	}
	if len(args) > 1 && slices.Contains(args, "-") {
		return usagef("'-' reads standard input and goes with no other text")
	}
	return nil
}

// eachText lets a command answer the texts among its arguments, the lines of standard input, or those that a person
// types. first is the number of the first of them.
func (a *app) eachText(c *cobra.Command, args []string, answer func(texts []string, first int) error) error {
	switch {
	case len(args) == 0:
		return a.ask(c.Context(), "a text", func(text string) error { return answer([]string{text}, 1) })
	case args[0] != "-":
		a.warnOfFiles(c, args)
		return answer(args, 1)
	}
	return a.eachChunk(c.Context(), answer)
}

// eachChunk gives the lines of standard input to answer, some at a time.
func (a *app) eachChunk(ctx context.Context, answer func(texts []string, first int) error) error {
	in := bufio.NewReader(a.input(ctx))
	for first := 1; ; {
		lines, err := readLines(in, standardInput, predictChunk, first)
		if err != nil || len(lines) == 0 {
			return err
		}
		if err := answer(lines, first); err != nil {
			return err
		}
		first += len(lines)
	}
}

// readLines reads up to n lines of what messages call name, and none after the one with which they have chunkBytes; first is the number
// of the next line.
func readLines(in *bufio.Reader, name string, n, first int) ([]string, error) {
	var lines []string
	for size := 0; len(lines) < n && size < chunkBytes; size += len(lines[len(lines)-1]) {
		var line strings.Builder
		for {
			part, err := in.ReadSlice('\n')
			line.Write(part)
			if line.Len() > textfile.MaxLine {
				return nil, fmt.Errorf("%s line %d: more than %d MiB; split it", name, first+len(lines), textfile.MaxLine>>20)
			}
			if err == bufio.ErrBufferFull {
				continue
			}
			if err == io.EOF {
				if line.Len() > 0 {
					lines = append(lines, trimEnd(line.String()))
				}
				return lines, nil
			}
			if err != nil {
				return nil, fmt.Errorf("%s line %d: %w", name, first+len(lines), err)
			}
			break
		}
		lines = append(lines, trimEnd(line.String()))
		if in.Buffered() == 0 { // a person or a slow producer waits for an answer
			break
		}
	}
	return lines, nil
}

func trimEnd(line string) string { return strings.TrimRight(line, "\r\n") }

func (a *app) predict(ctx context.Context, p *classify.Predictor, texts []string, pair bool, first int) error {
	examples := make([]labelled.Example, len(texts))
	for i, text := range texts {
		examples[i].TextA = text
		if pair {
			texts := strings.Split(text, "\t")
			if len(texts) < 2 {
				return fmt.Errorf("input %d: --pair needs two texts with a tab between them", first+i)
			}
			examples[i].TextA, examples[i].TextB, examples[i].More = texts[0], texts[1], texts[2:]
		}
	}
	predictions, err := p.Predict(ctx, examples, func(int, int) {})
	if err != nil {
		return err
	}
	for i, q := range predictions {
		if q.Truncated {
			a.log.Warn(fmt.Sprintf("input %d is longer than the %d tokens that the model reads and was cut", first+i, p.Config.TextTokens()))
		}
		if err := a.printPrediction(p.Config, pair, examples[i], q); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printPrediction(cfg model.Config, pair bool, x labelled.Example, q run.Reply) error {
	if a.json {
		out := answer.Prediction{Text: x.TextA, TextB: x.TextB, More: x.More}
		out.Says(q, cfg.Label)
		return a.printJSON(out)
	}
	fields := []string{printable.String(q.Label), fmt.Sprintf("%.4f", q.Probability)}
	if q.IsScore {
		if fields = []string{fmt.Sprintf("%.3f", q.Score)}; cfg.ScoreScale != 0 { // scores of any size
			fields[0] = fmt.Sprintf("%.6g", q.Score)
		}
	}
	fields = append(fields, oneField.Replace(x.TextA))
	if pair {
		fields = append(fields, oneField.Replace(x.TextB))
	}
	for _, text := range x.More {
		fields = append(fields, oneField.Replace(text))
	}
	_, err := fmt.Fprintln(a.stdout, strings.Join(fields, "\t"))
	return err
}

// oneField keeps a text within one field of a tab-separated line.
var oneField = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
