package convnet

import (
	"cmp"
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// residual is a ResNet as a file names it: its stem and its blocks, stage by stage.
type residual struct {
	stem   convNames
	stages [][]residualBlock

	strideFirst bool // in blocks of three convolutions the first has the stride, else the second
	halveFirst  bool // the first stage halves the picture too
}

type residualBlock struct {
	convs                        []convNames
	reduceSqueeze, expandSqueeze string    // "" without
	shortcut                     convNames // "" without
}

func (n residual) plan(s *source, library string) *plan {
	const act = engine.ReLU
	p := &plan{name: n.name(s), origin: library, epsilon: 1e-5, prepare: preprocess.TimmFamily, side: 224}
	stem := layer{kernel: n.stem.kernel, norm: n.stem.norm, stride: 2, act: act}
	p.blocks = append(p.blocks, block{layers: []layer{stem}, maxPool: true})
	for i, stage := range n.stages {
		for j, b := range stage {
			stride := 1
			if j == 0 && (i > 0 || n.halveFirst) {
				stride = 2
			}
			out := block{add: true}
			strided := 0
			if len(b.convs) == 3 && !n.strideFirst {
				strided = 1
			}
			for k, c := range b.convs {
				l := layer{kernel: c.kernel, norm: c.norm, stride: 1, grouped: len(b.convs) == 3 && k == 1, act: act}
				if k == strided {
					l.stride = stride
				}
				out.layers = append(out.layers, l)
			}
			if b.reduceSqueeze != "" {
				out.squeeze = &squeeze{after: len(out.layers) - 1, reduce: b.reduceSqueeze, expand: b.expandSqueeze, act: engine.ReLU, gate: engine.Sigmoid}
			}
			if b.shortcut.kernel != "" {
				out.add, out.shortcut = false, &layer{kernel: b.shortcut.kernel, norm: b.shortcut.norm, stride: stride}
			}
			p.blocks = append(p.blocks, out)
		}
	}
	return p
}

// agree refuses a configuration of transformers that is another network's than the tensors.
func (n residual) agree(s *source, c config) error {
	var depths, sizes []int
	for _, stage := range n.stages {
		depths = append(depths, len(stage))
		if len(stage) > 0 {
			convs := stage[0].convs
			sizes = append(sizes, s.out(convs[len(convs)-1].kernel))
		}
	}
	kind := "basic"
	if len(n.stages[0][0].convs) == 3 {
		kind = "bottleneck"
	}
	width := s.out(n.stem.kernel)
	return cmp.Or(
		agree(s.r, "num_channels", c.Channels, s.in(n.stem.kernel)), agree(s.r, "embedding_size", c.EmbeddingSize, &width), agree(s.r, "depths", c.Depths, depths),
		agree(s.r, "hidden_sizes", c.HiddenSizes, sizes), agree(s.r, "layer_type", c.LayerType, kind),
	)
}

// name is how people call it: by the number of its layers, its groups and its width.
func (n residual) name(s *source) string {
	first := n.stages[0][0]
	layers := 2
	for _, stage := range n.stages {
		layers += len(stage) * len(first.convs)
	}
	family, detail := "ResNet", ""
	if len(first.convs) == 3 {
		width := s.out(first.convs[0].kernel)
		shape := s.shapes[first.convs[1].kernel]
		stem := s.out(n.stem.kernel)
		if len(shape) == 4 && shape[1] > 0 && shape[1] < width {
			family, detail = "ResNeXt", fmt.Sprintf(" %dx%dd", width/shape[1], shape[1])
		} else if stem > 0 && width > stem && width%stem == 0 {
			family, detail = "Wide ResNet", fmt.Sprintf("-%d", width/stem)
		}
	}
	if first.reduceSqueeze != "" {
		family = "SE-" + family
	}
	return fmt.Sprintf("%s-%d%s", family, layers, detail)
}
