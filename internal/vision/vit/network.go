package vit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/vision"
)

// tables are the embeddings of positions that a batch needs, one below the other.
type tables interface {
	// first is the row of the first position of a picture of so many patches.
	first(down, across int) int32
	table(t *autograd.Tape) *autograd.Var
}

// network runs a model.
type network struct {
	*encoder
	changing bool // the weights are in training

	mu    sync.Mutex
	known map[[2]int]*positions // by cells down and across
}

// source is where the model lies in a file.
type source struct {
	cfg    Config
	prefix string // of all names
	pooler bool
}

// Recognised says whether a model is a Vision Transformer, supported or not: by its configuration, or by the names of its
// tensors.
func Recognised(config []byte, r checkpoint.Reader) bool {
	if _, err := ParseConfig(config); err == nil {
		return true
	}
	_, ok := find(r, vitNames.patch+".weight", clipNames.patch+".weight")
	return ok
}

// find returns what stands before the first of some names in the file.
func find(r checkpoint.Reader, names ...string) (string, bool) {
	infos := r.Tensors()
	for _, name := range names {
		for _, info := range infos {
			if prefix, ok := strings.CutSuffix(info.Name, name); ok && (prefix == "" || strings.HasSuffix(prefix, ".")) {
				return prefix, true
			}
		}
	}
	return "", false
}

// locate finds the model that config describes, and checks that the file has all of it.
func locate(config []byte, r checkpoint.Reader) (source, error) {
	if len(config) == 0 {
		return source{}, fmt.Errorf("%s: there is no config.json, without which the number of attention heads is not known; put it beside the weights, or name the folder", r.Path())
	}
	cfg, err := ParseConfig(config)
	if err != nil {
		return source{}, fmt.Errorf("%s: config.json: %w", r.Path(), err)
	}
	n := cfg.family.names
	prefix, ok := find(r, n.patch+".weight")
	if !ok {
		return source{}, fmt.Errorf("%s has no tensor %s.weight, which a model of type %s has: config.json belongs to another model", r.Path(), n.patch, cfg.ModelType)
	}
	s := source{cfg: cfg, prefix: prefix}
	if n.pooler != "" {
		info, err := r.Info(prefix + n.pooler + ".weight")
		s.pooler = err == nil && cfg.PoolerAct == "tanh" && slices.Equal(info.Shape, []int{cfg.HiddenSize, cfg.HiddenSize})
	}
	if err := nn.Complete(s.specs(), r, cfg.String()+", which config.json says it is"); err != nil {
		return source{}, fmt.Errorf("%s: %w", r.Path(), err)
	}
	return s, nil
}

// build declares the parameters.
func (s source) build(declare nn.Declare) (*encoder, []*autograd.Weight) {
	b := &builder{declare: declare, prefix: s.prefix, cfg: s.cfg}
	return newEncoder(b, s.pooler), b.weights
}

func (s source) specs() []nn.Spec {
	var specs []nn.Spec
	s.build(nn.List(&specs))
	return specs
}

// info describes the model.
func (s source) info() (vision.Info, error) {
	config, err := json.Marshal(s.cfg)
	if err != nil {
		return vision.Info{}, err
	}
	info := vision.Info{
		Architecture: s.cfg.String(), Library: "transformers", Config: config,
		Preprocessing: s.cfg.ModelType, Side: s.cfg.ImageSize.Height,
	}
	for _, spec := range s.specs() {
		info.Tensors = append(info.Tensors, spec.Name)
	}
	return info, nil
}

// unread are tensors of r with the names of layers, registers or a head of the family which the model does not read.
func (s source) unread(r checkpoint.Reader) (list []string) {
	n, read := s.cfg.family.names, map[string]bool{}
	for _, spec := range s.specs() {
		read[spec.Name] = true
	}
	layers, _, _ := strings.Cut(n.layer, "%")
	for _, info := range r.Tensors() {
		name, ok := strings.CutPrefix(info.Name, s.prefix)
		if ok && !read[info.Name] && (strings.HasPrefix(name, layers) || name == dinoNames.registers || n.head != "" && strings.HasPrefix(name, n.head)) {
			list = append(list, info.Name)
		}
	}
	return list
}

// Open opens a model. config is the config.json of transformers. The reader is not needed afterwards.
func Open(d engine.Device, config []byte, r checkpoint.Reader) (vision.Network, vision.Info, error) {
	s, err := locate(config, r)
	if err != nil {
		return nil, vision.Info{}, err
	}
	info, err := s.info()
	if err != nil {
		return nil, vision.Info{}, err
	}
	info.Unread = s.unread(r)
	var params nn.Parameters
	var failure error
	e, weights := s.build(nn.Open(d, r, &params, &failure))
	if failure == nil {
		failure = params.CheckWeights(d)
	}
	if failure != nil {
		return nil, vision.Info{}, fmt.Errorf("%s: %w", r.Path(), failure)
	}
	prepared := map[*autograd.Var]bool{}
	for _, w := range weights {
		w.Prepare(d)
		prepared[w.Var] = true
	}
	for _, p := range params {
		if !prepared[p.Var] && !engine.Late(d) { // it may be the reader's memory, of which an accelerator has a copy
			mapped := p.Value
			p.Value = d.Wrap(mapped.Rows, mapped.Cols, slices.Clone(engine.Values(d, mapped)))
			d.Free(mapped)
		}
	}
	return &network{encoder: e, known: map[[2]int]*positions{}}, info, nil
}

// Dim implements [vision.Network].
func (n *network) Dim() int { return n.cfg.HiddenSize }

// Classes implements [vision.Network].
func (n *network) Classes() []string { return nil }

// Run implements [vision.Network].
func (n *network) Run(d engine.Device, p vision.Pixels) (vision.Output, error) {
	if err := n.check(p); err != nil {
		return vision.Output{}, err
	}
	down, across := n.grid(p)
	t := autograd.NewInference(d)
	defer t.Release()
	pictures := []vision.Pixels{p}
	var places tables
	if n.changing {
		places = newStretched(n.encoder, pictures)
	} else {
		known := n.positionsFor(d, down, across)
		defer n.leave(known)
		places = fixed{known.v}
	}
	patches, global := n.run(t, pictures, places)
	if global != nil {
		engine.Expect(d, global.Value)
	}
	out := vision.Output{Boxes: n.boxes(p), Features: slices.Clone(engine.Values(d, patches.Value))}
	if global != nil {
		out.Global = slices.Clone(engine.Values(d, global.Value))
	}
	return out, nil
}

// boxes are the places of the patches.
func (e *encoder) boxes(p vision.Pixels) []float32 {
	down, across := e.grid(p)
	height, width := float32(e.cfg.PatchSize.Height)/float32(p.Height), float32(e.cfg.PatchSize.Width)/float32(p.Width)
	boxes := make([]float32, 0, 4*down*across)
	for y := range down {
		for x := range across {
			boxes = append(boxes, float32(x)*width, float32(y)*height, min(1, float32(x+1)*width), min(1, float32(y+1)*height))
		}
	}
	return boxes
}

// fixed is a table for pictures of one size.
type fixed struct{ v *autograd.Var }

func (f fixed) first(int, int) int32               { return 0 }
func (f fixed) table(*autograd.Tape) *autograd.Var { return f.v }

// positions is a table for pictures of so many patches, which is computed once.
type positions struct {
	v     *autograd.Var
	own   bool // else it is the model's, as it lies in the file
	users int
}

// maxTables is the number of sizes whose tables are kept.
const maxTables = 32

// positionsFor returns the table for pictures of so many patches, until [network.leave].
func (n *network) positionsFor(d engine.Device, down, across int) *positions {
	n.mu.Lock()
	defer n.mu.Unlock()
	size := [2]int{down, across}
	p, ok := n.known[size]
	if !ok {
		if len(n.known) >= maxTables { // pictures of ever other sizes
			for size, old := range n.known {
				if old.users > 0 {
					continue
				}
				if delete(n.known, size); old.own {
					d.Free(old.v.Value)
				}
			}
		}
		p = &positions{v: n.positions}
		if w := n.cfg.interpolation(down, across, n.ahead()); w != nil {
			p.v, p.own = autograd.Fixed(n.stretch(d, w, n.ahead()+down*across)), true
		}
		n.known[size] = p
	}
	p.users++
	return p
}

func (n *network) leave(p *positions) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p.users--
}

// stretch computes a table of so many rows; w says how much of each of the model's is in each of them.
func (n *network) stretch(d engine.Device, w []float32, rows int) *engine.Tensor {
	shares, y := d.Wrap(rows, n.positions.Value.Rows, w), d.New(rows, n.positions.Value.Cols)
	defer d.Free(shares)
	defer d.Free(y)
	d.MatMul(y, shares, n.positions.Value, engine.NN, false)
	return d.Wrap(y.Rows, y.Cols, slices.Clone(engine.Values(d, y))) // it stays, so it is none of the memory that pictures share
}
