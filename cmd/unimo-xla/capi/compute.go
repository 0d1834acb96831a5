//go:build linux || darwin

package capi

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

func keepAlive(x any) { runtime.KeepAlive(x) }

// kinds are PJRT_Buffer_Type's numbers.
var kinds = [...]int32{wire.F32: 11, wire.F64: 12, wire.BF16: 13, wire.F16: 10, wire.I32: 4, wire.U32: 8, wire.I64: 5, wire.U64: 9, wire.I8: 2, wire.Pred: 1}

type buffer struct {
	p      *Plugin
	handle uintptr
	rank   int // -1: not known yet
}

// nothing is where data without a byte are.
var nothing [64]byte

// start is the address of data.
func start(data []byte) unsafe.Pointer {
	if len(data) == 0 {
		return unsafe.Pointer(&nothing)
	}
	return unsafe.Pointer(unsafe.SliceData(data))
}

// Upload copies data to a device.
func (p *Plugin) Upload(device int, t wire.Type, dims []int64, data []byte) (helper.Buffer, error) {
	if device < 0 || device >= len(p.devices) {
		return nil, fmt.Errorf("upload to device %d, and there are %d", device, len(p.devices))
	}
	a := &fromHostArgs{head: sized[fromHostArgs](), client: p.client, data: start(data), kind: kinds[t],
		dims: unsafe.SliceData(dims), nDims: uintptr(len(dims)), device: p.devices[device]}
	if err := p.call(clientBufferFromHostBuffer, unsafe.Pointer(a)); err != nil {
		return nil, err
	}
	b := &buffer{p, a.buffer, len(dims)}
	if err := p.await(a.done); err != nil {
		b.Free()
		return nil, err
	}
	return b, nil
}

// rowMajor are orders of dimensions, by their number.
var rowMajor = func() (list [8][]int64) {
	for rank := range list {
		for i := range rank {
			list[rank] = append(list[rank], int64(rank-1-i))
		}
	}
	return list
}()

// toHost begins a download, row by row.
func (b *buffer) toHost() (*toHostArgs, error) {
	a := &toHostArgs{head: sized[toHostArgs](), buffer: b.handle}
	if b.rank < 0 {
		d := &dimensionsArgs{head: sized[dimensionsArgs](), buffer: b.handle}
		if err := b.p.call(bufferDimensions, unsafe.Pointer(d)); err != nil {
			return nil, err
		}
		b.rank = int(d.n)
	}
	if b.rank > 0 && b.rank < len(rowMajor) {
		order := rowMajor[b.rank]
		a.layout = &layout{head: sized[layout](), tiled: tiledLayout{head: sized[tiledLayout](), minorToMajor: &order[0], n: uintptr(len(order))}}
	}
	return a, nil
}

func (b *buffer) Download(data []byte) error {
	a, err := b.toHost()
	if err != nil {
		return err
	}
	a.data, a.n = start(data), uintptr(len(data))
	if err := b.p.call(bufferToHostBuffer, unsafe.Pointer(a)); err != nil {
		return err
	}
	return b.p.await(a.event)
}

func (b *buffer) Size() (int, error) {
	a, err := b.toHost()
	if err != nil {
		return 0, err
	}
	err = b.p.call(bufferToHostBuffer, unsafe.Pointer(a)) // without a place for the data it says how many there are
	return int(a.n), err
}

func (b *buffer) Free() error {
	handle := b.handle
	b.handle = 0
	return b.p.on(bufferDestroy, handle)
}

type executable struct {
	p       *Plugin
	loaded  uintptr
	handle  uintptr
	results int
}

var mlir = textOf("mlir")

// Compile compiles a program in StableHLO's text.
func (p *Plugin) Compile(code []byte, o wire.CompileOptions) (helper.Executable, error) {
	a := &compileArgs{head: sized[compileArgs](), client: p.client, options: textOf(p.compileOptions(o)),
		program: &program{head: sized[program](), code: textOf(code), format: mlir}}
	if err := p.call(clientCompile, unsafe.Pointer(a)); err != nil {
		return nil, err
	}
	return p.loaded(a.out)
}

// Deserialize loads what Serialize returned.
func (p *Plugin) Deserialize(data []byte, o wire.CompileOptions) (helper.Executable, error) {
	a := &deserializeArgs{head: sized[deserializeArgs](), client: p.client, data: textOf(data), options: textOf(p.compileOptions(o))}
	if err := p.call(executableDeserializeAndLoad, unsafe.Pointer(a)); err != nil {
		return nil, err
	}
	return p.loaded(a.out)
}

func (p *Plugin) loaded(handle uintptr) (helper.Executable, error) {
	e := &executable{p: p, loaded: handle}
	a := &handleToHandle{head: sized[handleToHandle](), in: handle}
	err := p.call(loadedExecutableGetExecutable, unsafe.Pointer(a))
	if err == nil {
		e.handle = a.out
		n := &handleToSize{head: sized[handleToSize](), handle: e.handle}
		err = p.call(executableNumOutputs, unsafe.Pointer(n))
		e.results = int(n.out)
	}
	if err != nil {
		e.Free()
		return nil, err
	}
	return e, nil
}

func (e *executable) Results() int { return e.results }

func (e *executable) Execute(device int, args, results [][]helper.Buffer) error {
	if device >= len(e.p.devices) {
		return fmt.Errorf("a program on device %d, and there are %d", device, len(e.p.devices))
	}
	nArgs := len(args[0])
	in, out := make([]uintptr, len(args)*nArgs+1), make([]uintptr, len(args)*e.results+1)
	ins, outs := make([]unsafe.Pointer, len(args)), make([]unsafe.Pointer, len(args))
	for r, list := range args {
		if len(list) != nArgs {
			return fmt.Errorf("%d arguments on device %d, and %d on the first", len(list), r, nArgs)
		}
		for i, b := range list {
			in[r*nArgs+i] = b.(*buffer).handle
		}
		ins[r], outs[r] = unsafe.Pointer(&in[r*nArgs]), unsafe.Pointer(&out[r*e.results])
	}
	a := &executeArgs{head: sized[executeArgs](), executable: e.loaded, options: &executeOptions{head: sized[executeOptions]()},
		arguments: &ins[0], nDevices: uintptr(len(args)), nArguments: uintptr(nArgs), results: &outs[0]}
	if device >= 0 {
		a.device = e.p.devices[device]
	}
	if err := e.p.call(loadedExecutableExecute, unsafe.Pointer(a)); err != nil {
		return err
	}
	for r := range results {
		for i := range results[r] {
			results[r][i] = &buffer{p: e.p, handle: out[r*e.results+i], rank: -1}
		}
	}
	return nil
}

func (e *executable) Serialize() ([]byte, error) {
	a := &serializeArgs{head: sized[serializeArgs](), executable: e.handle}
	if err := e.p.call(executableSerialize, unsafe.Pointer(a)); err != nil {
		return nil, err
	}
	data := []byte(a.out.String())
	purego.SyscallN(a.deleter, a.handle)
	return data, nil
}

func (e *executable) Memory() (wire.Plan, error) {
	a := &compiledStatsArgs{head: sized[compiledStatsArgs](), executable: e.handle}
	err := e.p.call(executableGetCompiledMemoryStats, unsafe.Pointer(a))
	return wire.Plan{Arguments: a.arguments, Results: a.results, Temporary: a.temporary, Alias: a.alias, Code: a.code, Peak: a.peak}, err
}

func (e *executable) Free() error {
	err := e.p.on(executableDestroy, e.handle)
	if other := e.p.on(loadedExecutableDestroy, e.loaded); err == nil {
		err = other
	}
	return err
}

// CompileFor compiles for devices that need not be there, and returns the size of what comes out.
func (p *Plugin) CompileFor(topology []wire.Option, code []byte, o wire.CompileOptions) (int, wire.Plan, error) {
	t := &topologyArgs{head: sized[topologyArgs](), name: textOf("")}
	var keep []any
	t.options, t.n, keep = named(topology)
	err := p.call(topologyCreate, unsafe.Pointer(t))
	keepAlive(keep)
	if err != nil {
		return 0, wire.Plan{}, err
	}
	defer p.on(topologyDestroy, t.out)
	a := &compileForArgs{head: sized[compileForArgs](), topology: t.out, options: textOf(p.compileOptions(o)),
		program: &program{head: sized[program](), code: textOf(code), format: mlir}}
	if err := p.call(compileForTopology, unsafe.Pointer(a)); err != nil {
		return 0, wire.Plan{}, err
	}
	e := &executable{p: p, handle: a.out}
	defer e.Free()
	data, err := e.Serialize()
	if err != nil {
		return 0, wire.Plan{}, err
	}
	plan, err := e.Memory()
	return len(data), plan, err
}

// compileOptions is XLA's CompileOptionsProto.
func (p *Plugin) compileOptions(o wire.CompileOptions) []byte {
	number := func(b []byte, field, x uint64) []byte { return wire.AppendUint(wire.AppendUint(b, field<<3), x) }
	bytes := func(b []byte, field uint64, x []byte) []byte {
		return wire.AppendBytes(wire.AppendUint(b, field<<3|2), x)
	}
	build := number(number(nil, 4, uint64(max(o.Replicas, 1))), 5, 1) // num_replicas, num_partitions
	if o.Device > 0 {
		var ids []byte // replica_device_ids
		for _, id := range p.ids[min(o.Device, len(p.ids)):min(o.Device+o.Replicas, len(p.ids))] {
			ids = number(ids, 1, uint64(id))
		}
		assignment := bytes(number(number(nil, 1, uint64(o.Replicas)), 2, 1), 3, ids) // replica_count, computation_count, computation_devices
		build = bytes(build, 9, assignment)                                           // device_assignment
	}
	options := bytes(nil, 3, build) // executable_build_options
	if o.Replicas == 0 {
		options = number(options, 4, 1) // compile_portable_executable
	}
	for _, f := range o.Flags {
		text, _ := f.Value.(string)
		value := bytes(nil, 1, []byte(text)) // string_field: numbers are read of it, but no "true"
		switch text {
		case "true":
			value = number(nil, 2, 1) // bool_field
		case "false":
			value = number(nil, 2, 0)
		}
		options = bytes(options, 7, bytes(bytes(nil, 1, []byte(f.Name)), 2, value)) // env_option_overrides
	}
	return options
}
