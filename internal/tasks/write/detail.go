package write

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/pytext"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/dataset/textscore"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// Generated is an example and what a model wrote for it.
type Generated struct {
	seq2seq.Example
	Text     string
	Score    float64 // log-probability, with the length penalty
	Finished bool    // the model ended the text itself
	// LowerCase says that the model writes lower case only.
	LowerCase bool
}

// detail is what a model wrote for the examples of a file.
type detail struct {
	kind    *Kind
	metric  string // of the task
	written []Generated
}

var _ run.Detail = (*detail)(nil)

// Answers implements [run.Detail].
func (d *detail) Answers() []run.Answer {
	answers := make([]run.Answer, len(d.written))
	for i, g := range d.written {
		value := d.kind.scores([]Generated{g})[d.metric]
		answers[i] = run.Answer{ID: g.ID, Text: g.shortSource(), Gold: g.Target, Predicted: g.Text, Value: float64(value)}
	}
	return answers
}

// WritePredictions implements [run.Detail].
func (d *detail) WritePredictions(dir, split string) error { return writeTexts(dir, split, d.written) }

// writeTexts writes what a model wrote into the folder dir: SPLIT.txt with a text a
// line, as the reference does and scripts that score need it, and SPLIT.jsonl.
func writeTexts(dir, split string, written []Generated) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	err := atomicfile.Write(filepath.Join(dir, split+".txt"), func(w io.Writer) error {
		for _, g := range written {
			if _, err := fmt.Fprintln(w, g.Text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return run.WriteLines(dir, split+".jsonl", len(written), func(i int) any {
		g := written[i]
		return struct {
			ID        string  `json:"id,omitempty"`
			Turn      int     `json:"turn_id,omitempty"`
			Generated string  `json:"generated"`
			Reference string  `json:"reference,omitempty"`
			Score     float64 `json:"score"`
		}{g.ID, g.Turn, g.Text, g.Target, g.Score}
	})
}

// shownSamples is how many generated texts the report shows, at even distances.
const shownSamples = 40

// Section implements [run.Detail].
func (d *detail) Section(page *report.Run) {
	page.SamplesNote = samplesNote(d.written, d.kind.right)
	for _, g := range texts.Evenly(d.written, shownSamples) {
		page.Samples = append(page.Samples, report.Sample{
			Source: g.shortSource(), Reference: g.Target, Generated: g.Text, Right: d.kind.right(g),
		})
	}
}

// samplesNote says how the texts that a page shows were chosen, and how many of all are right.
func samplesNote(all []Generated, right func(Generated) bool) string {
	matching := 0
	for _, g := range all {
		if right(g) {
			matching++
		}
	}
	note := fmt.Sprintf("All %d texts", len(all))
	if len(all) > shownSamples {
		note = fmt.Sprintf("%d of %d texts, at even distances in the data", shownSamples, len(all))
	}
	return note + fmt.Sprintf("; %d of the %d match their reference.", matching, len(all))
}

// shortSource is as much of what was asked as people read beside an answer: of a
// dialogue the question, of other texts the beginning.
func (g Generated) shortSource() string {
	const runes = 300
	text := ""
	if n := len(g.Sources); n > 0 {
		text = g.Sources[n-1]
	}
	if r := []rune(text); len(r) > runes {
		return string(r[:runes]) + " …"
	}
	return text
}

// references are the accepted targets.
func (g Generated) references() []string {
	if len(g.References) > 0 {
		return g.References
	}
	return []string{g.Target}
}

func sameText(g Generated) bool {
	return slices.ContainsFunc(g.references(), func(r string) bool { return strings.EqualFold(strings.Join(strings.Fields(r), " "), g.Text) })
}

func rightAnswer(g Generated) bool {
	return metrics.CoQA([]metrics.Turn{{Answer: g.Text, References: g.references()}}).EM == 1
}

// scores gives the scores by the task's metric, without synonyms and intervals. Where the model
// writes lower case only, so are the references; where the metric knows sentences, they are found
// by their punctuation, since a model writes one line.
func (k *Kind) scores(written []Generated) train.Numbers {
	metric, err := textscore.Find(k.Scored)
	if err != nil {
		panic(err) // both lists are the program's own
	}
	sentences := slices.Contains(metric.Uses, textscore.Separator)
	texts := make([]textscore.Text, len(written))
	for i, w := range written {
		texts[i] = textscore.Text{Hyp: w.Text, Domain: w.Domain}
		for _, r := range w.references() {
			if w.LowerCase {
				r = pytext.Lower(r)
			}
			if sentences {
				r = textscore.Sentences(r)
			}
			texts[i].Refs = append(texts[i].Refs, r)
		}
		if sentences {
			texts[i].Hyp = textscore.Sentences(w.Text)
		}
	}
	m := train.Numbers{}
	for _, s := range metric.Score(texts, textscore.Options{}).Scores {
		if !s.Detail {
			m[s.Name] = train.Number(s.Value)
		}
	}
	return m
}
