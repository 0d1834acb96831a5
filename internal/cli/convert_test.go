package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// documents parses JSON values that follow each other.
func documents(t *testing.T, text string) []any {
	t.Helper()
	var list []any
	d := json.NewDecoder(strings.NewReader(text))
	for {
		var v any
		if err := d.Decode(&v); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		list = append(list, v)
	}
}

// alike says whether two JSON values are the same, numbers nearly.
func alike(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Abs(a-b) <= 0.02*max(1, math.Abs(a))
	case []any:
		b, ok := b.([]any)
		same := ok && len(a) == len(b)
		for i := 0; same && i < len(a); i++ {
			same = alike(a[i], b[i])
		}
		return same
	case map[string]any:
		b, ok := b.(map[string]any)
		same := ok && len(a) == len(b)
		for key := range a {
			same = same && alike(a[key], b[key])
		}
		return same
	}
	return a == b
}

// sameFolder compares the folders of two models: all files but the weights are the same.
func sameFolder(t *testing.T, want, got string) {
	t.Helper()
	entries, err := os.ReadDir(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == modeldir.WeightsFile {
			continue
		}
		a, errA := os.ReadFile(filepath.Join(want, e.Name()))
		b, errB := os.ReadFile(filepath.Join(got, e.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %s is not the same (%v, %v)", got, e.Name(), errA, errB)
		}
	}
}

// half converts the model in the folder dir, and looks at the types of the weights.
func half(t *testing.T, dir string) string {
	t.Helper()
	small := filepath.Join(t.TempDir(), "small")
	if r := must(t, "convert", "--dtype", "float16", dir, small); r.stderr != "" {
		t.Errorf("convert says %q", r.stderr)
	}
	r, err := checkpoint.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, info := range r.Tensors() {
		if info.DType != checkpoint.F16 {
			t.Errorf("%s is %v", info.Name, info.DType)
		}
	}
	sameFolder(t, modeldir.Resolve(dir), small)
	return small
}

// A model in half the bytes, in another folder, answers the same.
func TestConvertedModelsAnswer(t *testing.T) {
	data := filepath.Join("..", "..", "testdata")
	square, bar := filepath.Join(data, "shapes", "images", "red-square.png"), filepath.Join(data, "shapes", "images", "blue-bar.png")
	images := []string{"--images-dir", filepath.Join(data, "shapes", "images")}
	for name, commands := range map[string][][]string{
		"films":     {{"predict", "a great film", "a dull film"}, {"evaluate", "classify", "--data", filepath.Join(data, "films")}},
		"headlines": {{"generate", "the river rose over its banks in the night"}, {"evaluate", "gigaword", "--data", filepath.Join(data, "headlines")}},
		"shapes":    {{"match", square, "a red square", "a blue bar"}, {"evaluate", "flickr8k", "--data", filepath.Join(data, "shapes")}},
		"captions":  {{"caption", square, bar}, {"evaluate", "coco-caption", "--data", filepath.Join(data, "shapes")}},
		"claims":    {{"predict", square, "it is a square", "it is a bar"}, append([]string{"evaluate", "snli-ve", "--data", filepath.Join(data, "claims")}, images...)},
		"questions": {{"ask", square, "what colour is it?"}, append([]string{"evaluate", "vqa", "--data", filepath.Join(data, "questions")}, images...)},
	} {
		model := filepath.Join(data, name+".model")
		small := half(t, model)
		for _, command := range commands {
			want := documents(t, must(t, append(command, "--json", "--model", model)...).stdout)
			got := documents(t, must(t, append(command, "--json", "--model", small)...).stdout)
			if len(want) == 0 || !alike(withoutPath(want), withoutPath(got)) {
				t.Errorf("%q: %v, from half the bytes %v", command, want, got)
			}
		}
	}
}

// withoutPath takes out of results what names the model.
func withoutPath(list []any) []any {
	for _, v := range list {
		if object, ok := v.(map[string]any); ok {
			delete(object, "model")
		}
	}
	return list
}
