package onnx

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/tokenizer"
)

var device = cpu.New()

func vocabulary(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Load(filepath.Join("..", "..", "..", "testdata", "films.model"))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// tiny is the configuration of a small model for problem, which change may change.
func tiny(t *testing.T, problem string, change func(c *model.Config)) model.Config {
	c := model.Config{
		VocabSize: vocabulary(t).VocabSize(), HiddenSize: 24, Layers: 2, Heads: 3, MaxPositions: 40, HiddenAct: "gelu", InitRange: 0.3, ProblemType: problem,
	}
	switch problem {
	case model.Classification, model.Answering, model.Entailment:
		c.NumLabels = 3
	case model.Regression:
		c.NumLabels = 1
	}
	if c.ReadsImages() {
		c.ImageEmbeddingSize = 10
	}
	if change != nil {
		change(&c)
	}
	return c
}

// newModel makes a model with random parameters, biases and norms too.
func newModel[M model.Heads](t *testing.T, c model.Config, params func(m M) model.Parameters) M {
	t.Helper()
	m, err := model.New[M](device, c, 3)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range params(m) {
		values := engine.Values(device, p.Value)
		for i := range values {
			switch {
			case p.Init == model.Zeros, p.Init == model.Ones:
				values[i] += float32(r.NormFloat64()) / 5
			case strings.HasPrefix(p.Name, "cls_out_w_"): // it is wide: no sum is to be of large numbers that cancel
				values[i] /= 10
			}
		}
		device.Write(p.Value, values)
	}
	return m
}

// save writes a model's folder.
func save(t *testing.T, c model.Config, params model.Parameters, scales *calibration.Calibration, files map[string]string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "model")
	content := modeldir.Content{Config: c, Tokenizer: vocabulary(t), Tensors: params.Tensors(device), Files: map[string][]byte{}}
	for name, text := range files {
		content.Files[name] = []byte(text)
	}
	if err := modeldir.Save(dir, content); err != nil {
		t.Fatal(err)
	}
	if scales == nil {
		return dir
	}
	o, err := run.Open(dir, run.Env{Device: device}.Ready(), func(o *run.Opened) (model.Parameters, error) { return params, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := o.SaveCalibration(scales); err != nil {
		t.Fatal(err)
	}
	return dir
}

// quantise makes bytes of the matrices in a model's folder, and returns its parameters as float32 numbers.
func quantise(t *testing.T, dir string) checkpoint.Reader {
	t.Helper()
	file := filepath.Join(dir, modeldir.WeightsFile)
	r, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]bool{}
	for _, info := range r.Tensors() {
		if len(info.Shape) == 2 && info.Shape[0] > 8 && info.Shape[1] > 8 {
			weights[info.Name] = strings.HasSuffix(info.Name, "embedding")
		}
	}
	small, err := checkpoint.Quantise(r, weights)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), modeldir.WeightsFile)
	if err := checkpoint.Convert(t.Context(), small, to, checkpoint.FormatSafetensors); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(small.Close(), os.Rename(to, file)); err != nil {
		t.Fatal(err)
	}
	q, err := modeldir.OpenWeights(file)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var tensors []checkpoint.Tensor
	for _, info := range q.Tensors() {
		values, _, err := checkpoint.Float32s(q, info.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, checkpoint.FromFloat32(info.Name, info.Shape, slices.Clone(values)))
	}
	plain, err := checkpoint.FromTensors("memory", tensors)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// values returns what compute gives.
func values(compute func(tape *autograd.Tape) *autograd.Var) []float32 {
	tape := autograd.NewPool(device).Take()
	return slices.Clone(engine.Values(device, compute(tape).Value))
}

func toSlice(r *rand.Rand, n int, scale float64) []float32 {
	list := make([]float32, n)
	for i := range list {
		list[i] = float32(r.NormFloat64() * scale)
	}
	return list
}

// ragged is a batch of sequences of several lengths, and the same padded.
type ragged struct {
	model.Input
	feeds map[string]array
}

// newRagged makes random sequences that a model of the configuration reads. Left says that texts are padded at their beginning.
func newRagged(c model.Config, lengths []int, left bool) ragged {
	r := rand.New(rand.NewPCG(5, 6))
	n, longest := len(lengths), slices.Max(lengths)
	ids, mask, types := make([]int64, n*longest), make([]int64, n*longest), make([]int64, n*longest)
	b := ragged{feeds: map[string]array{}}
	for i, length := range lengths {
		at := i * longest
		if left {
			at += longest - length
		}
		var tokens []int32
		for k := range length {
			tokens = append(tokens, int32(r.IntN(c.VocabSize)))
			ids[at+k], mask[at+k] = int64(tokens[k]), 1
		}
		first := length
		if c.SegmentTypes > 1 {
			first = r.IntN(length + 1)
		}
		for k := first; k < length; k++ {
			types[at+k] = 1
		}
		b.Text.AppendSegments(tokens, first)
	}
	shape := []int{n, longest}
	b.feeds[inputIDs], b.feeds[inputMask] = array{Shape: shape, Ints: ids}, array{Shape: shape, Ints: mask}
	if c.SegmentTypes > 1 {
		b.feeds[inputTypes] = array{Shape: shape, Ints: types}
	}
	return b
}

// addImages gives the sequences pictures of so many regions.
func (b *ragged) addImages(c model.Config, regions []int) {
	r := rand.New(rand.NewPCG(7, 8))
	n, most := len(regions), slices.Max(regions)
	features, places, mask := make([]float32, n*most*c.ImageEmbeddingSize), make([]float32, n*most*model.LocationSize), make([]int64, n*most)
	b.Images.Offsets = []int32{0}
	for i, k := range regions {
		f, p := toSlice(r, k*c.ImageEmbeddingSize, 1), toSlice(r, k*model.LocationSize, 0.3)
		b.Images.Features, b.Images.Locations = append(b.Images.Features, f...), append(b.Images.Locations, p...)
		b.Images.Offsets = append(b.Images.Offsets, int32(len(b.Images.Locations)/model.LocationSize))
		copy(features[i*most*c.ImageEmbeddingSize:], f)
		copy(places[i*most*model.LocationSize:], p)
		for j := range k {
			mask[i*most+j] = 1
		}
	}
	b.feeds[inputFeatures] = array{Shape: []int{n, most, c.ImageEmbeddingSize}, Floats: features}
	b.feeds[inputPlaces] = array{Shape: []int{n, most, model.LocationSize}, Floats: places}
	b.feeds[inputRegions] = array{Shape: []int{n, most}, Ints: mask}
}

// only returns the feeds of these names.
func (b *ragged) only(names ...string) map[string]array {
	feeds := maps.Clone(b.feeds)
	maps.DeleteFunc(feeds, func(name string, _ array) bool { return !slices.Contains(names, name) })
	return feeds
}

// array is a tensor as JSON.
type array struct {
	Shape  []int     `json:"shape"`
	Ints   []int64   `json:"ints"`
	Floats []float32 `json:"floats"`
}
