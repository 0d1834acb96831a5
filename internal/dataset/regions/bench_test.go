package regions

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// detected are images as a detector gives them: 100 regions of 2048 values.
func detected(n int) []*Image {
	images := make([]*Image, n)
	for i := range images {
		images[i] = testImage(fmt.Sprint(i), 100, 2048, 500, 375)
	}
	return images
}

// benchmarkImages reads the images of a file or folder of some bytes; what is not in the
// system's cache comes from the disk.
func benchmarkImages(b *testing.B, path string) {
	s, info, err := Open(path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetBytes(info.Bytes / int64(info.Images))
	b.ReportAllocs()
	var im Image
	for i := 0; b.Loop(); i++ {
		if err := s.Image(s.IDs()[i%len(s.IDs())], &im); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReferenceLines(b *testing.B) {
	benchmarkImages(b, writeLines(b, detected(32)))
}

func writeLines(tb testing.TB, images []*Image) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "x.tsv")
	err := WriteReference(path, 2048, func(yield func(*Image, error) bool) {
		for _, im := range images {
			if !yield(im, nil) {
				return
			}
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func BenchmarkStoreFloats(b *testing.B) {
	w, err := NewWriter(b.TempDir(), Header{Dim: 2048}, Refuse)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkStore(b, w, detected(32))
}

func BenchmarkStoreBytes(b *testing.B) {
	w, err := NewWriter(b.TempDir(), Header{Dim: 768, Bytes: true}, Refuse)
	if err != nil {
		b.Fatal(err)
	}
	x, err := NewExtractor(Spec{Extractor: Patches})
	if err != nil {
		b.Fatal(err)
	}
	images := make([]*Image, 32)
	for i := range images {
		images[i] = &Image{ID: fmt.Sprint(i)}
		x.Extract(testPicture(128, 128), 500, 375, images[i])
	}
	benchmarkStore(b, w, images)
}

func benchmarkStore(b *testing.B, w *Writer, images []*Image) {
	for _, im := range images {
		if err := w.Add(im); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	benchmarkImages(b, w.dir)
}

// BenchmarkOpenLines makes the index of a file; bytes are those of the file, most of
// which it does not read.
func BenchmarkOpenLines(b *testing.B) {
	path := writeLines(b, detected(32))
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		s, _, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

func BenchmarkPictures(b *testing.B) {
	s := testPictures(b, Spec{Extractor: Patches}, 8)
	var im Image
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.Image(s.IDs()[i%8], &im); err != nil {
			b.Fatal(err)
		}
	}
}
