package regions

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The fuzz targets ask of every reader that it returns, that its errors name the file,
// and that what it gives is sound. A panic or a hang fails them by itself.

// open reads everything from a path in both ways.
func open(t *testing.T, path string) {
	t.Helper()
	for _, o := range []Options{{}, {SkipBad: true}, {SkipBad: true, Order: OrderHeight, MaxRegions: 3}, {Classes: true}, {Classes: true, SkipBad: true}} {
		s, info, err := Open(path, o)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Fatalf("error %q does not name the file", err)
			}
			continue
		}
		if info.Images != len(s.IDs()) || info.Images == 0 || info.MinRegions < 1 || info.Dim < 1 {
			t.Fatalf("%+v", info)
		}
		var im Image
		var locations []float32
		for _, id := range s.IDs() {
			if err := s.Image(id, &im); err != nil {
				if o.SkipBad || !strings.Contains(err.Error(), path) {
					t.Fatalf("%+v: %v", o, err)
				}
				continue
			}
			if err := im.Check(s.Dim()); err != nil || im.Regions() < info.MinRegions || im.Regions() > info.MaxRegions {
				t.Fatalf("%d regions, %+v, %v", im.Regions(), info, err)
			}
			if _, locations = im.AppendRows(nil, locations[:0]); firstNotFinite(locations) >= 0 {
				t.Fatalf("locations %v", locations)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzLines(f *testing.F) {
	wide, high, square := testImages()
	for _, fields := range []int{6, 7, 10} {
		f.Add(joined(lineOf(wide, fields), lineOf(high, fields), lineOf(square, fields)))
		f.Add(joined(lineOf(swapped(wide), fields), lineOf(high, fields)))
	}
	f.Add(joined("image_id\timage_h\timage_w\tnum_boxes\tfeatures\tboxes", fmt.Sprintf("1\t9\t9\t1\t%s\t%s", field(1), field(0, 0, 1, 1))))
	f.Add(joined(lineOf(square, 6)+"\t"+field(0.5, 0.25, 0.25), lineOf(wide, 6)+"\t"+field(make([]float32, 9)...)))
	f.Add([]byte("\ufeff\r\n\n1\t1\t1\t1\t\t"))
	f.Fuzz(func(t *testing.T, file []byte) {
		open(t, save(t, filepath.Join(t.TempDir(), "x.tsv"), file))
	})
}

func FuzzNumPy(f *testing.F) {
	wide, _, _ := testImages()
	f.Add(npzOf(f, wide), true)
	f.Add(npyFloats([]int{1, 4}, 1, 2, 3, float32(math.Inf(1))), false)
	f.Add(npy(">f2", "True", []int{2, 3}, make([]byte, 12)), false)
	f.Add(npy("<i4", "False", []int{2, 3, 1}, make([]byte, 24)), false)
	f.Fuzz(func(t *testing.T, file []byte, zipped bool) {
		name := "x.npy"
		if zipped {
			name = "x.npz"
		}
		open(t, save(t, filepath.Join(t.TempDir(), name), file))
	})
}

func FuzzStore(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "store")
	writeStore(f, dir, Header{Dim: 48, Bytes: true}, testPictures(f, Spec{Extractor: Patches, ImageSize: 8, PatchSize: 4}, 2))
	const name = "features-00001.safetensors"
	parts := func(dir string) (parts [2][]byte) {
		for i, file := range []string{storeFile, name} {
			raw, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				f.Fatal(err)
			}
			parts[i] = raw
		}
		return parts
	}
	plain := parts(dir)
	f.Add(plain[0], plain[1])
	f.Add([]byte(`{"format":"unimo-features","version":1,"dim":1,"shards":[]}`), plain[1])
	full := filepath.Join(f.TempDir(), "full")
	w, err := NewWriter(full, Header{Dim: 4}, Resume)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(w.Add(partImage("a", 2)), w.Close()); err != nil {
		f.Fatal(err)
	}
	rich := parts(full)
	f.Add(rich[0], rich[1])
	f.Fuzz(func(t *testing.T, manifest, shard []byte) {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(dir, storeFile), manifest)
		save(t, filepath.Join(dir, name), shard)
		open(t, dir)
		if w, err := NewWriter(dir, Header{Dim: 48, Bytes: true}, Resume); err == nil {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"extractor":"patches","image_size":16,"patch_size":4}`))
	f.Add([]byte(`{"extractor":"statistics","image_size":40,"grid":5}`))
	f.Add([]byte(`{"extractor":"convnet","dim":4,"classes":["a"],"preprocessing":{"size":4},"fingerprint":"` + strings.Repeat("0a", 32) + `"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		save(t, filepath.Join(dir, SpecFile), raw)
		s, err := ReadSpec(dir)
		if err != nil {
			if !strings.Contains(err.Error(), SpecFile) {
				t.Fatalf("error %q does not name the file", err)
			}
			return
		}
		if s.Trained() {
			return // which needs weights
		}
		x, err := NewExtractor(s)
		if err != nil {
			t.Fatal(err)
		}
		if x.Spec().ImageSize > 256 {
			return // large pictures would only take time
		}
		var im Image
		if err := errors.Join(x.Extract(x.Prepare(testPicture(7, 5)), 7, 5, &im), im.Check(x.Dim())); err != nil {
			t.Fatal(err)
		}
	})
}
