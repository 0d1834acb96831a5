package vit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Config is a configuration of transformers, of the model that reads pictures.
type Config struct {
	ModelType        string  `json:"model_type"`
	HiddenSize       int     `json:"hidden_size"`
	Layers           int     `json:"num_hidden_layers"`
	Heads            int     `json:"num_attention_heads"`
	IntermediateSize int     `json:"intermediate_size,omitempty"`
	MLPRatio         float64 `json:"mlp_ratio,omitempty"` // of DINOv2, instead of the intermediate size
	HiddenAct        string  `json:"hidden_act"`
	Epsilon          float64 `json:"layer_norm_eps"`
	ImageSize        sides   `json:"image_size"`
	PatchSize        sides   `json:"patch_size"`
	Channels         int     `json:"num_channels"`
	SwiGLU           bool    `json:"use_swiglu_ffn,omitempty"`
	Registers        int     `json:"num_register_tokens,omitempty"`
	PoolerAct        string  `json:"pooler_act,omitempty"`

	QKVBias *bool `json:"qkv_bias,omitempty"`
	Head    *bool `json:"vision_use_head,omitempty"`

	family *family
}

// sides are the height and the width of a picture or a patch: one number for both, or a list.
type sides struct{ Height, Width int }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *sides) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &s.Height) == nil {
		s.Width = s.Height
		return nil
	}
	var list []int
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != 2 {
		return fmt.Errorf("%s is no size: want a number, or a height and a width", raw)
	}
	s.Height, s.Width = list[0], list[1]
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (s sides) MarshalJSON() ([]byte, error) {
	if s.Height == s.Width {
		return json.Marshal(s.Height)
	}
	return json.Marshal([]int{s.Height, s.Width})
}

// family is what the models of one model_type have of their own.
type family struct {
	label     string // for people
	defaults  Config // what transformers takes for keys that a configuration lacks
	whole     string // model_type of a model that has this one as its vision_config
	names     parameterNames
	antialias bool // of positions that are scaled
}

// Defaults that families share.
var (
	base   = Config{HiddenSize: 768, Layers: 12, Heads: 12, IntermediateSize: 3072, Channels: 3, ImageSize: sides{224, 224}, PatchSize: sides{16, 16}}
	vit    = base.with(func(c *Config) { c.HiddenAct, c.Epsilon, c.PoolerAct = "gelu", 1e-12, "tanh" })
	clip   = base.with(func(c *Config) { c.HiddenAct, c.Epsilon, c.PatchSize = "quick_gelu", 1e-5, sides{32, 32} })
	siglip = base.with(func(c *Config) { c.HiddenAct, c.Epsilon = "gelu_pytorch_tanh", 1e-6 })
	dino   = base.with(func(c *Config) {
		c.IntermediateSize, c.MLPRatio, c.HiddenAct, c.Epsilon, c.PatchSize = 0, 4, "gelu", 1e-6, sides{14, 14}
	})
	dinoRegisters = dino.with(func(c *Config) { c.Registers, c.PatchSize = 4, sides{16, 16} })
)

func (c Config) with(change func(c *Config)) Config {
	change(&c)
	return c
}

// families by model_type.
var families = map[string]*family{
	"vit":                   {label: "ViT", defaults: vit, names: vitNames},
	"clip_vision_model":     {label: "CLIP ViT", defaults: clip, whole: "clip", names: clipNames},
	"siglip_vision_model":   {label: "SigLIP ViT", defaults: siglip, whole: "siglip", names: siglipNames},
	"dinov2":                {label: "DINOv2 ViT", defaults: dino, names: dinoNames},
	"dinov2_with_registers": {label: "DINOv2 ViT with registers", defaults: dinoRegisters, names: dinoNames, antialias: true},
}

// Supported names the models that Open opens, for messages.
const Supported = "ViT, the vision towers of CLIP and SigLIP, DINOv2 (of transformers)"

// activations by their names in transformers.
var activations = map[string]engine.Activation{
	"gelu": engine.GELU, "gelu_python": engine.GELU,
	"gelu_pytorch_tanh": engine.TanhGELU, "gelu_new": engine.TanhGELU, "gelu_fast": engine.TanhGELU,
	"quick_gelu": engine.QuickGELU,
	"silu":       engine.SiLU, "swish": engine.SiLU,
	"relu": engine.ReLU,
}

// Limits of what a configuration may say. They are far above any published model's and keep sizes computable.
const (
	maxHidden = 1 << 14
	maxLayers = 1 << 10
	maxInner  = 1 << 17
	maxSide   = 1 << 14
)

// ParseConfig reads a config.json: that of a model that reads pictures, or that of a whole one, of which it takes the
// vision_config.
func ParseConfig(raw []byte) (Config, error) {
	var top struct {
		ModelType string          `json:"model_type"`
		Vision    json.RawMessage `json:"vision_config"`
	}
	if err := json.Unmarshal(raw, &top); err != nil {
		return Config{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	kind := top.ModelType
	for name, f := range families {
		if f.whole != "" && f.whole == top.ModelType {
			kind, raw = name, top.Vision
		}
	}
	f, ok := families[kind]
	if !ok {
		return Config{}, fmt.Errorf("model_type is %q; of Vision Transformers those of type %s can be read", top.ModelType, supportedTypes())
	}
	c := f.defaults
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &c); err != nil {
			return Config{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
		}
	}
	c.ModelType, c.family = kind, f
	return c, c.validate()
}

// supportedTypes lists the values of model_type that are known.
func supportedTypes() string {
	var all []string
	for name, f := range families {
		all = append(all, name)
		if f.whole != "" {
			all = append(all, f.whole)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (c *Config) validate() error {
	between := func(key string, n, least, most int) error {
		if n < least || n > most {
			return fmt.Errorf("%s is %d, want %d to %d", key, n, least, most)
		}
		return nil
	}
	for _, err := range []error{
		between("hidden_size", c.HiddenSize, 1, maxHidden),
		between("num_hidden_layers", c.Layers, 1, maxLayers),
		between("num_attention_heads", c.Heads, 1, max(1, c.HiddenSize)),
		between("num_register_tokens", c.Registers, 0, maxHidden),
		between("num_channels", c.Channels, 3, 3),
		between("image_size", min(c.ImageSize.Height, c.ImageSize.Width), 1, maxSide),
		between("image_size", max(c.ImageSize.Height, c.ImageSize.Width), 1, maxSide),
		between("patch_size", min(c.PatchSize.Height, c.PatchSize.Width), 1, min(c.ImageSize.Height, c.ImageSize.Width)),
		between("patch_size", max(c.PatchSize.Height, c.PatchSize.Width), 1, min(c.ImageSize.Height, c.ImageSize.Width)),
	} {
		if err != nil {
			return err
		}
	}
	if c.HiddenSize%c.Heads != 0 {
		return fmt.Errorf("hidden_size is %d, which num_attention_heads, %d, does not divide", c.HiddenSize, c.Heads)
	}
	if err := between("the feed-forward part's size", c.inner(), 1, maxInner); err != nil {
		return err
	}
	if !(c.Epsilon > 0 && c.Epsilon < 1) {
		return fmt.Errorf("layer_norm_eps is %g, want a number above 0 and below 1", c.Epsilon)
	}
	if _, ok := activations[c.HiddenAct]; !ok {
		return names.Unknown("hidden_act", c.HiddenAct, slices.Sorted(maps.Keys(activations)))
	}
	if c.SwiGLU && c.family.names.gateIn == "" {
		return fmt.Errorf("use_swiglu_ffn is true; only DINOv2's layers have it")
	}
	return nil
}

// inner is the size of the feed-forward part between its two maps.
func (c *Config) inner() int {
	if c.family.names.gateIn == "" {
		return c.IntermediateSize
	}
	n := int(float64(c.HiddenSize) * min(max(c.MLPRatio, 0), maxInner))
	if c.SwiGLU {
		return (n*2/3 + 7) / 8 * 8
	}
	return n
}

// cells is the number of patches down and across of the picture that the model was trained on.
func (c *Config) cells() (down, across int) {
	return c.ImageSize.Height / c.PatchSize.Height, c.ImageSize.Width / c.PatchSize.Width
}

// bias says whether queries, keys and values have a bias.
func (c *Config) bias() bool { return c.QKVBias == nil || *c.QKVBias }

// head says whether SigLIP's pooling head is there.
func (c *Config) head() bool { return c.Head == nil || *c.Head }

// sizes by the numbers of layers and hidden values, as papers name them.
var sizes = map[[2]int]string{
	{12, 192}: "Ti", {12, 384}: "S", {12, 768}: "B", {24, 1024}: "L", {32, 1280}: "H", {40, 1408}: "g", {40, 1536}: "g", {48, 1664}: "G", {27, 1152}: "So400m",
}

// String names the model: "ViT-B/16", or "ViT of 3 layers of 32, patches of 8".
func (c Config) String() string {
	if size, ok := sizes[[2]int{c.Layers, c.HiddenSize}]; ok && c.PatchSize.Height == c.PatchSize.Width {
		return fmt.Sprintf("%s-%s/%d", c.family.label, size, c.PatchSize.Height)
	}
	return fmt.Sprintf("%s of %d layers of %d, patches of %d", c.family.label, c.Layers, c.HiddenSize, c.PatchSize.Height)
}
