package convnet

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// dialect is a library's names for one kind of network.
type dialect struct {
	library string
	marker  string // a tensor that each network of the kind has, and no other
	plan    func(s *source, c config) (*plan, error)
}

var dialects = []dialect{
	{"torchvision and timm", "layer1.0.conv1.weight", torchResNet},
	{"transformers", "embedder.embedder.convolution.weight", transformersResNet},
	{"timm", "conv_stem.weight", timmMobile},
	{"lukemelas' EfficientNet", "_conv_stem.weight", lukemelas},
	{"torchvision", "features.1.0.block.0.0.weight", torchEfficientNet},
	{"torchvision", "features.1.conv.0.0.weight", torchMobileV2},
	{"torchvision", "features.1.block.0.0.weight", torchMobileV3},
	{"transformers", "embeddings.convolution.weight", transformersEfficientNet},
	{"transformers", "conv_stem.first_conv.convolution.weight", transformersMobileV2},
}

// named returns the names of a convolution and its batch norm.
func named(kernel, norm string) convNames { return convNames{kernel + ".weight", norm} }

func torchResNet(s *source, c config) (*plan, error) {
	if err := c.checkTimm(s.r); err != nil {
		return nil, err
	}
	if s.has("conv1.0.weight") {
		return nil, unsupported(s.r, "a ResNet whose stem has three convolutions (as in resnet50d of timm)")
	}
	n := residual{stem: named("conv1", "bn1")}
	for stage := 1; stage <= 4; stage++ {
		depth, err := s.numbered(fmt.Sprintf("layer%d.", stage), 0)
		if err != nil {
			return nil, err
		}
		if depth == 0 {
			return nil, s.missing(fmt.Sprintf("layer%d.0.conv1.weight", stage))
		}
		blocks := make([]residualBlock, depth)
		for i := range blocks {
			at := fmt.Sprintf("layer%d.%d.", stage, i)
			b := &blocks[i]
			b.convs = []convNames{named(at+"conv1", at+"bn1"), named(at+"conv2", at+"bn2")}
			if s.has("layer1.0.conv3.weight") {
				b.convs = append(b.convs, named(at+"conv3", at+"bn3"))
			}
			if s.has(at + "se.fc1.weight") {
				b.reduceSqueeze, b.expandSqueeze = at+"se.fc1", at+"se.fc2"
			}
			if s.has(at + "downsample.0.weight") {
				b.shortcut = named(at+"downsample.0", at+"downsample.1")
			}
		}
		n.stages = append(n.stages, blocks)
	}
	p := n.plan(s, "torchvision and timm")
	p.keep(c)
	if c.raw == nil { // timm's files have a configuration beside them
		p.prepare = preprocess.TorchvisionFamily
	}
	return p, nil
}

func transformersResNet(s *source, c config) (*plan, error) {
	if err := c.checkAct(s.r, "relu"); err != nil {
		return nil, err
	}
	n := residual{
		stem:        named("embedder.embedder.convolution", "embedder.embedder.normalization"),
		strideFirst: c.DownsampleInBottleneck, halveFirst: c.DownsampleInFirstStage,
	}
	stages, err := s.numbered("encoder.stages.", 0)
	if err != nil {
		return nil, err
	}
	for stage := range stages {
		start := fmt.Sprintf("encoder.stages.%d.layers.", stage)
		depth, err := s.numbered(start, 0)
		if err != nil {
			return nil, err
		}
		blocks := make([]residualBlock, depth)
		for i := range blocks {
			at := fmt.Sprintf("%s%d.", start, i)
			layers, err := s.numbered(at+"layer.", 0)
			if err != nil {
				return nil, err
			}
			if layers != 2 && layers != 3 {
				return nil, s.missing(at + "layer.1.convolution.weight")
			}
			for k := range layers {
				layer := fmt.Sprintf("%slayer.%d.", at, k)
				blocks[i].convs = append(blocks[i].convs, named(layer+"convolution", layer+"normalization"))
			}
			if s.has(at + "shortcut.convolution.weight") {
				blocks[i].shortcut = named(at+"shortcut.convolution", at+"shortcut.normalization")
			}
		}
		n.stages = append(n.stages, blocks)
	}
	if len(n.stages) == 0 || len(n.stages[0]) == 0 {
		return nil, s.missing("encoder.stages.0.layers.0.layer.0.convolution.weight")
	}
	if err := n.agree(s, c); err != nil {
		return nil, err
	}
	p := n.plan(s, "transformers")
	p.config = c.raw
	return p, nil
}

// timmMobile is timm's form of the MobileNets and EfficientNets. Those with TensorFlow's weights have other padding and
// another epsilon, which no tensor shows.
func timmMobile(s *source, c config) (*plan, error) {
	if err := c.checkTimm(s.r); err != nil {
		return nil, err
	}
	m := mobile{stem: named("conv_stem", "bn1"), head: named("conv_head", "bn2")}
	stages, err := s.numbered("blocks.", 0)
	if err != nil {
		return nil, err
	}
	for stage := range stages {
		depth, err := s.numbered(fmt.Sprintf("blocks.%d.", stage), 0)
		if err != nil {
			return nil, err
		}
		for i := range depth {
			at := fmt.Sprintf("blocks.%d.%d.", stage, i)
			if s.has(at+"conv.weight") && stage == stages-1 && depth == 1 && stage > 0 {
				m.head = named(at+"conv", at+"bn1") // of MobileNet v3, whose conv_head comes after pooling
				continue
			}
			if s.has(at+"conv_exp.weight") || s.has(at+"conv.weight") {
				return nil, unsupported(s.r, "a network with fused blocks, such as EfficientNet v2 or EfficientNet-EdgeTPU")
			}
			b := mobileBlock{stage: stage, depthwise: named(at+"conv_dw", at+"bn2"), expand: named(at+"conv_pw", at+"bn1"), project: named(at+"conv_pwl", at+"bn3")}
			if !s.has(at + "conv_pwl.weight") {
				b = mobileBlock{stage: stage, depthwise: named(at+"conv_dw", at+"bn1"), project: named(at+"conv_pw", at+"bn2")}
			}
			if s.has(at + "se.conv_reduce.weight") {
				b.reduceSqueeze, b.expandSqueeze = at+"se.conv_reduce", at+"se.conv_expand"
			}
			m.blocks = append(m.blocks, b)
		}
	}
	if len(m.blocks) == 0 {
		return nil, s.missing("blocks.0.0.conv_dw.weight")
	}
	p, f, err := m.plan(s, "timm")
	if err != nil {
		return nil, err
	}
	p.epsilon = 1e-5
	if c.Architecture == "" && f.name != "MobileNet v2" { // of which timm has none from TensorFlow
		c.Architecture = timmName.FindString(filepath.Base(s.r.Path()))
		if c.Architecture == "" {
			return nil, s.problem(fmt.Sprintf("holds an %s with timm's names, but not whether it pads pictures as TensorFlow does (tf_...) or not", p.name),
				"put timm's config.json into its folder, or give the file the name that timm has for it, such as tf_efficientnet_lite0.pth")
		}
	}
	if strings.HasPrefix(c.Architecture, "tf_") {
		p.epsilon, p.padding = 1e-3, same
	}
	if p.padding == same && f.name != "EfficientNet" {
		p.prepare = preprocess.EfficientNetLite
	}
	if side := map[string]int{"EfficientNet-Lite3": 300, "EfficientNet-Lite4": 380}[p.name]; side != 0 {
		p.side = side // timm's read larger pictures than the published networks
	}
	p.keep(c)
	return p, nil
}

// lukemelas is the form of EfficientNet-PyTorch and of what was made after it, among them EfficientNet-Lite's. It pads as
// TensorFlow does.
func lukemelas(s *source, _ config) (*plan, error) {
	m := mobile{stem: named("_conv_stem", "_bn0"), head: named("_conv_head", "_bn1")}
	depth, err := s.numbered("_blocks.", 0)
	if err != nil {
		return nil, err
	}
	for i := range depth {
		at := fmt.Sprintf("_blocks.%d.", i)
		b := mobileBlock{stage: -1, depthwise: named(at+"_depthwise_conv", at+"_bn1"), project: named(at+"_project_conv", at+"_bn2")}
		if s.has(at + "_expand_conv.weight") {
			b.expand = named(at+"_expand_conv", at+"_bn0")
		}
		if s.has(at + "_se_reduce.weight") {
			b.reduceSqueeze, b.expandSqueeze = at+"_se_reduce", at+"_se_expand"
		}
		m.blocks = append(m.blocks, b)
	}
	if depth == 0 {
		return nil, s.missing("_blocks.0._depthwise_conv.weight")
	}
	p, f, err := m.plan(s, "lukemelas' EfficientNet")
	if err != nil {
		return nil, err
	}
	p.epsilon, p.padding = 1e-3, same
	if f.name == "EfficientNet-Lite" {
		p.prepare = preprocess.EfficientNetLite
	}
	return p, nil
}

// torchBlock is a block of torchvision's EfficientNet and MobileNet v3: two to four parts, of which one may be a squeeze.
func torchBlock(s *source, at string, stage int) (mobileBlock, error) {
	parts, err := s.numbered(at, 0)
	if err != nil {
		return mobileBlock{}, err
	}
	b := mobileBlock{stage: stage}
	var convs []convNames
	for i := range parts {
		part := fmt.Sprintf("%s%d.", at, i)
		if s.has(part + "fc1.weight") {
			b.reduceSqueeze, b.expandSqueeze = part+"fc1", part+"fc2"
			continue
		}
		convs = append(convs, named(part+"0", part+"1"))
	}
	switch len(convs) {
	case 3:
		b.expand, b.depthwise, b.project = convs[0], convs[1], convs[2]
	case 2:
		b.depthwise, b.project = convs[0], convs[1]
	default:
		return mobileBlock{}, s.missing(at + "1.0.weight")
	}
	return b, nil
}

func torchEfficientNet(s *source, _ config) (*plan, error) {
	if shape := s.shapes["features.1.0.block.0.0.weight"]; len(shape) == 4 && shape[1] > 1 {
		return nil, unsupported(s.r, "EfficientNet v2")
	}
	n, err := s.numbered("features.", 0)
	if err != nil {
		return nil, err
	}
	m := mobile{stem: named("features.0.0", "features.0.1"), head: named(fmt.Sprintf("features.%d.0", n-1), fmt.Sprintf("features.%d.1", n-1))}
	for stage := range n - 2 {
		start := fmt.Sprintf("features.%d.", stage+1)
		depth, err := s.numbered(start, 0)
		if err != nil {
			return nil, err
		}
		for i := range depth {
			b, err := torchBlock(s, fmt.Sprintf("%s%d.block.", start, i), stage)
			if err != nil {
				return nil, err
			}
			m.blocks = append(m.blocks, b)
		}
	}
	if len(m.blocks) == 0 {
		return nil, s.missing("features.1.0.block.1.0.weight")
	}
	p, _, err := m.plan(s, "torchvision")
	if err != nil {
		return nil, err
	}
	p.epsilon = 1e-5
	if slices.Contains([]string{"EfficientNet-B5", "EfficientNet-B6", "EfficientNet-B7"}, p.name) {
		p.epsilon = 1e-3
	}
	return p, nil
}

func torchMobileV2(s *source, _ config) (*plan, error) {
	n, err := s.numbered("features.", 0)
	if err != nil {
		return nil, err
	}
	m := mobile{stem: named("features.0.0", "features.0.1"), head: named(fmt.Sprintf("features.%d.0", n-1), fmt.Sprintf("features.%d.1", n-1))}
	for i := 1; i < n-1; i++ {
		at := fmt.Sprintf("features.%d.conv.", i)
		b := mobileBlock{stage: -1, depthwise: named(at+"1.0", at+"1.1"), expand: named(at+"0.0", at+"0.1"), project: named(at+"2", at+"3")}
		if !s.has(at + "1.0.weight") {
			b = mobileBlock{stage: -1, depthwise: named(at+"0.0", at+"0.1"), project: named(at+"1", at+"2")}
		}
		m.blocks = append(m.blocks, b)
	}
	if len(m.blocks) == 0 {
		return nil, s.missing("features.2.conv.0.0.weight")
	}
	p, _, err := m.plan(s, "torchvision")
	if err != nil {
		return nil, err
	}
	p.epsilon, p.prepare = 1e-5, preprocess.TorchvisionFamily
	return p, nil
}

func torchMobileV3(s *source, _ config) (*plan, error) {
	n, err := s.numbered("features.", 0)
	if err != nil {
		return nil, err
	}
	m := mobile{stem: named("features.0.0", "features.0.1"), head: named(fmt.Sprintf("features.%d.0", n-1), fmt.Sprintf("features.%d.1", n-1))}
	for i := 1; i < n-1; i++ {
		b, err := torchBlock(s, fmt.Sprintf("features.%d.block.", i), -1)
		if err != nil {
			return nil, err
		}
		m.blocks = append(m.blocks, b)
	}
	if len(m.blocks) == 0 {
		return nil, s.missing("features.2.block.0.0.weight")
	}
	p, _, err := m.plan(s, "torchvision")
	if err != nil {
		return nil, err
	}
	p.epsilon, p.prepare = 1e-3, preprocess.TorchvisionFamily
	return p, nil
}

func transformersEfficientNet(s *source, c config) (*plan, error) {
	if err := c.checkAct(s.r, "swish", "silu"); err != nil {
		return nil, err
	}
	if c.PoolingType != "" && c.PoolingType != "mean" {
		return nil, unfit(s.r, "pooling_type", c.PoolingType, "mean")
	}
	m := mobile{stem: named("embeddings.convolution", "embeddings.batchnorm"), head: named("encoder.top_conv", "encoder.top_bn")}
	depth, err := s.numbered("encoder.blocks.", 0)
	if err != nil {
		return nil, err
	}
	for i := range depth {
		at := fmt.Sprintf("encoder.blocks.%d.", i)
		b := mobileBlock{
			stage: -1, depthwise: named(at+"depthwise_conv.depthwise_conv", at+"depthwise_conv.depthwise_norm"),
			project:       named(at+"projection.project_conv", at+"projection.project_bn"),
			reduceSqueeze: at + "squeeze_excite.reduce", expandSqueeze: at + "squeeze_excite.expand",
		}
		if s.has(at + "expansion.expand_conv.weight") {
			b.expand = named(at+"expansion.expand_conv", at+"expansion.expand_bn")
		}
		m.blocks = append(m.blocks, b)
	}
	if depth == 0 {
		return nil, s.missing("encoder.blocks.0.depthwise_conv.depthwise_conv.weight")
	}
	p, f, err := m.plan(s, "transformers")
	if err != nil {
		return nil, err
	}
	err = cmp.Or(agree(s.r, "num_channels", c.Channels, s.in(m.stem.kernel)), agree(s.r, "kernel_sizes", c.KernelSizes, f.kernels), agree(s.r, "strides", c.Strides, f.strides))
	if err != nil {
		return nil, err
	}
	if p.epsilon, err = c.epsilon(s.r, "batch_norm_eps", c.BatchNormEps); err != nil {
		return nil, err
	}
	p.padding, p.config = zeroPad2d, c.raw
	i := 0
	for _, b := range p.blocks {
		for j := range b.layers {
			if b.layers[j].depthwise {
				b.layers[j].square = slices.Contains(c.DepthwisePadding, i)
				i++
			}
		}
	}
	return p, nil
}

func transformersMobileV2(s *source, c config) (*plan, error) {
	if err := c.checkAct(s.r, "relu6"); err != nil {
		return nil, err
	}
	if err := agree(s.r, "num_channels", c.Channels, s.in("conv_stem.first_conv.convolution.weight")); err != nil {
		return nil, err
	}
	if c.OutputStride != nil && *c.OutputStride != 32 {
		return nil, unfit(s.r, "output_stride", *c.OutputStride, 32)
	}
	if s.has("conv_stem.expand_1x1.convolution.weight") {
		return nil, unsupported(s.r, "a MobileNet v2 whose first block widens (\"first_layer_is_expansion\": false)")
	}
	part := func(at string) convNames { return named(at+".convolution", at+".normalization") }
	m := mobile{stem: part("conv_stem.first_conv"), head: part("conv_1x1")}
	m.blocks = append(m.blocks, mobileBlock{stage: -1, depthwise: part("conv_stem.conv_3x3"), project: part("conv_stem.reduce_1x1"), never: true})
	depth, err := s.numbered("layer.", 0)
	if err != nil {
		return nil, err
	}
	for i := range depth {
		at := fmt.Sprintf("layer.%d.", i)
		m.blocks = append(m.blocks, mobileBlock{stage: -1, expand: part(at + "expand_1x1"), depthwise: part(at + "conv_3x3"), project: part(at + "reduce_1x1")})
	}
	p, _, err := m.plan(s, "transformers")
	if err != nil {
		return nil, err
	}
	if p.epsilon, err = c.epsilon(s.r, "layer_norm_eps", c.LayerNormEps); err != nil {
		return nil, err
	}
	p.config, p.prepare = c.raw, preprocess.EfficientNetLite
	if c.TFPadding == nil || *c.TFPadding {
		p.padding = same
	}
	return p, nil
}

// timmName finds timm's name of a network in the name of a file, such as tf_efficientnet_lite0-0aa007d2.pth.
var timmName = regexp.MustCompile(`(tf_)?(efficientnet_(lite[0-4]|b[0-8]|l2)|mobilenetv3_(large|small)_\d{3})`)
