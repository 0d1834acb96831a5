package run

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// textPresets are the text-to-text tasks with the reference's recipes (its folder
// script/seq2seq).
var textPresets = map[string]*Preset{
	"coqa": textPreset("coqa", "f1", Generation{
		Decoding: decoding(3, 0, 0, 30, false), BatchSize: 8, Epochs: 20, BaseRate: 1e-5, LargeRate: 8e-6, LargeBeam: 3,
		score: scoreAnswers, right: rightAnswer,
	}),
	"squad-qg": textPreset("squad-qg", "bleu-4", Generation{
		Decoding: decoding(5, 1, 5, 48, false), BatchSize: 8, Epochs: 20, BaseRate: 1.25e-5, LargeRate: 5e-6, LargeBeam: 6, LargePenalty: 1.2,
		score: scoreQuestions, right: sameText,
	}),
	"cnn-dailymail": textPreset("cnn-dailymail", "rouge-l", Generation{
		Decoding: decoding(5, 0.6, 20, 128, true), BatchSize: 8, Epochs: 20, BaseRate: 4e-5, LargeRate: 2e-5, LargeBeam: 6, LargePenalty: 1.2,
		score: scoreSummaries, right: sameText,
	}),
	"gigaword": textPreset("gigaword", "rouge-l", Generation{
		Decoding: decoding(5, 0.6, 5, 32, false), BatchSize: 32, Epochs: 10, BaseRate: 3e-5, LargeRate: 3e-5, LargeBeam: 6, LargePenalty: 1.2,
		score: scoreSummaries, right: sameText,
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

// texts returns what metrics compare: the texts written and the references of each.
// Where the model reads and writes lower case, so are the references.
func texts(written []Generated) (hyps []string, refs [][]string) {
	for _, g := range written {
		own := slices.Clone(g.references())
		for i := range own {
			if g.LowerCase {
				own[i] = strings.ToLower(own[i])
			}
		}
		hyps, refs = append(hyps, g.Text), append(refs, own)
	}
	return hyps, refs
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

// answered is what CoQA's score is computed of.
func (g Generated) answered() metrics.Answered {
	return metrics.Answered{Domain: g.Domain, Answer: g.Text, References: g.references()}
}

func rightAnswer(g Generated) bool { return metrics.CoQA([]metrics.Answered{g.answered()}).EM == 1 }

// scoreAnswers gives CoQA's F1 and exact match, of all answers and by domain.
func scoreAnswers(written []Generated) train.Numbers {
	items := make([]metrics.Answered, len(written))
	for i, g := range written {
		items[i] = g.answered()
	}
	s := metrics.CoQA(items)
	m := train.Numbers{"f1": train.Number(s.F1), "em": train.Number(s.EM)}
	for domain, d := range s.Domains {
		if domain != "" {
			m["f1_"+domain], m["em_"+domain] = train.Number(d.F1), train.Number(d.EM)
		}
	}
	return m
}

// scoreQuestions gives the scores of question generation as its evaluation (Du et al.'s
// nqg) counts them; METEOR without synonyms and paraphrases.
func scoreQuestions(written []Generated) train.Numbers {
	hyps, refs := texts(written)
	m := train.Numbers{"rouge-l": train.Number(metrics.CaptionROUGEL(hyps, refs)), "meteor": train.Number(metrics.METEOR(hyps, refs, nil).METEOR)}
	for i, b := range metrics.BLEU(hyps, refs) {
		m[fmt.Sprintf("bleu-%d", i+1)] = train.Number(b)
	}
	return m
}

// scoreSummaries gives the F-measures of ROUGE-1.5.5, sentence by sentence.
func scoreSummaries(written []Generated) train.Numbers {
	hyps, refs := texts(written)
	for i := range hyps {
		hyps[i] = sentenceLines(hyps[i])
		for j := range refs[i] {
			refs[i][j] = sentenceLines(refs[i][j])
		}
	}
	s := metrics.ROUGE(hyps, refs, metrics.ROUGEOptions{Samples: -1})
	return train.Numbers{"rouge-1": train.Number(s.ROUGE1.F.Mean), "rouge-2": train.Number(s.ROUGE2.F.Mean), "rouge-l": train.Number(s.ROUGEL.F.Mean)}
}

// sentenceEnd is the end of a sentence within a line.
var sentenceEnd = regexp.MustCompile(`([.!?]["')]*)\s+`)

// sentenceLines puts each sentence on a line of its own, as ROUGE-L over sentences
// needs them: a model writes one line.
func sentenceLines(text string) string { return sentenceEnd.ReplaceAllString(text, "$1\n") }
