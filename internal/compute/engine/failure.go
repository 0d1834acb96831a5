package engine

import (
	"cmp"
	"errors"
	"fmt"
)

// Failure is what a device that cannot go on panics with: one that is lost, or has too little memory.
type Failure struct{ Err error }

func (f Failure) Error() string { return f.Err.Error() }

// Unwrap returns what happened.
func (f Failure) Unwrap() error { return f.Err }

// MemoryError says that what is to be computed needs more memory than the device has.
type MemoryError struct {
	Needs, Has int64  // bytes; 0 where that is not known, as when the device found out while it computed
	Fixed      int64  // of Needs, what does not depend on how much is computed at once
	Err        error  // of the device; nil where it was not asked
	Alone      string // what is computed by itself, however much else is computed at once; see [Alone]
	Setting    string // that chooses how much is computed at once, and how much it was; see [Sized]
	Size       int64
}

func (e *MemoryError) Error() string {
	switch {
	case e.Needs > 0:
		return fmt.Sprintf("the device has too little memory: %s needs %s of %s", cmp.Or(e.Alone, "this"), Bytes(e.Needs), Bytes(e.Has))
	case e.Alone != "":
		return fmt.Sprintf("the device has too little memory: %s: %v", e.Alone, e.Err)
	}
	return fmt.Sprintf("the device has too little memory: %v", e.Err)
}

// Unwrap returns what the device said.
func (e *MemoryError) Unwrap() error { return e.Err }

// Fits returns how much of n, which needs too much at once, would fit; 0 where that is not known or nothing would. A fifth is left, as a device may
// fill batches up.
func (e *MemoryError) Fits(n int64) int64 {
	if e.Needs <= e.Fixed || e.Has <= e.Fixed {
		return 0
	}
	most := int64(float64(n) * float64(e.Has-e.Fixed) / float64(e.Needs-e.Fixed))
	return min(most, max(1, most*4/5))
}

// Alone calls work, which computes something by itself: a picture, say. Where the device has too little memory for it, the error names it.
func Alone(what string, work func() error) error {
	defer func() {
		failure := recover()
		if f, ok := failure.(Failure); ok {
			if little := (*MemoryError)(nil); errors.As(f.Err, &little) {
				little.Alone = what
			}
		}
		if failure != nil {
			panic(failure)
		}
	}()
	return work()
}

// Sized calls work, which computes as much at once as a setting chooses. That the device fails is an error, as with [Guard]; where it has too little
// memory, it names the setting.
func Sized(setting string, size int64, work func() error) error {
	err := Guard(work)
	if little := (*MemoryError)(nil); errors.As(err, &little) && little.Alone == "" && little.Setting == "" {
		little.Setting, little.Size = setting, size
	}
	return err
}

// Bytes writes an amount of memory as people do.
func Bytes(n int64) string {
	switch {
	case n < 1e7:
		return fmt.Sprintf("%d kB", (n+1e3-1)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%d MB", (n+1e6-1)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Guard calls work, in which a device may fail: a [Failure] becomes the error. It holds for the goroutine that calls it.
func Guard(work func() error) (err error) {
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case Failure:
			err = failure.Err
		default:
			panic(failure)
		}
	}()
	return work()
}
