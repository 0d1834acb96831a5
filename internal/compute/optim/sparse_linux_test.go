package optim

import (
	"encoding/binary"
	"os"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// resident returns how many bytes of x have a page of memory.
func resident(t *testing.T, x []float32) int {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skipf("not run: %v", err)
	}
	defer f.Close()
	page := os.Getpagesize()
	first := uintptr(unsafe.Pointer(unsafe.SliceData(x))) / uintptr(page)
	entries := make([]byte, 8*(4*len(x)/page))
	if _, err := f.ReadAt(entries, int64(first)*8); err != nil {
		t.Skipf("not run: pages of memory cannot be seen: %v", err)
	}
	n := 0
	for i := 0; i < len(entries); i += 8 {
		if binary.LittleEndian.Uint64(entries[i:])>>63 == 1 {
			n += page
		}
	}
	return n
}

// Rows of a table that nobody looks up take no memory of moments and gradient.
func TestRowsNeverSeenTakeNoMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // memory that is used again is cleared, all of it
	const rows, cols = 16 << 10, 1 << 10             // 64 MiB
	for _, moments := range []string{MomentsFloat32, MomentsBfloat16} {
		d := cpu.New()
		p := newParam(d, "word_embedding", rows, cols)
		d.Zero(p.Value)
		cfg := Default
		cfg.Moments = moments
		a := NewAdam(d, cfg, []Param{p})
		tape, table := autograd.NewTape(d, autograd.Seed{}), autograd.Param(p.Value, p.Grad)
		ids := []int32{5, 2000, 7000, rows - 1}
		for range 3 {
			p.Grad.Clear()
			x := tape.Embed(autograd.Lookup{Table: table, IDs: ids})
			tape.Backward(tape.SquaredError(x, make([]float32, len(ids)*cols)), 1)
			if _, err := a.Step(0.1); err != nil {
				t.Fatal(err)
			}
			a.Settle()
		}
		seen := map[string]*engine.Tensor{"gradient": p.Grad.Tensor()}
		for _, m := range a.Moments(0) {
			seen[m.Suffix] = m.Value
		}
		for name, tensor := range seen {
			if n := resident(t, d.Host(tensor)); n > 64<<10 { // four rows, with neighbours
				t.Errorf("%s: %s of %d looked up rows takes %d KiB", moments, name, len(ids), n>>10)
			}
		}
	}
}
