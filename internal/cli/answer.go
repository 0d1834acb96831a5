package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/vqa"
)

func (a *app) askCommand() *cobra.Command {
	var modelDir, features string
	var pixels, top int
	c := &cobra.Command{
		Use:   "ask --model DIR PICTURE [QUESTION...]",
		Short: "Answer questions about a picture",
		Long: `Answer questions about a picture. A line of output is answer, probability and question,
tab-separated; with --json one object a line. --top 3 gives the three likeliest answers of each
question, a line each. A probability is of one answer alone: several answers may be right, and theirs
do not add up to 1; of a model that writes its answers it is that of these very words. Without a
question a terminal asks line by line.

PICTURE is a file (JPEG, PNG, GIF, WebP); with --features it is the id of an image in
region features. The model is one that was trained for vqa.`,
		Example: `  unimo ask --model RUN kitchen.jpg "what is on the table?" "how many chairs are there?"
  unimo ask --model RUN kitchen.jpg "what colour is the wall?" --top 3
  unimo ask --model RUN kitchen.jpg`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 || len(args) == 1 && a.typist() == nil:
				return usagef("give a picture and one question or more%s", seeHelp(c))
			case slices.Contains(args[1:], "-"):
				return usagef("ask reads no standard input; give the questions themselves, in quotes")
			case top < 1:
				return usagef("--top is %d, want 1 or more", top)
			case features == "" && absent(args[0]):
				return fmt.Errorf("%s is no file: the picture comes first, then the questions", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			m, err := vqa.Open(modelDir, a.env())
			if err != nil {
				return err
			}
			defer m.Close()
			if pixels > 0 {
				m.Limits.MaxPixels = pixels
			}
			im, err := m.Image(args[0], features)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.ask(c.Context(), "a question about the picture", func(text string) error {
					return a.answerAbout(c.Context(), m, im, args[0], []string{text}, top)
				})
			}
			return a.answerAbout(c.Context(), m, im, args[0], args[1:], top)
		},
	}
	modelFlag(c, &modelDir)
	extractorFlag(c)
	pixelsFlag(c, &pixels)
	c.Flags().StringVar(&features, "features", "", "file or folder of region features, where PICTURE is an id in it")
	c.Flags().IntVar(&top, "top", 1, "likeliest answers to give to each question")
	return c
}

// answerAbout prints the answers to questions about an image.
func (a *app) answerAbout(ctx context.Context, m *vqa.Answerer, im *regions.Image, name string, questions []string, top int) error {
	answers, err := m.Ask(ctx, []*regions.Image{im}, questions, top, func(int, int) {})
	if err != nil {
		return err
	}
	for i, x := range answers {
		if x.Truncated {
			a.log.Warn(fmt.Sprintf("question %d is longer than the %d tokens that the model reads and was cut", i+1, m.Config.TextTokens()))
		}
		if err := a.printAnswer(x, name, top); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printAnswer(x run.Answers, image string, top int) error {
	if a.json {
		return a.printJSON(answer.AnswerOf(image, x, top))
	}
	for _, s := range x.Best {
		if _, err := printable.Fprintf(a.stdout, "%s\t%.4f\t%s\n", printable.String(s.Answer), s.Probability, oneField.Replace(x.Question)); err != nil {
			return err
		}
	}
	return nil
}
