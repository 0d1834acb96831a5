package picture

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"runtime"
	"strings"
	"testing"
)

// taken says so if other than so many bytes of the memory are taken.
func taken(t *testing.T, used int64) {
	t.Helper()
	if !working.TryAcquire(maxWorking - used) {
		t.Errorf("more than %d bytes are taken", used)
		return
	}
	defer working.Release(maxWorking - used)
	if working.TryAcquire(1) {
		working.Release(1)
		t.Errorf("fewer than %d bytes are taken", used)
	}
}

// All ways to a decoded picture take from one budget, and give back what they took.
func TestVisitTakesMemory(t *testing.T) {
	raw := pngFile(t, image.NewGray(image.Rect(0, 0, 20, 10)))
	if err := Visit(raw, Limits{}, func(*Picture) { taken(t, 20*10*4) }); err != nil {
		t.Fatal(err)
	}
	taken(t, 0)
	if err := Visit(raw[:60], Limits{}, func(*Picture) {}); err == nil {
		t.Error("a broken picture is decoded")
	}
	taken(t, 0)
}

// A picture that needs more memory than there is waits until it has all, and no longer than somebody wants it.
func TestVisitWaitsForRoom(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	working.Acquire(ctx, 1)
	if _, err := acquire(canceled(), 2*maxWorking); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	raw := pngFile(t, image.NewGray(image.Rect(0, 0, 20, 10)))
	working.Acquire(ctx, maxWorking-1)
	done := make(chan error)
	go func() { done <- VisitContext(ctx, raw, Limits{}, func(*Picture) { t.Error("used") }) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	working.Release(maxWorking)
	release, err := acquire(context.Background(), 2*maxWorking)
	if err != nil {
		t.Fatal(err)
	}
	taken(t, maxWorking)
	release()
	taken(t, 0)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestCost(t *testing.T) {
	for _, c := range []struct {
		m    image.Image
		want int64
	}{
		{image.NewGray(image.Rect(0, 0, 1, 1)), 1}, {image.NewGray16(image.Rect(0, 0, 1, 1)), 2},
		{image.NewNRGBA(image.Rect(0, 0, 1, 1)), 4}, {image.NewNRGBA64(image.Rect(0, 0, 1, 1)), 8},
	} {
		raw := pngFile(t, c.m)
		f, _ := recognise(raw)
		config, err := f.config(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.cost(raw, config); got != c.want {
			t.Errorf("%T: %d bytes a pixel, want %d", c.m, got, c.want)
		}
	}
}

// A long side costs what the header says before anything is decoded.
func TestLongSides(t *testing.T) {
	raw := pngFile(t, image.NewGray(image.Rect(0, 0, 1, 1)))
	for _, size := range [][2]uint32{{2, 16_777_216}, {16_777_216, 2}, {1, 65_536}} {
		header := raw[12:29]
		binary.BigEndian.PutUint32(header[4:], size[0])
		binary.BigEndian.PutUint32(header[8:], size[1])
		binary.BigEndian.PutUint32(raw[29:], crc32.ChecksumIEEE(header))
		if _, err := decode(raw, Limits{}); err == nil || !strings.Contains(err.Error(), "a side of more than 65535") {
			t.Errorf("%v: error %v", size, err)
		}
	}
}

// Resizing a long picture takes no more memory than a row and the result.
func TestResizeMemory(t *testing.T) {
	for _, size := range [][2]int{{2, MaxSide}, {MaxSide, 2}} {
		p := newPicture(size[0], size[1])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p.Resize(128, 128)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%v: %d bytes were allocated", size, used)
		}
	}
}
