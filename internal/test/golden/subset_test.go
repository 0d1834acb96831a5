package golden

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
)

var update = flag.Bool("update", false, "make testdata from the whole set")

// subset says which files of which cases are in testdata: one of each kind whose model nothing else here
// shows. Weights are most of it, 0.4 MB a model.
var subset = map[string][]string{
	"01_multimodal_encode": {"case.json", "config.json", "inputs.safetensors", "outputs.safetensors", "weights.safetensors"},
	"02_classification": {"case.json", "config.json", "inputs_batch0.safetensors", "outputs.safetensors", "weights.safetensors",
		"grads.safetensors", "params_after_step3.safetensors"},
	"04_retrieval": {"case.json", "config.json", "inputs.safetensors", "eval_inputs.safetensors", "outputs.safetensors", "weights.safetensors",
		"optimizer.json", "grads_script.safetensors", "params_after_step3_script.safetensors"},
	"06_seq2seq_train":  {"case.json", "config.json", "inputs.safetensors", "outputs.safetensors", "grads.safetensors", "weights.safetensors"},
	"07_dialog_train":   {"case.json", "config.json", "inputs.safetensors", "outputs.safetensors", "grads.safetensors", "weights.safetensors"},
	"08_seq2seq_decode": {"case.json", "config.json", "inputs.safetensors", "greedy.safetensors", "weights.safetensors", "beam_results.json"},
	"11_readers":        {"case.json", "retrieval.json", "retrieval_images.safetensors", "batching.json", "batching.safetensors"},
	"12_metrics":        {"case.json", "glue.json", "bleu.json", "recall.json"},
}

// weightsOf are the cases whose weights are those of another.
var weightsOf = map[string]string{"06_seq2seq_train": "07_dialog_train"}

// Of gradients and updated parameters the subset has the vectors, all that is behind whose
// sums goes through them, and one matrix.
const (
	largestVector = 200
	oneMatrix     = "encoder_layer_0_multi_head_att_query_fc.w_0"
)

// kept are the results of the largest files of JSON that the subset has.
var kept = map[string]struct {
	key  string
	some []int
}{
	"beam_results.json": {"results", []int{0, 5, 13, 16}},
	"recall.json":       {"cases", []int{0, 3, 6}},
}

// testdata is a part of the whole set, as it is there.
func TestSubset(t *testing.T) {
	whole := Root(t)
	if whole == subsetRoot(t) {
		t.Skip("not run: the whole set is not here") // as in a public clone, which has nothing to compare with
	}
	got := subsetRoot(t)
	if *update {
		if err := os.RemoveAll(got); err != nil {
			t.Fatal(err)
		}
	}
	want := t.TempDir()
	makeSubset(t, whole, want)
	if *update {
		if err := os.CopyFS(got, os.DirFS(want)); err != nil {
			t.Fatal(err)
		}
	}
	names := map[string]int{}
	for i, dir := range []string{want, got} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				names[path] |= 1 << i
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for name, where := range names {
		if where != 3 {
			t.Errorf("%s is in one of testdata and what the whole set gives, not in both: run go test ./internal/test/golden -update", name)
			continue
		}
		w, g := readFile(t, filepath.Join(want, name)), readFile(t, filepath.Join(got, name))
		size += len(g)
		if !bytes.Equal(w, g) {
			t.Errorf("%s differs from the whole set's", name)
		}
	}
	t.Logf("%d files, %d bytes", len(names), size)
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func makeSubset(t *testing.T, from, to string) {
	for name, files := range subset {
		c := Case{Name: name, Dir: filepath.Join(from, name)}
		dir := filepath.Join(to, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			switch dst := filepath.Join(dir, file); {
			case file == "case.json" && weightsOf[name] != "":
				sameWeights(t, c, filepath.Join(from, weightsOf[name]))
				var all map[string]any
				c.JSON(t, file, &all)
				all[weightsOfKey] = weightsOf[name]
				writeJSON(t, dst, all)
			case file == "weights.safetensors" && weightsOf[name] != "":
			case strings.HasPrefix(file, "grads") || strings.HasPrefix(file, "params_after"):
				thin(t, c.Tensors(t, file), dst)
			case kept[file].key != "":
				var all map[string]any
				c.JSON(t, file, &all)
				list := all[kept[file].key].([]any)
				var some []any
				for _, i := range kept[file].some {
					some = append(some, list[i])
				}
				all[kept[file].key] = some
				writeJSON(t, dst, all)
			case filepath.Ext(file) == ".json":
				var all any
				c.JSON(t, file, &all)
				writeJSON(t, dst, all)
			default:
				writeFile(t, dst, readFile(t, c.Path(file)))
			}
		}
	}
	writeFile(t, filepath.Join(to, "tiny_vocab.txt"), readFile(t, filepath.Join(from, "tiny_vocab.txt")))
	smallBPE(t, from, filepath.Join(to, "bpe"))
}

func writeFile(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, append(raw, '\n'))
}

// sameWeights fails unless every parameter of the case is in the other's weights, bit for bit.
func sameWeights(t *testing.T, c Case, other string) {
	t.Helper()
	own, shared := c.Tensors(t, "weights.safetensors"), Case{Dir: other}.Tensors(t, "weights.safetensors")
	for _, name := range own.Names() {
		if !shared.Has(name) || !slices.Equal(own.Floats(name), shared.Floats(name)) {
			t.Errorf("%s: %s differs from that of %s", c.Name, name, other)
		}
	}
}

// thin writes the small tensors of a file, and names the others in its metadata.
func thin(t *testing.T, from Tensors, path string) {
	t.Helper()
	var tensors []checkpoint.Tensor
	var out []string
	for _, info := range from.Reader().Tensors() {
		if info.Elements() > largestVector && info.Name != oneMatrix {
			out = append(out, info.Name)
			continue
		}
		data, err := from.Reader().Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, checkpoint.Tensor{Info: info, Data: data})
	}
	if err := checkpoint.WriteSafetensors(path, tensors, map[string]string{leftOutKey: strings.Join(out, " ")}); err != nil {
		t.Fatal(err)
	}
}

// smallBPE writes the pieces of the released vocabulary that the tiny models know, the bytes, and what the
// pieces are merged from.
func smallBPE(t *testing.T, goldens, to string) {
	t.Helper()
	from := Data(t, "unimo-dict")
	var ids map[string]int
	if err := json.Unmarshal(readFile(t, filepath.Join(from, "unimo_en.encoder.json")), &ids); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for word := range strings.FieldsSeq(string(readFile(t, filepath.Join(goldens, "tiny_vocab.txt")))) {
		wanted[word] = true
	}
	some := map[string]int{}
	for piece, id := range ids {
		if wanted[fmt.Sprint(id)] || len([]rune(piece)) == 1 {
			some[piece] = id
		}
	}
	lines := strings.Split(string(readFile(t, filepath.Join(from, "unimo_en.vocab.bpe"))), "\n")
	var merges []string
	for i := len(lines) - 1; i > 0; i-- { // a piece is merged from pieces of earlier lines
		left, right, ok := strings.Cut(lines[i], " ")
		if _, in := some[left+right]; ok && in {
			merges = append(merges, lines[i])
			some[left], some[right] = ids[left], ids[right]
		}
	}
	slices.Reverse(merges)
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	writeJSON(t, filepath.Join(to, "unimo_en.encoder.json"), some)
	writeFile(t, filepath.Join(to, "unimo_en.vocab.bpe"), []byte(lines[0]+"\n"+strings.Join(merges, "\n")+"\n"))
}
