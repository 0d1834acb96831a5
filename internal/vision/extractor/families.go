package extractor

import (
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/vision"
	"github.com/unimo-go/unimo/internal/vision/convnet"
	"github.com/unimo-go/unimo/internal/vision/detector"
	"github.com/unimo-go/unimo/internal/vision/vit"
)

// family is a kind of picture encoder, of which a package below knows the models.
type family struct {
	name string // in the spec

	// recognised says whether a model is of the family, by its configuration (config.json; nil: none) and the names of
	// its tensors.
	recognised func(config []byte, r checkpoint.Reader) bool

	// open makes the network. With the configuration and the tensors that its Info names, open makes it again. The
	// reader is not used afterwards.
	open func(d engine.Device, config []byte, r checkpoint.Reader) (vision.Network, vision.Info, error)

	supported string // its models, for messages
}

// vitFamily is the family whose networks can be trained.
const vitFamily = "vit"

var families = []family{
	{"detector", detector.Recognised, detector.Open, detector.Supported},
	{"convnet", convnet.Recognised, convnet.Open, convnet.Supported},
	{vitFamily, vit.Recognised, vit.Open, vit.Supported},
}

// supported lists the models of all families.
func supported() string {
	var all []string
	for _, f := range families {
		all = append(all, f.supported)
	}
	return strings.Join(all, ", ")
}
