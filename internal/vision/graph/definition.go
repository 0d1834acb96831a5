package graph

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// maxNodes bounds the nodes of a graph. Large detectors have some thousands.
const maxNodes = 1 << 17

// Definition is a graph as it was read.
type Definition struct {
	Inputs, Outputs []Port // of the signature, by name

	nodes map[string]*node
}

// Port is an input or output of a graph.
type Port struct {
	Name  string // of the node, with ":1" for its second output
	Shape []int  // -1: unknown; nil: nothing is said
}

// node is an operation, as the JSON form of TensorFlow's NodeDef has it.
type node struct {
	Name   string               `json:"name"`
	Op     string               `json:"op"`
	Inputs []string             `json:"input,omitempty"`
	Attrs  map[string]attribute `json:"attr,omitempty"`
}

// attribute is TensorFlow's AttrValue: one of the fields is set.
type attribute struct {
	S     *string      `json:"s,omitempty"` // in base64
	I     *number      `json:"i,omitempty"`
	F     *number      `json:"f,omitempty"`
	B     *bool        `json:"b,omitempty"`
	Type  *string      `json:"type,omitempty"`
	Shape *tensorShape `json:"shape,omitempty"`
	List  *struct {
		S []string `json:"s,omitempty"`
		I []number `json:"i,omitempty"`
	} `json:"list,omitempty"`
	Tensor *tensorValue `json:"tensor,omitempty"`
}

// tensorValue is TensorFlow's TensorProto. The converter writes no values here, but into the files of weights; a graph of
// [Definition.Describe] has its small constants here.
type tensorValue struct {
	DType  string      `json:"dtype"`
	Shape  tensorShape `json:"tensorShape"`
	Floats []number    `json:"floatVal,omitempty"`
	Ints   []number    `json:"intVal,omitempty"`
}

// given says whether the values are here.
func (t *tensorValue) given() bool { return t != nil && len(t.Floats)+len(t.Ints) > 0 }

type tensorShape struct {
	Dim []struct {
		Size *number `json:"size,omitempty"` // nothing: 0
	} `json:"dim,omitempty"`
	UnknownRank bool `json:"unknownRank,omitempty"`
}

// dims returns the dimensions, -1 where one is unknown; nil if nothing is known.
func (s *tensorShape) dims() []int {
	if s == nil || s.UnknownRank {
		return nil
	}
	dims := make([]int, len(s.Dim))
	for i, d := range s.Dim {
		if d.Size != nil {
			dims[i] = int(*d.Size)
		}
	}
	return dims
}

func shapeOf(dims []int) tensorShape {
	var s tensorShape
	for _, d := range dims {
		size := number(d)
		s.Dim = append(s.Dim, struct {
			Size *number `json:"size,omitempty"`
		}{&size})
	}
	return s
}

// number is a number that may stand in quotes, as protobuf's JSON has whole numbers of 64 bits, infinities and NaN.
type number float64

func (n *number) UnmarshalJSON(raw []byte) error {
	text := string(bytes.Trim(raw, `"`))
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%.40s is no number", raw)
	}
	*n = number(v)
	return nil
}

func (n number) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(n), 'g', -1, 64)
	if strings.ContainsAny(text, "IN") { // infinities and NaN, without the sign +
		text = strconv.Quote(strings.TrimPrefix(strings.Replace(text, "Inf", "Infinity", 1), "+"))
	}
	return []byte(text), nil
}

// description is a model.json, without its weights.
type description struct {
	Format    string `json:"format"`
	Signature struct {
		Inputs  map[string]port `json:"inputs,omitempty"`
		Outputs map[string]port `json:"outputs,omitempty"`
	} `json:"signature"`
	Topology struct {
		Nodes []*node `json:"node"`
	} `json:"modelTopology"`
}

type port struct {
	Name  string       `json:"name"`
	Shape *tensorShape `json:"tensorShape,omitempty"`
}

// IsGraph says whether JSON describes a graph, cheaply.
func IsGraph(raw []byte) bool {
	return bytes.Contains(raw, []byte(`"modelTopology"`)) && bytes.Contains(raw, []byte(`"node"`))
}

// Parse reads a model.json, or what [Definition.Describe] wrote.
func Parse(raw []byte) (*Definition, error) {
	var d description
	if err := json.Unmarshal(infile.TrimMark(raw), &d); err != nil {
		return nil, infile.PlainJSON(err)
	}
	if d.Format != "graph-model" && (d.Format != "" || len(d.Topology.Nodes) == 0) {
		return nil, fmt.Errorf("the format is %q, want \"graph-model\"; convert a Keras model with tensorflowjs_converter --output_format=tfjs_graph_model", d.Format)
	}
	if len(d.Topology.Nodes) == 0 || len(d.Topology.Nodes) > maxNodes {
		return nil, fmt.Errorf("the graph has %d nodes, want 1 to %d", len(d.Topology.Nodes), maxNodes)
	}
	def := &Definition{nodes: make(map[string]*node, len(d.Topology.Nodes))}
	for _, n := range d.Topology.Nodes {
		if n == nil || n.Name == "" || def.nodes[n.Name] != nil {
			return nil, errors.New("a node has no name, or that of another one")
		}
		def.nodes[n.Name] = n
	}
	def.Inputs = ports(d.Signature.Inputs)
	def.Outputs = ports(d.Signature.Outputs)
	return def, nil
}

func ports(of map[string]port) []Port {
	var ports []Port
	for _, key := range slices.Sorted(maps.Keys(of)) {
		name, _ := splitPort(of[key].Name)
		if name == "" {
			name, _ = splitPort(key)
		}
		ports = append(ports, Port{Name: name, Shape: of[key].Shape.dims()})
	}
	return ports
}

// splitPort divides the name of an input, "node" or "node:1".
func splitPort(name string) (node string, output int) {
	if at := strings.LastIndexByte(name, ':'); at >= 0 {
		if n, err := strconv.Atoi(name[at+1:]); err == nil && n >= 0 {
			return name[:at], n
		}
	}
	return name, 0
}

// data lists the nodes that a node reads. Those after "^" only say an order.
func (n *node) data() []string {
	var names []string
	for _, in := range n.Inputs {
		if !strings.HasPrefix(in, "^") {
			names = append(names, in)
		}
	}
	return names
}

func (n *node) integer(key string, otherwise int) int {
	if a := n.Attrs[key]; a.I != nil {
		return int(*a.I)
	}
	return otherwise
}

func (n *node) float(key string, otherwise float64) float64 {
	if a := n.Attrs[key]; a.F != nil {
		return float64(*a.F)
	}
	return otherwise
}

func (n *node) flag(key string) bool { a := n.Attrs[key]; return a.B != nil && *a.B }

func (n *node) text(key string) string {
	if a := n.Attrs[key]; a.S != nil {
		return decoded(*a.S)
	}
	return ""
}

func (n *node) texts(key string) []string {
	var texts []string
	if a := n.Attrs[key]; a.List != nil {
		for _, s := range a.List.S {
			texts = append(texts, decoded(s))
		}
	}
	return texts
}

func (n *node) integers(key string) []int {
	var integers []int
	if a := n.Attrs[key]; a.List != nil {
		for _, i := range a.List.I {
			integers = append(integers, int(i))
		}
	}
	return integers
}

func decoded(s string) string {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return s
	}
	return string(raw)
}

// needed returns the names of the nodes that the outputs depend on, each after those that it reads.
func (d *Definition) needed(outputs []string) ([]*node, error) {
	const open, done = 1, 2
	state := map[string]int{}
	var order []*node
	type frame struct {
		n    *node
		next int
	}
	for _, output := range outputs {
		name, _ := splitPort(output)
		first := d.nodes[name]
		if first == nil {
			return nil, fmt.Errorf("the graph has no node %q", name)
		}
		if state[name] == done {
			continue
		}
		state[name] = open
		for stack := []frame{{n: first}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			in := top.n.data()
			if top.next == len(in) {
				state[top.n.Name] = done
				order = append(order, top.n)
				stack = stack[:len(stack)-1]
				continue
			}
			name, _ := splitPort(in[top.next])
			top.next++
			n := d.nodes[name]
			switch {
			case n == nil:
				return nil, fmt.Errorf("node %q reads %q, which is not there", top.n.Name, name)
			case state[name] == open:
				return nil, fmt.Errorf("node %q reads what follows from it: loops are not supported", top.n.Name)
			case state[name] == 0:
				state[name] = open
				stack = append(stack, frame{n: n})
			}
		}
	}
	return order, nil
}
