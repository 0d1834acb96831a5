package cli

import (
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// quantize makes the weights of a model whole numbers.
func quantize(t *testing.T, model string, args ...string) (small string, r result) {
	t.Helper()
	small = filepath.Join(t.TempDir(), "small")
	return small, must(t, append([]string{"quantize", model, small}, args...)...)
}

// Models of whole numbers answer nearly the same, in the folder of which all else is kept.
func TestQuantizedModelsAnswer(t *testing.T) {
	data := filepath.Join("..", "..", "testdata")
	images := filepath.Join(data, "shapes", "images")
	square, bar := filepath.Join(images, "red-square.png"), filepath.Join(images, "blue-bar.png")
	for _, c := range []struct {
		model, data string
		set         []string
		commands    [][]string
	}{
		{"films", "films", nil, [][]string{{"predict", "a great film", "a dull film"}, {"embed", "a great film"}}},
		{"headlines", "headlines", nil, [][]string{{"generate", "the river rose over its banks in the night"}}},
		{"shapes", "shapes", nil, [][]string{{"match", square, "a red square", "a blue bar"}}},
		{"captions", "shapes", nil, [][]string{{"caption", square, bar}}},
		{"claims", "claims", []string{"images_dir=" + images}, [][]string{{"predict", square, "it is a square", "it is a bar"}}},
		{"questions", "questions", []string{"images_dir=" + images}, [][]string{{"ask", square, "what colour is it?"}}},
	} {
		model := filepath.Join(data, c.model+".model")
		plain, _ := quantize(t, model)
		calibrated, r := quantize(t, model, withSettings([]string{"--calibrate", filepath.Join(data, c.data), "--json"}, c.set...)...)
		made := fields(t, r)
		if made["float32"] != 0.0 || !(made["int8"].(float64) > 7) || !(made["bytes"].(float64) < made["bytes_before"].(float64)) || made["task"] == nil {
			t.Errorf("%s: %s", c.model, r.stdout)
		}
		if !slices.ContainsFunc(made["weights"].([]any), func(w any) bool { return w.(map[string]any)["of"] == "output" }) {
			t.Errorf("%s: no error is of an output: %s", c.model, r.stdout)
		}
		for _, small := range []string{plain, calibrated} {
			same(t, model, small)
			for _, command := range c.commands {
				want := documents(t, must(t, append(command, "--json", "--model", model)...).stdout)
				got := documents(t, must(t, append(command, "--json", "--model", small)...).stdout)
				if len(want) == 0 || !alike(withoutPath(want), withoutPath(got)) {
					t.Errorf("%q: %v, of whole numbers %v", command, want, got)
				}
			}
		}
	}
}

// same compares all that is beside the weights of two models, but what leads transformers to weights that it could not read.
func same(t *testing.T, model, small string) {
	t.Helper()
	want := copyModel(t, model)
	config := read(t, filepath.Join(want, modeldir.ConfigFile))
	from, to := strings.Index(config, `  "architectures"`), strings.Index(config, `  "model_type"`)
	if from < 0 || to < from {
		t.Fatalf("%s has no such keys", config)
	}
	writeFile(t, filepath.Join(want, modeldir.ConfigFile), config[:from]+config[to:])
	sameFolder(t, want, small)
	for _, name := range []string{"configuration_unimo.py", "modeling_unimo.py"} {
		if _, err := os.Stat(filepath.Join(small, name)); err == nil {
			t.Errorf("%s has %s", small, name)
		}
	}
}

// What a folder of sentence-transformers says about its vectors goes with the encoder.
func TestQuantizedEmbedders(t *testing.T) {
	from := copyModel(t, filepath.Join("..", "embed", "testdata", "bert"))
	for name, content := range map[string]string{
		"modules.json":               `[{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}, {"path": "2_Normalize", "type": "a.Normalize"}]`,
		"1_Pooling/config.json":      `{"pooling_mode": "max"}`,
		"sentence_bert_config.json":  `{"max_seq_length": 5}`,
		"1_Pooling/another/note.txt": "not copied",
	} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, content)
	}
	small, _ := quantize(t, from)
	if left, err := os.ReadDir(filepath.Join(small, "1_Pooling")); err != nil || len(left) != 1 {
		t.Errorf("1_Pooling has %v (%v)", left, err)
	}
	ask := []string{"embed", "the words of a text that is longer than five tokens", "--json", "--model"}
	want, got := fields(t, must(t, append(ask, from)...)), fields(t, must(t, append(ask, small)...))
	a, b := want["vector"].([]any), got["vector"].([]any)
	product, length := 0.0, 0.0
	for i := range a {
		product += a[i].(float64) * b[i].(float64)
		length += b[i].(float64) * b[i].(float64)
	}
	if len(a) == 0 || len(a) != len(b) || !(product > 0.999) || math.Abs(length-1) > 1e-5 {
		t.Errorf("%v, of whole numbers %v: their product is %v", want, got, product)
	}
	writeFile(t, filepath.Join(from, "modules.json"), `[{"path": "../x", "type": "a.Transformer"}]`)
	if r := call(t, "", "quantize", from, small+"2"); r.code != exitFailed || !strings.Contains(r.stderr, "outside of its folder") {
		t.Errorf("%+v", r)
	}
}

// uneven is a model with a weight of which whole numbers keep little: beside the largest number of each column all are small, and just between two of them.
func uneven(t *testing.T, name string) string {
	t.Helper()
	dir := copyModel(t, filmsModel)
	r, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, info := range r.Tensors() {
		values, _, err := checkpoint.Float32s(r, info.Name)
		if err != nil {
			t.Fatal(err)
		}
		values = slices.Clone(values)
		if info.Name == name {
			for i := range values {
				values[i] = 0.045
				if i < info.Shape[1] {
					values[i] = 1.27
				}
			}
		}
		tensors = append(tensors, checkpoint.FromFloat32(info.Name, info.Shape, values))
	}
	metadata := r.Metadata()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, modeldir.WeightsFile), tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A weight that loses too much stays as it is; quantize and inspect say which.
func TestQuantizeLeavesWhatLosesMost(t *testing.T) {
	const name = "encoder_layer_0_ffn_fc_1.w_0"
	small, r := quantize(t, uneven(t, name))
	for _, want := range []string{
		"encoder_layer_*_ffn_fc_1.w_0                  0     1        0.0", "encoder_layer_*_ffn_fc_0.w_0                  1     0        0.00",
		"stays float32: " + name + ", error 0.0", small + ": 7 weights are int8, 1 stay float32;",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	shown := must(t, "inspect", small).stdout
	for _, want := range []string{"quantised: 7 weights are int8, 1 that could be are not", "stays float32: " + name, "word_embedding                                I8 by rows     [264 8]", "metadata: quantised = 1"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	all := fields(t, must(t, "inspect", small, "--json"))
	stored, err := os.Stat(filepath.Join(small, modeldir.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if q := all["quantised"].(map[string]any); q["int8"] != 7.0 || len(q["float32"].([]any)) != 1 || q["bytes_as_floats"] != 4*all["parameters"].(float64) || math.Abs(all["bytes"].(float64)-float64(stored.Size())) > 4096 {
		t.Errorf("%v bytes of %d: %v", all["bytes"], stored.Size(), q)
	}
	if c := all["comparison"].(map[string]any); c["missing"] != nil && len(c["missing"].([]any)) > 0 || c["unknown"] != nil && len(c["unknown"].([]any)) > 0 {
		t.Errorf("against the architecture: %v", c)
	}
}

// What starts from a model of whole numbers, or converts it, has the numbers that they stand for.
func TestQuantizedModelsAreStartedFrom(t *testing.T) {
	small, _ := quantize(t, filmsModel)
	back := filepath.Join(t.TempDir(), "back")
	must(t, "convert", small, back, "--format", "safetensors-folder")
	r, err := checkpoint.Open(back)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, info := range r.Tensors() {
		if info.DType != checkpoint.F32 {
			t.Errorf("%s is %v", info.Name, info.DType)
		}
	}
	if _, again := quantize(t, back); !strings.Contains(again.stdout, "8 weights are int8") {
		t.Errorf("%+v", again)
	}
	out := filepath.Join(t.TempDir(), "run")
	must(t, "finetune", "classify", "--data", filepath.Join("..", "..", "testdata", "films"), "--init", small, "--out", out, "--set", "epochs=1")
	must(t, "predict", "--model", out, "a great film")
}

func TestQuantizeRefuses(t *testing.T) {
	small, _ := quantize(t, filmsModel)
	data := filepath.Join("..", "..", "testdata")
	films := filepath.Join(data, "films")
	empty := t.TempDir()
	writeFile(t, filepath.Join(empty, "dev.tsv"), "text\tlabel\n")
	bare := filepath.Join(t.TempDir(), "m.safetensors")
	must(t, "convert", filmsModel, bare)
	infinite := uneven(t, "")
	spoil(t, infinite, "cls_out_2_w", "", math.Inf(1))
	nan := uneven(t, "")
	spoil(t, nan, "pooled_fc_text.w_0", "", math.NaN())
	unscored := t.TempDir()
	if err := os.CopyFS(filepath.Join(unscored, "last"), os.DirFS(filmsModel)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(unscored, "report.html"), "<!DOCTYPE html>")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no arguments":       {nil, exitUsage, "quantize needs MODEL and OUT"},
		"no model":           {[]string{"absent/model"}, exitFailed, "absent/model"},
		"quantised already":  {[]string{small}, exitFailed, small + " is quantised already; quantise the model that it was made of"},
		"weights alone":      {[]string{bare}, exitFailed, "config.json"},
		"a weight is NaN":    {[]string{nan}, exitFailed, `tensor "pooled_fc_text.w_0": the weight in row 0 and column 0 is NaN`},
		"no data":            {[]string{filmsModel, "--calibrate", filepath.Join(empty, "x")}, exitFailed, "does not exist"},
		"empty data":         {[]string{filmsModel, "--calibrate", empty}, exitFailed, "dev.tsv: has a header and no examples"},
		"another task":       {[]string{filmsModel, "--calibrate", filepath.Join(data, "headlines")}, exitFailed, "as data of classify"},
		"pictures":           {[]string{filmsModel, "--calibrate", filepath.Join(data, "claims")}, exitFailed, `found "image", "hypothesis"`},
		"settings, no data":  {[]string{filmsModel, "--set", "batch_size=2"}, exitUsage, "batch_size=2 sets how data are read (--set), and none are read (--calibrate)"},
		"a task, no data":    {[]string{filmsModel, "--task", "nonsense"}, exitUsage, "nonsense is the task that data are of (--task), and none are read (--calibrate)"},
		"eyes, no data":      {[]string{filmsModel, "--extractor", "nowhere"}, exitUsage, "nowhere is what sees the pictures of data (--extractor), and none are read"},
		"an empty name":      {[]string{""}, exitUsage, "quantize needs MODEL, which is empty"},
		"a run without best": {[]string{unscored}, exitFailed, "the run has not been evaluated; go on with 'unimo resume " + unscored + "', or give " + filepath.Join(unscored, "last")},
		"unknown setting":    {[]string{filmsModel, "--calibrate", films, "--set", "bach_size=2"}, exitUsage, "bach_size"},
		"a broken weight":    {[]string{infinite, "--calibrate", films}, exitFailed, "cls_out_2_w"},
		"a task of another":  {[]string{filmsModel, "--calibrate", films, "--task", "gigaword"}, exitFailed, "this model classifies texts"},
		"a task of no model": {[]string{filmsModel, "--calibrate", films, "--task", "x"}, exitUsage, `unknown task "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			args := []string{"quantize"}
			if len(c.args) > 0 {
				args = append(append(args, c.args[0], filepath.Join(folder, "out")), c.args[1:]...)
			}
			r := call(t, "", args...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) {
				t.Errorf("exit code %d, %s; want %d, %s", r.code, r.stderr, c.code, c.want)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("left %v (%v)", left, err)
			}
		})
	}
	if r := call(t, "", "quantize", filmsModel, small); r.code != exitFailed || !strings.Contains(r.stderr, "exists; choose a new name") {
		t.Errorf("onto what is there: %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := t.TempDir()
	if code := runArgs(ctx, []string{"quantize", filmsModel, filepath.Join(folder, "out"), "--calibrate", films}, strings.NewReader(""), io.Discard, io.Discard); code != exitInterrupted {
		t.Errorf("interrupted: exit code %d", code)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left %v (%v)", left, err)
	}
}

// spoil writes the weights of the model in dir anew, without the tensor drop and with the first number of another made v.
func spoil(t *testing.T, dir, name, drop string, v float64) {
	t.Helper()
	r, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, info := range r.Tensors() {
		data, err := r.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		data = slices.Clone(data)
		if info.Name == name {
			copy(data, checkpoint.FromFloat32(name, []int{1}, []float32{float32(v)}).Data)
		}
		if info.Name != drop {
			tensors = append(tensors, checkpoint.Tensor{Info: info, Data: data})
		}
	}
	metadata := r.Metadata()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, modeldir.WeightsFile), tensors, metadata); err != nil {
		t.Fatal(err)
	}
}

// Every command that opens a model refuses whole numbers that stand for nothing, and says which.
func TestBrokenQuantizedModels(t *testing.T) {
	const scales = "encoder_layer_0_ffn_fc_0.w_0.scale"
	small, _ := quantize(t, filmsModel)
	for name, c := range map[string]struct {
		drop string
		v    float64
		want string
	}{
		"zero":      {"", 0, `scale 0 of "` + scales + `" is 0`},
		"NaN":       {"", math.NaN(), `scale 0 of "` + scales + `" is NaN`},
		"infinite":  {"", math.Inf(1), `scale 0 of "` + scales + `" is +Inf`},
		"no scales": {scales, 1, `its scales "` + scales + `" are missing`},
		"no weight": {strings.TrimSuffix(scales, ".scale"), 1, `"` + scales + `" has no weight`},
		"version":   {"", 1, `quantised in version "2" of the form, this program knows version 1`},
	} {
		bad := copyModel(t, small)
		spoil(t, bad, scales, c.drop, c.v)
		if name == "version" {
			file := filepath.Join(bad, modeldir.WeightsFile)
			writeFile(t, file, strings.Replace(read(t, file), `"quantised":"1"`, `"quantised":"2"`, 1))
		}
		for _, args := range [][]string{
			{"predict", "--model", bad, "a great film"}, {"embed", "--model", bad, "a great film"}, {"inspect", bad}, {"convert", bad, bad + "2"},
			{"evaluate", "classify", "--model", bad, "--data", filepath.Join("..", "..", "testdata", "films")}, {"quantize", bad, bad + "2"},
		} {
			if r := call(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, c.want) || !strings.Contains(r.stderr, bad) {
				t.Errorf("%s: %q: exit code %d, %s", name, args[0], r.code, r.stderr)
			}
		}
	}
}
