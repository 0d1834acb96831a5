package onnx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
)

// field is one of a message that is read back.
type field struct {
	number protowire.Number
	int    uint64
	bytes  []byte
}

// fields reads a message.
func fields(t *testing.T, raw []byte) (list []field) {
	t.Helper()
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		raw = raw[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.int, n = protowire.ConsumeVarint(raw)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(raw)
		case protowire.Fixed32Type:
			_, n = protowire.ConsumeFixed32(raw)
		default:
			t.Fatalf("field %d has wire type %d", number, kind)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		raw = raw[n:]
		list = append(list, f)
	}
	return list
}

// texts are the values of fields of a number.
func texts(list []field, number protowire.Number) (values []string) {
	for _, f := range list {
		if f.number == number {
			values = append(values, string(f.bytes))
		}
	}
	return values
}

// parsed is a graph that was read back.
type parsed struct {
	inputs, outputs []string
	tensors         map[string][]byte
	shapes          map[string][]int
	metadata        map[string]string
	kinds           []string
}

// parse reads a file back, and checks that every operation's inputs are there before it.
func parse(t *testing.T, path string) parsed {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := parsed{tensors: map[string][]byte{}, shapes: map[string][]int{}, metadata: map[string]string{}}
	var graph []field
	for _, f := range fields(t, raw) {
		switch f.number {
		case modelIRVersion:
			if f.int != irVersion {
				t.Errorf("IR version %d", f.int)
			}
		case modelGraph:
			graph = fields(t, f.bytes)
		case modelOpsets:
			if set := fields(t, f.bytes); len(set) != 1 || set[0].int != opset {
				t.Errorf("opsets %v", set)
			}
		case modelMetadata:
			entry := fields(t, f.bytes)
			p.metadata[texts(entry, entryKey)[0]] = texts(entry, entryValue)[0]
		}
	}
	known := map[string]bool{}
	for _, f := range graph {
		switch f.number {
		case graphInitializer:
			name, shape, values := parseTensor(t, filepath.Dir(path), f.bytes)
			if known[name] {
				t.Errorf("%s is there twice", name)
			}
			p.tensors[name], p.shapes[name], known[name] = values, shape, true
		case graphInput:
			p.inputs = append(p.inputs, texts(fields(t, f.bytes), valueName)[0])
			known[p.inputs[len(p.inputs)-1]] = true
		case graphOutput:
			p.outputs = append(p.outputs, texts(fields(t, f.bytes), valueName)[0])
		}
	}
	names := map[string]bool{}
	for _, f := range graph {
		if f.number != graphNode {
			continue
		}
		node := fields(t, f.bytes)
		for _, input := range texts(node, nodeInput) {
			if !known[input] {
				t.Errorf("%s needs %q, which is not there", texts(node, nodeName), input)
			}
		}
		name, output := texts(node, nodeName)[0], texts(node, nodeOutput)[0]
		if known[output] || names[name] {
			t.Errorf("%s is there twice", name)
		}
		known[output], names[name] = true, true
		p.kinds = append(p.kinds, texts(node, nodeKind)[0])
	}
	for _, output := range p.outputs {
		if !known[output] {
			t.Errorf("nothing computes %s", output)
		}
	}
	return p
}

func parseTensor(t *testing.T, dir string, raw []byte) (name string, shape []int, values []byte) {
	t.Helper()
	list := fields(t, raw)
	place := map[string]int64{}
	size, file := 0, ""
	for _, f := range list {
		switch f.number {
		case tensorDims:
			shape = append(shape, int(f.int))
		case tensorType:
			size = element(f.int).size()
		case tensorRaw:
			values = f.bytes
		case tensorExternal:
			entry := fields(t, f.bytes)
			key, value := texts(entry, entryKey)[0], texts(entry, entryValue)[0]
			if key == "location" {
				file = value
				continue
			}
			var n int64
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatal(err)
			}
			place[key] = n
		}
	}
	if file != "" {
		beside, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if place["offset"]%alignment != 0 {
			t.Errorf("offset %d", place["offset"])
		}
		values = beside[place["offset"] : place["offset"]+place["length"]]
	}
	for _, d := range shape {
		size *= d
	}
	name = texts(list, tensorName)[0]
	if len(values) != size {
		t.Errorf("%s has %d bytes, want %d", name, len(values), size)
	}
	return name, shape, values
}

// holds checks that a graph has parameters with their values.
func (p parsed) holds(t *testing.T, params model.Parameters) {
	t.Helper()
	for _, tensor := range params.Tensors(device) {
		if values, ok := p.tensors[tensor.Name]; ok && (!bytes.Equal(values, tensor.Data) || !slices.Equal(p.shapes[tensor.Name], tensor.Shape)) {
			t.Errorf("%s has other values, or shape %v, want %v", tensor.Name, p.shapes[tensor.Name], tensor.Shape)
		}
	}
}

// Graphs are whole: each operation's inputs are there, each parameter is in one of them under its name, and the same bytes are
// written again.
func TestGraphs(t *testing.T) {
	for _, problem := range kinds {
		for _, v := range variants {
			for _, most := range []int64{0, 1 << 10} {
				c := tiny(t, problem, v.change)
				if c.Layers == 0 && slices.Contains(writing, problem) {
					continue
				}
				if c.ReadsImages() {
					c.PoolerAct = ""
				}
				if problem == model.Retrieval {
					c.ContrastSize = 5
				}
				t.Run(fmt.Sprintf("%s, %s, %d", problem, v.name, most), func(t *testing.T) {
					m, err := model.New[model.Heads](device, c, 1)
					if err != nil {
						t.Fatal(err)
					}
					params := model.ParametersOf(m)
					dir := save(t, c, params, nil, nil)
					first, second := exportTo(t, dir, Options{most: most, Release: "v1"}, ""), exportTo(t, dir, Options{most: most, Release: "v1"}, "")
					missing := map[string]bool{}
					for _, p := range params {
						missing[p.Name] = true
					}
					names, err := filepath.Glob(filepath.Join(first, "*"+ending))
					if err != nil || len(names) == 0 {
						t.Fatal(names, err)
					}
					for _, name := range names {
						p := parse(t, name)
						p.holds(t, params)
						for tensor := range p.tensors {
							delete(missing, tensor)
						}
						if p.metadata["unimo.kind"] != problem || len(p.metadata["unimo.fingerprint"]) != 64 || p.metadata["unimo.release"] != "v1" {
							t.Errorf("metadata %v", p.metadata)
						}
					}
					if len(missing) > 0 {
						t.Errorf("no graph has %v", missing)
					}
					same(t, first, second)
				})
			}
		}
	}
}

// same compares the files of two folders.
func same(t *testing.T, a, b string) {
	t.Helper()
	list, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		one, err := os.ReadFile(filepath.Join(a, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if other, err := os.ReadFile(filepath.Join(b, e.Name())); err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s differs from one export to the next (%v)", e.Name(), err)
		}
	}
}

// Bytes and scales are written as the model's file has them, and take a quarter of the file.
func TestQuantised(t *testing.T) {
	c := tiny(t, model.Classification, func(c *model.Config) { c.HiddenSize = 96 })
	m := newModel(t, c, func(m *model.Classifier) model.Parameters { return m.Params })
	dir := save(t, c, m.Params, nil, nil)
	whole, err := os.Stat(filepath.Join(exportTo(t, dir, Options{}, ""), "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	quantise(t, dir)
	stored, err := checkpoint.Open(filepath.Join(dir, modeldir.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	for _, form := range []Weights{Int8, DynamicInt8} {
		file := filepath.Join(exportTo(t, dir, Options{Weights: form}, ""), "model.onnx")
		p := parse(t, file)
		compared := 0
		for _, info := range stored.Tensors() {
			want, err := stored.Bytes(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := p.tensors[info.Name]; !ok || !bytes.Equal(got, want) {
				t.Errorf("%s: %s is there: %v, or has other values", form, info.Name, ok)
			}
			if info.DType == checkpoint.I8 {
				compared++
			}
		}
		if compared < 6*c.Layers || slices.Contains(p.kinds, "MatMulInteger") != (form == DynamicInt8) {
			t.Errorf("%s: %d weights of bytes, operations %v", form, compared, p.kinds)
		}
		if small, err := os.Stat(file); err != nil || small.Size()*3 > whole.Size() {
			t.Errorf("%s: %v, %d bytes, float32 %d", form, err, small.Size(), whole.Size())
		}
	}
}

// A single file is the folder's graph.
func TestFile(t *testing.T) {
	c := tiny(t, model.Classification, func(c *model.Config) {
		c.ID2Label = model.Labels{"0": "bad", "1": "so so", "2": "good"}
		c.Task = "films"
	})
	m := newModel(t, c, func(m *model.Classifier) model.Parameters { return m.Params })
	dir := save(t, c, m.Params, nil, nil)
	file := filepath.Join(t.TempDir(), "films.onnx")
	r, err := Export(t.Context(), dir, file, Options{Release: "v1"}, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := os.ReadFile(filepath.Join(exportTo(t, dir, Options{Release: "v1"}, ""), "model.onnx")); err != nil || !bytes.Equal(raw, other) || r.Bytes != int64(len(raw)) {
		t.Errorf("the file differs from the folder's graph, or has not %d bytes (%v)", r.Bytes, err)
	}
	p := parse(t, file)
	if p.metadata["unimo.labels"] != `["bad","so so","good"]` || p.metadata["unimo.task"] != "films" {
		t.Errorf("metadata %v", p.metadata)
	}
	if want := []string{inputIDs, inputMask}; !slices.Equal(p.inputs, want) || !slices.Equal(p.outputs, []string{outputLogits, outputProbabilities}) {
		t.Errorf("inputs %v, outputs %v", p.inputs, p.outputs)
	}
}

// What is interrupted leaves nothing, whether it is a file, a folder, or a folder with several graphs.
func TestInterruptedExport(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := filepath.Join("..", "..", "..", "testdata")
	for out, from := range map[string]string{"films.onnx": "films.model", "films": "films.model", "shapes": "shapes.model"} {
		dir := t.TempDir()
		if _, err := Export(ctx, filepath.Join(root, from), filepath.Join(dir, out), Options{}, run.Env{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", out, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: leaves %v (%v)", out, left, err)
		}
	}
}

// The parts of a model for several tasks are exported one at a time.
func TestTaskOfSeveral(t *testing.T) {
	demo := filepath.Join("..", "..", "demo", "model")
	for task, want := range map[string][]string{"vqa": {"model.onnx"}, "flickr8k": {"image.onnx", "match.onnx", "text.onnx", "weights.data"}} {
		r, err := Export(t.Context(), demo, filepath.Join(t.TempDir(), "out"), Options{}, run.Env{Task: task})
		if err != nil || !slices.Equal(r.Files, want) || r.Task != task {
			t.Errorf("%s: %v, %v, want %v", task, r, err, want)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	root := filepath.Join("..", "..", "..", "testdata")
	bert := filepath.Join("..", "..", "embed", "testdata", "bert")
	prompted := sentenceFolder(t, bert, "Tanh")
	if err := os.WriteFile(filepath.Join(prompted, "1_Pooling", "config.json"), []byte(`{"pooling_mode": ["mean", "max"], "include_prompt": false}`), 0o644); err != nil {
		t.Fatal(err)
	}
	c := tiny(t, model.Classification, nil)
	broken := newModel(t, c, func(m *model.Classifier) model.Parameters { return m.Params })
	weights := broken.Params.Tensors(device)
	copy(weights[3].Data, checkpoint.FromFloat32("", []int{1}, []float32{float32(math.NaN())}).Data)
	shallow := tiny(t, model.Generation, func(c *model.Config) { c.Layers = 0 })
	none := newModel(t, shallow, func(m *model.Generator) model.Parameters { return m.Params })
	for _, c := range []struct {
		name, dir, out string
		options        Options
		task, want     string
	}{
		{"several graphs in a file", filepath.Join(root, "shapes.model"), "out.onnx", Options{}, "", "has 3 graphs, which one file does not hold; name a folder"},
		{"too large for a file", filepath.Join(root, "films.model"), "out.onnx", Options{most: 1 << 10}, "", "name a folder, in which the weights are a file of their own"},
		{"no task is named", filepath.Join("..", "..", "demo", "model"), "out", Options{}, "", "name one of them (--task NAME"},
		{"another task", filepath.Join(root, "films.model"), "out", Options{}, "vqa", "leave the task vqa out"},
		{"weights that are no numbers", save(t, c, broken.Params, nil, nil), "out", Options{}, "", "NaN"},
		{"no layers", save(t, shallow, none.Params, nil, nil), "out", Options{}, "", "it has no layers (num_hidden_layers)"},
		{"a prompt that is not pooled", prompted, "out", Options{}, "", "include_prompt"},
		{"an unknown pooling", bert, "out", Options{Vectors: true, Embed: embed.Options{Pooling: "men"}}, "", "did you mean mean?"},
		{"int8 of float32", filepath.Join(root, "films.model"), "out", Options{Weights: Int8}, "", "no weight of the model is int8, and int8 is asked for"},
		{"int8 vectors of float32", bert, "out", Options{Weights: DynamicInt8}, "", "no weight of the model is int8"},
		{"no model", t.TempDir(), "out", Options{}, "", "config.json"},
	} {
		dir := t.TempDir()
		_, err := Export(t.Context(), c.dir, filepath.Join(dir, c.out), c.options, run.Env{Task: c.task})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: leaves %v (%v)", c.name, left, err)
		}
	}
}
