package xla

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// What the tests of all operations share: [same] computes something on the CPU engine and here, and compares.

var client = sync.OnceValues(func() (*pjrt.Client, error) {
	return pjrt.Start(pjrt.Options{Plugin: os.Getenv("UNIMO_PJRT_PATH")})
})

// open returns a device on the plugin that UNIMO_PJRT_PATH names.
func open(t *testing.T, o Options) *Device {
	t.Helper()
	if os.Getenv("UNIMO_PJRT_PATH") == "" {
		t.Skip("not run: UNIMO_PJRT_PATH names no plugin (make check-xla)")
	}
	c, err := client()
	if err != nil {
		t.Fatal(err)
	}
	return New(c, o)
}

// numbers makes operands, the same on every device.
type numbers struct {
	d   engine.Device
	rng *rand.Rand
}

// value is a tensor of a forward pass: here the rows behind its own hold anything.
func (n *numbers) value(rows, cols int) *engine.Tensor { return n.make(rows, cols, 1000) }

// gradient is one whose rows behind its own are zero.
func (n *numbers) gradient(rows, cols int) *engine.Tensor { return n.make(rows, cols, 0) }

func (n *numbers) make(rows, cols int, behind float32) *engine.Tensor {
	room := rows
	if x, ok := n.d.(*Device); ok {
		room = x.room(rows)
	}
	all := make([]float32, room*cols)
	for i := range all {
		all[i] = behind
	}
	for i := range rows * cols {
		all[i] = float32(n.rng.NormFloat64())
	}
	t := n.d.New(rows, cols)
	x, ok := n.d.(*Device)
	if !ok {
		n.d.Write(t, all[:rows*cols])
		return t
	}
	m := of(t)
	m.buffer = x.client.NewBuffer()
	must(x.client.Upload(m.buffer, x.chip, pjrt.F32, []int{room, cols}, bytesOf(all)))
	return t
}

// same compares the tensors that run returns: each element within tolerance, relative to the larger of 1 and itself. What lies behind the
// rows of a result is finite, and of the last `gradients` results zero.
func same(t *testing.T, tolerance float64, gradients int, run func(d engine.Device, n *numbers) []*engine.Tensor) {
	t.Helper()
	sameOn(t, open(t, Options{}), tolerance, gradients, run)
}

func sameOn(t rapid.TB, x *Device, tolerance float64, gradients int, run func(d engine.Device, n *numbers) []*engine.Tensor) {
	t.Helper()
	results := func(d engine.Device) []*engine.Tensor { return run(d, &numbers{d, rand.New(rand.NewPCG(1, 2))}) }
	c := cpu.New()
	want, got := results(c), results(x)
	for i := range want {
		a, all := engine.Values(c, want[i]), x.physical(of(got[i]))
		if want[i].Rows != got[i].Rows || want[i].Cols != got[i].Cols {
			t.Fatalf("result %d is %d x %d, want %d x %d", i, got[i].Rows, got[i].Cols, want[i].Rows, want[i].Cols)
		}
		for j, v := range a {
			if diff := math.Abs(float64(all[j]) - float64(v)); !(diff <= tolerance*max(1, math.Abs(float64(v)))) && all[j] != v && (all[j] == all[j] || v == v) {
				t.Fatalf("result %d: element %d is %g, want %g (off by %g)", i, j, all[j], v, diff)
			}
		}
		for j, v := range all[len(a):] {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) || i >= len(want)-gradients && v != 0 {
				t.Fatalf("result %d: %g in row %d, behind the %d of the tensor", i, v, (len(a)+j)/want[i].Cols, want[i].Rows)
			}
		}
	}
}

// sst2 says how many of SST-2's training texts have n tokens.
var sst2 = []int{
	0, 0, 0, 0, 491, 4487, 6852, 6118, 5122, 4374, 3780, 3354, 3051, 2665, 2362, 2181, 1925, 1843, 1674, 1516, 1364, 1264, 1187, 1091, 1041, 897, 876, 799, 718, 610, 616, 553, 487,
	466, 442, 366, 351, 343, 253, 240, 229, 194, 181, 134, 134, 99, 80, 85, 82, 60, 45, 47, 32, 30, 36, 32, 16, 14, 9, 13, 9, 9, 11, 4, 2, 1, 0, 2,
}

// An epoch of SST-2 with batches of 32 texts has at most 16 programs, the optimiser's two included, and at most 15 % more rows than tokens.
func TestGridOfAnEpoch(t *testing.T) {
	var lengths []int
	for length, n := range sst2 {
		lengths = append(lengths, slices.Repeat([]int{length}, n)...)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(lengths), func(i, j int) { lengths[i], lengths[j] = lengths[j], lengths[i] })
	programs, rows, tokens := map[[3]int]bool{}, 0, 0
	for batch := range slices.Chunk(lengths, 32) {
		n := 0
		for _, length := range batch {
			n += length
		}
		programs[[3]int{len(batch), grid(n), long(slices.Max(batch))}] = true
		rows, tokens = rows+grid(n), tokens+n
	}
	more := float64(rows)/float64(tokens) - 1
	t.Logf("%d programs of batches, %.1f %% more rows", len(programs), 100*more)
	if len(programs)+2 > 16 || more > 0.15 {
		t.Errorf("%d programs of batches, %.3f more rows", len(programs), more)
	}
}

func TestGrid(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 7: 7, 8: 8, 9: 10, 11: 12, 16: 16, 17: 20, 100: 112, 768: 768, 769: 896, 3072: 3072, 4097: 5120, 30522: 30720} {
		if got := grid(n); got != want {
			t.Errorf("grid(%d) = %d, want %d", n, got, want)
		}
	}
	for n := range 100000 {
		if g := grid(n); g < n || grid(g) != g || n > 8 && float64(g) >= 1.25*float64(n) {
			t.Fatalf("grid(%d) = %d", n, g)
		}
	}
}
