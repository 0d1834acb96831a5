package extractor

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/unimo-go/unimo/checkpoint"
)

// strangers are networks that no family has, by the name of a tensor of theirs.
var strangers = []struct{ name, pattern string }{
	{"DenseNet", `features\.denseblock1\.`},
	{"SqueezeNet", `features\.\d+\.squeeze\.`},
	{"AlexNet or VGG", `^features\.0\.weight$`},
	{"Inception or GoogLeNet", `(Conv2d_1a_3x3|inception3a)\.`},
	{"RegNet", `(trunk_output\.|^s1\.b1\.|regnet\.)`},
	{"ShuffleNet", `stage2\.0\.branch[12]\.`},
	{"MNASNet", `^layers\.8\.0\.layers\.`},
	{"ConvNeXt", `(features\.1\.0\.layer_scale|stages\.0\.blocks\.0\.gamma|convnext\.)`},
	{"ResNet v2 (of groups or pre-activation)", `stages\.0\.blocks\.0\.conv1\.weight`},
	{"Swin Transformer", `(layers\.0\.blocks\.0\.attn|swin\.|features\.1\.0\.attn)`},
	{"Vision Transformer with names that are not transformers'", `(cls_token|patch_embed|class_embedding|conv_proj\.weight)`},
	{"CLIP's ResNet", `visual\.layer1\.`},
	{"EfficientDet", `bifpn|fpn\.cell`},
	{"MobileNet v1", `mobilenet_v1\.`},
}

// describe says what a model is that no family knows.
func describe(config []byte, r checkpoint.Reader) string {
	var c struct {
		ModelType    string `json:"model_type"`
		Architecture string `json:"architecture"`
	}
	if json.Unmarshal(config, &c) == nil && c.ModelType != "" {
		return fmt.Sprintf("a model of type %q", c.ModelType)
	}
	if c.Architecture != "" {
		return fmt.Sprintf("timm's %q", c.Architecture)
	}
	list := r.Tensors()
	if len(list) == 0 {
		return "no tensor"
	}
	for _, s := range strangers {
		pattern := regexp.MustCompile(s.pattern)
		for _, info := range list {
			if pattern.MatchString(info.Name) {
				return fmt.Sprintf("%s, by its tensor %q", s.name, info.Name)
			}
		}
	}
	return fmt.Sprintf("%d tensors, the first %q", len(list), list[0].Name)
}
