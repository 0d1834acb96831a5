package related

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/parallel"
)

// plain is a text without case and punctuation.
func plain(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", r) }), " ")
}

// all yields the elements of a list.
func all[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func buildIndex(t testing.TB, pairs []Pair, texts iter.Seq2[string, error], images iter.Seq2[Pair, error], o Options) *Index {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "related")
	if err := Build(context.Background(), dir, all(pairs), texts, images, o, nil); err != nil {
		t.Fatal(err)
	}
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func TestRelated(t *testing.T) {
	pairs := []Pair{
		{"snow.jpg", []string{"A dog runs in the snow.", "The white dog."}, []string{"dog", "snow"}},
		{"beach.jpg", []string{"Two dogs are running on a beach.", "a dog runs in the snow"}, []string{"dog", "dog", "sand"}},
		{"cat.jpg", []string{"A cat sleeps.", "?!"}, nil},
	}
	texts := []string{"Running dogs!", "the snow", "a DOG runs, in the snow", "the snow.", "", "trains"}
	images := []Pair{{Key: "snow.jpg", Objects: []string{"dog", "snow"}}, {Key: "p", Objects: []string{"sand", "tree"}}, {Key: "q", Objects: []string{"snow", "dog"}}}
	x := buildIndex(t, pairs, all(texts), all(images), Options{Captions: 2, Texts: 3, Images: 1, Fingerprint: "of this"})
	for key, want := range map[string]Related{
		// What equals a caption of the image itself is not found, whoever wrote it.
		"snow.jpg": {[][]string{{"Two dogs are running on a beach."}, {"Two dogs are running on a beach."}}, []string{"Running dogs!", "the snow"}, []string{"q"}},
		// "Dogs" and "running" are found by their stems.
		"beach.jpg": {[][]string{{"The white dog."}, {"The white dog."}}, []string{"Running dogs!", "the snow"}, []string{"p"}},
		"cat.jpg":   {[][]string{nil, nil}, nil, nil},
	} {
		got, err := x.Related(key)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	if got, want := x.Summary(), (Summary{Pairs: 3, Captions: 6, ShortCaptions: 6, ShortTexts: 3, ShortImages: 1}); got != want {
		t.Errorf("summary %+v, want %+v", got, want)
	}
	if x.Fingerprint() != "of this" {
		t.Errorf("fingerprint %q", x.Fingerprint())
	}
	if _, err := x.Related("dog.jpg"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "dog.jpg") {
		t.Errorf("a key without a pair: %v", err)
	}
}

// words of an invented language, so that each is its own stem.
func inventedText(r *rand.Rand, longest int) string {
	words := make([]string, r.IntN(longest+1))
	for i := range words {
		words[i] = fmt.Sprintf("q%d", int(math.Exp(r.Float64()*3.5))) // few are frequent
	}
	return strings.Join(words, " ")
}

func inventedPairs(r *rand.Rand, n int) []Pair {
	pairs := make([]Pair, n)
	for i := range pairs {
		pairs[i] = Pair{Key: fmt.Sprintf("k%03d", i), Objects: strings.Fields(inventedText(r, 5))}
		for range r.IntN(4) {
			pairs[i].Captions = append(pairs[i].Captions, inventedText(r, 6))
		}
	}
	return pairs
}

// bruteForce scores every document against a query, by the definition.
func bruteForce(documents [][]string, ask []string, value func(count int, idf float64) float64) []float64 {
	frequency := map[string]float64{}
	counts := func(terms []string) map[string]int {
		c := map[string]int{}
		for _, t := range terms {
			c[t]++
		}
		return c
	}
	for _, d := range documents {
		for t := range counts(d) {
			frequency[t]++
		}
	}
	vector := func(terms []string) map[string]float64 {
		v, squares := map[string]float64{}, 0.0
		for t, n := range counts(terms) {
			if frequency[t] > 0 {
				v[t] = value(n, math.Log(1+float64(len(documents))/frequency[t]))
				squares += v[t] * v[t]
			}
		}
		for t := range v {
			v[t] /= math.Sqrt(squares)
		}
		return v
	}
	q := vector(ask)
	scores := make([]float64, len(documents))
	for i, d := range documents {
		for t, w := range vector(d) {
			scores[i] += w * q[t]
		}
	}
	return scores
}

// checkList compares a list with what brute force finds best among the documents that are allowed, each name once.
func checkList(t *testing.T, what string, got, documents []string, scores []float64, not []string, want int) {
	t.Helper()
	best := map[string]float64{}
	for i, d := range documents {
		if scores[i] > 0 && !slices.Contains(not, d) {
			best[d] = scores[i]
		}
	}
	ranked := slices.SortedFunc(maps.Values(best), func(a, b float64) int { return cmp.Compare(b, a) })
	if len(got) != min(want, len(ranked)) {
		t.Fatalf("%s: %d are found of %d", what, len(got), min(want, len(ranked)))
	}
	for i, name := range got {
		score, allowed := best[name]
		if !allowed || math.Abs(score-ranked[i]) > 1e-6 {
			t.Errorf("%s: place %d is %q of score %v, want one of score %v", what, i, name, score, ranked[i])
		}
		delete(best, name)
	}
}

func TestBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	pairs, images := inventedPairs(r, 60), inventedPairs(r, 200)
	var captions, texts, keys []string
	for _, p := range pairs {
		captions = append(captions, p.Captions...)
	}
	for range 300 {
		texts = append(texts, inventedText(r, 8))
	}
	for _, p := range images { // whose keys are partly the pairs'
		keys = append(keys, p.Key)
	}
	split := func(list []string) (out [][]string) {
		for _, s := range list {
			out = append(out, strings.Fields(s))
		}
		return out
	}
	var objects [][]string
	for _, p := range images {
		objects = append(objects, p.Objects)
	}
	words := func(count int, idf float64) float64 { return (1 + math.Log(float64(count))) * idf }
	root := func(_ int, idf float64) float64 { return math.Sqrt(idf) }

	const want = 7
	var first []byte
	for _, block := range []int{blockDocuments, 1, 7, 64} {
		for _, threads := range []int{1, 3} {
			old := parallel.Threads()
			parallel.SetThreads(threads)
			b := builder{ctx: t.Context(), stems: analyser{}, block: block}
			dir := filepath.Join(t.TempDir(), "related")
			shuffled := slices.Clone(pairs)
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			last, total := 0, 0
			err := b.build(dir, all(shuffled), all(texts), all(images), Options{Captions: want, Texts: want, Images: want}, func(done, of int) {
				if done <= last {
					t.Errorf("progress of %d after %d", done, last)
				}
				last, total = done, of
			})
			parallel.SetThreads(old)
			if err != nil {
				t.Fatal(err)
			}
			if last != total || total == 0 {
				t.Errorf("progress ends with %d of %d", last, total)
			}
			raw, err := os.ReadFile(filepath.Join(dir, fileName))
			if err != nil {
				t.Fatal(err)
			}
			if first != nil {
				if !slices.Equal(raw, first) {
					t.Errorf("blocks of %d on %d threads make another file", block, threads)
				}
				continue
			}
			first = raw
			x, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			for _, p := range pairs {
				got, err := x.Related(p.Key)
				if err != nil {
					t.Fatal(err)
				}
				for i, c := range p.Captions {
					checkList(t, p.Key+" captions", got.Captions[i], captions, bruteForce(split(captions), strings.Fields(c), words), p.Captions, want)
				}
				checkList(t, p.Key+" texts", got.Texts, texts, bruteForce(split(texts), strings.Fields(strings.Join(p.Captions, " ")), words), p.Captions, want)
				checkList(t, p.Key+" images", got.Images, keys, bruteForce(objects, p.Objects, root), []string{p.Key}, want)
			}
		}
	}
}

func TestEqualsGoByOrder(t *testing.T) {
	texts := []string{"dog one", "dog two", "dog three", "dog, two", "dog four"}
	x := buildIndex(t, []Pair{{Key: "k", Captions: []string{"dog"}}}, all(texts), nil, Options{Texts: 3})
	r, err := x.Related("k")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Texts, "; "); got != "dog two; dog one; dog three" {
		t.Errorf("found %s", got) // "two" has more documents, so it weighs less beside the dog
	}
}

func TestBuildErrors(t *testing.T) {
	fault := errors.New("fault")
	good := []Pair{{Key: "k", Captions: []string{"dog"}}}
	failing := func(yield func(Pair, error) bool) { _ = yield(good[0], nil) && yield(Pair{}, fault) }
	failingTexts := func(yield func(string, error) bool) { yield("", fault) }
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		ctx    context.Context
		pairs  iter.Seq2[Pair, error]
		texts  iter.Seq2[string, error]
		images iter.Seq2[Pair, error]
		o      Options
		want   error  // one that is wrapped, or nil
		says   string // a part of the message
	}{
		"no pairs":          {ctx, all([]Pair{}), nil, nil, Options{}, nil, "no pairs"},
		"equal keys":        {ctx, all(slices.Repeat(good, 2)), nil, nil, Options{}, nil, `"k"`},
		"negative":          {ctx, all(good), nil, nil, Options{Texts: -1}, nil, "-1 texts"},
		"many":              {ctx, all(good), nil, nil, Options{Images: 1 << 40}, nil, "10000"},
		"a pair's error":    {ctx, failing, nil, nil, Options{}, fault, ""},
		"an image's error":  {ctx, all(good), nil, failing, Options{Images: 1}, fault, ""},
		"a text's error":    {ctx, all(good), failingTexts, nil, Options{Texts: 1}, fault, ""},
		"cancelled":         {cancelled, all(good), nil, nil, Options{Captions: 1}, context.Canceled, ""},
		"cancelled reading": {cancelled, all(good), all([]string{"a"}), nil, Options{Texts: 1}, context.Canceled, ""},
	} {
		parent := t.TempDir()
		err := Build(c.ctx, filepath.Join(parent, "x"), c.pairs, c.texts, c.images, c.o, nil)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v", name, err)
		}
		if left, _ := os.ReadDir(parent); len(left) > 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
	if err := Build(ctx, t.TempDir(), all(good), nil, nil, Options{}, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that exists: %v", err)
	}
}

func TestOnlyTheFileStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	if err := Build(t.Context(), dir, all([]Pair{{Key: "k", Captions: []string{"dog"}}}), all([]string{"a dog"}), nil, Options{Texts: 2}, nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != fileName {
		t.Errorf("%v %v", entries, err)
	}
}

func i64(name string, values ...int64) checkpoint.Tensor {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return tensor(name, checkpoint.I64, b, len(values))
}

func i32(name string, rows int, values ...int32) checkpoint.Tensor {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return tensor(name, checkpoint.I32, b, rows, len(values)/rows)
}

func text(name, s string) checkpoint.Tensor {
	return tensor(name, checkpoint.U8, []byte(s), len(s))
}

// sound are the tensors of an index of two pairs and three captions.
func sound() []checkpoint.Tensor {
	return []checkpoint.Tensor{
		text("keys", "abc"), i64("keys.ends", 1, 3), i64("first", 0, 2, 3),
		i32("captions", 3, 0, 1, 1, -1, -1, -1), text("captions.names", "xyz"), i64("captions.names.ends", 2, 3),
		i32("texts", 2, 0, -1), text("texts.names", "t"), i64("texts.names.ends", 1),
		i32("images", 2, -1, 0), text("images.names", "i"), i64("images.names.ends", 1),
	}
}

func TestOpenRefuses(t *testing.T) {
	open := func(tensors []checkpoint.Tensor, version string) error {
		dir := t.TempDir()
		if err := checkpoint.WriteSafetensors(filepath.Join(dir, fileName), tensors, map[string]string{"version": version}); err != nil {
			t.Fatal(err)
		}
		x, err := Open(dir)
		if err == nil {
			x.Close()
		}
		return err
	}
	if err := open(sound(), version); err != nil {
		t.Fatal(err)
	}
	if err := open(sound(), "0"); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("another version: %v", err)
	}
	for i, missing := range sound() {
		if err := open(slices.Delete(sound(), i, i+1), version); err == nil || !strings.Contains(err.Error(), missing.Name) {
			t.Errorf("without %s: %v", missing.Name, err)
		}
	}
	for _, c := range []struct {
		what string
		bad  checkpoint.Tensor
	}{
		{"keys out of order", text("keys", "cab")},
		{"ends that fall", i64("keys.ends", 3, 1)},
		{"ends below zero", i64("keys.ends", -1, 3)},
		{"ends before the end", i64("keys.ends", 1, 2)},
		{"ends after the end", i64("captions.names.ends", 2, 4)},
		{"no ends", i64("keys.ends")},
		{"a late start", i64("first", 1, 2, 3)},
		{"too few pairs", i64("first", 0, 3)},
		{"more captions than rows", i64("first", 0, 2, 4)},
		{"far more captions than rows", i64("first", 0, 2, 1<<62)},
		{"captions that fall", i64("first", 0, 4, 3)},
		{"a number of no name", i32("captions", 3, 0, 2, 1, -1, -1, -1)},
		{"a hole", i32("captions", 3, -1, 1, 1, -1, -1, -1)},
		{"a number below -1", i32("captions", 3, 0, 1, 1, -2, -1, -1)},
		{"too few rows", i32("texts", 1, 0, -1)},
		{"another type", tensor("images", checkpoint.F32, make([]byte, 8), 2, 1)},
		{"another rank", tensor("images", checkpoint.I32, make([]byte, 8), 2)},
	} {
		tensors := sound()
		at := slices.IndexFunc(tensors, func(t checkpoint.Tensor) bool { return t.Name == c.bad.Name })
		tensors[at] = c.bad
		if err := open(tensors, version); err == nil || !strings.Contains(err.Error(), fileName) || !strings.Contains(err.Error(), "make it again") {
			t.Errorf("%s: error %v", c.what, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// FuzzOpen opens anything: what is accepted can be read to the end.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	for _, tensors := range [][]checkpoint.Tensor{sound(), sound()[:9]} {
		path := filepath.Join(dir, fileName)
		if err := checkpoint.WriteSafetensors(path, tensors, map[string]string{"version": version}); err != nil {
			f.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := checkpoint.ParseSafetensors("x", raw)
		if err != nil {
			return
		}
		x, err := newIndex(r)
		if err != nil {
			return
		}
		for i := range x.Summary().Pairs {
			if _, err := x.Related(string(x.keys.at(i))); err != nil {
				t.Error(err)
			}
		}
	})
}
