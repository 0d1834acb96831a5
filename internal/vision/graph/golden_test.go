package graph

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// testPixels is the picture of testdata/tfjs.js.
func testPixels(height, width int, scale float32) []float32 {
	s := uint64(12345)
	data := make([]float32, height*width*3)
	for i := range data {
		s = s * 48271 % 2147483647
		x, y := i/3%width, i/3/width
		data[i] = scale * (float32((x*7+y*3+i%3*40+int(s%64))%256) / 256)
	}
	return data
}

// openTest opens a graph of testdata, and says what TensorFlow.js computes.
func openTest(t testing.TB, name string) (*Definition, checkpoint.Reader, checkpoint.Reader) {
	t.Helper()
	path := filepath.Join("testdata", name)
	raw, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	def, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var readers []checkpoint.Reader
	for _, ending := range []string{".json", ".safetensors"} {
		r, err := checkpoint.Open(path + ending)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		readers = append(readers, r)
	}
	return def, readers[0], readers[1]
}

// compare reports outputs that are not those of TensorFlow.js.
func compare(t *testing.T, names []string, got []Tensor, want checkpoint.Reader) {
	t.Helper()
	for i, name := range names {
		info, err := want.Info(name)
		if err != nil {
			t.Fatal(err)
		}
		values, _, err := checkpoint.Float32s(want, name)
		if err != nil {
			t.Fatal(err)
		}
		shape, have := got[i].Ordered()
		if !slices.Equal(shape, info.Shape) {
			t.Errorf("%s: shape %v, want %v", name, shape, info.Shape)
			continue
		}
		var worst, high float64
		for j, v := range values {
			worst, high = max(worst, math.Abs(float64(v)-float64(have[j]))), max(high, math.Abs(float64(v)))
			if math.IsNaN(float64(have[j])) {
				worst = math.Inf(1)
			}
		}
		t.Logf("%s: relative error %.1e", name, worst/high)
		if !(worst <= 1e-5*high) {
			t.Errorf("%s: relative error %v", name, worst/high)
		}
	}
}

// TestGoldens holds graphs of all operations against TensorFlow.js; testdata/make_goldens.js made them. They are run as they
// are, and as they were described again.
func TestGoldens(t *testing.T) {
	for name, scale := range map[string]float32{"mobile": 255, "torch": 4, "others": 255} {
		t.Run(name, func(t *testing.T) {
			def, weights, want := openTest(t, name)
			var outputs []string
			for _, info := range want.Tensors() {
				outputs = append(outputs, info.Name)
			}
			d := cpu.NewLimited(1)
			run := func(def *Definition, r checkpoint.Reader) *Program {
				p, err := Compile(d, def, r, outputs...)
				if err != nil {
					t.Fatal(err)
				}
				pixels := testPixels(p.Height, p.Width, scale)
				for range 2 { // that nothing is left of a run
					got, err := p.Run(d, pixels)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, outputs, got, want)
				}
				return p
			}
			run(def, weights)

			reduced, err := def.Reduce(weights, outputs)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := reduced.Describe(map[string]any{"more": 1})
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			p := run(again, weights)
			var kept []checkpoint.Tensor
			for _, name := range p.Tensors() {
				info, err := weights.Info(name)
				if err != nil {
					t.Fatal(err)
				}
				if info.Elements() == 1 || !info.DType.Float() {
					t.Errorf("%+v is read from the file, and is no weight", info)
				}
				data, err := weights.Bytes(name)
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, checkpoint.Tensor{Info: info, Data: data})
			}
			r, err := checkpoint.FromTensors("kept", kept)
			if err != nil {
				t.Fatal(err)
			}
			run(again, r)
		})
	}
}

// TestEveryOperationIsHeldAgainstTensorFlowJS fails where one joins without a golden.
func TestEveryOperationIsHeldAgainstTensorFlowJS(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"mobile", "torch", "others"} {
		def, _, _ := openTest(t, name)
		for _, n := range def.nodes {
			seen[n.Op] = true
		}
	}
	alike := map[string]string{ // those whose code another one shares
		"FusedBatchNorm": "FusedBatchNormV3", "Div": "RealDiv", "Cast": "", "Sqrt": "Tanh", "Rsqrt": "Tanh", "FloorDiv": "", "Pow": "Maximum",
	}
	for _, op := range Supported() {
		if other, ok := alike[op]; !seen[op] && (!ok || other != "" && !seen[other]) {
			t.Errorf("%s is in no golden", op)
		}
	}
}

// TestSimplified counts what is left to run: convolutions have taken over the rest.
func TestSimplified(t *testing.T) {
	for name, c := range map[string]struct {
		outputs []string
		most    map[kind]int
	}{
		"mobile": {[]string{"keypoints"}, map[kind]int{conv: 6, chain: 3, activate: 1, mean: 1, scaleColumns: 1, resize: 1, concatenate: 1}},
		"torch":  {[]string{"classes", "boxes"}, map[kind]int{conv: 6, maxPool: 1, concatenate: 1, resize: 1, slice: 2, activate: 1, sum: 1}},
	} {
		def, r, _ := openTest(t, name)
		p, err := Compile(cpu.NewLimited(1), def, r, c.outputs...)
		if err != nil {
			t.Fatal(err)
		}
		got := map[kind]int{}
		for _, v := range p.order {
			if v.kind != input {
				got[v.kind]++
			}
		}
		for k, n := range got {
			if n > c.most[k] {
				t.Errorf("%s: %d vertices of kind %d, want %d", name, n, k, c.most[k])
			}
		}
	}
}

// edit changes a description of testdata.
func edit(t *testing.T, name string, change func(nodes map[string]map[string]any)) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]map[string]any{}
	for _, n := range d["modelTopology"].(map[string]any)["node"].([]any) {
		nodes[n.(map[string]any)["name"].(string)] = n.(map[string]any)
	}
	change(nodes)
	if raw, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBadGraphs(t *testing.T) {
	for name, c := range map[string]struct {
		change func(nodes map[string]map[string]any)
		want   string
	}{
		"unknown operations": {func(n map[string]map[string]any) {
			n["scores"]["op"], n["head"]["op"] = "NonMaxSuppressionV5", "Einsum"
		},
			`operations that are not supported: Einsum (node "head"), NonMaxSuppressionV5 (node "scores"); supported are Add, `},
		"a loop":          {func(n map[string]map[string]any) { n["c1"]["input"] = []string{"scores", "c1/w", "c1/b"} }, "loops are not supported"},
		"an absent input": {func(n map[string]map[string]any) { n["c1"]["input"] = []string{"gone", "c1/w", "c1/b"} }, `reads "gone", which is not there`},
		"an absent output": {func(n map[string]map[string]any) { n["c1"]["input"] = []string{"scaled:1", "c1/w", "c1/b"} },
			`node "c1" (_FusedConv2D): node "scaled" has no output 1`},
		"too few inputs": {func(n map[string]map[string]any) { n["c1"]["input"] = []string{"scaled"} }, "1 inputs, want 2"},
		"absent weights": {func(n map[string]map[string]any) {
			n["c1/w"]["name"], n["c1"]["input"] = "w", []string{"scaled", "w", "c1/b"}
		}, `no tensor "w"`},
		"other weights":    {func(n map[string]map[string]any) { n["c1"]["input"] = []string{"scaled", "p1/w", "c1/b"} }, "do not fit 3 channels"},
		"channels first":   {attr("c1", "data_format", map[string]any{"s": "TkNIVw=="}), "data_format \"NCHW\", want NHWC"},
		"uneven strides":   {attr("c1", "strides", map[string]any{"list": map[string]any{"i": []string{"1", "2", "1", "1"}}}), "strides of 2 down and 1 across"},
		"a huge stride":    {attr("c1", "strides", map[string]any{"list": map[string]any{"i": []string{"1", "9999999", "9999999", "1"}}}), "1 to 2048"},
		"a fused stranger": {attr("c1", "fused_ops", map[string]any{"list": map[string]any{"s": []string{"Qmlhc0FkZA==", "UHJlbHU="}}}), "fused with Prelu, which is not supported"},
		"a huge picture": {func(n map[string]map[string]any) {
			n["images"]["op"], n["images"]["name"], n["scaled"]["input"] = "Placeholder", "other", []string{"other", "scale"}
			n["images"]["attr"].(map[string]any)["shape"] = map[string]any{"shape": map[string]any{"dim": []any{map[string]any{"size": "1"}, map[string]any{"size": "99999"}, map[string]any{"size": "9"}, map[string]any{"size": "3"}}}}
		}, "want one picture of a known size up to 2048 x 2048"},
	} {
		t.Run(name, func(t *testing.T) {
			_, r, _ := openTest(t, "mobile")
			def, err := Parse(edit(t, "mobile", c.change))
			if err == nil {
				_, err = Compile(cpu.NewLimited(1), def, r, "keypoints")
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct{ raw, want string }{
		"layers":   {`{"format":"layers-model","modelTopology":{}}`, "tfjs_graph_model"},
		"no nodes": {`{"format":"graph-model"}`, "0 nodes"},
		"twice":    {`{"format":"graph-model","modelTopology":{"node":[{"name":"a","op":"Const"},{"name":"a","op":"Const"}]}}`, "that of another one"},
		"cut off":  {`{"format":"graph-`, "ends in the middle"},
	} {
		if _, err := Parse([]byte(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	def, r, _ := openTest(t, "mobile")
	p, err := Compile(cpu.NewLimited(1), def, r, "keypoints")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(cpu.NewLimited(1), make([]float32, 5)); err == nil {
		t.Error("ran without a picture")
	}
	if _, err := Compile(cpu.NewLimited(1), def, r, "nothing"); err == nil {
		t.Error("compiled an output that is not there")
	}
}

func attr(node, key string, value any) func(nodes map[string]map[string]any) {
	return func(nodes map[string]map[string]any) { nodes[node]["attr"].(map[string]any)[key] = value }
}

// zeros is a reader of whatever tensor is asked for, of the shape that a graph's constant has.
type zeros struct {
	checkpoint.Reader
	def *Definition
}

func (z zeros) Info(name string) (checkpoint.Info, error) {
	n := z.def.nodes[name]
	if n == nil || n.Attrs["value"].Tensor == nil {
		return checkpoint.Info{}, checkpoint.ErrNoTensor
	}
	t := n.Attrs["value"].Tensor
	info := checkpoint.Info{Name: name, DType: checkpoint.F32, Shape: t.Shape.dims()}
	if t.DType == "DT_INT32" {
		info.DType = checkpoint.I32
	}
	size, err := count(info.Shape)
	if err == nil && size > 1<<16 {
		err = errors.New("too large for a test")
	}
	return info, err
}

func (z zeros) Bytes(name string) ([]byte, error) {
	info, err := z.Info(name)
	return slices.Repeat([]byte{1, 0, 0, 0}, max(info.Elements(), 0)), err
}

// FuzzGraph opens descriptions of strangers and runs what opens, if it is small.
func FuzzGraph(f *testing.F) {
	for _, name := range []string{"mobile", "torch", "others"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		def, err := Parse(raw)
		if err != nil {
			f.Fatal(err)
		}
		r, err := checkpoint.Open(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { r.Close() })
		for _, o := range def.Outputs { // small parts are changed to more effect, and have their settings in them
			part, err := def.Reduce(r, []string{o.Name})
			if err != nil {
				f.Fatal(err)
			}
			if raw, err = part.Describe(nil); err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	d := cpu.NewLimited(1)
	f.Fuzz(func(t *testing.T, raw []byte) {
		def, err := Parse(raw)
		if err != nil {
			return
		}
		for _, o := range def.Outputs {
			b, out, err := build(def, zeros{def: def}, []string{o.Name})
			if err != nil {
				continue
			}
			work := 0
			for _, v := range ordered([]*vertex{out[0].v}) {
				n := v.rows * v.cols
				if v.filter != nil {
					n *= len(v.filter.weights) / v.filter.out
				}
				work += n + v.window.Rows*v.window.Cols
			}
			if in := b.input.dims(); work > 1<<22 || in[1]*in[2] > 1<<16 {
				continue
			}
			p, err := Compile(d, def, zeros{def: def}, o.Name)
			if err != nil {
				t.Fatalf("built, but not compiled: %v", err)
			}
			got, err := p.Run(d, testPixels(p.Height, p.Width, 1))
			if err != nil {
				t.Fatal(err)
			}
			if shape, values := got[0].Ordered(); !slices.Equal(shape, out[0].shape) || len(values) != len(got[0].Values) {
				t.Fatalf("shape %v, built with %v", shape, out[0].shape)
			}
		}
	})
}
