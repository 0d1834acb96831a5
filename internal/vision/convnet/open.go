package convnet

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/vision"
)

// Supported names the networks that Open opens, for messages.
const Supported = "EfficientNet, EfficientNet-Lite, MobileNet v2 and v3, ResNet and its kin"

// Recognised says whether the tensors have the names of a network of this package's kind.
func Recognised(_ []byte, r checkpoint.Reader) bool {
	infos := r.Tensors()
	for _, dialect := range dialects {
		if _, ok := sourceOf(r, infos, dialect.marker); ok {
			return true
		}
	}
	return false
}

// Open opens a network. config is the config.json of transformers or timm that lies beside the tensors; empty if there
// is none. The reader is not needed afterwards.
func Open(d engine.Device, config []byte, r checkpoint.Reader) (vision.Network, vision.Info, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, vision.Info{}, fmt.Errorf("%s: %w", r.Path(), err)
	}
	infos := r.Tensors()
	for _, dialect := range dialects {
		s, ok := sourceOf(r, infos, dialect.marker)
		if !ok {
			continue
		}
		p, err := dialect.plan(s, c)
		if err != nil {
			return nil, vision.Info{}, err
		}
		n, used, err := load(d, p, s)
		if err != nil {
			return nil, vision.Info{}, err
		}
		if err := s.checkRest(p, used); err != nil {
			return nil, vision.Info{}, err
		}
		return n, vision.Info{
			Architecture: p.name, Library: p.origin, Config: p.config, Tensors: used, Preprocessing: p.prepare, Side: p.side,
		}, nil
	}
	return nil, vision.Info{}, unsupported(r, "no convolution network by names that are known")
}

// unused are tensors that take no part in the last feature map: classifiers, counters, and MobileNet v3's layer after
// pooling. ("head" is not there: attention pooling has that name, and it is not the mean.)
var unused = regexp.MustCompile(`(^|\.)(fc|_fc|classifier|classifier\.\d)\.(weight|bias)$|\.num_batches_tracked$|^conv_head\.(weight|bias)$|^classifier\.`)

// checkRest refuses a file with tensors that nothing has asked for: the network would compute something else.
func (s *source) checkRest(p *plan, used []string) error {
	known := make(map[string]bool, len(used))
	for _, name := range used {
		known[name] = true
	}
	first := ""
	for name := range s.shapes {
		if known[s.prefix+name] || unused.MatchString(name) || strings.HasPrefix(s.prefix, "state_dict") {
			continue
		}
		if first == "" || name < first {
			first = name
		}
	}
	if first == "" {
		return nil
	}
	return s.problem(fmt.Sprintf("has tensor %q, which is no part of the %s that its other tensors are of", s.prefix+first, p.name), "supported are "+Supported)
}

// unsupported is the error of a file with a network of another architecture.
func unsupported(r checkpoint.Reader, what string) error {
	return &checkpoint.FileError{File: r.Path(), Problem: "holds " + what + ", which is not supported", Remedy: "supported are " + Supported}
}
