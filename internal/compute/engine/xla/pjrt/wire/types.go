package wire

import (
	"errors"
	"fmt"
	"strings"
)

// Version is that of the protocol. Both programs are of one release, or say that they are not.
const Version = 4

// Greeting is the message that the helper program sends when it is started, before anything else: another program, which would not answer,
// is told from it.
func Greeting() []byte {
	return End(AppendUint(append(Begin(nil, greetingStart[0]), greetingStart[1:]...), Version), 0)
}

const greetingStart = "unimo-xla"

// CheckGreeting reads a greeting.
func CheckGreeting(m []byte) error {
	rest, ok := strings.CutPrefix(string(m), greetingStart)
	if !ok {
		return errors.New("it says something else")
	}
	f := NewFields([]byte(rest))
	if v := f.Uint(); f.Err() == nil && v != Version {
		return fmt.Errorf("it speaks version %d of the protocol, and unimo version %d", v, Version)
	}
	return f.Err()
}

// Type is the type of a buffer's elements.
type Type uint8

const (
	F32 Type = iota + 1
	F64
	BF16
	F16
	I32
	U32
	I64
	U64
	I8
	Pred
)

var types = [...]struct {
	name string
	size int
}{F32: {"f32", 4}, F64: {"f64", 8}, BF16: {"bf16", 2}, F16: {"f16", 2}, I32: {"i32", 4}, U32: {"ui32", 4}, I64: {"i64", 8}, U64: {"ui64", 8}, I8: {"i8", 1}, Pred: {"i1", 1}}

// Valid says whether t is one of the types.
func (t Type) Valid() bool { return t >= F32 && t <= Pred }

// Size is the bytes of an element.
func (t Type) Size() int {
	if !t.Valid() {
		return 0
	}
	return types[t].size
}

// String is StableHLO's name of the type.
func (t Type) String() string {
	if !t.Valid() {
		return fmt.Sprintf("type %d", uint8(t))
	}
	return types[t].name
}

// TypeOf returns the type with StableHLO's name.
func TypeOf(name string) (Type, bool) {
	for t := F32; t <= Pred; t++ {
		if types[t].name == name {
			return t, true
		}
	}
	return 0, false
}

// Info is what a plugin says of itself and of its devices.
type Info struct {
	Plugin          string // its file
	Platform        string
	PlatformVersion string
	Major, Minor    int    // of the C API
	StableHLO       string // the newest that it reads; "" where it does not say
	StableHLOOldest string
	Attributes      map[string]string // what else it says
	Devices         []Device
}

// Device is one that programs can run on.
type Device struct {
	ID     int
	Kind   string
	Memory int64 // bytes; 0 where it is not known
}

// Plan is the memory that a compiled program needs on each device, in bytes.
type Plan struct{ Arguments, Results, Temporary, Alias, Code, Peak int64 }

// Error is an error of the plugin's, or of the helper program's (code 0).
type Error struct {
	Code    int
	Message string
}

func (e *Error) Error() string { return e.Message }
