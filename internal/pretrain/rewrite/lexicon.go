package rewrite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// word is a part as it occurs in a corpus.
type word struct {
	Kind  Kind   `json:"kind"`
	Class string `json:"class,omitempty"`
	Form  string `json:"form,omitempty"`
	Lemma string `json:"lemma"`
	Text  string `json:"text"` // lower case
}

// term is a lemma of a kind.
type term struct {
	Kind  Kind   `json:"kind"`
	Lemma string `json:"lemma"`
}

// Lexicon is what occurs in a corpus of captions: words by kind, class and form, and which
// of them the captions of one image exchange. Its zero value is empty. Adding must not
// happen at the same time as anything else; what reads is safe for concurrent use.
type Lexicon struct {
	images int
	counts map[word]int    // in captions
	terms  map[term]*usage // in images
	pairs  int             // that are exchanged

	mu    sync.Mutex
	pools atomic.Pointer[pools] // made of counts when needed; nil after Add
}

// usage is how a term occurs.
type usage struct {
	images    int
	exchanged map[term]int // images of which one caption has this term alone and another caption the other
}

// pool is what words must have in common to replace each other. The class "*" has objects of
// all classes.
type pool struct {
	kind        Kind
	class, form string
	leads       bool // of objects: whether sentences are mostly about them, as about people and animals
}

// choice is a word of a pool.
type choice struct {
	lemma, text string
	class       string
	meaning     meaning
	weight      float64 // of this and all before it
}

// Add counts the captions of one image.
func (l *Lexicon) Add(captions []Graph) {
	if l.counts == nil {
		l.counts, l.terms = map[word]int{}, map[term]*usage{}
	}
	l.pools.Store(nil)
	l.images++
	says := make([]map[term]bool, len(captions))
	var all []term
	for i := range captions {
		says[i] = map[term]bool{}
		for _, p := range captions[i].parts() {
			l.counts[word{p.Kind, p.Class, p.Form, p.Lemma, captions[i].text(p)}]++
			t := term{p.Kind, p.Lemma}
			says[i][t] = true
			all = append(all, t)
		}
	}
	slices.SortFunc(all, compareTerms)
	all = slices.Compact(all)
	for _, t := range all {
		if l.terms[t] == nil {
			l.terms[t] = &usage{exchanged: map[term]int{}}
		}
		l.terms[t].images++
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.Kind == b.Kind && exchanged(says, a, b) {
				if l.terms[a].exchanged[b]++; l.terms[a].exchanged[b] == 1 {
					l.pairs++
				}
				l.terms[b].exchanged[a]++
			}
		}
	}
	if l.pairs > maxPairs {
		l.forget(maxPairs / 2)
	}
}

// maxPairs bounds the exchanges in memory, at some 400 MB; Flickr8k has 92,000.
const maxPairs = 4 << 20

// forget drops the pairs that are exchanged least until so many are left.
func (l *Lexicon) forget(left int) {
	for least := 2; l.pairs > left; least++ {
		n := 0
		for _, u := range l.terms {
			maps.DeleteFunc(u.exchanged, func(_ term, images int) bool { return images < least })
			n += len(u.exchanged)
		}
		l.pairs = n / 2 // both terms have it
	}
}

func compareTerms(a, b term) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Lemma, b.Lemma))
}

// exchanged says whether one caption has a without b, and another b without a.
func exchanged(says []map[term]bool, a, b term) bool {
	onlyA, onlyB := false, false
	for _, s := range says {
		onlyA = onlyA || s[a] && !s[b]
		onlyB = onlyB || s[b] && !s[a]
	}
	return onlyA && onlyB
}

// Captions exchange two terms often if, of the images with the one, this share has the
// other as well in another caption, this many times what chance would give, and not only
// once or twice.
const (
	exchangeShare  = 0.04
	exchangeLift   = 3
	exchangeImages = 3
)

// exchange says whether captions of one image often have b where another has a: then b
// may be true where a is.
func (l *Lexicon) exchange(kind Kind, a, b string) bool {
	ua, ub := l.terms[term{kind, a}], l.terms[term{kind, b}]
	if ua == nil || ub == nil {
		return false
	}
	n := float64(ua.exchanged[term{kind, b}])
	return n >= exchangeImages && n >= exchangeShare*float64(min(ua.images, ub.images)) &&
		n*float64(l.images) >= exchangeLift*float64(ua.images)*float64(ub.images)
}

// rare is how often a word must occur at least to replace another: of a large corpus,
// what occurs less is mostly a mistake of the writer or the parser.
func (l *Lexicon) rare() int { return 1 + l.images/2000 }

// fewChoices is how many words a pool of objects has at least: with fewer, objects of all
// classes may take the place.
const fewChoices = 8

const anyClass = "*"

// draw returns a word that could stand where a part is; ok is false if the corpus has none.
func (l *Lexicon) draw(p Part, r *random.Stream) (c choice, ok bool) {
	pools := l.pools.Load()
	if pools == nil {
		pools = l.makePools()
	}
	key := pool{p.Kind, p.Class, p.Form, p.Kind == Object && pools.leads[p.Lemma]}
	of := pools.of[key]
	if p.Kind == Object && len(of) < fewChoices {
		key.class = anyClass
		of = pools.of[key]
	}
	if len(of) == 0 {
		return choice{}, false
	}
	x := r.Float64() * of[len(of)-1].weight
	at := sort.Search(len(of), func(i int) bool { return of[i].weight > x })
	return of[min(at, len(of)-1)], true
}

// pools are the words of a lexicon by what they can replace.
type pools struct {
	of    map[pool][]choice
	leads map[string]bool // objects
}

func (l *Lexicon) makePools() *pools {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pools.Load(); p != nil {
		return p
	}
	uses := map[string]*[3]int{} // of every single word, by kind
	lead := map[string]int{}     // how much more often an object comes first than elsewhere
	for w, n := range l.counts {
		for single := range strings.FieldsSeq(w.Text) {
			if uses[single] == nil {
				uses[single] = &[3]int{}
			}
			uses[single][w.Kind.index()] += n
		}
		if w.Kind == Object && w.Class == "" {
			lead[w.Lemma] += n
		} else if w.Kind == Object {
			lead[w.Lemma] -= n
		}
	}
	p := &pools{of: map[pool][]choice{}, leads: map[string]bool{}}
	for lemma, n := range lead {
		p.leads[lemma] = n > 0
	}
	fits := map[word]int{} // what fits where, with how often the word occurs
	for w, n := range l.counts {
		if vague[w.Lemma] || mistaken(w, uses) {
			continue
		}
		fits[w] += n
		if w.Kind != Object {
			continue
		}
		forms := []string{w.Form}
		if w.Form == singularForm {
			forms = append(forms, definiteForm) // a dog, the dog
			fits[word{w.Kind, w.Class, definiteForm, w.Lemma, w.Text}] += n
		}
		for _, form := range forms {
			fits[word{w.Kind, anyClass, form, w.Lemma, w.Text}] += n
		}
	}
	for _, w := range sortedWords(fits) {
		if n := fits[w]; n >= l.rare() {
			p.add(w, n)
		}
	}
	l.pools.Store(p)
	return p
}

// add adds a word that occurs n times.
func (p *pools) add(w word, n int) {
	key := pool{w.Kind, w.Class, w.Form, w.Kind == Object && p.leads[w.Lemma]}
	c := choice{lemma: w.Lemma, text: w.Text, class: w.Class, weight: math.Pow(float64(n), 0.75)} // between all alike and as often as in the corpus, as word2vec draws
	c.meaning.add(w.Lemma)
	if have := p.of[key]; len(have) > 0 {
		c.weight += have[len(have)-1].weight
	}
	p.of[key] = append(p.of[key], c)
}

// mistaken says whether a word is more often of another kind: then the parser was wrong.
func mistaken(w word, uses map[string]*[3]int) bool {
	own := w.Kind.index()
	for single := range strings.FieldsSeq(w.Text) {
		for kind, n := range uses[single] {
			if kind != own && n > uses[single][own] {
				return true
			}
		}
	}
	return false
}

func (l *Lexicon) sorted() []word { return sortedWords(l.counts) }

// sortedWords returns the words of a map in an order that does not depend on the map's.
func sortedWords(counts map[word]int) []word {
	return slices.SortedFunc(maps.Keys(counts), func(a, b word) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Form, b.Form), cmp.Compare(a.Lemma, b.Lemma), cmp.Compare(a.Text, b.Text))
	})
}

// The file of a lexicon.
type lexiconFile struct {
	Images    int             `json:"images"`
	Words     []wordCount     `json:"words"`
	Terms     []termCount     `json:"terms"`
	Exchanged []exchangeCount `json:"exchanged"`
}

type wordCount struct {
	word
	Count int `json:"count"`
}

type termCount struct {
	term
	Images int `json:"images"`
}

type exchangeCount struct {
	Kind   Kind      `json:"kind"`
	Lemmas [2]string `json:"lemmas"`
	Images int       `json:"images"`
}

// Save writes the lexicon as JSON: all words with their counts, and the pairs that enough
// images exchange to count. What was saved rewrites as before.
func (l *Lexicon) Save(path string) error { return atomicfile.Write(path, l.write) }

func (l *Lexicon) write(out io.Writer) error {
	f := lexiconFile{Images: l.images, Words: []wordCount{}, Terms: []termCount{}, Exchanged: []exchangeCount{}}
	for _, w := range l.sorted() {
		f.Words = append(f.Words, wordCount{w, l.counts[w]})
	}
	for _, t := range slices.SortedFunc(maps.Keys(l.terms), compareTerms) {
		u := l.terms[t]
		f.Terms = append(f.Terms, termCount{t, u.images})
		first := len(f.Exchanged)
		for other, n := range u.exchanged {
			if n >= exchangeImages && compareTerms(t, other) < 0 {
				f.Exchanged = append(f.Exchanged, exchangeCount{t.Kind, [2]string{t.Lemma, other.Lemma}, n})
			}
		}
		slices.SortFunc(f.Exchanged[first:], func(a, b exchangeCount) int { return cmp.Compare(a.Lemmas[1], b.Lemmas[1]) })
	}
	return json.NewEncoder(out).Encode(f)
}

// maxLexicon bounds a lexicon's file, in bytes; that of a million captions has some tens of MB.
const maxLexicon = 1 << 30

// LoadLexicon reads what Save wrote. Errors are [*data.FileError].
func LoadLexicon(path string) (*Lexicon, error) {
	in, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	l, err := readLexicon(io.LimitReader(in, maxLexicon))
	if err != nil {
		return nil, &textfile.FileError{File: path, Problem: fmt.Sprintf("is no lexicon: %v", err), Remedy: "make it again", Err: err}
	}
	return l, nil
}

func readLexicon(in io.Reader) (*Lexicon, error) {
	var f lexiconFile
	if err := json.NewDecoder(in).Decode(&f); err != nil {
		return nil, infile.PlainJSON(err)
	}
	l := &Lexicon{images: f.Images, counts: map[word]int{}, terms: map[term]*usage{}}
	for _, w := range f.Words {
		if w.Count < 1 || w.Text == "" || w.Lemma == "" || w.Kind != Object && w.Kind != Attribute && w.Kind != Relation {
			return nil, fmt.Errorf("the %s %s occurs %d times", textfile.Quote(string(w.Kind)), textfile.Quote(w.Text), w.Count)
		}
		l.counts[w.word] = w.Count
	}
	for _, t := range f.Terms {
		if t.Images < 1 || t.Images > f.Images {
			return nil, fmt.Errorf("%s is in %d of %d images", textfile.Quote(t.Lemma), t.Images, f.Images)
		}
		l.terms[t.term] = &usage{images: t.Images, exchanged: map[term]int{}}
	}
	for _, e := range f.Exchanged {
		a, b := term{e.Kind, e.Lemmas[0]}, term{e.Kind, e.Lemmas[1]}
		if l.terms[a] == nil || l.terms[b] == nil || a == b || e.Images < 1 {
			return nil, fmt.Errorf("%s and %s are exchanged in %d images, or not known", textfile.Quote(e.Lemmas[0]), textfile.Quote(e.Lemmas[1]), e.Images)
		}
		if l.terms[a].exchanged[b] == 0 {
			l.pairs++
		}
		l.terms[a].exchanged[b], l.terms[b].exchanged[a] = e.Images, e.Images
	}
	return l, nil
}
