package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/tasks/write"
)

// decodeFlags are the flags that change how a model decodes. Those that are not
// given leave what the model was fine-tuned for.
type decodeFlags struct{ settingFlags }

func (f *decodeFlags) register(c *cobra.Command) {
	f.settingFlags.register(c, texts.NewDecoding(decode.Default))
}

// opened opens a model that generates, with the flags laid over its decoding.
func (f *decodeFlags) opened(a *app, dir string) (*write.Generator, decode.Options, error) {
	g, err := write.Open(dir, a.env())
	if err != nil {
		return nil, decode.Options{}, err
	}
	o, err := f.over(g.Decoding, g.Config)
	if err != nil {
		g.Close()
		return nil, o, asUsage(err)
	}
	return g, o, nil
}

// over lays the flags over the decoding of a model.
func (f *decodeFlags) over(own decode.Options, cfg model.Config) (decode.Options, error) {
	d := texts.NewDecoding(own)
	if err := run.SetFlags(d, f.assignments()); err != nil {
		return own, err
	}
	return d.Options(cfg)
}

func (a *app) generateCommand() *cobra.Command {
	var modelDir, dataFile, story string
	var decode decodeFlags
	c := &cobra.Command{
		Use:   "generate --model DIR [TEXT... | -]",
		Short: "Write a text for each text: summaries, questions, answers",
		Long: `Write a text for each of those on the command line, with '-' for each line of standard
input, or with --data for each example of a file (JSON lines, CSV, the reference's TSV,
CoQA's or SQuAD's JSON and others). A tab separates the texts of one input, such as answer
and passage of question generation. A model for conversations needs --story and takes
the text as a question about it; 'unimo chat' asks one after the other. Without a text
a terminal asks line by line.

A line of output is the generated text; with --json one object a line.`,
		Example: `  unimo generate --model RUN/best "the long text that is to be summarised"
  unimo generate --model RUN/best --beam 8 --length-penalty 1.2 - < articles.txt
  unimo generate --model RUN/best --sample --top-p 0.9 --seed 7 "..."
  unimo generate --model RUN/best --data test.jsonl --json
  unimo generate --model COQA/best --story story.txt "Who has the ball?"`,
		RunE: func(c *cobra.Command, args []string) error {
			if dataFile != "" && len(args) > 0 {
				return usagef("--data goes with no text")
			}
			if dataFile == "" {
				if err := a.checkTexts(c, args, ", or --data FILE"); err != nil {
					return err
				}
			}
			g, o, err := decode.opened(a, modelDir)
			if err != nil {
				return err
			}
			defer g.Close()
			if dataFile == "" && g.Dialogue() != (story != "") {
				return usagef("model %s is for %s; give --story with a model for conversations, and with no other", g.Dir, g.Config.ProblemType)
			}
			w := textWriter{app: a, g: g, options: o}
			if story != "" {
				if w.story, err = readStory(story); err != nil {
					return err
				}
			}
			if dataFile != "" {
				return w.file(c.Context(), dataFile)
			}
			return a.eachText(c, args, func(texts []string, first int) error { return w.texts(c.Context(), texts, first) })
		},
	}
	flags := c.Flags()
	modelFlag(c, &modelDir)
	flags.StringVarP(&dataFile, "data", "d", "", "`FILE` of examples to write texts for")
	flags.StringVar(&story, "story", "", "`FILE` with the passage that the texts ask about")
	decode.register(c)
	return c
}

// textWriter generates texts and prints them.
type textWriter struct {
	*app
	g       *write.Generator
	options decode.Options
	story   string
}

func (w *textWriter) file(ctx context.Context, path string) error {
	examples, _, err := seq2seq.ReadFile(path, seq2seq.Options{Dialogue: w.g.Dialogue()})
	if err != nil {
		return err
	}
	progress := w.newProgress()
	defer progress.finish()
	progress.Stage("generating")
	return w.write(ctx, examples, progress.Tick)
}

// texts writes for texts, the first of which is the input's line number first.
func (w *textWriter) texts(ctx context.Context, texts []string, first int) error {
	examples := make([]seq2seq.Example, len(texts))
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("input %d is empty; give every line a text", first+i)
		}
		examples[i] = seq2seq.Example{File: "input", Line: first + i, Knowledge: w.story, Sources: strings.Split(text, "\t")}
		if w.g.Dialogue() {
			examples[i].Sources = []string{text}
		}
	}
	return w.write(ctx, examples, func(int, int) {})
}

func (w *textWriter) write(ctx context.Context, examples []seq2seq.Example, tick func(done, total int)) error {
	written, cut, err := w.g.Write(ctx, examples, w.options, tick)
	if err != nil {
		return err
	}
	if cut != (seq2seq.Truncated{}) {
		w.log.Warn(fmt.Sprintf("of %d inputs %d were cut to what the model reads, and %d lost their oldest turns", len(examples), cut.Source, cut.Turns))
	}
	for _, g := range written {
		if w.json {
			err = w.printJSON(answer.Generated{ID: g.ID, Turn: g.Turn, Source: g.Sources, Generated: g.Text, Reference: g.Target, Score: g.Score, Finished: g.Finished})
		} else {
			_, err = fmt.Fprintln(w.stdout, printable.String(g.Text))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
