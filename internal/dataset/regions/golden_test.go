package regions

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// TestReferenceReaders compares lines read in both orders of width and height with what
// the reference's readers make of them.
func TestReferenceReaders(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("retrieval.json") || !c.Has("retrieval_images.safetensors") {
			t.Skip("not run: the case has no images of retrieval")
		}
		var g struct {
			Lines  []string `json:"image_lines"`
			Parsed []struct {
				Line   int    `json:"line"`
				Reader string `json:"reader"`
				ID     string `json:"img_filename"`
				Boxes  int    `json:"number_box"`
			} `json:"parsed"`
		}
		c.JSON(t, "retrieval.json", &g)
		want := c.Tensors(t, "retrieval_images.safetensors")
		dir := t.TempDir()
		for _, p := range g.Parsed {
			name := fmt.Sprintf("line%d.%s", p.Line, p.Reader)
			// The readers do not look at the boxes, and so some lines fit one order alone:
			// each is made a file of its own, with a size that has room in either order.
			line := g.Lines[p.Line]
			path := save(t, filepath.Join(dir, name), []byte(line+"\n"))
			order := map[string]string{"train": OrderWidth, "test": OrderHeight}[p.Reader]
			im, dim := readUnchecked(t, path, order)
			if im.ID != p.ID || im.Regions()+1 != p.Boxes {
				t.Errorf("%s: image %s of %d regions, want %s of %d", name, im.ID, im.Regions()+1, p.ID, p.Boxes)
			}
			features, locations := im.AppendRows(nil, nil)
			shape := want.Shape(name + ".image_embeddings")
			if rows := len(locations) / LocationSize; dim != shape[1] || rows != shape[0] {
				t.Errorf("%s: %d rows of %d values, want %v", name, rows, dim, shape)
			}
			golden.Near(t, name+" features", features, want.Floats(name+".image_embeddings"), 1e-6)
			golden.Near(t, name+" locations", locations, want.Floats(name+".image_loc"), 1e-6)
		}

		// All lines together: the order follows from the boxes.
		s, info, err := Open(save(t, filepath.Join(dir, "all"), []byte(strings.Join(g.Lines, "\n"))), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if info.Format != FormatReference || info.Order != OrderWidth || info.Images != len(g.Lines) {
			t.Errorf("%+v", info)
		}
	})
}

// readUnchecked reads the only image of a file as the reference does: in an order in
// which its boxes may lie outside.
func readUnchecked(t *testing.T, path, order string) (*Image, int) {
	t.Helper()
	s, _, err := Open(path, Options{Order: order})
	if err == nil {
		defer s.Close()
		var im Image
		if err := s.Image(s.IDs()[0], &im); err != nil {
			t.Fatal(err)
		}
		return &im, s.Dim()
	}
	if !strings.Contains(err.Error(), "outside the image") {
		t.Fatal(err)
	}
	other := map[string]string{OrderWidth: OrderHeight, OrderHeight: OrderWidth}[order]
	s, _, err = Open(path, Options{Order: other})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var im Image
	if err := s.Image(s.IDs()[0], &im); err != nil {
		t.Fatal(err)
	}
	im.Width, im.Height = im.Height, im.Width
	return &im, s.Dim()
}

// TestRealFeatures reads features of a detector, which lie in a file without boxes.
func TestRealFeatures(t *testing.T) {
	path := golden.Data(t, filepath.Join("region-features", "resnet-2048x34.npy"))
	s, info, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	size, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Format != FormatNumPy || info.Dim != 2048 || info.MinRegions != 34 || info.MaxRegions != 34 || info.Bytes != size.Size() {
		raw, _ := json.Marshal(info)
		t.Errorf("%s", raw)
	}
	var im Image
	if err := s.Image(s.IDs()[0], &im); err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, v := range im.Features {
		if v < 0 {
			t.Fatalf("a negative value, %v, behind a rectifier", v)
		}
		sum += float64(v)
	}
	if mean := sum / float64(len(im.Features)); !(mean > 0.1 && mean < 2) {
		t.Errorf("mean %v is not that of a detector's features", mean)
	}
	// Through both of our formats and back.
	dir := t.TempDir()
	if err := WriteReference(filepath.Join(dir, "lines"), s.Dim(), Read(s, s.IDs())); err != nil {
		t.Fatal(err)
	}
	writeStore(t, filepath.Join(dir, "store"), Header{Dim: s.Dim()}, s)
	for _, name := range []string{"lines", "store"} {
		got, _, err := Open(filepath.Join(dir, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		sameSources(t, got, s)
	}
}
