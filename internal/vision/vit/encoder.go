package vit

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/vision"
)

// encoder is the model: what its parameters are, and how it computes with them. The same code runs it and trains it.
type encoder struct {
	cfg                         Config
	activation                  engine.Activation
	patch                       nn.Linear
	class, registers, positions *autograd.Var // of which the first two may be nil
	preNorm                     *nn.Norm
	layers                      []layer
	norm                        nn.Norm
	pooler                      *nn.Linear
	head                        *head
}

// layer is one Transformer layer.
type layer struct {
	norm1, norm2              nn.Norm
	query, key, value, output nn.Linear
	scale1, scale2            *autograd.Var // nil: 1
	inner, outer              nn.Linear     // of a SwiGLU part too
}

// head is SigLIP's attention pooling: a learned query, one for all pictures.
type head struct {
	probe        *autograd.Var
	in, out      nn.Linear // in is of query, key and value, one below the other
	norm         nn.Norm
	inner, outer nn.Linear
}

// builder declares parameters under the names of a file.
type builder struct {
	declare nn.Declare
	prefix  string
	cfg     Config
	weights []*autograd.Weight // all that rows are multiplied by
}

// linear declares an affine map from in to out values, whose weight is out x in, or of the given shape.
func (b *builder) linear(name string, in, out int, bias bool, shape ...int) nn.Linear {
	if shape == nil {
		shape = []int{out, in}
	}
	l := nn.Linear{W: autograd.NewWeight(b.declare(b.prefix+name+".weight", nn.TruncatedNormal, shape...), engine.NT)}
	if bias {
		l.B = b.declare(b.prefix+name+".bias", nn.Zeros, out)
	}
	b.weights = append(b.weights, l.W)
	return l
}

func (b *builder) norm(name string) nn.Norm {
	h := b.cfg.HiddenSize
	return nn.Norm{
		Scale: b.declare(b.prefix+name+".weight", nn.Ones, h), Bias: b.declare(b.prefix+name+".bias", nn.Zeros, h), Epsilon: float32(b.cfg.Epsilon),
	}
}

// vectors declares n rows of hidden values, in the shape that the family's files have.
func (b *builder) vectors(name string, n int, shape ...int) *autograd.Var {
	if name == "" || n == 0 {
		return nil
	}
	return b.declare(b.prefix+name, nn.TruncatedNormal, append(shape, b.cfg.HiddenSize)...)
}

// newEncoder declares the parameters. pooler says whether the file has the pooler of ViT.
func newEncoder(b *builder, pooler bool) *encoder {
	c, n := b.cfg, b.cfg.family.names
	h, inner := c.HiddenSize, c.inner()
	e := &encoder{cfg: c, activation: activations[c.HiddenAct]}
	down, across := c.cells()
	places := e.ahead() + down*across
	if table := n.class == clipNames.class || n.class == ""; table { // an nn.Embedding there
		e.class = b.vectors(n.class, 1)
		e.positions = b.vectors(n.positions, places, places)
	} else { // a batch of one
		e.class = b.vectors(n.class, 1, 1, 1)
		e.positions = b.vectors(n.positions, places, 1, places)
	}
	e.registers = b.vectors(n.registers, c.Registers, 1, c.Registers)
	e.patch = b.linear(n.patch, 0, h, n.patchBias, h, c.Channels, c.PatchSize.Height, c.PatchSize.Width)
	if n.preNorm != "" {
		norm := b.norm(n.preNorm)
		e.preNorm = &norm
	}
	for i := range c.Layers {
		name := fmt.Sprintf(n.layer, i)
		l := layer{
			norm1: b.norm(name + n.norm1), norm2: b.norm(name + n.norm2),
			query: b.linear(name+n.query, h, h, c.bias()), key: b.linear(name+n.key, h, h, c.bias()), value: b.linear(name+n.value, h, h, c.bias()),
			output: b.linear(name+n.output, h, h, true),
		}
		if n.scale1 != "" {
			l.scale1, l.scale2 = b.vectors(name+n.scale1, 1), b.vectors(name+n.scale2, 1)
		}
		if c.SwiGLU {
			l.inner, l.outer = b.linear(name+n.gateIn, h, 2*inner, true), b.linear(name+n.gateOut, inner, h, true)
		} else {
			l.inner, l.outer = b.linear(name+n.inner, h, inner, true), b.linear(name+n.outer, inner, h, true)
		}
		e.layers = append(e.layers, l)
	}
	e.norm = b.norm(n.norm)
	if pooler {
		l := b.linear(n.pooler, h, h, true)
		e.pooler = &l
	}
	if n.head != "" && c.head() {
		attention := n.head + "attention."
		e.head = &head{
			probe: b.vectors(n.head+"probe", 1, 1, 1),
			in: nn.Linear{
				W: autograd.NewWeight(b.declare(b.prefix+attention+"in_proj_weight", nn.TruncatedNormal, 3*h, h), engine.NT),
				B: b.declare(b.prefix+attention+"in_proj_bias", nn.Zeros, 3*h),
			},
			out: b.linear(attention+"out_proj", h, h, true), norm: b.norm(n.head + "layernorm"),
			inner: b.linear(n.head+"mlp.fc1", h, inner, true), outer: b.linear(n.head+"mlp.fc2", inner, h, true),
		}
		b.weights = append(b.weights, e.head.in.W)
	}
	return e
}

// ahead is the number of positions in front of the patches'.
func (e *encoder) ahead() int {
	if e.cfg.family.names.class == "" {
		return 0
	}
	return 1
}

// grid is the number of patches down and across of a picture. What is left at the right and the bottom is not read.
func (e *encoder) grid(p vision.Pixels) (down, across int) {
	return p.Height / e.cfg.PatchSize.Height, p.Width / e.cfg.PatchSize.Width
}

// check returns an error unless the picture has a patch, and its pixels.
func (e *encoder) check(p vision.Pixels) error {
	if len(p.Values) != p.Height*p.Width*e.cfg.Channels {
		return fmt.Errorf("%d values for a picture of %d x %d pixels", len(p.Values), p.Width, p.Height)
	}
	return e.Check(p.Width, p.Height)
}

// Check implements [vision.Network].
func (e *encoder) Check(width, height int) error {
	if size := e.cfg.PatchSize; height < size.Height || width < size.Width {
		return fmt.Errorf("the picture has %d x %d pixels when the network reads it, less than a patch of %d x %d: prepare pictures for %d x %d",
			width, height, size.Width, size.Height, e.cfg.ImageSize.Width, e.cfg.ImageSize.Height)
	} else if n := (height / size.Height) * (width / size.Width); n > maxPatches {
		return fmt.Errorf("the picture has %d x %d pixels when the network reads it, that is %d patches of %d x %d, more than %d: prepare pictures for %d x %d",
			width, height, n, size.Width, size.Height, maxPatches, e.cfg.ImageSize.Width, e.cfg.ImageSize.Height)
	}
	return nil
}

// maxPatches bounds what attention costs: it grows with the square of their number.
const maxPatches = 4096

// appendPatches appends the picture's patches, a row each: the columns are in the order of the weights (channel, row, column).
func (e *encoder) appendPatches(rows []float32, p vision.Pixels) []float32 {
	down, across := e.grid(p)
	size, channels := e.cfg.PatchSize, e.cfg.Channels
	for y := range down {
		for x := range across {
			for c := range channels {
				for r := range size.Height {
					line := p.Values[((y*size.Height+r)*p.Width+x*size.Width)*channels:][:size.Width*channels]
					for i := c; i < len(line); i += channels {
						rows = append(rows, line[i])
					}
				}
			}
		}
	}
	return rows
}

// places is where the rows of a batch's tokens are: those of picture i are offsets[i] to offsets[i+1], of which the last are its
// patches.
type places struct {
	offsets []int32
	patches []int32 // rows of all patches
	firsts  []int32 // the first row of each picture
}

// run computes the patches' features of checked pictures, one picture below the other, and a row for each picture as a
// whole, which is nil if the model has none.
func (e *encoder) run(t *autograd.Tape, pictures []vision.Pixels, tables tables) (patches, global *autograd.Var) {
	x, at := e.embed(t, pictures, tables)
	a := engine.Attention{Heads: e.cfg.Heads, Queries: at.offsets, Keys: at.offsets}
	for _, l := range e.layers {
		input := x
		x = t.Layer(func() *autograd.Var { return l.apply(t, input, a, e.activation) })
	}
	if e.cfg.family.names.normPooled {
		return t.Rows(x, at.patches), e.norm.Apply(t, t.Rows(x, at.firsts))
	}
	y := e.norm.Apply(t, x)
	switch {
	case e.head != nil:
		global = e.head.apply(t, y, at.offsets, e.cfg.Heads, e.activation)
	case e.pooler != nil:
		global = t.Tanh(e.pooler.Apply(t, t.Rows(y, at.firsts)))
	case e.class != nil:
		global = t.Rows(y, at.firsts)
	}
	return t.Rows(y, at.patches), global
}

// embed returns the first layer's input.
func (e *encoder) embed(t *autograd.Tape, pictures []vision.Pixels, tables tables) (*autograd.Var, places) {
	at := places{offsets: []int32{0}}
	var pixels []float32
	var ids, tokens, all []int32 // rows of positions; of class token and patches; of those and registers
	ahead, registers := int32(e.ahead()), int32(0)
	if e.registers != nil {
		registers = int32(e.cfg.Registers)
	}
	patch := ahead // the next patch's row below the class token
	for i, p := range pictures {
		pixels = e.appendPatches(pixels, p)
		down, across := e.grid(p)
		n, first := int32(down*across), tables.first(down, across)
		at.firsts = append(at.firsts, at.offsets[i])
		for k := range ahead + n {
			ids = append(ids, first+k)
			if k < ahead {
				tokens = append(tokens, k)
			} else {
				tokens = append(tokens, patch)
				patch++
			}
		}
		at.offsets = append(at.offsets, at.offsets[i]+ahead+registers+n)
		for k := range n {
			at.patches = append(at.patches, at.offsets[i]+ahead+registers+k)
		}
	}
	if registers > 0 {
		total := int32(len(tokens))
		for i := range pictures {
			begin := at.offsets[i] - int32(i)*registers // of its tokens without registers
			for k := range at.offsets[i+1] - at.offsets[i] {
				switch {
				case k < ahead:
					all = append(all, begin+k)
				case k < ahead+registers:
					all = append(all, total+k-ahead)
				default:
					all = append(all, begin+k-registers)
				}
			}
		}
	}
	x := t.Block(func() *autograd.Var {
		area := e.cfg.Channels * e.cfg.PatchSize.Height * e.cfg.PatchSize.Width
		x := e.patch.Apply(t, t.Input(len(pixels)/area, area, pixels))
		if e.class != nil {
			x = t.StackRows(e.class, x, tokens)
		}
		x = t.Add(x, t.Rows(tables.table(t), ids))
		if registers > 0 {
			x = t.StackRows(x, e.registers, all)
		}
		if e.preNorm != nil {
			x = e.preNorm.Apply(t, x)
		}
		return x
	})
	return x, at
}

func (l *layer) apply(t *autograd.Tape, x *autograd.Var, a engine.Attention, f engine.Activation) *autograd.Var {
	h := l.norm1.Apply(t, x)
	y := l.output.Apply(t, t.Attention(l.query.Apply(t, h), l.key.Apply(t, h), l.value.Apply(t, h), a))
	x = t.Add(x, scaled(t, y, l.scale1))
	h = l.norm2.Apply(t, x)
	if l.inner.W.Value.Rows == 2*l.outer.W.Value.Cols {
		y = l.outer.Apply(t, t.SwiGLU(l.inner.Apply(t, h)))
	} else {
		y = t.FeedForward(h, l.inner.W, l.inner.B, l.outer.W, l.outer.B, f)
	}
	return t.Add(x, scaled(t, y, l.scale2))
}

// scaled is LayerScale, where the model has it.
func scaled(t *autograd.Tape, x, scale *autograd.Var) *autograd.Var {
	if scale == nil {
		return x
	}
	return t.ScaleColumns(x, scale)
}

// apply returns a row for each picture, whose patches x has.
func (h *head) apply(t *autograd.Tape, x *autograd.Var, offsets []int32, heads int, f engine.Activation) *autograd.Var {
	n, width := len(offsets)-1, x.Value.Cols
	queries := make([]int32, n+1)
	for i := range queries {
		queries[i] = int32(i)
	}
	query := t.Slice(h.in.Apply(t, h.probe), 0, width)
	seen := h.in.Apply(t, x)
	y := t.Attention(t.Rows(query, make([]int32, n)), t.Slice(seen, width, width), t.Slice(seen, 2*width, width), engine.Attention{Heads: heads, Queries: queries, Keys: offsets})
	y = h.out.Apply(t, y)
	return t.Add(y, t.FeedForward(h.norm.Apply(t, y), h.inner.W, h.inner.B, h.outer.W, h.outer.B, f))
}
