//go:build linux || darwin

// Package blank is a plugin that computes nothing: whatever is read of its device is zero. Programs are recorded, looked up and run as on a real one,
// in no time, so that one can count them.
package blank

import (
	"encoding/binary"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// Plugin implements [helper.Plugin].
type Plugin struct {
	Platform string
	Compiled func(program []byte, o wire.CompileOptions) error // is told of programs, if it is there
	Plans    bool                                              // programs have plans of memory, which grow with what they would compute
}

// Open implements [helper.Plugin].
func (p *Plugin) Open(path string, ahead bool, options []wire.Option) (wire.Info, error) {
	return wire.Info{Plugin: path, Platform: p.Platform, Devices: []wire.Device{{Kind: "a chip that is not here", Memory: 80e9}}}, nil
}

// buffer is the size alone, but for a few numbers that are needed.
type buffer struct {
	n    int
	data []byte
}

// Download implements [helper.Buffer].
func (b buffer) Download(data []byte) error {
	clear(data[copy(data, b.data):])
	return nil
}

// Size implements [helper.Buffer].
func (b buffer) Size() (int, error) { return b.n, nil }

// Free implements [helper.Buffer].
func (b buffer) Free() error { return nil }

// Upload implements [helper.Plugin].
func (p *Plugin) Upload(device int, t wire.Type, dims []int64, data []byte) (helper.Buffer, error) {
	b := buffer{n: len(data)}
	if len(data) < 100 {
		b.data = append(b.data, data...)
	}
	return b, nil
}

type program struct {
	sizes  []int
	plan   *wire.Plan
	random bool // it asks for the generator's words, which decide about the other programs
}

// Compile implements [helper.Plugin].
func (p *Plugin) Compile(text []byte, o wire.CompileOptions) (helper.Executable, error) {
	sizes, err := pjrt.ResultSizes(text)
	if err != nil {
		return nil, err
	}
	if len(text) < 2000 && strings.Contains(string(text), "rng_bit_generator") {
		return &program{sizes: sizes, random: true}, nil
	}
	if p.Compiled != nil {
		err = p.Compiled(text, o)
	}
	made := &program{sizes: sizes}
	if p.Plans {
		made.plan = &wire.Plan{Temporary: values(text)}
	}
	return made, err
}

var tensor = regexp.MustCompile(`tensor<((?:[0-9]+x)+)(?:f32|i32)>`)

// values are the bytes of all values of a program, as if each had a place of its own.
func values(text []byte) (n int64) {
	for _, m := range tensor.FindAllSubmatch(text, -1) {
		size := int64(4)
		for d := range strings.SplitSeq(strings.TrimSuffix(string(m[1]), "x"), "x") {
			of, _ := strconv.ParseInt(d, 10, 64)
			size *= of
		}
		n += size
	}
	return n
}

var errNothing = errors.New("nothing is compiled")

// Deserialize implements [helper.Plugin].
func (p *Plugin) Deserialize([]byte, wire.CompileOptions) (helper.Executable, error) {
	return nil, errNothing
}

// CompileFor implements [helper.Plugin].
func (p *Plugin) CompileFor([]wire.Option, []byte, wire.CompileOptions) (int, wire.Plan, error) {
	return 0, wire.Plan{}, errNothing
}

// Results implements [helper.Executable].
func (p *program) Results() int { return len(p.sizes) }

// Serialize implements [helper.Executable].
func (p *program) Serialize() ([]byte, error) { return nil, errNothing }

// Memory implements [helper.Executable].
func (p *program) Memory() (wire.Plan, error) {
	if p.plan == nil {
		return wire.Plan{}, errNothing
	}
	return *p.plan, nil
}

// Free implements [helper.Executable].
func (p *program) Free() error { return nil }

// Execute implements [helper.Executable].
func (p *program) Execute(device int, args, results [][]helper.Buffer) error {
	for r := range results {
		for i, n := range p.sizes {
			b := buffer{n: n}
			if p.random { // key, counter, stream
				state := args[r][0].(buffer).data
				var room []uint32
				for _, word := range kernels.Words(&room, n/4, binary.LittleEndian.Uint64(state), binary.LittleEndian.Uint64(state[16:]), 0) {
					b.data = binary.LittleEndian.AppendUint32(b.data, word)
				}
			}
			results[r][i] = b
		}
	}
	return nil
}
