package graph

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
)

// Map is a map of features within a graph.
type Map struct {
	Name                    string // of its node
	Height, Width, Channels int
}

// Shared lists the maps of features that all the outputs depend on, in the order in which they are computed.
func (d *Definition) Shared(r checkpoint.Reader, outputs []string) ([]Map, error) {
	b, _, err := build(d, r, outputs)
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	var order []*node
	for _, output := range outputs {
		if order, err = d.needed([]string{output}); err != nil {
			return nil, err
		}
		for _, n := range order {
			count[n.Name]++
		}
	}
	var shared []Map
	for _, n := range order {
		values := b.values[n.Name]
		if count[n.Name] < len(outputs) || len(values) != 1 || values[0].known != nil || len(values[0].shape) != 4 || n.Op == "Placeholder" {
			continue
		}
		dims := values[0].dims()
		shared = append(shared, Map{Name: n.Name, Height: dims[1], Width: dims[2], Channels: dims[3]})
	}
	return shared, nil
}

// Reduce returns the part of a definition that the outputs need. Constants of whole numbers and of one number, which are settings
// more than weights, it has in itself; of r only larger ones are read.
func (d *Definition) Reduce(r checkpoint.Reader, outputs []string) (*Definition, error) {
	nodes, err := d.needed(outputs)
	if err != nil {
		return nil, err
	}
	out := &Definition{nodes: make(map[string]*node, len(nodes)), Inputs: slices.Clone(d.Inputs)}
	for _, p := range d.Outputs {
		if slices.Contains(outputs, p.Name) {
			out.Outputs = append(out.Outputs, p)
		}
	}
	for _, n := range nodes {
		kept := *n
		if n.Op == "Const" {
			a, err := constant(n, r)
			if err != nil {
				return nil, fmt.Errorf("node %q (%s): %w", n.Name, n.Op, err)
			}
			t := &tensorValue{DType: "DT_FLOAT", Shape: shapeOf(a.shape)}
			switch {
			case a.whole:
				t.DType = "DT_INT32"
				t.Ints = numbers(a.data)
			case len(a.data) == 1:
				t.Floats = numbers(a.data)
			}
			kept.Attrs = map[string]attribute{"value": {Tensor: t}}
		}
		out.nodes[n.Name] = &kept
	}
	return out, nil
}

func numbers(values []float64) []number {
	var out []number
	for _, v := range values {
		out = append(out, number(v))
	}
	return out
}

// Describe returns a definition as JSON that [Parse] reads, with more keys beside it.
func (d *Definition) Describe(more map[string]any) ([]byte, error) {
	all := map[string]any{}
	maps.Copy(all, more)
	c := description{Format: "graph-model"}
	c.Topology.Nodes = make([]*node, 0, len(d.nodes))
	for _, name := range slices.Sorted(maps.Keys(d.nodes)) {
		c.Topology.Nodes = append(c.Topology.Nodes, d.nodes[name])
	}
	c.Signature.Inputs, c.Signature.Outputs = described(d.Inputs), described(d.Outputs)
	all["format"], all["signature"], all["modelTopology"] = c.Format, c.Signature, c.Topology
	return json.Marshal(all)
}

func described(ports []Port) map[string]port {
	out := map[string]port{}
	for _, p := range ports {
		s := shapeOf(p.Shape)
		out[p.Name] = port{Name: p.Name, Shape: &s}
	}
	return out
}
