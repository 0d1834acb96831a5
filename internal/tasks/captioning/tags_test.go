package captioning

import (
	"fmt"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// A detector that sees the pictures names the objects that it is sure of, unless settings say otherwise.
func TestDetectorTags(t *testing.T) {
	detector := &regions.Spec{Extractor: "detector", Architecture: "Net", Dim: 1, Classes: []string{"dog", "traffic light", "cat"}, Fingerprint: strings.Repeat("ab", 32)}
	im := &regions.Image{ID: "a", Width: 9, Height: 9}
	for _, p := range [][]float32{{0.1, 0.8, 0.1}, {0.6, 0.2, 0.2}, {0.3, 0.65, 0.05}, {0.19, 0.18, 0.15}} { // the last is doubtful
		im.Boxes, im.Features, im.Classes = append(im.Boxes, 0, 0, 9, 9), append(im.Features, 1), append(im.Classes, p...)
	}
	for _, c := range []struct {
		name string
		spec *regions.Spec
		want string
	}{
		{"a detector", detector, "[traffic light dog]"},
		{"a network without classes", &regions.Spec{Extractor: "convnet"}, "[]"},
		{"not known", nil, "[]"},
	} {
		g, err := OpenTagger(TagSettings{}, c.spec)
		if err != nil {
			t.Fatal(err)
		}
		tags, err := g.of(im)
		if err != nil || fmt.Sprint(tags.Names) != c.want || g.Classes() != (c.want != "[]") {
			t.Errorf("%s: %v, %v, classes %v", c.name, tags.Names, err, g.Classes())
		}
		if tokens, err := g.tokens(im, nil, 0); tokens != nil || err != nil {
			t.Errorf("%s, at most 0 tokens: %v, %v", c.name, tokens, err)
		}
	}
	im.Classes = im.Classes[:4]
	g, _ := OpenTagger(TagSettings{}, detector)
	if _, err := g.of(im); err == nil || !strings.Contains(err.Error(), "Net (detector") {
		t.Errorf("other classes: %v", err)
	}
}
