package xla

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/programs"
)

// chips is how many the processor's plugin pretends.
const chips = 3

var several = sync.OnceValues(func() (*pjrt.Client, error) {
	return pjrt.Start(pjrt.Options{Plugin: os.Getenv("UNIMO_PJRT_PATH"), Client: map[string]any{"cpu_device_count": int64(chips)}})
})

// openTeam returns devices on the plugin that UNIMO_PJRT_PATH names.
func openTeam(t *testing.T, n int) []*Device { return openTeamWith(t, n, Options{}) }

func openTeamWith(t *testing.T, n int, o Options) []*Device {
	t.Helper()
	if os.Getenv("UNIMO_PJRT_PATH") == "" {
		t.Skip("not run: UNIMO_PJRT_PATH names no plugin (make check-xla)")
	}
	c, err := several()
	if err != nil {
		t.Fatal(err)
	}
	return NewTeam(c, 0, n, o)
}

// Devices of which each computes with programs of its own, and which sum what comes out, have room for one program: each is unloaded while the
// others are going to run theirs.
func TestTeamUnloadsPrograms(t *testing.T) {
	const n, rounds = 3, 4
	compute := func(o Options) (all [n][]float32, s Stats) {
		team := openTeamWith(t, n, o)
		err := collective.Run(n, func(g collective.Group) error {
			d := team[g.Rank()]
			num := &numbers{d, rand.New(rand.NewPCG(1, uint64(g.Rank())))}
			sum := num.gradient(5, 5)
			for round := range rounds {
				size := 48 + 16*((g.Rank()+round)%n)
				x, y := num.value(size, size), d.New(size, size)
				d.MatMul(y, x, x, engine.NN, false)
				d.Add(sum, sum, sum)
				if err := d.SumAll([]*engine.Tensor{sum}, g.Barrier); err != nil {
					return err
				}
				all[g.Rank()] = append(all[g.Rank()], engine.Values(d, y)...)
			}
			all[g.Rank()] = append(all[g.Rank()], engine.Values(d, sum)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all, team[0].Stats()
	}
	want, free := compute(Options{})
	cache := programs.Open(t.TempDir(), 1<<30, slog.New(slog.DiscardHandler))
	got, bound := compute(Options{Bound: Bound{Programs: 1}, Cache: cache, CacheFor: func() string { return "" }})
	for r := range n {
		if !slices.Equal(got[r], want[r]) {
			t.Errorf("device %d has other bits than without a bound", r)
		}
	}
	if free.Unloaded != 0 || free.Compiled != bound.Compiled || bound.Unloaded < 2*rounds || bound.Loaded+bound.Compiled-bound.Unloaded > n {
		t.Errorf("without a bound %+v, with room for one %+v", free, bound)
	}
}

// Devices sum what they have in the order of a tree, to the same bits as a processor that adds them so, with no number read. What is summed
// may be recorded and not computed yet.
func TestSumAll(t *testing.T) {
	for _, n := range []int{2, 3} {
		team := openTeam(t, n)
		sizes := [][2]int{{13, 7}, {1, 5}, {8, 3}, {1, 1}}
		tensors := func(d engine.Device, rank int) (list []*engine.Tensor) {
			num := &numbers{d, rand.New(rand.NewPCG(1, uint64(rank)))}
			for _, s := range sizes {
				list = append(list, num.gradient(s[0], s[1]))
			}
			return list
		}
		c := cpu.New()
		var ranks [][]*engine.Tensor
		for r := range n {
			ranks = append(ranks, tensors(c, r))
			for _, x := range ranks[r] {
				c.Add(x, x, x)
			}
		}
		for i := range sizes {
			for width := 1; width < n; width *= 2 {
				for r := 0; r+width < n; r += 2 * width {
					c.Add(ranks[r][i], ranks[r][i], ranks[r+width][i])
				}
			}
		}
		for range 2 { // the second time there is a program
			err := collective.Run(n, func(g collective.Group) error {
				d := team[g.Rank()]
				if d.Joined() != n || engine.JointOf(d) == nil {
					return fmt.Errorf("one of %d", d.Joined())
				}
				list := tensors(d, g.Rank())
				for _, x := range list {
					d.Add(x, x, x)
				}
				if err := d.SumAll(list, g.Barrier); err != nil {
					return err
				}
				for i, x := range list {
					got := d.physical(of(x))
					if want := engine.Values(c, ranks[0][i]); !slices.Equal(got[:len(want)], want) {
						return fmt.Errorf("tensor %d: got %v, want %v", i, got[:len(want)], want)
					}
					if slices.ContainsFunc(got[sizes[i][0]*sizes[i][1]:], func(x float32) bool { return x != 0 }) {
						return fmt.Errorf("tensor %d has numbers behind its rows: %v", i, got)
					}
					d.Free(x)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%d devices: %v", n, err)
			}
		}
		// All have one program to compute with, and one to sum.
		if s := team[0].Stats(); s.Compiled != 2 || s.Ran != 2*(n+1) {
			t.Errorf("%d devices: %+v", n, s)
		}
	}
}

// The program that sums is compiled for chips that are not here.
func TestCompileForSeveralChips(t *testing.T) {
	ahead(t, func(c *pjrt.Client, chip, target string) {
		for _, n := range []int{2, 8} {
			text := (&team{size: n}).text([][]int{{30720, 768}, {768, 3072}, {1, 768}, {2, 2}})
			size, plan, err := c.CompileFor(pjrt.Topology{Target: target, Shape: fmt.Sprint("1x1x", n)}, text, pjrt.CompileOptions{Replicas: n})
			if err != nil || plan.Alias != plan.Arguments || plan.Results > plan.Arguments+1000 { // addresses of the results
				t.Errorf("%d of %s: %v, %+v", n, chip, err, plan)
			}
			t.Logf("%d of %s: %d bytes, %+v", n, chip, size, plan)
		}
		const text = "module @m { func.func public @main(%a: tensor<4xf32>) -> tensor<4xf32> { %0 = stablehlo.add %a, %a : tensor<4xf32> return %0 : tensor<4xf32> } }"
		if _, _, err := c.CompileFor(pjrt.Topology{Target: target, Shape: "1x1x2"}, []byte(text), pjrt.CompileOptions{Device: pjrt.AnyDevice}); err != nil {
			t.Errorf("any of two %s: %v", chip, err)
		}
	})
}

// ahead runs a test with each plugin that UNIMO_PJRT_AHEAD names, for a chip of its maker's that is not here.
func ahead(t *testing.T, test func(c *pjrt.Client, chip, target string)) {
	t.Helper()
	plugins := filepath.SplitList(os.Getenv("UNIMO_PJRT_AHEAD"))
	if len(plugins) == 0 {
		t.Skip("not run: UNIMO_PJRT_AHEAD names no plugin; make check-ahead fetches some")
	}
	for _, path := range plugins {
		targets, err := pjrt.Targets(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := pjrt.Start(pjrt.Options{Plugin: path, Ahead: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		chip := "NVIDIA H100 80GB HBM3"
		if strings.Contains(filepath.Base(path), "rocm") {
			chip = "MI300X"
		}
		test(c, chip, targets[chip])
	}
}

// Chips behind the first compute without it, alone and together.
func TestChipsFromANumberOn(t *testing.T) {
	c := openTeam(t, 1)[0].client
	before := c.Buffers(0)
	for n, want := range map[int]float32{1: 2, 2: 6} {
		team := NewTeam(c, 1, n, Options{})
		err := collective.Run(n, func(g collective.Group) error {
			return engine.Guard(func() error {
				d := team[g.Rank()]
				x := d.Wrap(1, 2, []float32{float32(1 + g.Rank()), 0})
				defer d.Free(x)
				d.Add(x, x, x)
				if n > 1 {
					if err := d.SumAll([]*engine.Tensor{x}, g.Barrier); err != nil {
						return err
					}
				}
				if got := engine.Values(d, x); got[0] != want || c.Buffers(1+g.Rank()) == 0 || c.Buffers(0) != before {
					t.Errorf("chip %d of %d: %v, want %v; %d buffers on it and %d on the first", 1+g.Rank(), n, got, want, c.Buffers(1+g.Rank()), c.Buffers(0))
				}
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A plugin that is gone ends the computation of all devices.
func TestTeamLosesItsPlugin(t *testing.T) {
	openTeam(t, 2) // or the test is not run
	for gone := range 2 {
		c, err := pjrt.Start(pjrt.Options{Plugin: os.Getenv("UNIMO_PJRT_PATH"), Client: map[string]any{"cpu_device_count": int64(2)}})
		if err != nil {
			t.Fatal(err)
		}
		team := NewTeam(c, 0, 2, Options{})
		err = collective.Run(2, func(g collective.Group) error {
			return engine.Guard(func() error {
				d := team[g.Rank()]
				for i := range 100 {
					x := d.Wrap(1, 1, []float32{1})
					if i == 3 && g.Rank() == gone {
						c.Close()
					}
					if err := d.SumAll([]*engine.Tensor{x}, g.Barrier); err != nil {
						return err
					}
					d.Free(x)
				}
				return nil
			})
		})
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("closed by rank %d: %v", gone, err)
		}
	}
}

// A device that fails ends the sums of all.
func TestSumAllFails(t *testing.T) {
	team := openTeam(t, 2)
	own := errors.New("a disk is full")
	err := collective.Run(2, func(g collective.Group) error {
		d := team[g.Rank()]
		x := d.Wrap(1, 1, []float32{1})
		defer d.Free(x)
		if g.Rank() == 0 {
			return own
		}
		var ended *collective.EndedError
		if err := d.SumAll([]*engine.Tensor{x}, g.Barrier); !errors.As(err, &ended) || !errors.Is(err, own) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	if !errors.Is(err, own) {
		t.Error(err)
	}
}
