package cli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/dataset/textscore"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// scoreFlags are the flags of "unimo score".
type scoreFlags struct {
	hyp     string
	refs    []string
	wordNet string
	meteor  string
	options textscore.Options
}

func (a *app) scoreCommand() *cobra.Command {
	f := scoreFlags{options: textscore.Options{Samples: metrics.OfficialSamples}}
	var help strings.Builder
	for _, m := range textscore.Metrics() {
		fmt.Fprintf(&help, "  %-15s  %s\n", m.Name, m.What)
	}
	c := &cobra.Command{
		Use:   "score METRIC --hyp FILE --ref FILE...",
		Short: "Score texts that were written against references",
		Long: `Score texts that were written against references, with one of these metrics:

` + help.String() + `
A file has one text a line. Line n of the hypotheses is compared with line n of every
file of references. coqa takes the official files instead: as --hyp a JSON list of
{"id", "turn_id", "answer"}, as --ref CoQA's own JSON. cider and caption take COCO's as
well, named *.json: as --hyp a JSON list of {"image_id", "caption"}, as --ref annotations.
vqa takes VQA's: as --hyp a JSON list of {"question_id", "answer"}, as --ref annotations.

All scores but CIDEr's are fractions of 1, where papers print percentages. The keys of --json are the
names that are printed, such as rouge-1 (its F-measure), bleu-4, meteor, f1, em;
a score that is undefined (0/0) is null.`,
		Example: `  unimo score rouge --hyp summaries.txt --ref reference.txt --sep "<q>"
  unimo score all-qg --hyp questions.txt --ref one.txt --ref two.txt --json
  unimo score meteor --hyp questions.txt --ref one.txt --wordnet WordNet-3.0/dict
  unimo score caption --hyp captions_val2014_mine_results.json --ref captions_val2014.json
  unimo score coqa --hyp predictions.json --ref coqa-dev-v1.0.json
  unimo score vqa --hyp results.json --ref v2_mscoco_val2014_annotations.json
  unimo score distinct --hyp questions.txt`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("score needs a metric: %s%s", strings.Join(textscore.Names(), ", "), seeHelp(c))
			}
			return noArgs(c, args[1:])
		},
		ValidArgsFunction: completeFirst(textscore.Names()...),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := f.metric(c, args[0])
			if err != nil {
				return err
			}
			if f.wordNet != "" && f.meteor != "" {
				return usagef("--%s has synonyms of its own; leave --%s out", textscore.Paraphrases, textscore.Synonyms)
			}
			if f.wordNet != "" {
				if f.options.WordNet, err = metrics.OpenWordNet(f.wordNet); err != nil {
					return err
				}
			}
			texts, notes, err := m.Read(c.Context(), f.hyp, f.refs...)
			if err != nil {
				return err
			}
			if f.meteor != "" {
				if f.options.WordNet, err = m.OpenMETEOR(f.meteor, texts); err != nil {
					return err
				}
			}
			result, err := interruptibly(c.Context(), func() textscore.Result { return m.Score(texts, f.options) })
			if err != nil {
				return err
			}
			result.Warnings = append(result.Warnings, notes...)
			return a.printScores(result)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.hyp, "hyp", "", "file of the texts to score")
	flags.StringArrayVar(&f.refs, "ref", nil, "file of references; may be given several times")
	flags.StringVar(&f.wordNet, string(textscore.Synonyms), "", "folder \"dict\" of WordNet, or file of synonyms: meteor's third stage, rouge's irregular forms")
	flags.StringVar(&f.meteor, string(textscore.Paraphrases), "", "folder of METEOR 1.5, with its jar and data/paraphrase-en.gz: all four stages (meteor)")
	flags.StringVar(&f.options.Separator, string(textscore.Separator), "", "what separates the sentences of a text (rouge); default: a text is one sentence")
	flags.BoolVar(&f.options.Best, string(textscore.Best), false, "of several references the best counts, not all together (rouge)")
	flags.Int64Var(&f.options.Seed, string(textscore.Seed), 0, "seed of the confidence interval (rouge); 0 gives the official script's")
	flags.BoolVar(&f.options.Tokenize, string(textscore.Tokenize), false, "lower-case the texts and split off punctuation first, as the reference's BLEU does")
	c.MarkFlagRequired("hyp")
	return c
}

// metric returns the metric of that name, if it has the flags that were given and as many files of
// references as it needs.
func (f *scoreFlags) metric(c *cobra.Command, name string) (textscore.Metric, error) {
	m, err := textscore.Find(name)
	if err != nil {
		return m, usagef("%w%s", err, seeHelp(c))
	}
	switch refs := len(f.refs); {
	case m.References == textscore.NoReferences && refs > 0:
		return m, usagef("%s compares with no references; leave --ref out", m.Name)
	case m.References != textscore.NoReferences && refs == 0:
		return m, usagef("%s compares with references; name their file with --ref", m.Name)
	case m.References == textscore.OneReference && refs > 1:
		return m, usagef("%s takes one --ref, which has the answers of all people", m.Name)
	}
	for _, other := range textscore.Metrics() {
		for _, option := range other.Uses {
			if c.Flags().Changed(string(option)) && !slices.Contains(m.Uses, option) {
				return m, usagef("--%s is not of %s (but of %s)", option, m.Name, other.Name)
			}
		}
	}
	return m, nil
}

// interruptibly returns what f returns, or the context's error as soon as that ends.
func interruptibly[T any](ctx context.Context, f func() T) (T, error) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case result := <-done:
		return result, nil
	}
}

func (a *app) printScores(result textscore.Result) error {
	for _, w := range result.Warnings {
		a.log.Warn(w)
	}
	if a.json {
		out := map[string]any{}
		for _, s := range result.Scores {
			out[s.Name] = train.Number(s.Value)
		}
		if result.Stages != nil {
			out["meteor-stages"] = result.Stages
		}
		return a.printJSON(out)
	}
	width := 0
	for _, s := range result.Scores {
		if !s.Detail {
			width = max(width, len(s.Name))
		}
	}
	for _, s := range result.Scores {
		if s.Detail {
			continue
		}
		value, note := fmt.Sprintf("%.4f", s.Value), ""
		if math.IsNaN(s.Value) {
			value = "undefined (0/0)"
		}
		if s.Note != "" {
			note = "  (" + s.Note + ")"
		}
		if _, err := fmt.Fprintf(a.stdout, "%-*s  %s%s\n", width, s.Name, value, note); err != nil {
			return err
		}
	}
	return nil
}
