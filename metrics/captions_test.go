package metrics

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// captionGolden is testdata/captions.json: captions and what the programs of COCO's evaluation say
// about them. testdata/captions.py made it.
type captionGolden struct {
	Hyps      []string
	Refs      [][]string
	HypTokens []string   `json:"hyp_tokens"`
	RefTokens [][]string `json:"ref_tokens"`
	Odd       []string
	OddTokens []string `json:"odd_tokens"`
	BLEU      [4]float64
	ROUGEL    float64     `json:"rouge_l"`
	CIDErD    ciderGolden `json:"cider_d"`
	CIDEr     ciderGolden
	METEOR    ciderGolden

	Synsets, Exceptions, Paraphrases string // METEOR's data, of our own
}

type ciderGolden struct {
	Corpus float64
	Each   []float64
}

func readCaptions(t *testing.T) (g captionGolden) {
	t.Helper()
	raw, err := os.ReadFile("testdata/captions.json")
	if err != nil {
		t.Fatal(err)
	}
	unmarshal(t, raw, &g)
	if len(g.Hyps) < 50 || len(g.HypTokens) != len(g.Hyps) || len(g.RefTokens) != len(g.Hyps) || len(g.CIDErD.Each) != len(g.Hyps) {
		t.Fatalf("captions.json has %d captions", len(g.Hyps))
	}
	return g
}

func TestPTBTokenizeAll(t *testing.T) {
	g := readCaptions(t)
	equal := func(captions, want []string) {
		t.Helper()
		for i, got := range PTBTokenizeAll(captions) {
			if got != want[i] {
				t.Errorf("%q: %q, want %q", captions[i], got, want[i])
			}
		}
	}
	equal(g.Hyps, g.HypTokens)
	equal(slices.Concat(g.Refs...), slices.Concat(g.RefTokens...))
	if len(g.Odd) < 300 {
		t.Errorf("%d odd texts", len(g.Odd))
	}
	equal(g.Odd, g.OddTokens)
}

// The digests are of what the program printed for all captions of a data set, a line each.
func TestPTBTokenizeDataSets(t *testing.T) {
	for _, c := range []struct {
		name   string
		read   func(t *testing.T) []string
		count  int
		digest string
	}{
		{"flickr8k", flickr8k, 35000, "8c370c7d1bca91b6136c39a779e3e2fbd788c15ada88b843cdd401132a9c7754"},
		{"flickr30k", flickr30k, 141085, "ca04ed2f6e7a014b254308a2887ee6b33cd4ec32657a11a0868074cafcc7763c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			captions := c.read(t)
			digest := sha256.Sum256([]byte(strings.Join(PTBTokenizeAll(captions), "\n")))
			if got := hex.EncodeToString(digest[:]); got != c.digest || len(captions) != c.count {
				t.Errorf("%d captions with the digest %s", len(captions), got)
			}
		})
	}
}

func flickr8k(t *testing.T) (captions []string) {
	t.Helper()
	f, err := os.Open(golden.Data(t, "flickr8k/captions.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		captions = append(captions, row[1])
	}
	return captions
}

func flickr30k(t *testing.T) (captions []string) {
	t.Helper()
	f, err := os.Open(golden.Data(t, "flickr30k-captions/captions.tsv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		_, caption, _ := strings.Cut(lines.Text(), "\t")
		captions = append(captions, caption)
	}
	return captions
}

func TestCaptionScores(t *testing.T) {
	g := readCaptions(t)
	for k, score := range BLEU(g.HypTokens, g.RefTokens) {
		near(t, fmt.Sprintf("BLEU-%d", k+1), score, g.BLEU[k])
	}
	near(t, "ROUGE-L", CaptionROUGEL(g.HypTokens, g.RefTokens), g.ROUGEL)
	for _, c := range []struct {
		name  string
		score func([]string, [][]string) (float64, []float64)
		want  ciderGolden
	}{{"CIDEr-D", CIDErD, g.CIDErD}, {"CIDEr", CIDEr, g.CIDEr}} {
		corpus, each := c.score(g.HypTokens, g.RefTokens)
		near(t, c.name, corpus, c.want.Corpus)
		for i, want := range c.want.Each {
			near(t, fmt.Sprintf("%s of %q", c.name, g.Hyps[i]), each[i], want)
		}
	}
}

// writeMETEOR writes a folder of METEOR's data.
func writeMETEOR(t *testing.T, files map[string]string, paraphrases string) string {
	t.Helper()
	dir := t.TempDir()
	var jar, table bytes.Buffer
	z := zip.NewWriter(&jar)
	for name, content := range files {
		w, err := z.Create("synonym/english." + name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	g := gzip.NewWriter(&table)
	io.WriteString(g, paraphrases)
	if err := errors.Join(z.Close(), g.Close(), os.Mkdir(filepath.Join(dir, "data"), 0o755),
		os.WriteFile(filepath.Join(dir, "meteor-1.5.jar"), jar.Bytes(), 0o600),
		os.WriteFile(filepath.Join(dir, "data", "paraphrase-en.gz"), table.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMETEORWithParaphrases(t *testing.T) {
	g := readCaptions(t)
	dir := writeMETEOR(t, map[string]string{"synsets": g.Synsets, "exceptions": g.Exceptions}, g.Paraphrases)
	data, err := OpenMETEOR(dir, g.HypTokens, g.RefTokens)
	if err != nil {
		t.Fatal(err)
	}
	got := METEOR(g.HypTokens, g.RefTokens, data)
	near(t, "METEOR", got.METEOR, g.METEOR.Corpus)
	if len(got.Stages) != 4 || math.Abs(got.METEOR-METEOR(g.HypTokens, g.RefTokens, nil).METEOR) < 1e-4 {
		t.Errorf("%+v", got)
	}
	for i, want := range g.METEOR.Each {
		near(t, fmt.Sprintf("METEOR of %q", g.Hyps[i]), METEOR(g.HypTokens[i:i+1], g.RefTokens[i:i+1], data).METEOR, want)
	}
}

func TestOpenMETEORRefuses(t *testing.T) {
	good := map[string]string{"synsets": "a\n1\n", "exceptions": ""}
	broken := writeMETEOR(t, good, "")
	for _, name := range []string{"meteor-1.5.jar", "data/paraphrase-en.gz"} {
		if err := os.WriteFile(filepath.Join(broken, name), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noTable := writeMETEOR(t, good, "")
	if err := os.WriteFile(filepath.Join(noTable, "data/paraphrase-en.gz"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, dir := range map[string]string{
		"meteor-1.5.jar: does not exist":                       t.TempDir(),
		"absent: does not exist":                               "absent",
		"meteor-1.5.jar: is no archive of Java":                broken,
		"paraphrase-en.gz: is not compressed with gzip":        noTable,
		"holds no synonym/english.synsets":                     writeMETEOR(t, map[string]string{"exceptions": ""}, ""),
		`english.synsets:2: "x" is not the number of a synset`: writeMETEOR(t, map[string]string{"synsets": "a\nx\n", "exceptions": ""}, ""),
		"paraphrase-en.gz:3: ends too early":                   writeMETEOR(t, good, "0.5\na\n"),
	} {
		_, err := OpenMETEOR(dir, nil, nil)
		var at *FileError
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &at) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func FuzzParaphrases(f *testing.F) {
	for _, s := range []string{"0.5\na b\nc\n", "", "\n\n", "0.5\na\na\n0.5\n \n", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, table string) {
		p := &paraphrases{of: map[string][][]string{}}
		known := map[string]bool{"a": true, "b": true, "c": true}
		if err := p.read(strings.NewReader(table), "table", known); err != nil {
			if !strings.HasPrefix(err.Error(), "table:") {
				t.Errorf("no place in %v", err)
			}
			return
		}
		m := METEOR([]string{"a b c"}, [][]string{{"c a", "b"}}, &WordNet{paraphrases: p})
		checkRange(t, "METEOR", m.METEOR)
	})
}

func TestCIDErEdges(t *testing.T) {
	two := [][]string{{"a red ball", "the ball"}, {"a dog runs in the park"}}
	for _, c := range []struct {
		name string
		hyps []string
		refs [][]string
		want []float64 // CIDEr-D of each
	}{
		{"no captions", nil, nil, nil},
		{"one image: every weight is 0", []string{"a dog runs"}, [][]string{{"a dog runs"}}, []float64{0}},
		{"the reference itself", []string{"none", "a dog runs in the park"}, two, []float64{0, 10}},
		{"empty, and no reference", []string{"", "a dog"}, [][]string{{"a dog"}, nil}, []float64{0, 0}},
		{"an empty reference", []string{"a dog", "x"}, [][]string{{""}, {"x"}}, []float64{0, 2.5}},
	} {
		corpus, each := CIDErD(c.hyps, c.refs)
		if len(each) != len(c.want) {
			t.Fatalf("%s: %d scores", c.name, len(each))
		}
		sum := 0.0
		for i, want := range c.want {
			near(t, fmt.Sprintf("%s, %d", c.name, i), each[i], want)
			sum += want
		}
		if want := sum / float64(len(c.want)); !(math.Abs(corpus-want) < 1e-12 || math.IsNaN(corpus) && math.IsNaN(want)) {
			t.Errorf("%s: the corpus scores %v, want %v", c.name, corpus, want)
		}
	}
	// What sets the two forms apart: repeated words, and length.
	long := []string{"a red ball ball ball ball ball ball ball ball", "x"}
	robust, _ := CIDErD(long, two)
	plain, _ := CIDEr(long, two)
	if !(robust < plain/2) {
		t.Errorf("CIDEr-D of a caption that repeats itself is %v, CIDEr %v", robust, plain)
	}
}
