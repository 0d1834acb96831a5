package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/tasks/write"
)

func (a *app) chatCommand() *cobra.Command {
	var modelDir, storyFile string
	var decode decodeFlags
	c := &cobra.Command{
		Use:   "chat --model DIR --story FILE",
		Short: "Ask about a passage, question after question",
		Long: `Hold a conversation about a passage: each line of input is a question, which may depend
on those before ("Who has the ball?" "Where is she?"). The answer appears as it is
written. An empty line or the end of input ends the conversation, Ctrl-C ends it at once.
With --json each turn is one object.`,
		Example: `  unimo chat --model RUN/best --story story.txt
  unimo chat --model RUN/best --story story.txt --beam 1
  printf 'Who has the ball?\nWhere is she?\n' | unimo chat --model RUN/best --story story.txt --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			story, err := readStory(storyFile)
			if err != nil {
				return err
			}
			g, o, err := decode.opened(a, modelDir)
			if err != nil {
				return err
			}
			defer g.Close()
			if !g.Dialogue() {
				return fmt.Errorf("model %s is for %s and holds no conversations; fine-tune one with 'unimo finetune coqa', or use 'unimo generate'", g.Dir, g.Config.ProblemType)
			}
			conversation := conversation{app: a, g: g, options: o, story: story}
			return conversation.hold(c.Context(), a.stdin)
		},
	}
	flags := c.Flags()
	modelFlag(c, &modelDir)
	flags.StringVar(&storyFile, "story", "", "`FILE` with the passage")
	decode.register(c)
	c.MarkFlagRequired("story")
	return c
}

// maxStory bounds a passage. The model reads some hundred words of it.
const maxStory = 1 << 20

// readStory reads a passage.
func readStory(path string) (string, error) {
	raw, err := infile.Read(path, maxStory)
	if err == nil {
		err = infile.Binary(path, raw)
	}
	if err != nil {
		return "", fmt.Errorf("read story: %w", err)
	}
	story := strings.TrimSpace(string(infile.TrimMark(raw)))
	switch {
	case story == "":
		return "", fmt.Errorf("read story %s: the file is empty; write the passage to ask about into it", path)
	case !utf8.ValidString(story):
		return "", fmt.Errorf("read story %s: not UTF-8 text; convert it first", path)
	}
	return story, nil
}

// conversation is a dialogue about a story.
type conversation struct {
	*app
	g       *write.Generator
	options decode.Options
	story   string
	turns   []string // questions and answers so far
}

// turn is a line of "unimo chat --json".
type turn struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// hold answers the lines of in up to an empty one.
func (c *conversation) hold(ctx context.Context, in io.Reader) error {
	questions := bufio.NewReader(infile.Text(infile.Interruptible(ctx, in), standardInput))
	for line := 1; ; line++ {
		c.prompt()
		lines, err := readLines(questions, standardInput, 1, line)
		if err != nil {
			return err
		}
		if len(lines) == 0 || strings.TrimSpace(lines[0]) == "" {
			break
		}
		if err := c.answer(ctx, strings.TrimSpace(lines[0])); err != nil {
			return err
		}
	}
	if !c.json {
		fmt.Fprintln(c.stdout)
	}
	return nil
}

func (c *conversation) prompt() {
	if !c.json {
		fmt.Fprint(c.stdout, "> ")
	}
}

// answer streams the answer to a question and remembers both.
func (c *conversation) answer(ctx context.Context, question string) error {
	c.turns = append(c.turns, question)
	emit := func(piece string) { fmt.Fprint(c.stdout, printable.String(piece)) }
	if c.json {
		emit = func(string) {}
	}
	x := seq2seq.Example{File: "question", Line: len(c.turns)/2 + 1, Knowledge: c.story, Sources: c.turns}
	o := c.options
	o.SampleSeed += uint64(len(c.turns)) // each answer draws anew
	answer, cut, err := c.g.Stream(ctx, x, o, emit)
	if err != nil {
		return err
	}
	if len(c.turns) == 1 && cut.Source > 0 {
		c.log.Warn("the story is longer than the model reads: its end is left out")
	}
	c.turns = append(c.turns, answer.Text)
	if c.json {
		return c.printJSON(turn{question, answer.Text})
	}
	_, err = fmt.Fprintln(c.stdout)
	return err
}
