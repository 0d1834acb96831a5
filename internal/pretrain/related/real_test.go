package related

import (
	"bufio"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// TestRealData holds the promises over real captions: nothing found equals one of the image's own captions or comes twice.
func TestRealData(t *testing.T) {
	set, err := captions.Read(golden.Data(t, "flickr8k"), "train")
	if err != nil {
		t.Fatal(err)
	}
	file := golden.Data(t, filepath.Join("flickr30k-captions", "captions.tsv.gz"))
	var pairs []Pair
	for i := 0; i < len(set.Images); i += 20 {
		p := Pair{Key: set.Images[i]}
		for _, c := range set.Of(i) {
			p.Captions = append(p.Captions, set.Captions[c].Text)
		}
		pairs = append(pairs, p)
	}
	texts := func(yield func(string, error) bool) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		s := bufio.NewScanner(z)
		for n := 0; s.Scan() && n < 20_000; n++ {
			if _, text, _ := strings.Cut(s.Text(), "\t"); !yield(text, nil) {
				return
			}
		}
	}
	const kept = 20
	x := buildIndex(t, pairs, texts, nil, Options{Captions: kept, Texts: kept})
	if s := x.Summary(); s.ShortCaptions > s.Captions/50 || s.ShortTexts > 0 {
		t.Errorf("%d pairs of Flickr8k have too few neighbours: %+v", len(pairs), s)
	}
	for _, p := range pairs {
		r, err := x.Related(p.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range append(r.Captions, r.Texts) {
			seen := slices.Clone(p.Captions)
			for i := range seen {
				seen[i] = plain(seen[i])
			}
			for _, text := range list {
				if slices.Contains(seen, plain(text)) {
					t.Errorf("%s: %q is its own or comes twice", p.Key, text)
				}
				seen = append(seen, plain(text))
			}
		}
	}
}
