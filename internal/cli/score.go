package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// scorer is a METRIC of "unimo score".
type scorer struct {
	name, what string
	flags      []string // that only some metrics have
	score      func(x *scoring) (scores, error)
}

// scorers are the metrics in the order of the help.
var scorers = []scorer{
	{"coqa", "F1 and exact match of answers, as CoQA's evaluate-v1.0.py", nil, scoreCoQA},
	{"rouge", "ROUGE-1, ROUGE-2 and ROUGE-L, as ROUGE-1.5.5 -m -a -n 2 -c 95 -r 1000", []string{"sep", "best", "seed", "wordnet"}, scoreROUGE},
	{"bleu", "BLEU-1 to BLEU-4 of a corpus, as coco-caption and nqg", []string{"tokenize"}, scoreBLEU},
	{"meteor", "METEOR 1.5 without paraphrases", []string{"wordnet"}, scoreMETEOR},
	{"rouge-l", "ROUGE-L of sentences, as coco-caption and nqg", []string{"tokenize"}, scoreCaptionROUGEL},
	{"distinct", "different n-grams among all, n from 1 to 4; average length", []string{"tokenize"}, scoreDistinct},
	{"all-qg", "bleu, meteor and rouge-l, what question generation reports", []string{"tokenize", "wordnet"}, scoreQuestions},
}

// scoring is what the metrics are given.
type scoring struct {
	hypFile  string
	refFiles []string
	tokenize bool
	sep      string
	rouge    metrics.ROUGEOptions
	wordNet  *metrics.WordNet

	hyps []string   // the texts of the files, except for coqa
	refs [][]string // of each text, one of every file
}

// scores are results in the order in which they are printed.
type scores struct {
	rows     []scoreRow
	more     map[string]any // what only --json has
	warnings []string
}

type scoreRow struct {
	name  string
	value float64
	note  string
}

func (s *scores) add(name string, value float64, note string) {
	s.rows = append(s.rows, scoreRow{name, value, note})
}

func (s *scores) put(name string, value any) {
	if s.more == nil {
		s.more = map[string]any{}
	}
	s.more[name] = value
}

func (s *scores) warn(format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

func (a *app) scoreCommand() *cobra.Command {
	var x scoring
	var wordNet string
	var help strings.Builder
	for _, s := range scorers {
		fmt.Fprintf(&help, "  %-9s %s\n", s.name, s.what)
	}
	c := &cobra.Command{
		Use:   "score METRIC --hyp FILE --ref FILE...",
		Short: "Score texts that were written against references",
		Long: `Score texts that were written against references, with one of these metrics:

` + help.String() + `
A file has one text a line. Line n of the hypotheses is compared with line n of every
file of references. coqa takes the official files instead: as --hyp a JSON list of
{"id", "turn_id", "answer"}, as --ref CoQA's own JSON.

All scores are fractions of 1, where papers print percentages. The keys of --json are the
names that are printed, such as rouge-1 (its F-measure), bleu-4, meteor, f1, em;
a score that is undefined (0/0) is null.`,
		Example: `  unimo score rouge --hyp summaries.txt --ref reference.txt --sep "<q>"
  unimo score all-qg --hyp questions.txt --ref one.txt --ref two.txt --json
  unimo score meteor --hyp questions.txt --ref one.txt --wordnet WordNet-3.0/dict
  unimo score coqa --hyp predictions.json --ref coqa-dev-v1.0.json
  unimo score distinct --hyp questions.txt`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("score needs a metric: %s%s", strings.Join(scorerNames(), ", "), seeHelp(c))
			}
			return noArgs(c, args[1:])
		},
		ValidArgsFunction: completeFirst(scorerNames()...),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := findScorer(c, args[0], len(x.refFiles))
			if err != nil {
				return err
			}
			if wordNet != "" {
				if x.wordNet, err = metrics.OpenWordNet(wordNet); err != nil {
					return err
				}
			}
			if s.name != "coqa" {
				if err := x.readTexts(c.Context()); err != nil {
					return err
				}
			}
			result, err := interruptibly(c.Context(), func() (scores, error) { return s.score(&x) })
			if err != nil {
				return err
			}
			return a.printScores(result)
		},
	}
	flags := c.Flags()
	flags.StringVar(&x.hypFile, "hyp", "", "file of the texts to score")
	flags.StringArrayVar(&x.refFiles, "ref", nil, "file of references; may be given several times")
	flags.StringVar(&wordNet, "wordnet", "", "folder \"dict\" of WordNet, or file of synonyms: meteor's third stage, rouge's irregular forms")
	flags.StringVar(&x.sep, "sep", "", "what separates the sentences of a text (rouge); default: a text is one sentence")
	flags.BoolVar(&x.rouge.Best, "best", false, "of several references the best counts, not all together (rouge)")
	flags.Int64Var(&x.rouge.Seed, "seed", 0, "seed of the confidence interval (rouge); 0 gives the official script's")
	flags.BoolVar(&x.tokenize, "tokenize", false, "lower-case the texts and split off punctuation first, as the reference's BLEU does")
	c.MarkFlagRequired("hyp")
	return c
}

func scorerNames() []string {
	list := make([]string, len(scorers))
	for i, s := range scorers {
		list[i] = s.name
	}
	return list
}

// findScorer returns the metric of that name, if it has the flags that were given and
// as many files of references as it needs.
func findScorer(c *cobra.Command, name string, refs int) (scorer, error) {
	name, err := names.Find("metric", name, scorerNames())
	if err != nil {
		return scorer{}, usagef("%w%s", err, seeHelp(c))
	}
	s := scorers[slices.IndexFunc(scorers, func(s scorer) bool { return s.name == name })]
	switch {
	case name == "distinct" && refs > 0:
		return s, usagef("distinct compares with no references; leave --ref out")
	case name != "distinct" && refs == 0:
		return s, usagef("%s compares with references; name their file with --ref", name)
	case name == "coqa" && refs > 1:
		return s, usagef("coqa takes one --ref, which has the answers of all people")
	}
	for _, other := range scorers {
		for _, flag := range other.flags {
			if c.Flags().Changed(flag) && !slices.Contains(s.flags, flag) {
				return s, usagef("--%s is not of %s (but of %s)", flag, name, other.name)
			}
		}
	}
	return s, nil
}

// interruptibly returns what f returns, or the context's error as soon as that ends.
func interruptibly(ctx context.Context, f func() (scores, error)) (scores, error) {
	var s scores
	var err error
	done := make(chan struct{})
	go func() {
		s, err = f()
		close(done)
	}()
	select {
	case <-ctx.Done():
		return scores{}, ctx.Err()
	case <-done:
		return s, err
	}
}

func (a *app) printScores(s scores) error {
	for _, w := range s.warnings {
		a.log.Warn(w)
	}
	if a.json {
		out := map[string]any{}
		maps.Copy(out, s.more)
		for _, r := range s.rows {
			out[r.name] = train.Number(r.value)
		}
		return a.printJSON(out)
	}
	width := 0
	for _, r := range s.rows {
		width = max(width, len(r.name))
	}
	for _, r := range s.rows {
		value := fmt.Sprintf("%.4f", r.value)
		if math.IsNaN(r.value) {
			value = "undefined (0/0)"
		}
		if _, err := fmt.Fprintln(a.stdout, strings.TrimRight(fmt.Sprintf("%-*s  %s  %s", width, r.name, value, r.note), " ")); err != nil {
			return err
		}
	}
	return nil
}

// maxScoredText bounds a text, in bytes: the n-grams of one take some sixty times that.
const maxScoredText = 1 << 20

// readTexts reads the files, which must have equally many lines.
func (x *scoring) readTexts(ctx context.Context) error {
	var err error
	if x.hyps, err = readTextFile(ctx, x.hypFile); err != nil {
		return err
	}
	x.refs = make([][]string, len(x.hyps))
	for _, file := range x.refFiles {
		texts, err := readTextFile(ctx, file)
		if err != nil {
			return err
		}
		if len(texts) != len(x.hyps) {
			return fmt.Errorf("%s has %d lines and %s has %d; line n of one must belong to line n of the other", x.hypFile, len(x.hyps), file, len(texts))
		}
		for i, t := range texts {
			x.refs[i] = append(x.refs[i], t)
		}
	}
	if len(x.hyps) == 0 {
		return &textfile.FileError{File: x.hypFile, Problem: "is empty", Remedy: "name a file with one text a line"}
	}
	return nil
}

func readTextFile(ctx context.Context, path string) ([]string, error) {
	f, err := infile.OpenText(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readScoredTexts(f, path)
}

func readScoredTexts(r io.Reader, file string) (texts []string, err error) {
	lines := textfile.NewLines(r, file)
	for {
		line, err := lines.Next()
		switch {
		case err == io.EOF:
			return texts, nil
		case err != nil:
			return nil, err
		case len(line) > maxScoredText:
			return nil, &textfile.FileError{File: file, Line: lines.Number(), Problem: fmt.Sprintf("the text is longer than %d bytes", maxScoredText),
				Remedy: "check that the file has one text a line"}
		}
		texts = append(texts, string(line))
	}
}

// tokenized returns the texts as BLEU and other scores that split at white space get them.
func (x *scoring) tokenized() (hyps []string, refs [][]string) {
	if !x.tokenize {
		return x.hyps, x.refs
	}
	basic := func(texts []string) []string {
		out := make([]string, len(texts))
		for i, t := range texts {
			out[i] = strings.Join(metrics.BasicTokens(t), " ")
		}
		return out
	}
	refs = make([][]string, len(x.refs))
	for i, r := range x.refs {
		refs[i] = basic(r)
	}
	return basic(x.hyps), refs
}

func scoreBLEU(x *scoring) (s scores, err error) {
	for k, b := range metrics.BLEU(x.tokenized()) {
		s.add(fmt.Sprintf("bleu-%d", k+1), b, "")
	}
	return s, nil
}

func scoreCaptionROUGEL(x *scoring) (s scores, err error) {
	s.add("rouge-l", metrics.CaptionROUGEL(x.tokenized()), "")
	return s, nil
}

func scoreMETEOR(x *scoring) (s scores, err error) {
	m := metrics.METEOR(x.hyps, x.refs, x.wordNet)
	note := fmt.Sprintf("(stages %s", strings.Join(m.Stages, ", "))
	if x.wordNet == nil {
		note += "; --wordnet adds synonyms"
	}
	s.add("meteor", m.METEOR, note+")")
	s.put("meteor-stages", m.Stages)
	if m.Cut > 0 {
		s.warn("METEOR read only the first words of %d long texts", m.Cut)
	}
	return s, nil
}

func scoreQuestions(x *scoring) (all scores, err error) {
	for _, score := range []func(*scoring) (scores, error){scoreBLEU, scoreMETEOR, scoreCaptionROUGEL} {
		s, err := score(x)
		if err != nil {
			return scores{}, err
		}
		all.rows = append(all.rows, s.rows...)
		all.warnings = append(all.warnings, s.warnings...)
		for name, value := range s.more {
			all.put(name, value)
		}
	}
	return all, nil
}

func scoreROUGE(x *scoring) (s scores, err error) {
	if x.sep != "" {
		for i := range x.hyps {
			x.hyps[i] = strings.ReplaceAll(x.hyps[i], x.sep, "\n")
			for j := range x.refs[i] {
				x.refs[i][j] = strings.ReplaceAll(x.refs[i][j], x.sep, "\n")
			}
		}
	}
	x.rouge.WordNet = x.wordNet
	r := metrics.ROUGE(x.hyps, x.refs, x.rouge)
	for _, score := range []struct {
		name string
		metrics.ROUGEScore
	}{{"rouge-1", r.ROUGE1}, {"rouge-2", r.ROUGE2}, {"rouge-l", r.ROUGEL}} {
		s.add(score.name, score.F.Mean, fmt.Sprintf("(recall %.4f, precision %.4f; 95 %% interval %.4f to %.4f)",
			score.Recall.Mean, score.Precision.Mean, score.F.Low, score.F.High))
		for suffix, value := range map[string]float64{
			"recall": score.Recall.Mean, "precision": score.Precision.Mean, "low": score.F.Low, "high": score.F.High,
		} {
			s.put(score.name+"-"+suffix, train.Number(value))
		}
	}
	if r.Cut > 0 {
		s.warn("only the first %d words of %d long texts were read", metrics.MaxWords, r.Cut)
	}
	return s, nil
}

func scoreDistinct(x *scoring) (s scores, err error) {
	hyps, _ := x.tokenized()
	for n := 1; n <= 4; n++ {
		s.add(fmt.Sprintf("distinct-%d", n), metrics.Distinct(hyps, n), "")
	}
	s.add("length", metrics.AverageLength(hyps), "(words a text)")
	return s, nil
}

// turnID names a turn of a conversation.
type turnID struct {
	conversation string
	turn         int
}

func scoreCoQA(x *scoring) (s scores, err error) {
	examples, _, err := seq2seq.ReadFile(x.refFiles[0], seq2seq.Options{Kind: seq2seq.KindCoQA, Dialogue: true, NeedTarget: true})
	if err != nil {
		return s, err
	}
	f, err := infile.Open(x.hypFile)
	if err != nil {
		return s, err
	}
	defer f.Close()
	answers, err := readAnswers(infile.Text(f, x.hypFile), x.hypFile)
	if err != nil {
		return s, err
	}
	missing := 0
	items := make([]metrics.Answered, len(examples))
	for i, e := range examples {
		id := turnID{e.ID, e.Turn}
		answer, ok := answers[id]
		delete(answers, id)
		if !ok {
			missing++
		}
		items[i] = metrics.Answered{Domain: e.Domain, Answer: answer, Missing: !ok, References: e.References}
		if e.References == nil {
			items[i].References = []string{e.Target}
		}
	}
	if missing > 0 {
		s.warn("%d of %d turns have no prediction and score 0", missing, len(items))
	}
	if len(answers) > 0 {
		first := slices.MinFunc(slices.Collect(maps.Keys(answers)), func(a, b turnID) int {
			return cmp.Or(cmp.Compare(a.conversation, b.conversation), cmp.Compare(a.turn, b.turn))
		})
		s.warn("%d predictions are for turns that the references do not have, the first for %q, turn %d", len(answers), first.conversation, first.turn)
	}
	named := metrics.CoQA(items).Map()
	s.add("f1", named["f1"], "")
	s.add("em", named["em"], fmt.Sprintf("(%d turns)", len(items)))
	for _, key := range slices.Sorted(maps.Keys(named)) {
		if part, ok := strings.CutPrefix(key, "f1_"); ok {
			s.add(key, named[key], "")
			s.add("em_"+part, named["em_"+part], fmt.Sprintf("(%.0f turns)", named["turns_"+part]))
		}
		if strings.HasPrefix(key, "turns") {
			s.put(key, named[key])
		}
	}
	s.put("missing", missing)
	return s, nil
}

// readAnswers reads a JSON list of predictions.
func readAnswers(r io.Reader, file string) (map[turnID]string, error) {
	const remedy = `give a JSON list of {"id": "...", "turn_id": 1, "answer": "..."}`
	broken := func(item int, format string, args ...any) error {
		problem := fmt.Sprintf(format, args...)
		if item > 0 {
			problem = fmt.Sprintf("item %d %s", item, problem)
		}
		return &textfile.FileError{File: file, Problem: problem, Remedy: remedy}
	}
	limited := &io.LimitedReader{R: r, N: seq2seq.MaxDocument}
	dec := json.NewDecoder(limited)
	start, err := dec.Token()
	var known *infile.Error
	if errors.As(err, &known) {
		return nil, err
	}
	if err != nil || start != json.Delim('[') {
		return nil, broken(0, "is no JSON list")
	}
	answers := map[turnID]string{}
	n := 0
	for dec.More() {
		n++
		var item struct {
			ID     *columns.Name `json:"id"`
			Turn   *int          `json:"turn_id"`
			Answer *string       `json:"answer"`
		}
		if err := dec.Decode(&item); err != nil {
			problem, _ := infile.ExplainJSON(err)
			return nil, broken(n, "cannot be read: %s", problem)
		}
		if item.ID == nil || item.Turn == nil || item.Answer == nil {
			return nil, broken(n, `lacks "id", "turn_id" or "answer"`)
		}
		id := turnID{string(*item.ID), *item.Turn}
		if _, again := answers[id]; again {
			return nil, broken(n, "answers conversation %q, turn %d, again", id.conversation, id.turn)
		}
		answers[id] = *item.Answer
	}
	if _, err := dec.Token(); err != nil {
		if limited.N == 0 {
			return nil, broken(0, "is larger than %d bytes", seq2seq.MaxDocument)
		}
		return nil, broken(0, "ends within the list")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, broken(0, "has something behind the list")
	}
	return answers, nil
}
