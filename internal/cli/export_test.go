package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExportONNX(t *testing.T) {
	films, shapes := filepath.Join("..", "..", "testdata", "films.model"), filepath.Join("..", "..", "testdata", "shapes.model")
	out := filepath.Join(t.TempDir(), "films")
	var r struct {
		Out, Kind string
		Files     []string
		Graphs    []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(must(t, "export", "onnx", films, out, "--json").stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r.Out != out || r.Kind != "single_label_classification" || !slices.Equal(r.Files, []string{"model.onnx"}) || len(r.Graphs) != 1 {
		t.Errorf("%+v", r)
	}
	page, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| `input_ids` | int64 | batch x length |", "Classes, in this order: ", "```python\n"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the README has no %q:\n%s", want, page)
		}
	}
	if said := must(t, "export", "onnx", "--pooling", "mean", "--normalize", films, out+".onnx").stdout; !strings.Contains(said, "model: input_ids, attention_mask -> last_hidden_state, sentence_embedding") {
		t.Errorf("said %q", said)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{films, out}, exitFailed, "exists; choose a new name or remove it"},
		{[]string{films, filepath.Join(out, "none", "x")}, exitFailed, "make it first"},
		{[]string{shapes, out + "2.onnx"}, exitFailed, "has 3 graphs, which one file does not hold; name a folder"},
		{[]string{films, out + "2", "--pooling", "men"}, exitUsage, "did you mean mean?"},
		{[]string{films, out + "2", "--task", "vqa"}, exitUsage, "leave the task vqa out"},
		{[]string{films, out + "2", "--weights", "int4"}, exitUsage, "unknown weights"},
		{[]string{films, out + "2", "--weights", "int8"}, exitFailed, "quantise the model first"},
		{[]string{films}, exitUsage, "needs MODEL and OUT"},
		{[]string{filepath.Join(out, "nowhere"), out + "2"}, exitFailed, "does not exist"},
	} {
		if r := call(t, "", append([]string{"export", "onnx"}, c.args...)...); r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: %d, %s; want %d, %q", c.args, r.code, r.stderr, c.code, c.want)
		}
	}
}
