package run

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/pytext"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/dataset/textscore"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// textPresets are the text-to-text tasks with the reference's recipes (its folder
// script/seq2seq).
var textPresets = map[string]*Preset{
	"coqa": textPreset("coqa", "f1", Generation{
		Decoding: decoding(3, 0, 0, 30, false), BatchSize: 8, Epochs: 20, BaseRate: 1e-5, LargeRate: 8e-6, LargeBeam: 3,
		Scored: "coqa", right: rightAnswer,
	}),
	"squad-qg": textPreset("squad-qg", "bleu-4", Generation{
		Decoding: decoding(5, 1, 5, 48, false), BatchSize: 8, Epochs: 20, BaseRate: 1.25e-5, LargeRate: 5e-6, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "all-qg", right: sameText,
	}),
	"cnn-dailymail": textPreset("cnn-dailymail", "rouge-l", Generation{
		Decoding: decoding(5, 0.6, 20, 128, true), BatchSize: 8, Epochs: 20, BaseRate: 4e-5, LargeRate: 2e-5, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "rouge", right: sameText,
	}),
	"gigaword": textPreset("gigaword", "rouge-l", Generation{
		Decoding: decoding(5, 0.6, 5, 32, false), BatchSize: 32, Epochs: 10, BaseRate: 3e-5, LargeRate: 3e-5, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "rouge", right: sameText,
	}),
}

func textPreset(name, metric string, g Generation) *Preset {
	var err error
	if g.Data, err = seq2seq.Find(name); err != nil {
		panic(err) // both lists are the program's own
	}
	return &Preset{Name: name, Title: g.Data.Title, Metric: metric, Generation: &g, Train: Split{Name: "train"}, Dev: dev(), Test: test()}
}

func decoding(beam int, penalty float64, least, most int, blockTrigram bool) decode.Options {
	o := decode.Default
	o.BeamSize, o.LengthPenalty, o.MinLength, o.MaxLength, o.BlockTrigrams = beam, penalty, least, most, blockTrigram
	return o
}

// Stories is the demo's conversation task, on synthetic stories; it is not among the
// names of the command line.
var Stories = func() *Preset {
	stories := *textPresets["coqa"]
	stories.Name, stories.Title, stories.Metric = "stories", "synthetic stories", "em"
	return &stories
}()

// readTexts reads a file of the task, in which every example needs a target if that is
// said. What was left out is logged.
func (p *Preset) readTexts(path string, needTarget bool, log *slog.Logger) ([]seq2seq.Example, error) {
	examples, found, err := seq2seq.ReadFile(path, seq2seq.Options{Dialogue: p.Generation.Data.Dialogue, NeedTarget: needTarget})
	if err != nil {
		return nil, err
	}
	for reason, n := range found.Skipped {
		log.Warn(fmt.Sprintf("%d examples of %s are left out: %s", n, path, reason))
	}
	if len(found.Passed) > 0 {
		log.Warn(fmt.Sprintf("%s: columns that are not used: %s", path, strings.Join(found.Passed, ", ")))
	}
	if found.InvalidUTF8 > 0 {
		log.Warn(fmt.Sprintf("%d examples of %s hold bytes that are not UTF-8; these are kept", found.InvalidUTF8, path))
	}
	return examples, nil
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
func (g *Generation) scores(written []Generated) train.Numbers {
	metric, err := textscore.Find(g.Scored)
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
