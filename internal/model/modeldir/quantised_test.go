package modeldir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
)

// TestQuantisedModelsOpen opens a folder whose weights are in part whole numbers as one of numbers.
func TestQuantisedModelsOpen(t *testing.T) {
	const weight = "encoder_layer_0_ffn_fc_0.w_0"
	from := filepath.Join("..", "..", "..", "testdata", "films.model")
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	stored, err := checkpoint.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	small, err := checkpoint.Quantise(stored, map[string]bool{weight: false})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, WeightsFile)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Convert(t.Context(), small, file, checkpoint.FormatSafetensors); err != nil {
		t.Fatal(err)
	}
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Weights.Close()
	for _, r := range []checkpoint.Reader{m.Weights, c.Weights} {
		got, _, err := checkpoint.Float32s(r, weight)
		want, _, errWant := checkpoint.Float32s(stored, weight)
		if err != nil || errWant != nil || slices.Equal(got, want) {
			t.Errorf("%v, %v: the weight is not rounded", err, errWant)
		}
		if _, _, _, ok, err := r.(checkpoint.QuantisedReader).Int8(weight); !ok || err != nil {
			t.Errorf("no whole numbers: %v, %v", ok, err)
		}
		if len(r.Tensors()) != len(stored.Tensors()) {
			t.Errorf("%d tensors, want %d", len(r.Tensors()), len(stored.Tensors()))
		}
	}

	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(raw), `"quantised":"1"`, `"quantised":"9"`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func() error{
		func() error { _, err := Open(dir); return err },
		func() error { _, err := OpenCheckpoint(dir); return err },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), `quantised in version "9"`) || !strings.Contains(err.Error(), file) {
			t.Errorf("another version: %v", err)
		}
	}
}
