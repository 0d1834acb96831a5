package regions

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
)

// partImage has a global feature and the probabilities of three classes.
func partImage(id string, n int) *Image {
	im := testImage(id, n, 4, 100, 50)
	for i := range 4 {
		im.Global = append(im.Global, float32(len(id)*10+i))
	}
	for r := range n {
		im.Classes = append(im.Classes, 0.5, 0.25, 0.25/float32(r+1))
	}
	return im
}

// A store keeps global features and classes, also of the images that stay when others leave it.
func TestStoreKeepsGlobalsAndClasses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	write := func(images ...*Image) error {
		w, err := NewWriter(dir, Header{Dim: 4}, Resume)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range images {
			if err := w.Add(im); err != nil {
				return errors.Join(err, w.Close())
			}
		}
		return w.Close()
	}
	a, bb, ccc := partImage("a", 3), partImage("bb", 1), partImage("ccc", 2)
	if err := write(a, bb); err != nil {
		t.Fatal(err)
	}
	if err := write(ccc); err != nil { // in a shard of its own
		t.Fatal(err)
	}
	w, err := NewWriter(dir, Header{Dim: 4}, Resume)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.retain(map[string]Origin{"bb": w.Origin("bb"), "ccc": w.Origin("ccc")}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, classes := range []bool{true, false} {
		s, info := openTest(t, dir, Options{Classes: classes, SkipBad: true})
		if classes && (info.Classes != 3 || Classes(s) != 3) || !classes && (info.Classes != 0 || Classes(s) != 0) || info.Bad != 0 {
			t.Errorf("with classes %v: %+v", classes, info)
		}
		var im Image
		for _, want := range []*Image{ccc, bb} {
			if err := s.Image(want.ID, &im); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(im.Global, want.Global) || !slices.Equal(im.Features, want.Features) || classes && !slices.Equal(im.Classes, want.Classes) || !classes && im.Classes != nil {
				t.Errorf("with classes %v: %+v, want %+v", classes, im, want)
			}
		}
	}

	if err := write(partImage("d", 1), testImage("plain", 1, 4, 100, 50)); err == nil || !strings.Contains(err.Error(), "others than the images before") {
		t.Errorf("an image without a global feature among others: %v", err)
	}
	bad := partImage("e", 1)
	bad.Global = bad.Global[:3]
	if err := write(bad); err == nil || !strings.Contains(err.Error(), "3 values of the global feature; 4 are needed") {
		t.Errorf("a global feature of another size: %v", err)
	}
	lone := testImage("lone", 1, 4, 100, 50)
	if err := write(lone); err != nil { // a shard without
		t.Fatal(err)
	}
	if _, _, err := Open(dir, Options{Classes: true}); err == nil || !strings.Contains(err.Error(), "probabilities of 0 classes, where the shards before have 3") {
		t.Errorf("shards of different classes: %v", err)
	}
	s, _ := openTest(t, dir, Options{})
	im := partImage("used before", 2)
	if err := s.Image("lone", im); err != nil || len(im.Global) != 0 || im.Classes != nil {
		t.Errorf("an image without a global feature: %+v, %v", im, err)
	}
}

func TestStoreRefusesOddParts(t *testing.T) {
	for _, c := range []struct {
		name   string
		tensor checkpoint.Tensor
	}{
		{"too few globals", checkpoint.FromFloat32(tensorGlobals, []int{1, 3}, make([]float32, 3))},
		{"globals for more images", checkpoint.FromFloat32(tensorGlobals, []int{2, 4}, make([]float32, 8))},
		{"globals of one dimension", checkpoint.FromFloat32(tensorGlobals, []int{4}, make([]float32, 4))},
		{"classes of fewer regions", checkpoint.FromFloat32(tensorClasses, []int{1, 3}, make([]float32, 3))},
		{"classes as bytes", checkpoint.Tensor{Info: checkpoint.Info{Name: tensorClasses, DType: checkpoint.U8, Shape: []int{2, 3}}, Data: make([]byte, 6)}},
	} {
		dir := filepath.Join(t.TempDir(), "store")
		w, err := NewWriter(dir, Header{Dim: 4}, Resume)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Add(testImage("a", 2, 4, 100, 50)), w.Close()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "features-00001.safetensors")
		r, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		tensors := []checkpoint.Tensor{c.tensor}
		for _, info := range r.Tensors() {
			raw, err := r.Bytes(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, checkpoint.Tensor{Info: info, Data: slices.Clone(raw)})
		}
		metadata := r.Metadata()
		r.Close()
		if err := checkpoint.WriteSafetensors(path, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), c.tensor.Name) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// An image is copied whole, into the memory of another.
func TestCopy(t *testing.T) {
	from, to := partImage("a", 3), partImage("other", 5)
	from.Copy(to)
	if to.ID != "a" || !slices.Equal(to.Boxes, from.Boxes) || !slices.Equal(to.Features, from.Features) || !slices.Equal(to.Global, from.Global) || !slices.Equal(to.Classes, from.Classes) {
		t.Errorf("%+v, want %+v", to, from)
	}
	to.Features[0]++
	if from.Features[0] == to.Features[0] {
		t.Error("the copy shares memory")
	}
	if from.Size() != 4*(12+12+4+9) {
		t.Errorf("an image of %d bytes", from.Size())
	}
}
