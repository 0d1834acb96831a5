package xla

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// chips is how many the processor's plugin pretends.
const chips = 3

var several = sync.OnceValues(func() (*pjrt.Client, error) {
	return pjrt.Start(pjrt.Options{Plugin: os.Getenv("UNIMO_PJRT_PATH"), Client: map[string]any{"cpu_device_count": int64(chips)}})
})

// openTeam returns devices on the plugin that UNIMO_PJRT_PATH names.
func openTeam(t *testing.T, n int) []*Device {
	t.Helper()
	if os.Getenv("UNIMO_PJRT_PATH") == "" {
		t.Skip("not run: UNIMO_PJRT_PATH names no plugin (make check-xla)")
	}
	c, err := several()
	if err != nil {
		t.Fatal(err)
	}
	return NewTeam(c, n, Options{})
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
