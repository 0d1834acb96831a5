package rewrite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/captions"
)

func TestPreview(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"train.txt":    "a.jpg\nb.jpg\nc.jpg\nd.jpg\n",
		"captions.csv": "image,caption\na.jpg,A brown dog runs on the grass .\na.jpg,A dog is outside .\nb.jpg,A black cat sleeps on the sofa .\nc.jpg,It is .\nd.jpg,A white horse runs on the road .\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := captions.Read(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := NewParser()
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	w := &Rewriter{Parser: parser, Lexicon: &Lexicon{}}
	p, err := NewPreview(t.Context(), set, []int{0}, w, Paraphrases{"A dog is outside .": {"There is a dog out there ."}}, func(done int) { read = done })
	if err != nil || read != 4 || p.Empty() != 1 {
		t.Fatalf("%d images read, %d captions without objects, %v", read, p.Empty(), err)
	}
	shown := p.Captions(0, 3, random.New(1, "test"))
	if len(shown) != 2 || shown[0].Image != "a.jpg" || len(shown[0].Objects) == 0 || len(shown[0].Negatives) == 0 {
		t.Fatalf("got %+v", shown)
	}
	if want := []string{"A brown dog runs on the grass .", "There is a dog out there ."}; !slices.Equal(shown[1].Positives, want) {
		t.Errorf("positives %q, want %q", shown[1].Positives, want)
	}
	if more := p.Captions(1, 3, random.New(1, "test")); len(more) != 0 {
		t.Errorf("an image that was not asked for has %v", more)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewPreview(ctx, set, nil, w, nil, func(int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
