package detector

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/vision"
)

// testPixels is the picture of ../graph/testdata/tfjs.js.
func testPixels(side int, scale float32) vision.Pixels {
	p := vision.Pixels{Width: side, Height: side, Values: make([]float32, side*side*3)}
	s := uint64(12345)
	for i := range p.Values {
		s = s * 48271 % 2147483647
		x, y := i/3%side, i/3/side
		p.Values[i] = scale * (float32((x*7+y*3+i%3*40+int(s%64))%256) / 256)
	}
	return p
}

// openTest opens a model.json.
func openTest(t testing.TB, path string) (*network, vision.Info, checkpoint.Reader) {
	t.Helper()
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if !Recognised(config, r) {
		t.Errorf("%s is not recognised", path)
	}
	n, info, err := Open(cpu.NewLimited(1), config, r)
	if err != nil {
		t.Fatal(err)
	}
	return n.(*network), info, r
}

// compare reports numbers that are not as wanted within a share of the largest.
func compare(t *testing.T, name string, got, want []float32, most float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", name, len(got), len(want))
	}
	var worst, high float64
	for i, w := range want {
		high = max(high, math.Abs(float64(w)))
		if d := math.Abs(float64(w) - float64(got[i])); !(d <= worst) {
			worst = d
		}
	}
	t.Logf("%s: relative error %.1e", name, worst/high)
	if !(worst <= most*high) {
		t.Errorf("%s: relative error %v", name, worst/high)
	}
}

// TestGoldens compares the regions of small random detectors with those that testdata/make_goldens.js finds with
// TensorFlow.js; and again where they were opened with what Open says that they need.
func TestGoldens(t *testing.T) {
	for _, c := range []struct {
		name, architecture string
		scale              float32
	}{{"centernet", "CenterNet", 255}, {"nanodet", "NanoDet", 4}} {
		t.Run(c.name, func(t *testing.T) {
			n, info, r := openTest(t, filepath.Join("testdata", c.name+".json"))
			if info.Architecture != c.architecture || info.Preprocessing != c.name || info.Side != n.program.Width || len(n.Classes()) != 80 {
				t.Errorf("%+v", info)
			}
			want, err := checkpoint.Open(filepath.Join("testdata", c.name+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			check := func(n *network) vision.Output {
				out, err := n.Run(cpu.NewLimited(1), testPixels(info.Side, c.scale))
				if err != nil {
					t.Fatal(err)
				}
				for name, got := range map[string][]float32{"boxes": out.Boxes, "features": out.Features, "classes": out.Classes, "global": out.Global} {
					values, _, err := checkpoint.Float32s(want, name)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, name, got, values, 2e-5)
				}
				for i := range len(out.Boxes) / 4 {
					var sum float64
					for _, p := range out.Classes[80*i:][:80] {
						sum += float64(p)
					}
					if math.Abs(sum-1) > 1e-5 {
						t.Errorf("region %d: probabilities sum to %v", i, sum)
					}
				}
				return out
			}
			first := check(n)

			var kept []checkpoint.Tensor
			for _, name := range info.Tensors {
				tensor, err := r.Info(name)
				if err != nil {
					t.Fatal(err)
				}
				data, err := r.Bytes(name)
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, checkpoint.Tensor{Info: tensor, Data: data})
			}
			memory, err := checkpoint.FromTensors("kept", kept)
			if err != nil {
				t.Fatal(err)
			}
			again, said, err := Open(cpu.NewLimited(1), info.Config, memory)
			if err != nil {
				t.Fatal(err)
			}
			if string(said.Config) != string(info.Config) || !slices.Equal(said.Tensors, info.Tensors) {
				t.Error("opened again, it says something else of itself")
			}
			second := check(again.(*network))
			if !slices.Equal(first.Boxes, second.Boxes) || !slices.Equal(first.Features, second.Features) {
				t.Error("opened again, it finds other regions")
			}
		})
	}
}

// withRegions changes "regions" of a description.
func withRegions(t *testing.T, name string, regions any) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	d["regions"] = regions
	if raw, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRegions(t *testing.T) {
	_, _, r := openTest(t, "testdata/nanodet.json")
	d := cpu.NewLimited(1)
	count := func(regions map[string]any, pixels vision.Pixels) int {
		n, _, err := Open(d, withRegions(t, "nanodet", regions), r)
		if err != nil {
			t.Fatal(err)
		}
		out, err := n.Run(d, pixels)
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Boxes) / 4
	}
	picture := testPixels(96, 4)
	if n := count(map[string]any{"max": 12}, picture); n != 12 {
		t.Errorf("%d regions, want the 12 that are possible at most", n)
	}
	if n := count(map[string]any{"min": 3, "score": 1}, picture); n != 3 {
		t.Errorf("%d regions, want the 3 that there always are", n)
	}
	for _, bad := range []map[string]any{{"min": 0}, {"min": 50}, {"max": 5000}, {"score": 2}, {"overlap": -1}} {
		if _, _, err := Open(d, withRegions(t, "nanodet", bad), r); err == nil || !strings.Contains(err.Error(), "want 1 to max for min") {
			t.Errorf("%v: error %v", bad, err)
		}
	}
}

func TestBadInput(t *testing.T) {
	n, _, r := openTest(t, "testdata/centernet.json")
	d := cpu.NewLimited(1)
	if _, err := n.Run(d, testPixels(32, 1)); err == nil || !strings.Contains(err.Error(), "this CenterNet reads 64 x 64") {
		t.Errorf("error %v", err)
	}
	dark := testPixels(64, float32(math.NaN()))
	if _, err := n.Run(d, dark); err == nil || !strings.Contains(err.Error(), "no finite numbers") {
		t.Errorf("error %v", err)
	}
	if Recognised([]byte(`{"model_type":"vit"}`), r) || Recognised(nil, r) {
		t.Error("other configurations are recognised")
	}
	for name, config := range map[string]string{
		"supported are CenterNet": `{"format":"graph-model","signature":{},"modelTopology":{"node":[{"name":"a","op":"Const"}]}}`,
		"tfjs_graph_model":        `{"format":"layers-model","modelTopology":{"node":[]}}`,
		"the description":         `{`,
	} {
		if _, _, err := Open(d, []byte(config), r); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), r.Path()) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}

// TestNothingIsSeen gives a network that sees nothing: the picture as a whole is the region.
func TestNothingIsSeen(t *testing.T) {
	n, _, _ := openTest(t, "testdata/centernet.json")
	n.head = blind{n.head}
	out, err := n.Run(cpu.NewLimited(1), testPixels(64, 255))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.Boxes, []float32{0, 0, 1, 1}) || !slices.Equal(out.Features, out.Global) || len(out.Classes) != 80 {
		t.Errorf("boxes %v, %d classes", out.Boxes, len(out.Classes))
	}
}

func TestDistinct(t *testing.T) {
	at := func(x float32, class int, score float32) candidate {
		return candidate{box: box{x, 0, x + 0.5, 1}, class: class, score: score}
	}
	// overlaps: 0.1 apart 2/3, 0.2 apart 3/7, 0.01 apart 49/51
	in := []candidate{at(0, 1, 0.9), at(0.1, 1, 0.8), at(0.1, 2, 0.7), at(0.2, 1, 0.6), at(0.11, 3, 0.5), at(0.5, 1, 0.4)}
	var scores []float32
	for _, c := range distinct(in, 0.5, 10) {
		scores = append(scores, c.score)
	}
	if !slices.Equal(scores, []float32{0.9, 0.7, 0.6, 0.4}) {
		t.Errorf("kept %v", scores)
	}
	if len(distinct(in, 0.5, 2)) != 2 {
		t.Error("more than the limit")
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range []string{"centernet", "nanodet"} {
		n, info, _ := openTest(f, filepath.Join("testdata", name+".json"))
		f.Add(info.Config, n.bgr)
	}
	_, _, first := openTest(f, "testdata/centernet.json")
	_, _, second := openTest(f, "testdata/nanodet.json")
	d := cpu.NewLimited(1)
	f.Fuzz(func(t *testing.T, config []byte, other bool) {
		r := first
		if other {
			r = second
		}
		n, info, err := Open(d, config, r)
		if err != nil || info.Side > 128 {
			return
		}
		if out, err := n.Run(d, testPixels(info.Side, 4)); err == nil && (len(out.Boxes) == 0 || len(out.Features)/n.Dim() != len(out.Boxes)/4) {
			t.Fatalf("%d boxes, %d features", len(out.Boxes), len(out.Features))
		}
	})
}
