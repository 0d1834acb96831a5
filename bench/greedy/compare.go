package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/write"
	"github.com/unimo-go/unimo/metrics"
)

// writer is a model that writes answers.
type writer struct {
	*write.Generator
	model   *model.Generator
	decoder *decode.Decoder
}

func open(dir string) (*writer, error) {
	g, err := write.Open(dir, run.Env{})
	if err != nil {
		return nil, err
	}
	m, err := model.Open[*model.Generator](g.Device, g.Config, g.Folder.Weights)
	if err != nil {
		return nil, err
	}
	return &writer{g, m, decode.New(g.Device, m, g.Folder.Tokenizer)}, nil
}

// answer is what a model wrote for a question.
type answer struct {
	text   string
	tokens []int32 // with the end, if it came to one
}

// answers writes greedily.
func (w *writer) answers(ctx context.Context, sources []decode.Source) ([]answer, error) {
	o := w.Decoding
	o.BeamSize, o.Sample = 1, false
	results, err := w.decoder.Run(ctx, sources, o, nil)
	if err != nil {
		return nil, err
	}
	list := make([]answer, len(results))
	for i, r := range results {
		best := r.Best()
		list[i] = answer{decode.Text(w.Folder.Tokenizer, best.IDs), best.IDs}
		if best.Finished {
			list[i].tokens = append(slices.Clone(best.IDs), w.decoder.End)
		}
	}
	return list, nil
}

// choice is the likeliest token in a place.
type choice struct {
	token  int32
	margin float32 // what its score is above that of the second
}

// choices returns what the model finds likeliest in each place of the answers, behind the tokens that they have before it.
func (w *writer) choices(sources []decode.Source, answers []answer) []choice {
	const part = 32
	var all []choice
	tape := autograd.NewInference(w.Device)
	var in model.Input
	for lo := 0; lo < len(sources); lo += part {
		in.Reset()
		for i := lo; i < min(lo+part, len(sources)); i++ {
			in.Text.AppendAll(behind(sources[i], w.Folder.Tokenizer.CLS(), answers[i].tokens))
		}
		logits := w.model.Logits(tape, in).Value
		for row := range slices.Chunk(engine.Values(w.Device, logits)[:logits.Rows*logits.Cols], logits.Cols) {
			all = append(all, likeliest(row))
		}
		tape.Release()
	}
	return all
}

// behind is a source with an answer, but for its last token.
func behind(s decode.Source, begin int32, tokens []int32) model.Text {
	var x model.Text
	x.AppendAll(s.Text)
	x.Sources = []int32{int32(len(x.Tokens))}
	for i := range tokens {
		token := begin
		if i > 0 {
			token = tokens[i-1]
		}
		x.Tokens, x.Positions = append(x.Tokens, token), append(x.Positions, s.TargetPosition+int32(i))
		if x.Roles != nil {
			x.Roles, x.Turns = append(x.Roles, 0), append(x.Turns, 0)
		}
	}
	x.Offsets = []int32{0, int32(len(x.Tokens))}
	return x
}

func likeliest(logits []float32) choice {
	best, second := 0, -1
	for i, v := range logits {
		switch {
		case v > logits[best]:
			best, second = i, best
		case i != best && (second < 0 || v > logits[second]):
			second = i
		}
	}
	return choice{int32(best), logits[best] - logits[second]}
}

// compare prints how the answers of a model and of others to the questions of a file agree.
func compare(ctx context.Context, out io.Writer, dir string, others []string, path string) error {
	exact, err := open(dir)
	if err != nil {
		return err
	}
	defer exact.Close()
	examples, _, err := seq2seq.ReadFile(path, seq2seq.Options{Dialogue: exact.Dialogue(), NeedTarget: true})
	if err != nil {
		return err
	}
	sources := make([]decode.Source, len(examples))
	for i, x := range examples {
		if sources[i], _, err = exact.Source(x); err != nil {
			return err
		}
	}
	want, err := exact.answers(ctx, sources)
	if err != nil {
		return err
	}
	chosen := exact.choices(sources, want)
	fmt.Fprintf(out, "| %d questions | F1 | exact match | distinct answers | equal answers | tokens equal in their places | next tokens equal |\n", len(examples))
	fmt.Fprintln(out, "|---|---:|---:|---:|---:|---:|---:|")
	fmt.Fprintf(out, "| %s | %s | | | |\n", dir, scores(examples, want))
	for _, name := range others {
		other, err := open(name)
		if err != nil {
			return err
		}
		got, err := other.answers(ctx, sources)
		if err != nil {
			return err
		}
		next := other.choices(sources, want)
		if err := other.Close(); err != nil {
			return err
		}
		answers, places := inPlaces(want, got)
		fmt.Fprintf(out, "| %s | %s | %d | %s | %s |\n", name, scores(examples, got), answers, places, nextTokens(chosen, next))
		if _, err := fmt.Fprint(os.Stderr, differences(name, examples, want, got, chosen, next)); err != nil {
			return err
		}
	}
	return nil
}

// scores are those of answers, and how many of them are distinct.
func scores(examples []seq2seq.Example, answers []answer) string {
	turns := make([]metrics.Turn, len(examples))
	distinct := map[string]bool{}
	for i, x := range examples {
		turns[i] = metrics.Turn{Answer: answers[i].text, References: x.References}
		if x.References == nil {
			turns[i].References = []string{x.Target}
		}
		distinct[answers[i].text] = true
	}
	s := metrics.CoQA(turns)
	return fmt.Sprintf("%.4f | %.4f | %d", s.F1, s.EM, len(distinct))
}

// count is how many of all.
type count struct{ n, all int }

func (c *count) add(yes bool) {
	if c.all++; yes {
		c.n++
	}
}

func (c count) String() string {
	return fmt.Sprintf("%d of %d, %.4f", c.n, c.all, float64(c.n)/float64(c.all))
}

// inPlaces counts answers that are equal, and the tokens that both have in the same place, of the places of the longer one.
func inPlaces(want, got []answer) (answers int, tokens count) {
	for i, a := range want {
		b := got[i].tokens
		if slices.Equal(a.tokens, b) {
			answers++
		}
		for j := range max(len(a.tokens), len(b)) {
			tokens.add(j < min(len(a.tokens), len(b)) && a.tokens[j] == b[j])
		}
	}
	return answers, tokens
}

// nextTokens counts the places in which two models find the same token likeliest.
func nextTokens(want, got []choice) (c count) {
	for i, x := range want {
		c.add(x.token == got[i].token)
	}
	return c
}

// differences lists the answers that are not equal, and by how much the first model preferred the tokens that the other one did not choose.
func differences(name string, examples []seq2seq.Example, want, got []answer, chosen, next []choice) string {
	var b strings.Builder
	var margins, all []float32
	at := 0
	for i, a := range want {
		if !slices.Equal(a.tokens, got[i].tokens) {
			fmt.Fprintf(&b, "%s: %q: %q, %q; asked for %q\n", name, last(examples[i].Sources), a.text, got[i].text, examples[i].Target)
		}
		at += len(a.tokens)
	}
	for i, x := range chosen[:at] {
		all = append(all, x.margin)
		if x.token != next[i].token {
			margins = append(margins, x.margin)
		}
	}
	slices.Sort(margins)
	slices.Sort(all)
	if len(margins) > 0 {
		least, most := margins[0], margins[len(margins)-1]
		below, _ := slices.BinarySearch(all, most)
		fmt.Fprintf(&b, "%s: margins where the next token differs: %.3f to %.3f, median %.3f; of all %.3f; %d of %d are below the largest\n",
			name, least, most, margins[len(margins)/2], all[len(all)/2], below, len(all))
	}
	return b.String()
}

func last(texts []string) string { return texts[len(texts)-1] }
