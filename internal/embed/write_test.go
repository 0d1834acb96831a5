package embed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
)

func TestWrite(t *testing.T) {
	info := Info{Model: "DIR/minilm", Size: 2, Pooling: []string{Mean}, Normalized: true, Prompt: "query: "}
	a, b := "a\tb", ""
	items := []Item{{Text: &a}, {Text: &b, Truncated: true}, {Image: "dog.jpg"}}
	fill := func(add Add) error {
		for i, item := range items {
			if err := add(item, []float32{float32(i), -0.5}); err != nil {
				return err
			}
		}
		return nil
	}
	dir := t.TempDir()
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const ids = "{\"text\":\"a\\tb\"}\n{\"text\":\"\",\"truncated\":true}\n{\"image\":\"dog.jpg\"}\n"
	for _, name := range []string{"v.npy", "w.safetensors", "x.JSONL"} {
		if err := Write(filepath.Join(dir, name), info, fill); err != nil {
			t.Fatal(err)
		}
	}
	npy := read("v.npy")
	if want := "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"; !strings.HasPrefix(npy, want) || len(npy) != 128+3*2*4 || npy[127] != '\n' {
		t.Errorf("%q", npy)
	}
	for _, name := range []string{"v.ids.jsonl", "w.ids.jsonl"} {
		if got := read(name); got != ids {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := read("x.JSONL"); !strings.HasPrefix(got, "{\"text\":\"a\\tb\",\"vector\":[0,-0.5]}\n") || strings.Count(got, "\n") != 3 {
		t.Error(got)
	}
	r, err := checkpoint.Open(filepath.Join(dir, "w.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	values, _, err := checkpoint.Float32s(r, "vectors")
	if err != nil || len(values) != 6 || values[4] != 2 || values[5] != -0.5 {
		t.Error(values, err)
	}
	if got := read("w.safetensors"); !strings.Contains(got, `"ids":"w.ids.jsonl"`) || !strings.Contains(got, `"model":"minilm"`) || !strings.Contains(got, `"pooling":"mean"`) {
		t.Errorf("%q", got)
	}
}

// What fails leaves nothing behind.
func TestWriteIsWholeOrNothing(t *testing.T) {
	broken := errors.New("broken")
	for _, name := range []string{"v.npy", "v.safetensors", "v.jsonl"} {
		dir := t.TempDir()
		err := Write(filepath.Join(dir, name), Info{Size: 1}, func(add Add) error {
			if err := add(Item{Image: "a"}, []float32{1}); err != nil {
				return err
			}
			return broken
		})
		if err != broken {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
	// Vectors without the file that says what they are of are half of it.
	for _, name := range []string{"v.npy", "v.safetensors"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(IDsFile(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := Write(path, Info{Size: 1}, func(add Add) error { return add(Item{Image: "a"}, []float32{1}) })
		if _, there := os.Stat(path); err == nil || !errors.Is(there, fs.ErrNotExist) {
			t.Errorf("%s: %v, and the vectors: %v", name, err, there)
		}
	}
	if err := Write(filepath.Join(t.TempDir(), "v.npy"), Info{Size: 2}, func(add Add) error { return add(Item{}, []float32{1}) }); err == nil || !strings.Contains(err.Error(), "want 2") {
		t.Errorf("a vector of another size: %v", err)
	}
}
