//go:build linux || darwin

// Package capi binds the PJRT C API without cgo: of its functions those that unimo-xla needs.
package capi

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// Plugin is a plugin of which one is loaded in the life of a process.
type Plugin struct {
	table   unsafe.Pointer
	client  uintptr
	devices []uintptr
	ids     []int
}

// oldest is the minor version of the oldest API that this has been tried with.
const oldest = 81

// load loads the plugin's library.
func (p *Plugin) load(path string) (major, minor int, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, 0, err
	}
	if err := allowed(path); err != nil {
		return 0, 0, err
	}
	prepare(path)
	library, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, 0, fmt.Errorf("%s cannot be loaded: %w", path, err)
	}
	get, err := purego.Dlsym(library, "GetPjrtApi")
	if err != nil {
		return 0, 0, fmt.Errorf("%s is no PJRT plugin: it has no function GetPjrtApi", path)
	}
	r, _, _ := purego.SyscallN(get)
	if r == 0 {
		return 0, 0, fmt.Errorf("%s: GetPjrtApi returned nothing", path)
	}
	p.table = *(*unsafe.Pointer)(unsafe.Pointer(&r))
	major, minor = int(*(*int32)(unsafe.Add(p.table, 32))), int(*(*int32)(unsafe.Add(p.table, 36)))
	if major != 0 || minor < oldest {
		return 0, 0, fmt.Errorf("%s has version %d.%d of the PJRT API, want 0.%d or a newer 0.x; take another version of the plugin", path, major, minor, oldest)
	}
	a := sized[head]()
	return major, minor, p.call(pluginInitialize, unsafe.Pointer(&a))
}

// function is the address of one; 0 where the plugin has none.
func (p *Plugin) function(slot int) uintptr {
	if size := *(*uintptr)(p.table); uintptr(slot) >= (size-40)/8 {
		return 0
	}
	return *(*uintptr)(unsafe.Add(p.table, 40+8*slot))
}

// call calls a function that returns an error of the plugin's.
func (p *Plugin) call(slot int, args unsafe.Pointer) error {
	f := p.function(slot)
	if f == 0 {
		return &wire.Error{Code: unimplemented, Message: fmt.Sprintf("the plugin has no function %d", slot)}
	}
	r, _, _ := purego.SyscallN(f, uintptr(args))
	if r == 0 {
		return nil
	}
	m := &handleToText{head: sized[handleToText](), handle: r}
	purego.SyscallN(p.function(errorMessage), uintptr(unsafe.Pointer(m)))
	c := &handleToInt{head: sized[handleToInt](), handle: r}
	purego.SyscallN(p.function(errorGetCode), uintptr(unsafe.Pointer(c)))
	e := &wire.Error{Code: int(c.out), Message: strings.ToValidUTF8(m.out.String(), "?")}
	d := &handleArgs{head: sized[handleArgs](), handle: r}
	purego.SyscallN(p.function(errorDestroy), uintptr(unsafe.Pointer(d)))
	return e
}

const unimplemented = 12

// on calls a function that takes a handle alone.
func (p *Plugin) on(slot int, handle uintptr) error {
	if handle == 0 {
		return nil
	}
	a := &handleArgs{head: sized[handleArgs](), handle: handle}
	return p.call(slot, unsafe.Pointer(a))
}

// await waits for an event and destroys it.
func (p *Plugin) await(event uintptr) error {
	err := p.on(eventAwait, event)
	if e := p.on(eventDestroy, event); err == nil {
		err = e
	}
	return err
}

// named makes the plugin's form of options. The garbage collector does not see what the values point to: keep holds it.
func named(options []wire.Option) (list *namedValue, n uintptr, keep []any) {
	values := make([]namedValue, len(options))
	for i, o := range options {
		v := &values[i]
		v.head, v.name, v.n = sized[namedValue](), textOf(o.Name), 1
		address := func(at unsafe.Pointer, n int) {
			*(*unsafe.Pointer)(unsafe.Pointer(&v.value)) = at
			keep = append(keep, at)
			v.n = uintptr(n)
		}
		switch x := o.Value.(type) {
		case string:
			address(unsafe.Pointer(textOf(x).at), len(x))
		case int64:
			v.kind = 1
			binary.LittleEndian.PutUint64(v.value[:], uint64(x))
		case []int64:
			v.kind = 2
			address(unsafe.Pointer(unsafe.SliceData(x)), len(x))
		case float32:
			v.kind = 3
			binary.LittleEndian.PutUint32(v.value[:], math.Float32bits(x))
		case bool:
			v.kind = 4
			if x {
				v.value[0] = 1
			}
		}
	}
	return unsafe.SliceData(values), uintptr(len(values)), keep
}

func (v *namedValue) get() any {
	at := *(*unsafe.Pointer)(unsafe.Pointer(&v.value))
	switch v.kind {
	case 0:
		return text{(*byte)(at), v.n}.String()
	case 1:
		return int64(binary.LittleEndian.Uint64(v.value[:]))
	case 2:
		return slices.Clone(unsafe.Slice((*int64)(at), v.n))
	case 3:
		return math.Float32frombits(binary.LittleEndian.Uint32(v.value[:]))
	}
	return v.value[0] != 0
}

// Open loads a plugin and makes its client.
func (p *Plugin) Open(path string, ahead bool, options []wire.Option) (wire.Info, error) {
	info := wire.Info{Plugin: path}
	var err error
	if info.Major, info.Minor, err = p.load(path); err != nil {
		return info, err
	}
	p.attributes(&info)
	if ahead {
		return info, nil
	}
	a := &createArgs{head: sized[createArgs]()}
	var keep []any
	a.options, a.n, keep = named(options)
	err = p.call(clientCreate, unsafe.Pointer(a))
	keepAlive(keep)
	if err != nil {
		return info, err
	}
	p.client = a.client
	info.Platform, _ = p.textOf(clientPlatformName, p.client)
	info.PlatformVersion, _ = p.textOf(clientPlatformVersion, p.client)
	d := &devicesArgs{head: sized[devicesArgs](), client: p.client}
	if err := p.call(clientAddressableDevices, unsafe.Pointer(d)); err != nil {
		return info, err
	}
	p.devices = slices.Clone(unsafe.Slice(d.list, d.n))
	for _, device := range p.devices {
		d := p.describe(device)
		info.Devices, p.ids = append(info.Devices, d), append(p.ids, d.ID)
	}
	return info, nil
}

// attributes asks for what a plugin says of itself. Some say nothing.
func (p *Plugin) attributes(info *wire.Info) {
	a := &attributesArgs{head: sized[attributesArgs]()}
	if p.call(pluginAttributes, unsafe.Pointer(a)) != nil || a.list == nil {
		return
	}
	all := map[string]any{}
	for i := range unsafe.Slice(a.list, a.n) {
		v := &unsafe.Slice(a.list, a.n)[i]
		all[v.name.String()] = v.get()
	}
	version := func(name string) string {
		parts, _ := all[name].([]int64)
		delete(all, name)
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(parts), "[]"), " ", ".")
	}
	info.StableHLO, info.StableHLOOldest = version("stablehlo_current_version"), version("stablehlo_minimum_version")
	info.Attributes = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		info.Attributes[name] = fmt.Sprint(all[name])
	}
}

// textOf asks something for its text.
func (p *Plugin) textOf(slot int, handle uintptr) (string, error) {
	a := &handleToText{head: sized[handleToText](), handle: handle}
	err := p.call(slot, unsafe.Pointer(a))
	return strings.ToValidUTF8(a.out.String(), "?"), err
}

func (p *Plugin) describe(device uintptr) (d wire.Device) {
	a := &handleToHandle{head: sized[handleToHandle](), in: device}
	if p.call(deviceGetDescription, unsafe.Pointer(a)) == nil {
		d.Kind, _ = p.textOf(deviceDescriptionKind, a.out)
		id := &handleToInt{head: sized[handleToInt](), handle: a.out}
		if p.call(deviceDescriptionID, unsafe.Pointer(id)) == nil {
			d.ID = int(id.out)
		}
	}
	m := &memoryStatsArgs{head: sized[memoryStatsArgs](), device: device}
	if p.call(deviceMemoryStats, unsafe.Pointer(m)) == nil && m.limitSet {
		d.Memory = m.limit
	}
	return d
}

var _ helper.Plugin = (*Plugin)(nil)
