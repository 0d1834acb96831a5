// Command trivial scores answers and questions that need no model, so that a model's
// score can be read beside them:
//
//	go run ./bench/trivial -task coqa -data dev.json
//	go run ./bench/trivial -task squad-qg -data dev.jsonl
//
// Answers are "yes", "no" or "unknown" to everything, and the words of the passage's first
// sentence; questions are the
// sentence itself. It prints a table in Markdown.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/metrics"
)

func main() {
	task := flag.String("task", "coqa", "coqa or squad-qg")
	path := flag.String("data", "", "file of examples with targets")
	flag.Parse()
	if err := run(os.Stdout, *task, *path); err != nil {
		fmt.Fprintln(os.Stderr, "trivial:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, task, path string) error {
	if path == "" {
		return errors.New("name a file with -data")
	}
	t, err := seq2seq.Find(task)
	if err != nil {
		return err
	}
	examples, _, err := seq2seq.ReadFile(path, seq2seq.Options{Dialogue: t.Dialogue, NeedTarget: true})
	if err != nil {
		return err
	}
	if t.Dialogue {
		return answers(out, examples)
	}
	return questions(out, examples)
}

// answerers are the baselines of conversational question answering.
var answerers = []struct {
	name   string
	answer func(x seq2seq.Example) string
}{
	{`always "yes"`, func(seq2seq.Example) string { return "yes" }},
	{`always "no"`, func(seq2seq.Example) string { return "no" }},
	{`always "unknown"`, func(seq2seq.Example) string { return "unknown" }},
	{"first sentence of the passage", func(x seq2seq.Example) string { return firstSentence.FindString(x.Knowledge) }},
}

// firstSentence is a text up to its first full stop, question or exclamation mark.
var firstSentence = regexp.MustCompile(`^[^.!?]*[.!?]?`)

func answers(out io.Writer, examples []seq2seq.Example) error {
	fmt.Fprintf(out, "| %d questions | F1 | exact match |\n|---|---|---|\n", len(examples))
	for _, b := range answerers {
		items := make([]metrics.Turn, len(examples))
		for i, x := range examples {
			items[i] = metrics.Turn{Domain: x.Domain, Answer: b.answer(x), References: accepted(x)}
		}
		s := metrics.CoQA(items)
		if _, err := fmt.Fprintf(out, "| %s | %.4f | %.4f |\n", b.name, s.F1, s.EM); err != nil {
			return err
		}
	}
	return nil
}

func questions(out io.Writer, examples []seq2seq.Example) error {
	hyps, refs := make([]string, len(examples)), make([][]string, len(examples))
	for i, x := range examples {
		hyps[i], refs[i] = x.Sources[len(x.Sources)-1], accepted(x)
	}
	bleu := metrics.BLEU(hyps, refs)
	_, err := fmt.Fprintf(out, "| %d questions | BLEU-1 | BLEU-4 | METEOR | ROUGE-L |\n|---|---|---|---|---|\n| the sentence itself | %.4f | %.4f | %.4f | %.4f |\n",
		len(examples), bleu[0], bleu[3], metrics.METEOR(hyps, refs, nil).METEOR, metrics.CaptionROUGEL(hyps, refs))
	return err
}

func accepted(x seq2seq.Example) []string {
	if len(x.References) > 0 {
		return x.References
	}
	return []string{x.Target}
}
