package rewrite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/metrics"
)

func newRand(seed uint64) *random.Stream { return random.New(seed, "test") }

// rewriterOf makes a rewriter whose corpus is images with captions.
func rewriterOf(tb testing.TB, images ...[]string) Rewriter {
	tb.Helper()
	w := Rewriter{Parser: newParser(tb), Lexicon: &Lexicon{}}
	for _, captions := range images {
		w.Lexicon.Add(w.graphs(captions))
	}
	return w
}

func (w *Rewriter) graphs(captions []string) []Graph {
	var graphs []Graph
	for _, c := range captions {
		graphs = append(graphs, w.Parser.Parse(c))
	}
	return graphs
}

// replacements returns all that takes the place of each part of a caption.
func replacements(w *Rewriter, caption string, others ...string) map[string][]string {
	found := map[string][]string{}
	for seed := range uint64(60) {
		for _, x := range w.Negatives(caption, others, 4, newRand(seed)) {
			found[x.From] = append(found[x.From], x.To)
		}
	}
	for from := range found {
		slices.Sort(found[from])
		found[from] = slices.Compact(found[from])
	}
	return found
}

var corpus = [][]string{
	{"A brown dog runs on the beach ."}, {"A man holds a ball ."}, {"An old woman sits under the tree ."}, {"Two cats sleep on the sofa ."},
	{"Three boys ride horses ."}, {"A guy in a red shirt ."}, {"An elephant eats ."}, {"A girl wears a hat ."}, {"The puppy runs under the table ."},
}

func TestNegatives(t *testing.T) {
	w := rewriterOf(t, corpus...)
	for _, c := range []struct {
		caption string
		others  []string
		want    map[string][]string
	}{
		{"A man holds a ball .", nil, map[string][]string{
			"man": {"dog", "elephant", "girl", "woman"}, "ball": {"hat", "shirt"}, "holds": {"wears"}}}, // no guy: a synonym
		{"A man holds a ball .", []string{"He has a dog and a hat .", "Women !"}, map[string][]string{
			"man": {"elephant"}, "ball": {"shirt"}, "holds": {"wears"}}}, // no dog, no hat, no woman: said; no girl: may be the woman
		{"Two dogs run on the sofa", nil, map[string][]string{
			"Two": {"three"}, "dogs": {"boys", "cats", "horses"}, "sofa": {"ball", "beach", "hat", "shirt", "table"}, "on": {"under"}, "run": {"sleep"}}},
		{"Rain .", nil, map[string][]string{}},
	} {
		got := replacements(&w, c.caption, c.others...)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q with %q:\n %v, want\n %v", c.caption, c.others, got, c.want)
		}
	}
}

// TestPlaces: phrases of place share words and not their meaning.
func TestPlaces(t *testing.T) {
	w := rewriterOf(t, []string{"A star left of a ring ."}, []string{"A star right of a ring ."}, []string{"A ring in front of a star ."}, []string{"A star below a ring ."})
	got := replacements(&w, "A star is left of a ring .", "The middle of a ring .")
	if want := []string{"below", "in front of", "right of"}; !slices.Equal(got["left of"], want) {
		t.Errorf("%q, want %q", got["left of"], want)
	}
	got = replacements(&w, "A star is left of a ring .", "The ring is right of a star .")
	if want := []string{"below", "in front of"}; !slices.Equal(got["left of"], want) {
		t.Errorf("%q, want %q", got["left of"], want)
	}
}

func TestFewer(t *testing.T) {
	w := rewriterOf(t, []string{"A dog ."}, []string{"A cat ."})
	got := w.Negatives("A dog .", nil, 10, newRand(1))
	if want := []Rewrite{{"A cat .", Object, "dog", "cat"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, empty := range []Rewriter{rewriterOf(t), rewriterOf(t, []string{"It rains ."}, nil)} {
		if got := empty.Negatives("A dog .", nil, 10, newRand(1)); got != nil {
			t.Errorf("%v of an empty lexicon", got)
		}
	}
}

func TestReplace(t *testing.T) {
	for _, c := range []struct{ caption, from, to, want string }{
		{"a dog", "dog", "elephant", "an elephant"},
		{"An elephant runs", "elephant", "dog", "A dog runs"},
		{"A brown dog", "brown", "orange", "An orange dog"},
		{"An  old dog", "old", "young", "A  young dog"},
		{"Men sit", "Men", "dogs", "Dogs sit"},
		{"the Mexican flag", "Mexican", "red", "the red flag"},
		{"a dog", "dog", "unicycle", "a unicycle"},
		{"a dog", "dog", "umbrella", "an umbrella"},
		{"banana dog", "dog", "owl", "banana owl"}, // no article
	} {
		at := strings.Index(c.caption, c.from)
		if got := replace(c.caption, Part{Start: at, End: at + len(c.from)}, c.to); got != c.want {
			t.Errorf("%q with %s: %q, want %q", c.caption, c.to, got, c.want)
		}
	}
}

// TestExchange: words that captions of one image exchange do not replace each other.
func TestExchange(t *testing.T) {
	var images [][]string
	for range 6 {
		images = append(images, []string{"A lorgnette on a table .", "A monocle on a table ."})
	}
	for range 100 {
		images = append(images, []string{"A dog on a sofa ."})
	}
	w := rewriterOf(t, images...)
	if got := replacements(&w, "A lorgnette on a table .")["lorgnette"]; !slices.Equal(got, []string{"dog"}) {
		t.Errorf("a lorgnette becomes %q", got)
	}
}

func TestWordNet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "synonyms")
	if err := os.WriteFile(path, []byte("lorgnette monocle\nhold wear\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wordNet, err := metrics.OpenWordNet(path)
	if err != nil {
		t.Fatal(err)
	}
	w := rewriterOf(t, []string{"A lorgnette on a table ."}, []string{"A monocle on a table ."}, []string{"A dog on a table ."})
	if got := replacements(&w, "A lorgnette on a table .")["lorgnette"]; !slices.Equal(got, []string{"dog", "monocle"}) {
		t.Errorf("%q", got)
	}
	w.WordNet = wordNet
	if got := replacements(&w, "A lorgnette on a table .")["lorgnette"]; !slices.Equal(got, []string{"dog"}) {
		t.Errorf("with synonyms %q", got)
	}
}

func TestForget(t *testing.T) {
	w := rewriterOf(t, []string{"A cat .", "A dog ."}, []string{"A cat .", "A dog ."}, []string{"A cat .", "A hat ."}, []string{"A cat .", "A bat ."})
	if w.Lexicon.pairs != 3 {
		t.Fatalf("%d pairs", w.Lexicon.pairs)
	}
	w.Lexicon.forget(1)
	if cat := w.Lexicon.terms[term{Object, "cat"}].exchanged; w.Lexicon.pairs != 1 || len(cat) != 1 || cat[term{Object, "dog"}] != 2 {
		t.Errorf("%d pairs, %v", w.Lexicon.pairs, cat)
	}
	w.Lexicon.forget(0)
	if w.Lexicon.pairs != 0 {
		t.Errorf("%d pairs", w.Lexicon.pairs)
	}
}

func TestMeanings(t *testing.T) {
	alike := func(a, b string) bool {
		var x, y meaning
		x.add(a)
		y.add(b)
		if x.alike(&y) != y.alike(&x) {
			t.Errorf("%s and %s are alike in one order", a, b)
		}
		return x.alike(&y)
	}
	for pair := range strings.FieldsSeq("man/guy man/person person/skier skier/man dog/puppy puppy/animal soccer_ball/toy bike/bicycle boy/child in/on hold/carry") {
		a, b, _ := strings.Cut(strings.ReplaceAll(pair, "_", " "), "/")
		if !alike(a, b) {
			t.Errorf("%s and %s are not alike", a, b)
		}
	}
	for pair := range strings.FieldsSeq("man/woman boy/girl skier/surfer dog/cat in/under red/blue old/young car/truck xyzzy/plugh") {
		if a, b, _ := strings.Cut(pair, "/"); alike(a, b) {
			t.Errorf("%s and %s are alike", a, b)
		}
	}
	lines := 0
	for line := range strings.Lines(synonymText) {
		if strings.HasPrefix(line, "= ") || strings.HasPrefix(line, "> ") {
			lines++
		}
	}
	if room := 64 * len(bits{}); lines > room {
		t.Errorf("the table has %d lines, bits room for %d", lines, room)
	}
}

func TestSaveLoad(t *testing.T) {
	var images [][]string
	for range 4 {
		images = append(images, append(corpus, []string{"A lorgnette .", "A monocle ."})...)
	}
	w := rewriterOf(t, images...)
	path := filepath.Join(t.TempDir(), "lexicon.json")
	if err := w.Lexicon.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadLexicon(path)
	if err != nil {
		t.Fatal(err)
	}
	if !loaded.exchange(Object, "monocle", "lorgnette") || loaded.pairs == 0 {
		t.Error("an exchange is lost")
	}
	again := Rewriter{Parser: w.Parser, Lexicon: loaded}
	for seed := range uint64(20) {
		for _, captions := range corpus {
			a, b := w.Negatives(captions[0], nil, 5, newRand(seed)), again.Negatives(captions[0], nil, 5, newRand(seed))
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%v, loaded %v", a, b)
			}
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Save(path); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("saved again it differs (%v)", err)
	}
}

func TestLoadErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lexicon.json")
	for _, content := range []string{"", "{", "[]", `{"words":[{"kind":"object","lemma":"dog","text":"dog","count":0}]}`,
		`{"images":1,"terms":[{"kind":"object","lemma":"dog","images":2}]}`, `{"exchanged":[{"kind":"object","lemmas":["a","b"],"images":1}]}`,
		`{"words":[{"kind":"animal","lemma":"dog","text":"dog","count":1}]}`} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadLexicon(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", content, err)
		}
	}
	if _, err := LoadLexicon(path + "x"); err == nil {
		t.Error("an absent file passes")
	}
}

func FuzzLexicon(f *testing.F) {
	var b bytes.Buffer
	w := rewriterOf(f, corpus...)
	if err := w.Lexicon.write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"images":3,"words":[{"kind":"object","lemma":"a","text":"b","form":"singular","count":3}],"terms":[]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		l, err := readLexicon(bytes.NewReader(content))
		if err != nil {
			return
		}
		again := Rewriter{Parser: w.Parser, Lexicon: l}
		again.Negatives("A brown dog runs on the beach .", nil, 3, newRand(1))
	})
}

// TestRealCaptions holds the promises over Flickr8k.
func TestRealCaptions(t *testing.T) {
	set, err := captions.Read(golden.Data(t, "flickr8k"), "train")
	if err != nil {
		t.Fatal(err)
	}
	w := Rewriter{Parser: newParser(t), Lexicon: &Lexicon{}}
	var images [][]Graph
	captioned, empty := 0, 0
	for i := 0; i < len(set.Images); i += 6 {
		var of []Graph
		for _, c := range set.Of(i) {
			g := w.Parser.Parse(set.Captions[c].Text)
			checkGraph(t, g)
			captioned++
			if len(g.Objects) == 0 {
				empty++
			}
			of = append(of, g)
		}
		images = append(images, of)
		w.Lexicon.Add(of)
	}
	if empty > captioned/500 {
		t.Errorf("of %d captions %d have no object", captioned, empty)
	}
	const asked = 4
	made, full, replaced := 0, 0, map[Kind]int{}
	for i, of := range images {
		others := of[1:]
		got := w.NegativesOf(of[0], others, asked, newRand(uint64(i)))
		if again := w.NegativesOf(of[0], others, asked, newRand(uint64(i))); !reflect.DeepEqual(got, again) {
			t.Fatalf("%v, then %v", got, again)
		}
		if len(got) == asked {
			full++
		}
		texts := map[string]bool{}
		for _, x := range got {
			made++
			replaced[x.Kind]++
			if texts[x.Text] || strings.EqualFold(x.Text, of[0].Text) {
				t.Errorf("%q twice", x.Text)
			}
			texts[x.Text] = true
			checkWrong(t, x, of)
		}
	}
	if full < len(images)*98/100 {
		t.Errorf("of %d captions only %d have %d negatives", len(images), full, asked)
	}
	for _, kind := range []Kind{Object, Attribute, Relation} {
		if replaced[kind] < made/10 {
			t.Errorf("of %d negatives %d replace an %s", made, replaced[kind], kind)
		}
	}
}

// checkWrong: what was put in is in none of the image's captions, and no known synonym is.
func checkWrong(t *testing.T, x Rewrite, of []Graph) {
	t.Helper()
	last := head(strings.ToLower(x.To))
	var put meaning
	put.add(strings.ToLower(x.To))
	for _, g := range of {
		words := strings.FieldsFunc(strings.ToLower(g.Text), func(r rune) bool { return r == ' ' || r == ',' || r == '.' })
		if x.Kind == Relation && last != strings.ToLower(x.To) { // a phrase: its words may be there
			words = nil
			for _, p := range g.Relations {
				words = append(words, p.Lemma)
			}
			last = strings.ToLower(x.To)
		}
		if slices.Contains(words, last) {
			t.Errorf("%s -> %s, but an image of %q", x.From, x.To, g.Text)
		}
		for _, p := range g.Objects {
			var m meaning
			m.add(p.Lemma)
			if x.Kind == Object && put.alike(&m) {
				t.Errorf("%s -> %s, but an image of a %s", x.From, x.To, p.Lemma)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	w := rewriterOf(t, corpus...)
	want := w.Negatives("A brown dog runs on the beach .", nil, 5, newRand(3))
	w = rewriterOf(t, corpus...) // without pools
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if got := w.Negatives("A brown dog runs on the beach .", nil, 5, newRand(3)); !reflect.DeepEqual(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
			}
		})
	}
	all.Wait()
}

func TestJSON(t *testing.T) {
	w := rewriterOf(t, corpus...)
	raw, err := json.Marshal(w.Negatives("A dog .", []string{"A woman, a man, a girl ."}, 1, newRand(1)))
	if want := `[{"text":"An elephant .","kind":"object","from":"dog","to":"elephant"}]`; err != nil || string(raw) != want {
		t.Errorf("%s, %v, want %s", raw, err, want)
	}
}

func ExampleRewriter_Negatives() {
	parser, err := NewParser()
	if err != nil {
		panic(err)
	}
	w := Rewriter{Parser: parser, Lexicon: &Lexicon{}}
	for _, captions := range [][]string{{"A brown dog runs on the beach .", "A wet dog ."}, {"A red cat sits on the sofa ."}, {"An owl sits under the tree ."}} {
		var graphs []Graph
		for _, c := range captions {
			graphs = append(graphs, parser.Parse(c))
		}
		w.Lexicon.Add(graphs)
	}
	for _, n := range w.Negatives("A brown dog runs on the beach .", []string{"A wet dog ."}, 3, random.New(1, "test")) {
		fmt.Printf("%s (%s: %s, was %s)\n", n.Text, n.Kind, n.To, n.From)
	}
	// Output:
	// A brown cat runs on the beach . (object: cat, was dog)
	// A brown dog runs under the beach . (relation: under, was on)
	// A brown dog sits on the beach . (relation: sits, was runs)
}

func BenchmarkParse(b *testing.B) {
	p := newParser(b)
	for b.Loop() {
		p.Parse("A boy in a white shirt is looking through the glass at a little creature .")
	}
}

func BenchmarkNegatives(b *testing.B) {
	w := rewriterOf(b, corpus...)
	of := w.graphs([]string{"A brown dog runs on the beach .", "The wet dog runs .", "Dog at the sea", "A dog on sand", "An animal runs along the shore ."})
	r := newRand(1)
	for b.Loop() {
		w.NegativesOf(of[0], of[1:], 4, r)
	}
}
