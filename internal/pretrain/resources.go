package pretrain

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/pretrain/related"
	"github.com/unimo-go/unimo/internal/pretrain/rewrite"
)

// Collections are those of a run by kind; a kind may be missing.
type Collections map[corpus.Kind]*corpus.Collection

// Resources is what CMCL looks up: which words captions are rewritten with, and what is
// alike. It is built once, in a folder, and read from there.
type Resources struct {
	collections Collections
	rewriter    *rewrite.Rewriter
	related     *related.Index
	paraphrases rewrite.Paraphrases
}

// ResourceOptions say what to build.
type ResourceOptions struct {
	Recipe      *Recipe
	Paraphrases string // the user's file, or ""
	Fingerprint string // of the collections
	Built       bool   // they must be there: another process has built them
	Log         *slog.Logger
	Stage       func(name string)
	Tick        func(done, total int)
}

// kept is how many alike samples of each sort the index has for an image or caption: some to
// choose from.
const kept = 20

const lexiconFile = "lexicon.json"

// OpenResources opens the resources in the folder dir, or builds them if they are not
// there or were made of other collections. It returns nil if the recipe needs none. Fewer pairs to train on than a
// batch compares are an error.
func OpenResources(ctx context.Context, dir string, c Collections, o ResourceOptions) (*Resources, error) {
	r := o.Recipe
	rewrites := r.Of(corpus.Pairs)[Rewrite] > 0 && r.Positives+r.Negatives > 0
	retrieves := r.Of(corpus.Pairs)[Contrast] > 0 && r.RetrievedImages+r.RetrievedTexts > 0
	if c[corpus.Pairs] == nil || r.Ratios[2] == 0 || !r.cmcl() {
		return nil, nil
	}
	if err := enough(ctx, c[corpus.Pairs], r.BatchSize); err != nil {
		return nil, err
	}
	if !rewrites && !retrieves {
		return nil, nil
	}
	res := &Resources{collections: c}
	var err error
	if o.Paraphrases != "" {
		if res.paraphrases, err = rewrite.ReadParaphrases(o.Paraphrases); err != nil {
			return nil, err
		}
	}
	parser, err := rewrite.NewParser()
	if err != nil {
		return nil, err
	}
	counts := related.Options{Captions: kept, Fingerprint: o.Fingerprint}
	if r.RetrievedImages > 0 {
		counts.Images = kept
	}
	if r.RetrievedTexts > 0 && c[corpus.Text] != nil {
		counts.Texts = kept
	}
	counts.Fingerprint = fmt.Sprintf("%s %d %d", counts.Fingerprint, counts.Images, counts.Texts)
	index := filepath.Join(dir, "index")
	if !res.load(dir, index, counts.Fingerprint, parser) {
		if o.Built {
			return nil, fmt.Errorf("the index of related samples is not in %s, or is another", dir)
		}
		b := builder{o: o, c: c, parser: parser, paraphrases: res.paraphrases, lexicon: new(rewrite.Lexicon), names: map[string]bool{}}
		if err := b.build(ctx, dir, index, counts); err != nil {
			return nil, err
		}
		if res.related, err = related.Open(index); err != nil {
			return nil, err
		}
		res.rewriter = &rewrite.Rewriter{Parser: parser, Lexicon: b.lexicon}
	}
	res.warn(o.Log)
	return res, nil
}

// enough refuses a corpus that is too small for a batch.
func enough(ctx context.Context, pairs *corpus.Collection, batch int) error {
	seen := 0
	for _, err := range pairs.Each(ctx, corpus.Train) {
		if err != nil {
			return err
		}
		if seen++; seen >= batch {
			return nil
		}
	}
	return fmt.Errorf("there are %d pairs to train on, fewer than a batch compares; lower batch_size, now %d, or name more pairs", seen, batch)
}

// load opens what is there, if it was made of the same and is sound.
func (r *Resources) load(dir, index, fingerprint string, parser *rewrite.Parser) bool {
	found, err := related.Open(index)
	if err != nil {
		return false
	}
	lexicon, err := rewrite.LoadLexicon(filepath.Join(dir, lexiconFile))
	if err != nil || found.Fingerprint() != fingerprint {
		found.Close()
		return false
	}
	r.related, r.rewriter = found, &rewrite.Rewriter{Parser: parser, Lexicon: lexicon}
	return true
}

// warn says what there is too little of.
func (r *Resources) warn(log *slog.Logger) {
	s := r.related.Summary()
	for _, short := range []struct {
		what string
		n    int
	}{{"alike captions of other images", s.ShortCaptions}, {"related texts", s.ShortTexts}, {"related images", s.ShortImages}} {
		if short.n > 0 {
			log.Warn(fmt.Sprintf("%d lists of %[3]s have fewer than %[2]d to choose from: the collections are small", short.n, kept, short.what))
		}
	}
}

// Close releases the index.
func (r *Resources) Close() error {
	if r == nil || r.related == nil {
		return nil
	}
	return r.related.Close()
}

// locate returns a name of an image or pair that says where it is.
func locate(kind corpus.Kind, s *corpus.Sample) string {
	raw, err := json.Marshal(s.Ref)
	if err != nil {
		panic(err) // numbers
	}
	return string(kind) + " " + string(raw)
}

// open returns what [locate] named.
func (r *Resources) open(location string) (*corpus.Sample, error) {
	kind, raw, _ := strings.Cut(location, " ")
	var ref corpus.Ref
	if err := json.Unmarshal([]byte(raw), &ref); err != nil {
		return nil, fmt.Errorf("index of related samples: %q: %w", location, infile.PlainJSON(err))
	}
	c := r.collections[corpus.Kind(kind)]
	if c == nil {
		return nil, fmt.Errorf("index of related samples: there is no collection of %s", kind)
	}
	return c.At(ref)
}

// builder makes the resources.
type builder struct {
	o       ResourceOptions
	c       Collections
	parser  *rewrite.Parser
	lexicon *rewrite.Lexicon
	images  []related.Pair // of the pairs, with their objects, if images are retrieved
	all     int            // captions
	unknown int            // those that no object was found in

	paraphrases rewrite.Paraphrases
	paraphrased int // captions that have some

	names         map[string]bool // of the pairs' images
	repeated      int             // pairs whose image has the name of one before
	firstRepeated string          // where
}

func (b *builder) build(ctx context.Context, dir, index string, counts related.Options) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return err
	}
	if err := atomicfile.Clean(dir); err != nil { // of a build that was killed
		return err
	}
	for _, old := range []string{index, filepath.Join(dir, lexiconFile)} { // one alone must not be taken for both
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	b.o.Stage("looking for related samples")
	if err := related.Build(ctx, index, b.pairs(ctx), b.texts(ctx), b.candidates(ctx), counts, b.o.Tick); err != nil {
		return cmp.Or(ctx.Err(), err) // an interrupt is no failure
	}
	if b.unknown > 0 {
		b.o.Log.Warn(fmt.Sprintf("%d of %d captions name no object that the parser knows; they are not rewritten by words", b.unknown, b.all))
	}
	if b.o.Paraphrases != "" {
		b.o.Log.Info(fmt.Sprintf("%d of %d captions are in the file of paraphrases, letter by letter", b.paraphrased, b.all))
	}
	if b.repeated > 0 {
		b.o.Log.Warn(fmt.Sprintf("%d pairs have an image with the name of one before (the first: %s): if it is the same image, put all its captions together, or true ones may count as false", b.repeated, b.firstRepeated))
	}
	return b.lexicon.Save(filepath.Join(dir, lexiconFile))
}

// pairs yields all pairs. Their captions are parsed: the words go to the lexicon, their objects, where the
// collection does not name them, to the index.
func (b *builder) pairs(ctx context.Context) iter.Seq2[related.Pair, error] {
	const block = 256 // images parsed at once
	return func(yield func(related.Pair, error) bool) {
		var samples []*corpus.Sample
		flush := func() bool {
			for _, p := range b.parse(samples) {
				if !yield(p, nil) {
					return false
				}
			}
			samples = samples[:0]
			return true
		}
		for s, err := range b.c[corpus.Pairs].Each(ctx, corpus.Train) {
			if err != nil {
				yield(related.Pair{}, err)
				return
			}
			if samples = append(samples, s); len(samples) == block && !flush() {
				return
			}
		}
		flush()
	}
}

// parse makes pairs of samples and adds their words to the lexicon.
func (b *builder) parse(samples []*corpus.Sample) []related.Pair {
	pairs, graphs := make([]related.Pair, len(samples)), make([][]rewrite.Graph, len(samples))
	parallel.For(len(samples), func(i int) {
		s := samples[i]
		pairs[i] = related.Pair{Key: locate(corpus.Pairs, s), Captions: s.Captions, Objects: b.objects(corpus.Pairs, s)}
		for _, caption := range s.Captions {
			graphs[i] = append(graphs[i], b.parser.Parse(caption))
		}
	})
	for i := range pairs {
		p := &pairs[i]
		b.lexicon.Add(graphs[i])
		detected := len(p.Objects) > 0
		for _, g := range graphs[i] {
			b.all++
			if len(b.paraphrases.Of(g.Text)) > 0 {
				b.paraphrased++
			}
			if len(g.Objects) == 0 {
				b.unknown++
			}
			for _, object := range g.Objects {
				if !detected && !slices.Contains(p.Objects, object.Lemma) {
					p.Objects = append(p.Objects, object.Lemma)
				}
			}
		}
		if b.o.Recipe.RetrievedImages > 0 {
			b.images = append(b.images, related.Pair{Key: p.Key, Objects: p.Objects})
		}
		if name := samples[i].Key; !b.names[name] {
			b.names[name] = true
		} else if b.repeated++; b.repeated == 1 {
			b.firstRepeated = samples[i].Where
		}
	}
	return pairs
}

// objects returns what the collection, or the detector that its features are of, says that an image shows. Of an image that
// cannot be read that is nothing; it is counted when it is trained on.
func (b *builder) objects(kind corpus.Kind, s *corpus.Sample) []string {
	if b.o.Recipe.RetrievedImages == 0 {
		return nil
	}
	objects, err := b.c[kind].Objects(s)
	if err != nil {
		return nil
	}
	return slices.Clone(objects)
}

// texts yields the sentences of the texts.
func (b *builder) texts(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		c := b.c[corpus.Text]
		if c == nil || b.o.Recipe.RetrievedTexts == 0 {
			return
		}
		for s, err := range c.Each(ctx, corpus.Train) {
			if err != nil {
				yield("", err)
				return
			}
			for sentence := range sentences(s.Text) {
				if !yield(sentence, nil) {
					return
				}
			}
		}
	}
}

// sentences yields the sentences of a text that are as long as captions are.
func sentences(text string) iter.Seq[string] {
	const shortest, longest = 4, 40 // words
	return func(yield func(string) bool) {
		for len(text) > 0 {
			end := len(text)
			for i := 1; i < len(text); i++ {
				if text[i] == ' ' && strings.IndexByte(".!?", text[i-1]) >= 0 {
					end = i
					break
				}
			}
			sentence := strings.TrimSpace(text[:end])
			text = text[end:]
			if n := len(strings.Fields(sentence)); n >= shortest && n <= longest && !yield(sentence) {
				return
			}
		}
	}
}

// candidates yields the images that may be retrieved: those of the images alone whose
// objects are known, and those of other pairs.
func (b *builder) candidates(ctx context.Context) iter.Seq2[related.Pair, error] {
	return func(yield func(related.Pair, error) bool) {
		if b.o.Recipe.RetrievedImages == 0 {
			return
		}
		if c := b.c[corpus.Images]; c != nil {
			for s, err := range c.Each(ctx, corpus.Train) {
				if err != nil {
					yield(related.Pair{}, err)
					return
				}
				objects := b.objects(corpus.Images, s)
				if len(objects) > 0 && !yield(related.Pair{Key: locate(corpus.Images, s), Objects: objects}, nil) {
					return
				}
			}
		}
		for _, p := range b.images {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// lookUp finds paraphrases, rewritten captions, and retrieved images and texts of a pair.
func (p *Preparer) lookUp(it *item, caption int, r *random.Stream) error {
	recipe, res := p.Recipe, p.Resources
	others := slices.Concat(it.sample.Captions[:caption], it.sample.Captions[caption+1:])
	alike := slices.Concat(others, res.paraphrases.Of(it.caption))
	it.said = append(alike, it.caption)
	near, err := res.related.Related(it.key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // what is held out is not in the index
		return err
	}
	if recipe.joint() {
		for _, positive := range draw(alike, recipe.Positives, r) {
			it.positives = append(it.positives, p.encode(positive))
		}
		for _, negative := range res.negatives(recipe, it, near, caption, r) {
			it.negatives = append(it.negatives, p.encode(negative))
		}
		if len(it.negatives) < recipe.Negatives {
			it.lost.Skip("fewer rewritten captions than asked for; others of the batch stand in", it.sample.Where)
		}
	}
	if recipe.Of(corpus.Pairs)[Contrast] == 0 {
		return nil
	}
	for _, t := range draw(near.Texts, recipe.RetrievedTexts, r) {
		it.texts = append(it.texts, Text{t, p.encode(t)})
	}
	for _, location := range draw(near.Images, recipe.RetrievedImages, r) {
		s, err := res.open(location)
		if err != nil {
			return err
		}
		var im regions.Image
		if err := s.Image(&im); err != nil {
			it.lost.Skip(corpus.Reason(err), err.Error()) // a picture that cannot be read; the pair itself is sound
			continue
		}
		it.images = append(it.images, im)
	}
	return nil
}

// negatives returns captions that are false of a pair's image: some of other images, the rest rewritten by words and
// phrases.
func (r *Resources) negatives(recipe *Recipe, it *item, near related.Related, caption int, stream *random.Stream) []string {
	var out []string
	if caption < len(near.Captions) {
		n := int(recipe.SentenceShare*float64(recipe.Negatives) + 0.5)
		for _, other := range draw(near.Captions[caption], n, stream) {
			if !slices.Contains(it.said, other) {
				out = append(out, other)
			}
		}
	}
	for _, w := range r.rewriter.Negatives(it.caption, it.said, recipe.Negatives-len(out), stream) {
		out = append(out, w.Text)
	}
	return out
}

// draw returns n elements of list, or all of a shorter one, in an order of chance.
func draw[T any](list []T, n int, r *random.Stream) []T {
	var out []T
	for _, i := range r.Perm(len(list)) {
		if len(out) == n {
			break
		}
		out = append(out, list[i])
	}
	return out
}
