// Package textscore scores texts that were written against references, by the name of a metric,
// and reads the files that hold such texts.
//
//	m, err := textscore.Find("bleu")
//	texts, _, err := m.Read(ctx, "hypotheses.txt", "references.txt")
//	s := m.Score(texts, textscore.Options{}).Scores[0] // s.Name is "bleu-1"
//
// "unimo score" prints what it returns, and the tasks that write are evaluated by it: a key has one
// meaning everywhere. Package metrics has the definitions.
package textscore

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/metrics"
)

// Text is a text that was written, and what it is compared with.
type Text struct {
	Hyp      string
	Refs     []string
	Domain   string // of an answer: where the passage is from, or its type
	Question string // of an answer about a picture: the type of the question
	Missing  bool   // there is no text: of coqa it scores 0, whereas an empty one may be right
}

// Option names a field of [Options], as the flags of "unimo score" do.
type Option string

// The options.
const (
	Tokenize  Option = "tokenize"
	Separator Option = "sep"
	Best      Option = "best"
	Seed      Option = "seed"
	Synonyms  Option = "wordnet"
	// Paraphrases are METEOR's own data, which [Metric.OpenMETEOR] reads.
	Paraphrases Option = "meteor-data"
)

// Options change what some metrics compute; [Metric.Uses] says which. The zero value changes nothing.
type Options struct {
	// Tokenize lower-cases the texts and splits off punctuation first, as the reference's BLEU does.
	Tokenize bool
	// Separator is what stands between the sentences of a text; "" for one sentence a line.
	Separator string
	// Best takes, of several references, the best one alone.
	Best bool
	// Samples and Seed are those of ROUGE's intervals; without samples there are none.
	Samples int
	Seed    int64
	// WordNet, if not nil, has synonyms for METEOR and irregular forms for ROUGE.
	WordNet *metrics.WordNet
}

// References says how many references a metric takes.
type References int

// The numbers.
const (
	NoReferences  References = iota + 1 // the texts are scored by themselves
	OneReference                        // one file, which has all references of each text
	AnyReferences                       // one file or more
)

// Metric is a way to score texts.
type Metric struct {
	Name, What string
	Uses       []Option
	References References
	score      func(texts []Text, o Options) Result
}

// Result is what a metric gives.
type Result struct {
	Scores   []Score  // in the order to print them
	Stages   []string // of METEOR: how words were matched
	Warnings []string // what was not read, for example
}

// Score is a number with its name. A fraction of 1 where it is not said otherwise, NaN where undefined.
type Score struct {
	Name   string // one meaning each: "rouge-l" is that of summaries, "caption-rouge-l" that of questions
	Value  float64
	Note   string // for people
	Detail bool   // of the scores before it, such as "rouge-1-recall"
}

func (r *Result) add(name string, value float64, note string) {
	r.Scores = append(r.Scores, Score{Name: name, Value: value, Note: note})
}

func (r *Result) detail(name string, value float64) {
	r.Scores = append(r.Scores, Score{Name: name, Value: value, Detail: true})
}

func (r *Result) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// list has the metrics in the order of the help.
var list = []Metric{
	{"coqa", "F1 and exact match of answers, as CoQA's evaluate-v1.0.py", nil, OneReference, scoreCoQA},
	{"vqa", "accuracy of answers about pictures, as VQA's vqaEval.py", nil, OneReference, scoreVQA},
	{"rouge", "ROUGE-1, ROUGE-2 and ROUGE-L, as ROUGE-1.5.5 -m -a -n 2 -c 95 -r 1000", []Option{Separator, Best, Seed, Synonyms}, AnyReferences, scoreROUGE},
	{"bleu", "BLEU-1 to BLEU-4 of a corpus, as coco-caption and nqg", []Option{Tokenize}, AnyReferences, scoreBLEU},
	{"meteor", "METEOR 1.5, without its data two stages of four", []Option{Synonyms, Paraphrases}, AnyReferences, scoreMETEOR},
	{"caption-rouge-l", "ROUGE-L of sentences, as coco-caption and nqg", []Option{Tokenize}, AnyReferences, scoreCaptionROUGEL},
	{"distinct", "different n-grams among all, n from 1 to 4; average length", []Option{Tokenize}, NoReferences, scoreDistinct},
	{"cider", "CIDEr-D, which papers call CIDEr, and plain CIDEr; finds the words itself", nil, AnyReferences, scoreCIDEr},
	{"caption", "what pycocoevalcap prints but SPICE: BLEU, METEOR, ROUGE-L, CIDEr; finds the words itself", []Option{Synonyms, Paraphrases}, AnyReferences, scoreCaptions},
	{"all-qg", "bleu, meteor and caption-rouge-l, what question generation reports", []Option{Tokenize, Synonyms, Paraphrases}, AnyReferences, scoreQuestions},
}

// Metrics lists the metrics.
func Metrics() []Metric { return slices.Clone(list) }

// Names lists their names.
func Names() []string {
	known := make([]string, len(list))
	for i, m := range list {
		known[i] = m.Name
	}
	return known
}

// Find returns the metric of that name. The error is that of [names.Find].
func Find(name string) (Metric, error) {
	name, err := names.Find("metric", name, Names())
	if err != nil {
		return Metric{}, err
	}
	return list[slices.Index(Names(), name)], nil
}

// Score scores texts.
func (m Metric) Score(texts []Text, o Options) Result { return m.score(texts, o) }

// split returns what functions of package metrics take, each text changed by f unless that is nil.
func split(texts []Text, f func(string) string) (hyps []string, refs [][]string) {
	if f == nil {
		f = func(s string) string { return s }
	}
	hyps, refs = make([]string, len(texts)), make([][]string, len(texts))
	for i, t := range texts {
		hyps[i] = f(t.Hyp)
		for _, r := range t.Refs {
			refs[i] = append(refs[i], f(r))
		}
	}
	return hyps, refs
}

// tokenized are the texts as metrics that split at white space get them.
func tokenized(texts []Text, o Options) (hyps []string, refs [][]string) {
	if !o.Tokenize {
		return split(texts, nil)
	}
	return split(texts, func(s string) string { return strings.Join(metrics.BasicTokens(s), " ") })
}

func scoreBLEU(texts []Text, o Options) (r Result) {
	for k, b := range metrics.BLEU(tokenized(texts, o)) {
		r.add(fmt.Sprintf("bleu-%d", k+1), b, "")
	}
	return r
}

func scoreCaptionROUGEL(texts []Text, o Options) (r Result) {
	r.add("caption-rouge-l", metrics.CaptionROUGEL(tokenized(texts, o)), "")
	return r
}

func scoreMETEOR(texts []Text, o Options) (r Result) {
	hyps, refs := split(texts, nil)
	m := metrics.METEOR(hyps, refs, o.WordNet)
	note := "stages " + strings.Join(m.Stages, ", ")
	if len(m.Stages) < 4 {
		note += "; METEOR's own data add the others"
	}
	r.add("meteor", m.METEOR, note)
	r.Stages = m.Stages
	if m.Cut > 0 {
		r.warn("METEOR read only the first words of %d long texts", m.Cut)
	}
	return r
}

// OpenMETEOR reads METEOR's data for texts that the metric is to score, from the folder of METEOR 1.5.
func (m Metric) OpenMETEOR(dir string, texts []Text) (*metrics.WordNet, error) {
	if m.Name == "caption" {
		texts = captionWords(texts)
	}
	hyps, refs := split(texts, nil)
	return metrics.OpenMETEOR(dir, hyps, refs)
}

func scoreQuestions(texts []Text, o Options) (all Result) {
	for _, score := range []func([]Text, Options) Result{scoreBLEU, scoreMETEOR, scoreCaptionROUGEL} {
		r := score(texts, o)
		all.Scores = append(all.Scores, r.Scores...)
		all.Warnings = append(all.Warnings, r.Warnings...)
		all.Stages = append(all.Stages, r.Stages...)
	}
	return all
}

// captionWords are captions as COCO's evaluation splits them.
func captionWords(texts []Text) []Text {
	hyps, lists := split(texts, nil)
	hyps = metrics.PTBTokenizeAll(hyps)
	refs := metrics.PTBTokenizeAll(slices.Concat(lists...))
	out := make([]Text, len(texts))
	for i, list := range lists {
		out[i] = Text{Hyp: hyps[i], Refs: refs[:len(list)]}
		refs = refs[len(list):]
	}
	return out
}

func scoreCIDEr(texts []Text, _ Options) (r Result) {
	r.addCIDEr(captionWords(texts))
	return r
}

func (r *Result) addCIDEr(words []Text) {
	hyps, refs := split(words, nil)
	robust, _ := metrics.CIDErD(hyps, refs)
	plain, _ := metrics.CIDEr(hyps, refs)
	r.add("cider-d", robust, "what papers call CIDEr, of 10")
	r.add("cider", plain, "its plain form")
	if len(words) == 1 {
		r.warn("CIDEr weighs words by the captions they are in: of one caption it is 0")
	}
}

// scoreCaptions has names of its own for scores of these words.
func scoreCaptions(texts []Text, o Options) (all Result) {
	words := captionWords(texts)
	add := func(r Result, from, to string) {
		for _, s := range r.Scores {
			s.Name = to + strings.TrimPrefix(s.Name, from)
			all.Scores = append(all.Scores, s)
		}
		all.Warnings = append(all.Warnings, r.Warnings...)
		all.Stages = append(all.Stages, r.Stages...)
	}
	add(scoreBLEU(words, Options{}), "bleu", "coco-bleu")
	add(scoreMETEOR(words, o), "meteor", "coco-meteor")
	add(scoreCaptionROUGEL(words, Options{}), "caption-rouge-l", "coco-rouge-l")
	all.addCIDEr(words)
	all.Scores[len(all.Scores)-1].Note += "; SPICE is not computed"
	return all
}

func scoreROUGE(texts []Text, o Options) (r Result) {
	var lines func(string) string
	if o.Separator != "" {
		lines = func(s string) string { return strings.ReplaceAll(s, o.Separator, "\n") }
	}
	hyps, refs := split(texts, lines)
	scores := metrics.ROUGE(hyps, refs, metrics.ROUGEOptions{Best: o.Best, Samples: o.Samples, Seed: o.Seed, WordNet: o.WordNet})
	for _, s := range []struct {
		name string
		metrics.ROUGEScore
	}{{"rouge-1", scores.ROUGE1}, {"rouge-2", scores.ROUGE2}, {"rouge-l", scores.ROUGEL}} {
		r.add(s.name, s.F.Mean, fmt.Sprintf("recall %.4f, precision %.4f; 95 %% interval %.4f to %.4f", s.Recall.Mean, s.Precision.Mean, s.F.Low, s.F.High))
		r.detail(s.name+"-recall", s.Recall.Mean)
		r.detail(s.name+"-precision", s.Precision.Mean)
		r.detail(s.name+"-low", s.F.Low)
		r.detail(s.name+"-high", s.F.High)
	}
	if scores.Cut > 0 {
		r.warn("only the first %d words of %d long texts were read", metrics.MaxWords, scores.Cut)
	}
	return r
}

func scoreDistinct(texts []Text, o Options) (r Result) {
	hyps, _ := tokenized(texts, o)
	for n := 1; n <= 4; n++ {
		r.add(fmt.Sprintf("distinct-%d", n), metrics.Distinct(hyps, n), "")
	}
	r.add("length", metrics.AverageLength(hyps), "words a text")
	return r
}

func scoreCoQA(texts []Text, _ Options) (r Result) {
	items := make([]metrics.Turn, len(texts))
	missing := 0
	for i, t := range texts {
		items[i] = metrics.Turn{Domain: t.Domain, Answer: t.Hyp, Missing: t.Missing, References: t.Refs}
		if t.Missing {
			missing++
		}
	}
	if missing > 0 {
		r.warn("%d of %d turns have no prediction and score 0", missing, len(items))
	}
	scores := metrics.CoQA(items)
	add := func(suffix string, s metrics.CoQAScore) {
		r.add("f1"+suffix, s.F1, "")
		r.add("em"+suffix, s.EM, fmt.Sprintf("%d turns", s.Turns))
		r.detail("turns"+suffix, float64(s.Turns))
	}
	add("", scores.CoQAScore)
	parts := maps.Clone(scores.Domains)
	delete(parts, "")
	parts["in_domain"], parts["out_domain"] = scores.InDomain, scores.OutDomain
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if parts[name].Turns > 0 {
			add("_"+name, parts[name])
		}
	}
	r.detail("missing", float64(missing))
	return r
}

// sentenceEnd is the end of a sentence within a line.
var sentenceEnd = regexp.MustCompile(`([.!?]["')]*)\s+`)

// Sentences puts each sentence of a text on a line of its own, as rouge takes them: "It rains. Go
// home." becomes two lines.
func Sentences(text string) string { return sentenceEnd.ReplaceAllString(text, "$1\n") }
