package convnet

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// family is an architecture of the MobileNets' kind, stage by stage. In the first block of a stage the picture becomes
// smaller by the stride.
type family struct {
	name    string
	kernels []int
	strides []int
	squeeze []bool
	acts    []engine.Activation
	around  engine.Activation // of the stem and the head
	depths  []int             // blocks of each stage, where names do not say which stage a block is of
	gated   [2]engine.Activation
}

func repeat[T any](n int, v T) []T { return slices.Repeat([]T{v}, n) }

var (
	efficientKernels = []int{3, 3, 5, 3, 5, 5, 3}
	efficientStrides = []int{1, 2, 2, 2, 1, 2, 1}
	hardGate         = [2]engine.Activation{engine.ReLU, engine.HardSigmoid}
)

// families are from the papers: 1801.04381, 1905.02244, 1905.11946; Lite is what TensorFlow's models have as
// efficientnet-lite.
var families = []family{
	{
		name: "EfficientNet", kernels: efficientKernels, strides: efficientStrides, squeeze: repeat(7, true),
		acts: repeat(7, engine.SiLU), around: engine.SiLU, gated: [2]engine.Activation{engine.SiLU, engine.Sigmoid},
	},
	{
		name: "EfficientNet-Lite", kernels: efficientKernels, strides: efficientStrides, squeeze: repeat(7, false),
		acts: repeat(7, engine.ReLU6), around: engine.ReLU6,
	},
	{
		name: "MobileNet v2", kernels: repeat(7, 3), strides: efficientStrides, squeeze: repeat(7, false),
		acts: repeat(7, engine.ReLU6), around: engine.ReLU6, depths: []int{1, 2, 3, 4, 3, 3, 1},
	},
	{
		name: "MobileNet v3 large", kernels: []int{3, 3, 5, 3, 3, 5}, strides: []int{1, 2, 2, 2, 1, 2},
		squeeze: []bool{false, false, true, false, true, true},
		acts:    slices.Concat(repeat(3, engine.ReLU), repeat(3, engine.HardSwish)),
		around:  engine.HardSwish, gated: hardGate, depths: []int{1, 2, 3, 4, 2, 3},
	},
	{
		name: "MobileNet v3 small", kernels: []int{3, 3, 5, 5, 5}, strides: []int{2, 2, 2, 1, 2},
		squeeze: []bool{true, false, true, true, true},
		acts:    slices.Concat(repeat(2, engine.ReLU), repeat(3, engine.HardSwish)),
		around:  engine.HardSwish, gated: hardGate, depths: []int{1, 2, 3, 2, 3},
	},
}

// convNames are the names of a convolution: its kernel, and what those of its batch norm begin with.
type convNames struct{ kernel, norm string }

// mobile is a network of the MobileNets' kind as a file names it.
type mobile struct {
	stem   convNames
	blocks []mobileBlock
	head   convNames
}

type mobileBlock struct {
	stage                      int // -1: the names do not say
	expand, depthwise, project convNames
	reduceSqueeze              string // "" without
	expandSqueeze              string
	never                      bool // never adds what it reads
}

// plan returns the plan of the family that the network is of.
func (m mobile) plan(s *source, library string) (*plan, *family, error) {
	if m.blocks[0].stage < 0 {
		m.findStages(s)
	}
	for i := range families {
		if f := &families[i]; m.is(f, s) {
			return m.build(f, s, library), f, nil
		}
	}
	return nil, nil, unsupported(s.r, fmt.Sprintf("a network of the MobileNets' kind with %s", m.describe(s)))
}

// findStages says which stage each block is of, where names do not. Networks of fixed depths are known by their number of blocks;
// in an EfficientNet a stage begins where the number of channels changes.
func (m mobile) findStages(s *source) {
	for _, f := range families {
		if f.depths == nil || len(m.blocks) != sum(f.depths) {
			continue
		}
		stages := make([]int, 0, len(m.blocks))
		for stage, depth := range f.depths {
			stages = append(stages, repeat(depth, stage)...)
		}
		for i := range m.blocks {
			m.blocks[i].stage = stages[i]
		}
		if m.is(&f, s) {
			return
		}
	}
	stage := -1
	in := s.out(m.stem.kernel)
	for i := range m.blocks {
		out := s.out(m.blocks[i].project.kernel)
		if i == 0 || out != in {
			stage++
		}
		m.blocks[i].stage = stage
		in = out
	}
}

func (m mobile) is(f *family, s *source) bool {
	stages := m.blocks[len(m.blocks)-1].stage + 1
	return stages == len(f.kernels) && !slices.ContainsFunc(m.blocks, func(b mobileBlock) bool {
		return s.size(b.depthwise.kernel) != f.kernels[b.stage] || (b.reduceSqueeze != "") != f.squeeze[b.stage]
	})
}

// describe says what the network looks like, for people whose network is not known.
func (m mobile) describe(s *source) string {
	var kernels []string
	squeezes := 0
	for _, b := range m.blocks {
		kernels = append(kernels, fmt.Sprint(s.size(b.depthwise.kernel)))
		if b.reduceSqueeze != "" {
			squeezes++
		}
	}
	return fmt.Sprintf("%d blocks in %d stages, kernels of size %s, squeeze-and-excitation in %d blocks",
		len(m.blocks), m.blocks[len(m.blocks)-1].stage+1, strings.Join(kernels, ","), squeezes)
}

func (m mobile) build(f *family, s *source, library string) *plan {
	size := m.size(f, s)
	p := &plan{name: f.name + size.name, origin: library, prepare: preprocess.TimmFamily, side: size.side}
	stem := layer{kernel: m.stem.kernel, norm: m.stem.norm, stride: 2, act: f.around}
	p.blocks = append(p.blocks, block{layers: []layer{stem}})
	in := s.out(m.stem.kernel)
	stage := -1
	for _, b := range m.blocks {
		stride := 1
		if b.stage != stage {
			stage, stride = b.stage, f.strides[b.stage]
		}
		act := f.acts[b.stage]
		var out block
		if b.expand.kernel != "" {
			out.layers = append(out.layers, layer{kernel: b.expand.kernel, norm: b.expand.norm, stride: 1, act: act})
		}
		out.layers = append(out.layers, layer{kernel: b.depthwise.kernel, norm: b.depthwise.norm, stride: stride, depthwise: true, act: act})
		if b.reduceSqueeze != "" {
			out.squeeze = &squeeze{after: len(out.layers) - 1, reduce: b.reduceSqueeze, expand: b.expandSqueeze, act: f.gated[0], gate: f.gated[1]}
		}
		out.layers = append(out.layers, layer{kernel: b.project.kernel, norm: b.project.norm, stride: 1})
		channels := s.out(b.project.kernel)
		out.add = stride == 1 && in == channels && !b.never
		in = channels
		p.blocks = append(p.blocks, out)
	}
	if first := &p.blocks[1]; !first.add && first.squeeze == nil { // computed together, they are fastest
		first.layers = slices.Insert(first.layers, 0, stem)
		p.blocks = p.blocks[1:]
	}
	head := layer{kernel: m.head.kernel, norm: m.head.norm, stride: 1, act: f.around}
	p.blocks = append(p.blocks, block{layers: []layer{head}})
	return p
}

// scaling is a published size of an EfficientNet, and the side of the pictures that it reads.
type scaling struct {
	name         string
	width, depth float64
	side         int
}

var scalings = map[string][]scaling{
	"EfficientNet": {
		{"-B0", 1.0, 1.0, 224}, {"-B1", 1.0, 1.1, 240}, {"-B2", 1.1, 1.2, 260}, {"-B3", 1.2, 1.4, 300}, {"-B4", 1.4, 1.8, 380},
		{"-B5", 1.6, 2.2, 456}, {"-B6", 1.8, 2.6, 528}, {"-B7", 2.0, 3.1, 600}, {"-B8", 2.2, 3.6, 672}, {"-L2", 4.3, 5.3, 800},
	},
	"EfficientNet-Lite": {{"0", 1.0, 1.0, 224}, {"1", 1.0, 1.1, 240}, {"2", 1.1, 1.2, 260}, {"3", 1.2, 1.4, 280}, {"4", 1.4, 1.8, 300}},
}

// size returns the published size that the network has, or one without a name.
func (m mobile) size(f *family, s *source) scaling {
	depths, widths := make([]int, len(f.kernels)), make([]int, len(f.kernels))
	for _, b := range m.blocks {
		depths[b.stage]++
		widths[b.stage] = s.out(b.project.kernel)
	}
	for _, size := range scalings[f.name] {
		fits := true
		for stage, base := range []int{16, 24, 40, 80, 112, 192, 320} {
			depth := []int{1, 2, 2, 3, 3, 4, 1}[stage]
			if f.name == "EfficientNet" || stage > 0 && stage < 6 { // Lite keeps the ends
				depth = int(math.Ceil(size.depth*float64(depth) - 1e-9))
			}
			fits = fits && depths[stage] == depth && widths[stage] == divisible(size.width*float64(base))
		}
		if fits {
			return size
		}
	}
	return scaling{side: 224}
}

// divisible rounds a number of channels to a multiple of 8, and up where that takes more than a tenth away.
func divisible(channels float64) int {
	n := max(8, int(channels+4)/8*8)
	if float64(n) < 0.9*channels {
		n += 8
	}
	return n
}

func sum(values []int) (total int) {
	for _, v := range values {
		total += v
	}
	return total
}
