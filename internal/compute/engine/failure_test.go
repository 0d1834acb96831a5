package engine

import (
	"errors"
	"fmt"
	"testing"
)

// A device's failure is an error, and nothing else is caught.
func TestGuard(t *testing.T) {
	lost, own := errors.New("lost"), errors.New("own")
	if err := Guard(func() error { panic(Failure{lost}) }); err != lost {
		t.Errorf("of a failure: %v", err)
	}
	if err := Guard(func() error { return own }); err != own {
		t.Errorf("of an error: %v", err)
	}
	defer func() {
		if p, ok := recover().(ShapeError); !ok || p.Op != "add" {
			t.Errorf("another panic: %v", p)
		}
	}()
	Guard(func() error { panic(ShapeError{"add", ""}) })
}

// What is computed by itself is named where there is too little memory for it, and nothing else is touched.
func TestAlone(t *testing.T) {
	little, lost, own := new(MemoryError), errors.New("lost"), errors.New("own")
	if err := Guard(func() error { return Alone("a picture", func() error { panic(Failure{little}) }) }); err != error(little) || little.Alone != "a picture" {
		t.Errorf("too little memory: %v", err)
	}
	if err := Guard(func() error { return Alone("a picture", func() error { panic(Failure{lost}) }) }); err != lost {
		t.Errorf("of a failure: %v", err)
	}
	if err := Alone("a picture", func() error { return own }); err != own {
		t.Errorf("of an error: %v", err)
	}
}

// Where there is too little memory, the setting is named that chooses how much is computed at once: the innermost, and not where something is
// computed by itself.
func TestSized(t *testing.T) {
	own := errors.New("own")
	for _, c := range []struct {
		work    func() error
		setting string
		size    int64
	}{
		{func() error { panic(Failure{new(MemoryError)}) }, "rows", 5},
		{func() error { return fmt.Errorf("texts: %w", new(MemoryError)) }, "rows", 5},
		{func() error { return Sized("columns", 3, func() error { panic(Failure{new(MemoryError)}) }) }, "columns", 3},
		{func() error { return Alone("a picture", func() error { panic(Failure{new(MemoryError)}) }) }, "", 0},
	} {
		var little *MemoryError
		if err := Sized("rows", 5, c.work); !errors.As(err, &little) || little.Setting != c.setting || little.Size != c.size {
			t.Errorf("%v, want %s %d", err, c.setting, c.size)
		}
	}
	if err := Sized("rows", 5, func() error { return own }); err != own {
		t.Errorf("of an error: %v", err)
	}
}

func TestMemoryError(t *testing.T) {
	refused := errors.New("RESOURCE_EXHAUSTED")
	for _, c := range []struct {
		err  MemoryError
		fits int64 // of 32
		want string
	}{
		{MemoryError{Needs: 100e9, Has: 79e9, Fixed: 2e9}, 20, "the device has too little memory: this needs 100.0 GB of 79.0 GB"},
		{MemoryError{Needs: 100e9, Has: 79e9, Fixed: 78e9}, 1, "the device has too little memory: this needs 100.0 GB of 79.0 GB"},
		{MemoryError{Needs: 2e6, Has: 1, Fixed: 1e6}, 0, "the device has too little memory: this needs 2000 kB of 1 kB"},
		{MemoryError{Needs: 20e6, Has: 19e6 + 1, Fixed: 19e6}, 0, "the device has too little memory: this needs 20 MB of 20 MB"},
		{MemoryError{Err: refused}, 0, "the device has too little memory: RESOURCE_EXHAUSTED"},
		{MemoryError{Err: refused, Alone: "a picture"}, 0, "the device has too little memory: a picture: RESOURCE_EXHAUSTED"},
		{MemoryError{Needs: 2e6, Has: 1, Fixed: 1e6, Alone: "a picture"}, 0, "the device has too little memory: a picture needs 2000 kB of 1 kB"},
	} {
		if got := c.err.Error(); got != c.want || c.err.Fits(32) != c.fits || !errors.Is(&c.err, c.err.Err) && c.err.Err != nil {
			t.Errorf("%q and %d fit, want %q and %d", got, c.err.Fits(32), c.want, c.fits)
		}
	}
}
