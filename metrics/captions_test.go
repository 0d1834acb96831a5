package metrics

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"math"
	"os"
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
