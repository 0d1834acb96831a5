package convnet

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// config is what a config.json may say that no tensor shows: of transformers, or of timm, which has "architecture".
type config struct {
	raw []byte

	ModelType string `json:"model_type"`
	HiddenAct string `json:"hidden_act"`
	Channels  *int   `json:"num_channels"`

	EmbeddingSize          *int   `json:"embedding_size"` // ResNet
	HiddenSizes            []int  `json:"hidden_sizes"`
	Depths                 []int  `json:"depths"`
	LayerType              string `json:"layer_type"`
	DownsampleInFirstStage bool   `json:"downsample_in_first_stage"`
	DownsampleInBottleneck bool   `json:"downsample_in_bottleneck"`

	BatchNormEps     *float64 `json:"batch_norm_eps"` // EfficientNet
	DepthwisePadding []int    `json:"depthwise_padding"`
	Strides          []int    `json:"strides"`
	KernelSizes      []int    `json:"kernel_sizes"`
	PoolingType      string   `json:"pooling_type"`

	LayerNormEps *float64 `json:"layer_norm_eps"` // MobileNet v2
	TFPadding    *bool    `json:"tf_padding"`
	OutputStride *int     `json:"output_stride"`

	Architecture string         `json:"architecture"` // timm
	GlobalPool   string         `json:"global_pool"`
	ModelArgs    map[string]any `json:"model_args"`
}

func parseConfig(data []byte) (config, error) {
	var c config
	if len(data) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("config.json is not what transformers or timm write: %w", infile.PlainJSON(err))
	}
	c.raw = data
	return c, nil
}

// epsilon is that of transformers' networks: 1e-3 unless the configuration says something else under key.
func (c config) epsilon(r checkpoint.Reader, key string, said *float64) (float64, error) {
	switch {
	case said == nil:
		return 1e-3, nil
	case *said < 0 || *said >= 1:
		return 0, unfit(r, key, *said, "0 or more and below 1")
	}
	return *said, nil
}

// unfit is the error of a configuration that sets something to a value that is not supported.
func unfit(r checkpoint.Reader, key string, value, supported any) error {
	return &checkpoint.FileError{File: r.Path(), Problem: fmt.Sprintf("has a configuration with %q: %v", key, value), Remedy: fmt.Sprintf("supported: %v", supported)}
}

// agree refuses a configuration that says something else under key than the tensors.
func agree[T any](r checkpoint.Reader, key string, said, found T) error {
	if !reflect.ValueOf(said).IsZero() && !reflect.DeepEqual(said, found) {
		return &checkpoint.FileError{
			File: r.Path(), Problem: fmt.Sprintf("has tensors of a network with %q: %v, but config.json says %v", key, shown(found), shown(said)), Remedy: "put the file's own config.json beside it",
		}
	}
	return nil
}

// shown is a value, or what a pointer points to.
func shown(v any) any {
	if n, ok := v.(*int); ok && n != nil {
		return *n
	}
	return v
}

// checkAct refuses a configuration with another activation than the network's.
func (c config) checkAct(r checkpoint.Reader, acts ...string) error {
	if c.HiddenAct == "" || slices.Contains(acts, c.HiddenAct) {
		return nil
	}
	return unfit(r, "hidden_act", c.HiddenAct, acts[0])
}

// timmArchitecture is what timm calls networks that this package computes. Many others have tensors of the same names and
// compute something else with them (resnetblur50, resnet50_gn).
var timmArchitecture = regexp.MustCompile(
	`^((tf_)?efficientnet_(lite\d|b\d|l2)|mobilenetv2_\d{3}d?|(tf_)?mobilenetv3_(large|small)_\d{3}d?|(wide_|se)?res(net|next)\d+(_\d+x\d+d|_2)?)$`)

// harmless are arguments of timm's models that change nothing of what is computed here.
var harmless = []string{"num_classes", "in_chans", "drop_rate", "drop_path_rate", "global_pool", "pretrained"}

// checkTimm refuses what timm's configuration says that the tensors would not show.
func (c config) checkTimm(r checkpoint.Reader) error {
	if c.Architecture != "" && !timmArchitecture.MatchString(c.architecture()) {
		return unsupported(r, fmt.Sprintf("timm's %q", c.Architecture))
	}
	for _, name := range slices.Sorted(maps.Keys(c.ModelArgs)) {
		if !slices.Contains(harmless, name) {
			return unfit(r, "model_args", name, "networks as timm defines them")
		}
	}
	if c.GlobalPool != "" && c.GlobalPool != "avg" {
		return unfit(r, "global_pool", c.GlobalPool, "avg")
	}
	return nil
}

// architecture is timm's name without the name of the weights behind a dot.
func (c config) architecture() string {
	name, _, _ := strings.Cut(c.Architecture, ".")
	return name
}

// keep gives the plan the configuration that opens its tensors again.
func (p *plan) keep(c config) {
	switch {
	case c.raw != nil:
		p.config = c.raw
	case c.Architecture != "":
		p.config = fmt.Appendf(nil, "{\"architecture\": %q}\n", c.Architecture)
	}
}
