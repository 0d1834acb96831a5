package detector

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/vision"
	"github.com/unimo-go/unimo/internal/vision/graph"
	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// Supported names the networks that Open opens, for messages.
const Supported = "CenterNet and NanoDet for COCO as graphs of TensorFlow.js"

// Recognised says whether a configuration describes a graph of TensorFlow.js.
func Recognised(config []byte, _ checkpoint.Reader) bool { return graph.IsGraph(config) }

// Open opens a detector. config is its model.json, or the configuration of an Info that Open returned; r has the weights by the names of
// the graph's nodes, and is not needed afterwards.
func Open(d engine.Device, config []byte, r checkpoint.Reader) (vision.Network, vision.Info, error) {
	n, info, err := open(d, config, r)
	if err != nil {
		return nil, vision.Info{}, fmt.Errorf("%s: %w", r.Path(), err)
	}
	return n, info, nil
}

func open(d engine.Device, config []byte, r checkpoint.Reader) (*network, vision.Info, error) {
	settings := struct {
		Regions Regions `json:"regions"`
	}{defaultRegions}
	if err := json.Unmarshal(config, &settings); err != nil {
		return nil, vision.Info{}, fmt.Errorf("the description of the graph: %w", err)
	}
	if err := settings.Regions.validate(); err != nil {
		return nil, vision.Info{}, err
	}
	def, err := graph.Parse(config)
	if err != nil {
		return nil, vision.Info{}, fmt.Errorf("the description of the graph: %w", err)
	}
	n := &network{regions: settings.Regions}
	info := vision.Info{Library: "TensorFlow.js"}
	var ok bool
	if n.head, ok = findCenterNet(def.Outputs); ok {
		info.Preprocessing = preprocess.CenterNet
	} else if n.head, ok = findNanoDet(def.Inputs, def.Outputs); ok {
		info.Preprocessing, n.bgr = preprocess.NanoDet, true
	} else {
		return nil, vision.Info{}, errors.New("its outputs are those of no detector that is supported; supported are " + Supported)
	}
	info.Architecture = n.head.name()
	heads := n.head.outputs()
	if def, err = def.Reduce(r, heads); err != nil {
		return nil, vision.Info{}, err
	}
	shared, err := def.Shared(r, heads)
	if err != nil {
		return nil, vision.Info{}, err
	}
	maps := features(shared)
	if len(maps) == 0 {
		return nil, vision.Info{}, errors.New("its heads share no map of features")
	}
	names := heads
	for _, m := range maps {
		names = append(names, m.Name)
		n.dim += m.Channels
	}
	if n.program, err = graph.Compile(d, def, r, names...); err != nil {
		return nil, vision.Info{}, err
	}
	if err := n.head.check(n.program); err != nil {
		return nil, vision.Info{}, err
	}
	if n.program.Width != n.program.Height {
		return nil, vision.Info{}, fmt.Errorf("it reads pictures of %d x %d pixels; squares are supported", n.program.Width, n.program.Height)
	}
	n.maps = len(maps)
	info.Tensors, info.Side = n.program.Tensors(), n.program.Width
	info.Config, err = def.Describe(map[string]any{"regions": n.regions})
	return n, info, err
}

// features chooses the maps of which regions have their features: the last one, and of the smallest ones that with most channels.
func features(shared []graph.Map) []graph.Map {
	var maps []graph.Map
	for _, m := range shared {
		if m.Height > 1 && m.Width > 1 {
			maps = append(maps, m)
		}
	}
	if len(maps) == 0 {
		return nil
	}
	last, coarse := maps[len(maps)-1], maps[0]
	for _, m := range maps {
		size, least := m.Height*m.Width, coarse.Height*coarse.Width
		if size < least || size == least && m.Channels >= coarse.Channels {
			coarse = m
		}
	}
	if coarse == last {
		return []graph.Map{last}
	}
	return []graph.Map{last, coarse}
}
