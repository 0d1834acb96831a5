package images

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// numbered is a source of images whose only feature is their number.
type numbered []string

func (s numbered) Dim() int      { return 1 }
func (s numbered) IDs() []string { return s }
func (s numbered) Close() error  { return nil }
func (s numbered) Image(id string, dst *regions.Image) error {
	*dst = regions.Image{ID: id, Width: 1, Height: 1, Boxes: []float32{0, 0, 1, 1}, Features: []float32{float32(slices.Index(s, id))}}
	return nil
}

// Each image of a split has another's features, every one comes once, and the seed decides which.
func TestShuffled(t *testing.T) {
	var names numbered
	for i := range 20 {
		names = append(names, fmt.Sprint("image", i))
	}
	lists := []List{{Split: "train", Names: names[:12]}, {Split: "dev", Names: names[10:]}}
	features := func(seed uint64) []float32 {
		source, err := Options{Pictures: Shuffled, Seed: seed}.control(names, lists)
		if err != nil {
			t.Fatal(err)
		}
		var got []float32
		for i, name := range names {
			var im regions.Image
			if err := source.Image(name, &im); err != nil || im.ID != name || im.Features[0] == float32(i) {
				t.Errorf("image %d has the features of %v, %q, %v", i, im.Features, im.ID, err)
			}
			got = append(got, im.Features[0])
		}
		return got
	}
	first := features(1)
	if !slices.Equal(first, features(1)) || slices.Equal(first, features(2)) {
		t.Error("the seed does not decide")
	}
	train := map[float32]bool{}
	for _, f := range first[:12] {
		train[f] = true
	}
	if len(train) != 12 || slices.Max(slices.Collect(maps.Keys(train))) != 11 {
		t.Errorf("the images of train have those of %v", train)
	}
	if _, err := (Options{Pictures: Shuffled}).control(names, []List{{Split: "dev", Names: names[:1]}}); err == nil || !strings.Contains(err.Error(), "dev has one image") {
		t.Errorf("a single image: %v", err)
	}
}

func TestHidden(t *testing.T) {
	source, err := Options{Pictures: Hidden}.control(numbered{"a", "b"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	im := regions.Image{Features: []float32{1, 2, 3}, Boxes: make([]float32, 12), Classes: []float32{1}}
	for _, id := range []string{"a", "b"} {
		if err := source.Image(id, &im); err != nil || im.Check(1) != nil || im.Regions() != 1 || im.Features[0] != 0 || im.ID != id {
			t.Errorf("%s: %+v, %v", id, im, err)
		}
	}
}

// The control holds for what is opened, changed pictures too, and a score says so.
func TestControl(t *testing.T) {
	set := drawn(t)
	set.Images = set.Images[1:] // the first is bad
	for i := range set.Captions {
		set.Captions[i].Image = max(0, set.Captions[i].Image-1)
	}
	for _, control := range []string{"", Shuffled, Hidden} {
		o := Options{Log: slog.New(slog.DiscardHandler), Pictures: control}
		source, _, _, err := Open(o, cutter, picture.DefaultLimits, 1<<20, set)
		if err != nil {
			t.Fatal(err)
		}
		var im regions.Image
		draws := func() *random.Stream { return random.New(1, "test") }
		_, err = Augmented(source, "a.png", picture.Augmentation{MinArea: 0.5, Flip: true}, draws, &im)
		if want := 4; err != nil || im.ID != "a.png" || (im.Regions() == want) != (control != Hidden) {
			t.Errorf("%q: %q with %d regions, %v", control, im.ID, im.Regions(), err)
		}
		if notes := strings.Join(o.Notes(), ""); (control == "") != (notes == "") || !strings.Contains(notes, control) {
			t.Errorf("%q: notes are %q", control, notes)
		}
		source.Close()
	}
}

// A picture that is not there is said before anything is computed.
func TestMissingPicture(t *testing.T) {
	set := drawn(t)
	set.Images[2] = "gone.png"
	_, _, _, err := Open(Options{Log: slog.New(slog.DiscardHandler)}, cutter, picture.DefaultLimits, 1<<20, set)
	if err == nil || !strings.Contains(err.Error(), `dev.txt:3: there is no picture "gone.png" in `+captions.ImageDir(set.Dir)) {
		t.Errorf("got %v", err)
	}
	var log bytes.Buffer
	_, _, sets, err := Open(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), SkipBad: true}, cutter, picture.DefaultLimits, 1<<20, set)
	if err != nil || !slices.Equal(sets[0].Images, []string{"a.png"}) || !strings.Contains(log.String(), "2 of 3 images of dev were left out") {
		t.Errorf("%+v, %v, %s", sets, err, &log)
	}
}
