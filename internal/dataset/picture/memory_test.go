package picture

import (
	"encoding/binary"
	"hash/crc32"
	"image"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestBudget(t *testing.T) {
	b := newBudget(100)
	var inUse, most atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		n := int64(1 + i*7%60)
		if i%50 == 0 {
			n = 1000 // more than there is: alone
		}
		all.Go(func() {
			b.acquire(n)
			now := inUse.Add(min(n, 100))
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			runtime.Gosched()
			inUse.Add(-min(n, 100))
			b.release(n)
		})
	}
	all.Wait()
	if most.Load() > 100 || most.Load() < 100 || b.left != 100 {
		t.Errorf("at most %d of 100 were in use, %d are left", most.Load(), b.left)
	}
}

// All ways to a decoded picture take from one budget.
func TestVisitWaitsForRoom(t *testing.T) {
	raw := pngFile(t, image.NewGray(image.Rect(0, 0, 20, 10)))
	before := working.left
	if err := Visit(raw, Limits{}, func(*Picture) {
		if used := before - working.left; used != 20*10*4 {
			t.Errorf("%d bytes are taken, want 800", used)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if working.left != before {
		t.Error("not all was given back")
	}
	if err := Visit(raw[:60], Limits{}, func(*Picture) {}); err == nil || working.left != before {
		t.Errorf("of a broken picture not all was given back (%v)", err)
	}
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
