//go:build linux || darwin

package capi

import "unsafe"

// Functions are slots of a table that begins at byte 40 of PJRT_Api. New ones come behind the others.
const (
	errorDestroy                     = 0
	errorMessage                     = 1
	errorGetCode                     = 2
	pluginInitialize                 = 3
	pluginAttributes                 = 4
	eventDestroy                     = 5
	eventAwait                       = 8
	clientCreate                     = 10
	clientPlatformName               = 12
	clientPlatformVersion            = 14
	clientAddressableDevices         = 16
	clientCompile                    = 20
	clientBufferFromHostBuffer       = 22
	deviceDescriptionID              = 23
	deviceDescriptionKind            = 26
	deviceGetDescription             = 29
	deviceMemoryStats                = 34
	executableDestroy                = 40
	executableNumOutputs             = 44
	executableSerialize              = 49
	loadedExecutableDestroy          = 50
	loadedExecutableGetExecutable    = 51
	loadedExecutableExecute          = 55
	executableDeserializeAndLoad     = 56
	bufferDestroy                    = 58
	bufferDimensions                 = 60
	bufferToHostBuffer               = 70
	topologyCreate                   = 82
	topologyDestroy                  = 83
	compileForTopology               = 89
	executableGetCompiledMemoryStats = 96
)

// Structures have C's layout on 64 bits. A plugin takes one that is larger than it knows, and refuses one that is smaller than what it needs:
// each is as long as the oldest layout that suffices, or longer, and zero. Addresses of the plugin's are uintptr, so that the garbage collector
// leaves them alone, and our own unsafe.Pointer, so that it does not.
type head struct {
	size      uintptr
	extension uintptr
}

// sized returns the head of an argument.
func sized[T any]() head {
	var x T
	return head{size: unsafe.Sizeof(x)}
}

// text is characters of the plugin's or of our own, without an end.
type text struct {
	at *byte
	n  uintptr
}

func (t text) String() string {
	if t.at == nil {
		return ""
	}
	return string(unsafe.Slice(t.at, t.n))
}

func textOf[T string | []byte](x T) text {
	b := append([]byte(x), 0) // some take the address alone
	return text{unsafe.SliceData(b), uintptr(len(x))}
}

type handleArgs struct { // of functions that take a handle alone
	head
	handle uintptr
}

type handleToHandle struct {
	head
	in, out uintptr
}

type handleToText struct {
	head
	handle uintptr
	out    text
}

type handleToInt struct {
	head
	handle uintptr
	out    int32
}

type handleToSize struct {
	head
	handle uintptr
	out    uintptr
}

type namedValue struct {
	head
	name  text
	kind  int32 // 0 text, 1 int64, 2 list of int64, 3 float32, 4 bool
	_     int32
	value [8]byte // or an address, which is kept besides
	n     uintptr
}

type attributesArgs struct {
	head
	list *namedValue
	n    uintptr
}

type createArgs struct {
	head
	options        *namedValue
	n              uintptr
	get, getArg    uintptr
	put, putArg    uintptr
	client         uintptr
	tryGet, tryArg uintptr
}

type devicesArgs struct {
	head
	client uintptr
	list   *uintptr
	n      uintptr
}

type memoryStatsArgs struct {
	head
	device       uintptr
	inUse        int64
	peak         int64
	peakSet      bool
	allocations  int64
	allocsSet    bool
	largest      int64
	largestSet   bool
	limit        int64
	limitSet     bool
	whatComesNow [12]int64
}

type program struct {
	head
	code   text
	format text
}

type compileArgs struct {
	head
	client  uintptr
	program *program
	options text
	out     uintptr
}

type compileForArgs struct {
	head
	topology uintptr
	program  *program
	options  text
	client   uintptr
	out      uintptr
}

type topologyArgs struct {
	head
	name    text
	options *namedValue
	n       uintptr
	out     uintptr
}

type fromHostArgs struct {
	head
	client    uintptr
	data      unsafe.Pointer
	kind      int32
	_         int32
	dims      *int64
	nDims     uintptr
	strides   uintptr
	nStrides  uintptr
	semantics int32 // 0: data are read during the call
	_         int32
	device    uintptr
	memory    uintptr
	layout    uintptr
	done      uintptr
	buffer    uintptr
}

type dimensionsArgs struct {
	head
	buffer uintptr
	list   *int64
	n      uintptr
}

type tiledLayout struct {
	head
	minorToMajor *int64
	n            uintptr
	_            [3]uintptr // tiles
}

type layout struct {
	head
	tiled tiledLayout
	_     int64 // 0: tiled
}

type toHostArgs struct {
	head
	buffer uintptr
	layout *layout
	data   unsafe.Pointer
	n      uintptr
	event  uintptr
}

type executeOptions struct { // as of 0.81: callbacks, a number of the launch, what is not donated, tasks
	head
	_ [12]uintptr
}

type executeArgs struct {
	head
	executable uintptr
	options    *executeOptions
	arguments  *unsafe.Pointer
	nDevices   uintptr
	nArguments uintptr
	results    *unsafe.Pointer
	events     uintptr
	device     uintptr
}

type serializeArgs struct {
	head
	executable uintptr
	out        text
	handle     uintptr
	deleter    uintptr
}

type deserializeArgs struct {
	head
	client  uintptr
	data    text
	out     uintptr
	options text
}

type compiledStatsArgs struct {
	head
	executable                                 uintptr
	code, arguments, results, alias, temporary int64
	onHost                                     [5]int64
	peak                                       int64
	whatComesNow                               [8]int64
}
