package cli

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/pretrain/related"
	"github.com/unimo-go/unimo/internal/pretrain/rewrite"
	"github.com/unimo-go/unimo/metrics"
)

// rewriteFlags are the flags of "unimo rewrite".
type rewriteFlags struct {
	data, split, paraphrases, wordNet string
	images                            []string
	count, nearest, limit             int
	seed                              uint64
}

// rewritten is a caption in the lines of "unimo rewrite --json".
type rewritten struct {
	rewrite.Previewed
	Nearest []string `json:"nearest"` // captions of other images
}

func (a *app) rewriteCommand() *cobra.Command {
	var f rewriteFlags
	c := &cobra.Command{
		Use:   "rewrite --data DIR",
		Short: "Show the right and wrong captions that pre-training contrasts",
		Long: `Show what pre-training makes of captions: what they say (objects, attributes,
relations), the positives (the image's other captions and the paraphrases of a file), the
negatives (one part replaced by another of the corpus that none of these has, nor a
synonym), and the captions of other images that are most alike by TF-IDF. All captions of
the split are read, since the replacements come from them.

DIR is a folder of data as 'unimo data prepare flickr' writes it. The file of paraphrases
has a caption and its paraphrases a line, with tabs between, or JSON lines with caption and
paraphrases. With --json each caption is one object a line.`,
		Example: `  unimo rewrite --data DATA
  unimo rewrite --data DATA --image 1000268201_693b08cb0e.jpg --count 10
  unimo rewrite --data DATA --paraphrases back-translations.tsv --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, n := range []struct {
				flag  string
				value int
			}{{"count", f.count}, {"limit", f.limit}, {"nearest", f.nearest}} {
				if n.value < 0 {
					return usagef("--%s is %d, want 0 or more", n.flag, n.value)
				}
			}
			return a.rewrite(c.Context(), f)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&f.data, "data", "d", "", "`DIR` of data with captions")
	flags.StringVar(&f.split, "split", "train", "split of it")
	flags.StringVar(&f.paraphrases, "paraphrases", "", "file of paraphrases, for example back-translations")
	flags.StringVar(&f.wordNet, "wordnet", "", "folder \"dict\" of WordNet, or file of synonyms, none of which replace each other")
	flags.IntVar(&f.count, "count", 4, "negatives of each caption")
	flags.IntVar(&f.nearest, "nearest", 2, "captions of other images to show; finding them takes the longest")
	flags.IntVar(&f.limit, "limit", 10, "images to show, drawn at random (0: all)")
	flags.StringArrayVar(&f.images, "image", nil, "show this image; may be repeated")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of what is drawn")
	c.MarkFlagRequired("data")
	return c
}

func (a *app) rewrite(ctx context.Context, f rewriteFlags) error {
	set, err := captions.Read(f.data, f.split)
	if err != nil {
		return err
	}
	shown, err := shownImages(set, f)
	if err != nil {
		return err
	}
	paraphrases := rewrite.Paraphrases{}
	if f.paraphrases != "" {
		if paraphrases, err = rewrite.ReadParaphrases(f.paraphrases); err != nil {
			return err
		}
	}
	parser, err := rewrite.NewParser()
	if err != nil {
		return err
	}
	bar := a.newProgress()
	defer bar.finish()
	bar.start(len(set.Images), "parse captions")
	rewriter := &rewrite.Rewriter{Parser: parser, Lexicon: &rewrite.Lexicon{}}
	if f.wordNet != "" {
		if rewriter.WordNet, err = metrics.OpenWordNet(f.wordNet); err != nil {
			return err
		}
	}
	preview, err := rewrite.NewPreview(ctx, set, shown, rewriter, paraphrases, bar.counted)
	if err != nil {
		return err
	}
	var nearest *related.Index
	if f.nearest > 0 {
		comparing := false
		nearest, err = related.BuildTemporary(ctx, pairsOf(set), f.nearest, func(done, total int) {
			if !comparing {
				comparing = true
				bar.start(total, "compare captions")
			}
			bar.counted(done)
		})
		if err != nil {
			return err
		}
		defer nearest.Close()
	}
	bar.finish()
	negatives := 0
	for _, image := range shown {
		var alike related.Related
		if nearest != nil {
			if alike, err = nearest.Related(set.Images[image]); err != nil {
				return err
			}
		}
		for i, p := range preview.Captions(image, f.count, random.New(f.seed, "rewrite", image)) {
			x := rewritten{Previewed: p}
			if i < len(alike.Captions) {
				x.Nearest = alike.Captions[i]
			}
			negatives += len(x.Negatives)
			if err := a.printRewritten(x, i == 0); err != nil {
				return err
			}
		}
	}
	a.log.Info(fmt.Sprintf("%d images, %d rewritten captions; of the %d captions of all images %d name no object that the parser knows", len(shown), negatives, len(set.Captions), preview.Empty()))
	return nil
}

// pairsOf gives the images of a set with their captions.
func pairsOf(set *captions.Set) iter.Seq2[related.Pair, error] {
	return func(yield func(related.Pair, error) bool) {
		for image, name := range set.Images {
			p := related.Pair{Key: name}
			for _, c := range set.Of(image) {
				p.Captions = append(p.Captions, set.Captions[c].Text)
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// shownImages returns the numbers of the images that are named, or some of all, in order.
func shownImages(set *captions.Set, f rewriteFlags) ([]int, error) {
	var shown []int
	for _, name := range f.images {
		image := slices.Index(set.Images, name)
		if image < 0 {
			return nil, usagef("--image %s: %s has no such image; %s lists them", name, f.data, filepath.Join(f.data, f.split+".txt"))
		}
		shown = append(shown, image)
	}
	if shown == nil {
		shown = random.New(f.seed, "shown").Perm(len(set.Images))
		if f.limit > 0 && f.limit < len(shown) {
			shown = shown[:f.limit]
		}
	}
	slices.Sort(shown)
	return slices.Compact(shown), nil
}

// printRewritten prints what was made of a caption; first says whether it is its image's first.
func (a *app) printRewritten(x rewritten, first bool) error {
	if a.json {
		for _, list := range []*[]rewrite.Part{&x.Objects, &x.Attributes, &x.Relations} {
			if *list == nil {
				*list = []rewrite.Part{}
			}
		}
		x.Positives, x.Nearest = append([]string{}, x.Positives...), append([]string{}, x.Nearest...)
		x.Negatives = append([]rewrite.Rewrite{}, x.Negatives...)
		return a.printJSON(x)
	}
	var b strings.Builder
	if first {
		fmt.Fprintf(&b, "%s\n", printable.String(x.Image))
	}
	fmt.Fprintf(&b, "  %s\n", printable.String(x.Caption))
	for _, kind := range []struct {
		name  string
		parts []rewrite.Part
	}{{"objects", x.Objects}, {"attributes", x.Attributes}, {"relations", x.Relations}} {
		if len(kind.parts) > 0 {
			fmt.Fprintf(&b, "    %s: %s\n", kind.name, printable.String(describeParts(kind.parts, x.Objects)))
		}
	}
	for _, text := range x.Positives {
		fmt.Fprintf(&b, "    + %s\n", printable.String(text))
	}
	for _, n := range x.Negatives {
		fmt.Fprintf(&b, "    - %s  [%s: %s, was %s]\n", printable.String(n.Text), n.Kind, printable.String(n.To), printable.String(n.From))
	}
	for _, text := range x.Nearest {
		fmt.Fprintf(&b, "    ~ %s\n", printable.String(text))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// describeParts lists parts, attributes with their objects.
func describeParts(parts, objects []rewrite.Part) string {
	var names []string
	for _, p := range parts {
		name := p.Lemma
		if p.Of >= 0 {
			name += " " + objects[p.Of].Lemma
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
