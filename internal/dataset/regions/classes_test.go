package regions

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// withClasses gives an image's regions probabilities of so many classes, exact in binary.
func withClasses(im *Image, classes int) *Image {
	out := *im
	r := rand.New(rand.NewPCG(1, uint64(im.Regions())))
	for range im.Regions() {
		p := make([]float32, classes)
		for left := 16; left > 0; left-- {
			p[r.IntN(classes)] += 1.0 / 16
		}
		out.Classes = append(out.Classes, p...)
	}
	return &out
}

func lineOfClasses(im *Image) string { return lineOf(im, 6) + "\t" + field(im.Classes...) }

func TestClasses(t *testing.T) {
	wide, high, square := testImages()
	wide, high, square = withClasses(wide, 3), withClasses(high, 3), withClasses(square, 3)
	path := save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lineOfClasses(wide), lineOfClasses(high), lineOfClasses(square)))
	s, info := openTest(t, path, Options{Classes: true})
	if Classes(s) != 3 || info.Classes != 3 {
		t.Fatalf("%d classes, %+v", Classes(s), info)
	}
	for _, im := range []*Image{wide, high, square} {
		wantImage(t, s, im)
	}
	// Written again they are the same.
	again := filepath.Join(t.TempDir(), "again.tsv")
	if err := WriteReference(again, s.Dim(), Read(s, s.IDs())); err != nil {
		t.Fatal(err)
	}
	copied, _ := openTest(t, again, Options{Classes: true})
	sameSources(t, copied, s)

	// Where nobody asks for them or the form has none, there are none, not even those of an image before.
	plain, _ := openTest(t, path, Options{})
	ones := *square
	ones.Classes = []float32{1}
	single, _ := openTest(t, save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lineOfClasses(&ones))), Options{Classes: true})
	store := filepath.Join(t.TempDir(), "store")
	writeStore(t, store, Header{Dim: s.Dim()}, s)
	stored, _ := openTest(t, store, Options{Classes: true})
	sameSources(t, stored, s)
	unasked, _ := openTest(t, store, Options{})
	six, _ := openTest(t, save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lineOf(square, 6))), Options{Classes: true})
	for i, s := range []Source{plain, single, unasked, six} {
		dst := Image{Classes: []float32{1, 2, 3}}
		if err := s.Image(square.ID, &dst); err != nil {
			t.Fatal(err)
		}
		if Classes(s) != 0 || dst.Classes != nil {
			t.Errorf("source %d: %d classes, %v", i, Classes(s), dst.Classes)
		}
	}
}

// The sum of a region's probabilities becomes 1: detectors leave the background out.
func TestClassesAreNormalised(t *testing.T) {
	im := testImage("1", 2, 4, 640, 480)
	im.Classes = []float32{0.25, 0, 0.25, 0, 0.125, 0.375}
	s, _ := openTest(t, save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lineOfClasses(im))), Options{Classes: true})
	im.Classes = []float32{0.5, 0, 0.5, 0, 0.25, 0.75}
	wantImage(t, s, im)
}

func TestBadClasses(t *testing.T) {
	good := withClasses(testImage("good", 2, 4, 640, 480), 3)
	for _, c := range []struct {
		name    string
		classes []float32
		want    string
	}{
		{"none", nil, "0 classes, where the images before have 3"},
		{"one column", []float32{1, 1}, "0 classes, where the images before have 3"},
		{"others", []float32{1, 0, 0, 1}, "2 classes, where the images before have 3"},
		{"uneven", []float32{1, 0, 0, 1, 0}, "5 values for 2 regions"},
		{"negative", []float32{1, 0, 0, 2, -1, 0}, "region 2: the probability of class 2 is -1"},
		{"no number", []float32{1, 0, float32(math.NaN()), 1, 0, 0}, "region 1: the probability of class 3 is NaN"},
		{"infinite", []float32{1, 0, 0, float32(math.Inf(1)), 0, 0}, "sum to +Inf"},
		{"zeros", []float32{1, 0, 0, 0, 0, 0}, "region 2: the probabilities sum to 0"},
		{"scores", []float32{1, 0, 0, 3, 4, 0}, "region 2: the probabilities sum to 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := testImage("bad", 2, 4, 640, 480)
			bad.Classes = c.classes
			path := save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lineOfClasses(good), lineOfClasses(bad)))
			s, _, err := Open(path, Options{Classes: true})
			if err == nil {
				err = s.Image("bad", new(Image))
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path+":2") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			skipped, info := openTest(t, path, Options{Classes: true, SkipBad: true})
			if info.Bad != 1 || !reflect.DeepEqual(skipped.IDs(), []string{"good"}) {
				t.Errorf("%+v", info)
			}
			wantImage(t, skipped, good)
		})
	}
}
