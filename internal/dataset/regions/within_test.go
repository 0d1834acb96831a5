package regions

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// The images in the lines of SNLI-VE are those that the reference's reader makes of them.
func TestEntailmentLines(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("visual_entailment.json") || !c.Has("visual_entailment.safetensors") {
			t.Skip("not run: the case has no lines of visual entailment")
		}
		var g struct{ Lines []string }
		c.JSON(t, "visual_entailment.json", &g)
		want := c.Tensors(t, "visual_entailment.safetensors")
		for i, line := range g.Lines {
			fields, err := EntailmentFields.Split([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			var im Image
			if err := EntailmentFields.Image(fields, &im); err != nil {
				t.Fatal(err)
			}
			features, locations := im.AppendRows(nil, nil)
			name := fmt.Sprintf("len64.line%d.", i)
			golden.Near(t, name+"features", features, want.Floats(name+"image_embeddings"), 1e-6)
			golden.Near(t, name+"locations", locations, want.Floats(name+"image_loc"), 1e-6)
		}
	})
}

func TestCaptionLines(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("img2txt.json") {
			t.Skip("not run: the case has no lines of captions")
		}
		var g struct{ Lines []string }
		c.JSON(t, "img2txt.json", &g)
		for _, line := range g.Lines {
			fields, err := CaptionFields.Split([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			var im Image
			if err := CaptionFields.Image(fields, &im); err != nil {
				t.Error(err)
			}
		}
	})
}

// within is a line of SNLI-VE with an image of two regions of one value.
func within(id string, width float64, values ...float32) string {
	return fmt.Sprintf("%s;d;2;0 5 2;0 0 0;2 3 4;x;%v;8;%d;%s;%s;p;a", id, width, len(values),
		encoded(slices.Repeat([]float32{0, 0, 4, 8}, len(values))...), encoded(values...))
}

func encoded(values ...float32) string { return base64.StdEncoding.EncodeToString(littleBytes(values)) }

func TestWithin(t *testing.T) {
	lines := within("a", 4, 1, 2) + "\n" + within("b", 6, 3) + "\r\n\n" + within("a", 4, 1, 2) + "\n" + within("c", 3, 1) + "\n" + "x;y\n" + within("d", 4, 4)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(lines))
	z.Close()
	dir := t.TempDir()
	for name, content := range map[string][]byte{"plain": []byte(lines), "packed.gz": packed.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		w := NewWithin(EntailmentFields, 0)
		var good []int
		var bad []string
		err := w.Scan(path, func(fields [][]byte, line int, problem error) error {
			if problem != nil {
				bad = append(bad, strings.TrimPrefix(problem.Error(), path+":"))
			} else if good = append(good, line); string(fields[3]) != "0 5 2" {
				t.Errorf("tokens are %s", fields[3])
			}
			return nil
		})
		if err != nil || !slices.Equal(good, []int{1, 2, 4, 7}) {
			t.Errorf("%s: good lines are %v, %v", name, good, err)
		}
		if len(bad) != 2 || !strings.HasPrefix(bad[0], "5: box 1, [0 0 4 8], lies outside the image") || !strings.HasPrefix(bad[1], "6: has 2 fields with ; between them, want 14") {
			t.Errorf("%s: bad lines are %q", name, bad)
		}
		if !slices.Equal(w.IDs(), []string{"a", "b", "d"}) || w.Dim() != 1 {
			t.Errorf("%s: %q of %d values", name, w.IDs(), w.Dim())
		}
		var im Image
		for id, want := range map[string][]float32{"d": {4}, "a": {1, 2}, "b.jpg": {3}} {
			if err := w.Image(id, &im); err != nil || !slices.Equal(im.Features, want) || im.Regions() != len(want) || im.Height != 8 {
				t.Errorf("%s: %s is %+v, %v", name, id, im, err)
			}
		}
		if err := w.Image("c", &im); !errors.Is(err, ErrNoImage) {
			t.Errorf("%s: an image that is not there: %v", name, err)
		}
		stop := errors.New("stop")
		if err := w.Scan(path, func([][]byte, int, error) error { return stop }); err != stop {
			t.Errorf("%s: %v", name, err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Of an image with more regions than are read the first are, and the mean of all.
func TestWithinCuts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte(within("a", 4, 1, 2, 6)+"\n"+within("b", 4, 1, 2)+"\n"+within("a", 4, 1, 2, 6)), 0o644); err != nil {
		t.Fatal(err)
	}
	w := NewWithin(EntailmentFields, 2)
	defer w.Close()
	if err := w.Scan(path, func(_ [][]byte, _ int, bad error) error { return bad }); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][]float32{"a": {3, 1, 2}, "b": {1.5, 1, 2}} {
		var im Image
		if err := w.Image(id, &im); err != nil {
			t.Fatal(err)
		}
		if features, locations := im.AppendRows(nil, nil); !slices.Equal(features, want) || len(locations) != 3*LocationSize {
			t.Errorf("%s: %v of %d, want %v", id, features, len(locations), want)
		}
	}
	if notes := w.Notes(); !slices.Equal(notes, []string{"1 image with more than 2 regions (max_regions): the first are read, and the mean of all"}) || w.Notes() != nil {
		t.Errorf("notes are %q", notes)
	}
	if (*Within)(nil).Notes() != nil {
		t.Error("no source has notes")
	}
}

func FuzzWithin(f *testing.F) {
	f.Add([]byte(within("a", 4, 1, 2)))
	f.Add([]byte(within("a", 4, 1) + "\n" + within("b", -1, 2, 3)))
	f.Add([]byte(strings.Repeat(";", 13)))
	f.Add([]byte("a;;;;;;;1;1;1;AAAA;AAAA;;"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "lines")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		w := NewWithin(EntailmentFields, 3)
		defer w.Close()
		if err := w.Scan(path, func([][]byte, int, error) error { return nil }); err != nil {
			return // refused, as most input is
		}
		for _, id := range w.IDs() {
			var im Image
			if err := w.Image(id, &im); err != nil || im.Check(w.Dim()) != nil {
				t.Errorf("%q: %v", id, err)
			}
		}
	})
}
