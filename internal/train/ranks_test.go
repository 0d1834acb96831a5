package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
)

// shape is a tensor of a test's gradients, and what some batches have of it: nothing, rows or all.
type shape struct {
	rows, cols int
	batches    []map[int32][]float32 // by row; nil: nothing
}

// fill gives a gradient what a batch has of it.
func (s shape) fill(d engine.Device, g *autograd.Gradient, batch int) {
	values := s.batches[batch]
	if values == nil {
		return
	}
	extent := autograd.Rows
	if len(values) == s.rows {
		extent = autograd.Dense
	}
	g.Widen(d, extent, slices.Sorted(maps.Keys(values)))
	memory := engine.Values(d, g.Tensor())
	for row, v := range values {
		copy(memory[int(row)*s.cols:], v)
	}
}

// held is what a gradient has, to the bit.
func held(d engine.Device, g *autograd.Gradient) []byte {
	out := []byte{byte(g.Extent())}
	values, cols := engine.Values(d, g.Tensor()), g.Tensor().Cols
	switch g.Extent() {
	case autograd.Dense:
		return append(out, collective.Bytes(values)...)
	case autograd.Rows:
		for _, row := range g.Rows() {
			out = binary.LittleEndian.AppendUint32(out, uint32(row))
			out = append(out, collective.Bytes(values[int(row)*cols:][:cols])...)
		}
	}
	return out
}

// The sum of gradients is the same to the bit whatever the number of ranks, and is the tree that is documented.
func TestTreeHasTheSameBitsForAnyNumberOfRanks(t *testing.T) {
	number := rapid.Custom(func(t *rapid.T) float32 {
		if rapid.IntRange(0, 9).Draw(t, "zero") == 0 {
			return float32(math.Copysign(0, rapid.Float64Range(-1, 1).Draw(t, "sign")))
		}
		return float32(math.Exp(rapid.Float64Range(-20, 20).Draw(t, "size"))) * rapid.Float32Range(-1, 1).Draw(t, "value")
	})
	devices := make([]engine.Device, 8) // of the ranks
	for i := range devices {
		devices[i] = cpu.NewLimited(1)
	}
	rapid.Check(t, func(t *rapid.T) {
		k, round, least := rapid.IntRange(1, 9).Draw(t, "batches"), rapid.Bool().Draw(t, "bfloat16"), rapid.IntRange(1, 40).Draw(t, "bucket")
		shapes := make([]shape, rapid.IntRange(1, 3).Draw(t, "tensors"))
		for i := range shapes {
			s := &shapes[i]
			s.rows, s.cols = rapid.IntRange(1, 6).Draw(t, "rows"), rapid.IntRange(1, 5).Draw(t, "cols")
			s.batches = make([]map[int32][]float32, k)
			for b := range s.batches {
				which := rapid.SampledFrom([]string{"nothing", "rows", "all"}).Draw(t, "which")
				if which == "nothing" {
					continue
				}
				s.batches[b] = map[int32][]float32{}
				for row := range s.rows {
					if which == "all" || rapid.Bool().Draw(t, "row") {
						s.batches[b][int32(row)] = rapid.SliceOfN(number, s.cols, s.cols).Draw(t, "numbers")
					}
				}
			}
		}
		var want []byte
		for _, size := range []int{1, rapid.SampledFrom([]int{2, 3, 4, 8}).Draw(t, "ranks")} {
			got := make([][]byte, size)
			err := collective.Run(size, func(g collective.Group) error {
				d := devices[g.Rank()]
				tr := Trainer{Config: Config{GradientAccumulation: k}, Device: d, Group: g}
				for _, s := range shapes {
					tr.grads = append(tr.grads, autograd.NewGradient(d.New(s.rows, s.cols)))
				}
				tr.tree = tree{dev: d, grads: tr.grads, round: round}
				tr.exchange = exchanger{dev: d, group: g, grads: tr.grads, layout: newLayout(tr.grads, size, least), chunk: 16, round: round,
					divided: make([]bool, len(tr.grads)), rowed: make([]bool, len(tr.grads))}
				for range 2 { // buffers are used again
					for _, grad := range tr.grads {
						grad.Clear()
					}
					first, end := tr.mine(k)
					for b := first; b < end; b++ {
						if b > first {
							tr.tree.add()
						}
						for i, s := range shapes {
							s.fill(d, tr.grads[i], b)
						}
					}
					if size > 1 {
						tr.exchange.begin()
					}
					tr.handed = make([]bool, len(tr.exchange.buckets))
					tr.handOver()
					tr.tree.end()
					if size == 1 {
						continue
					}
					if _, err := tr.exchange.end(time.Now()); err != nil {
						return err
					}
					all, err := collective.Gather(g, tr.exchange.waiting(), nil)
					if err != nil {
						return err
					}
					if err := tr.exchange.exchangeLate(all); err != nil {
						return err
					}
				}
				for _, grad := range tr.grads {
					got[g.Rank()] = append(got[g.Rank()], held(d, grad)...)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got[0]
			}
			for r := range got {
				if !bytes.Equal(got[r], want) {
					t.Fatalf("%d batches: rank %d of %d has\n%v, alone\n%v", k, r, size, got[r], want)
				}
			}
		}
	})
}

// Eight numbers are added as the documentation says, which is not one after the other.
func TestTree(t *testing.T) {
	x := []float32{1e8, 1, -1e8, 1, 3, 1e8, -1e8, 5}
	want := ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]))
	sequence := float32(0)
	d := cpu.New()
	g := autograd.NewGradient(d.New(1, 1))
	sum := tree{dev: d, grads: []*autograd.Gradient{g}}
	for i, v := range x {
		if i > 0 {
			sum.add()
		}
		d.Write(g.Fill(d), []float32{v})
		sequence += v
	}
	sum.finish(0)
	sum.end()
	if got := engine.Values(d, g.Tensor())[0]; got != want || got == sequence {
		t.Errorf("got %v, want %v; one after the other they are %v", got, want, sequence)
	}
	if len(sum.free) != 3 {
		t.Errorf("%d gradients more than the parameters', want 3 for a tree of 8", len(sum.free))
	}
}

func TestBfloat16(t *testing.T) {
	inf, zero := float32(math.Inf(1)), float32(0)
	for _, c := range []struct{ x, want float32 }{
		{1, 1}, {-zero, -zero}, {1 + 1.0/256, 1}, {1 + 3.0/256, 1 + 4.0/256}, {1 + 1.0/256 + 1.0/65536, 1 + 2.0/256}, {-3.1415927, -3.140625}, {inf, inf}, {math.MaxFloat32, inf},
	} {
		if got := widened(bfloat16(c.x)); got != c.want || math.Signbit(float64(got)) != math.Signbit(float64(c.want)) {
			t.Errorf("%v becomes %v, want %v", c.x, got, c.want)
		}
	}
	if x := widened(bfloat16(math.Float32frombits(0x7f800001))); x == x {
		t.Errorf("a NaN becomes %v", x)
	}
}

func TestWidth(t *testing.T) {
	for _, c := range []struct{ batches, ranks, want int }{{1, 1, 1}, {4, 1, 4}, {5, 1, 8}, {4, 2, 2}, {4, 4, 1}, {6, 2, 4}, {9, 2, 8}, {9, 4, 4}, {8, 3, 4}} {
		config := Config{GradientAccumulation: c.batches}
		if got := config.Width(c.ranks); got != c.want {
			t.Errorf("%d batches on %d ranks: %d each, want %d", c.batches, c.ranks, got, c.want)
		}
	}
}

func TestShared(t *testing.T) {
	for _, c := range []struct {
		batches, ranks int
		want           string
	}{
		{4, 2, "2 ranks, each with 2 of the 4 batches of a step"},
		{3, 2, "2 ranks, each with 2 of the 3 batches of a step, the last one with 1; best"},
		{6, 4, "4 ranks, of which 1 is idle: the 6 batches of a step are taken 2 together; best"},
		{8, 6, "6 ranks, of which 2 are idle: the 8 batches of a step are taken 2 together; best"},
	} {
		if got := (Config{GradientAccumulation: c.batches}).Shared(c.ranks); !strings.HasPrefix(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// table is a line behind a table of which batches look up rows.
type table struct {
	*line
	words     *autograd.Var
	wordsLast bool                 // among the parameters
	tied      func(epoch int) bool // the table is also the weight of the output; nil: never
}

func newTable() *table {
	l := newLine(cpu.New())
	words := autograd.Param(l.dev.New(7, lineInputs), autograd.NewGradient(l.dev.New(7, lineInputs)))
	values := make([]float32, 7*lineInputs)
	for i := range values {
		values[i] = float32(i%5) * 0.3
	}
	l.dev.Write(words.Value, values)
	return &table{line: l, words: words}
}

func (m *table) Params() []optim.Param {
	words := []optim.Param{{Name: "words", Value: m.words.Value, Grad: m.words.Gradient()}}
	if m.wordsLast {
		return append(m.line.Params(), words...)
	}
	return append(words, m.line.Params()...)
}

func (m *table) Loss(t *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	m.passes++
	ids := make([]int32, lineBatch)
	for i := range ids {
		ids[i] = int32((batch*3 + i*i) % 7)
	}
	x := t.Rows(m.words, ids)
	logits := t.Linear(x, autograd.NewWeight(m.w, engine.NN), m.b)
	if m.tied != nil && m.tied(epoch) {
		logits = t.Linear(x, autograd.NewWeight(m.words, engine.NT), autograd.Const(m.dev.Wrap(1, 7, make([]float32, 7))))
	}
	logits = t.Dropout(logits, 0.3)
	loss := t.CrossEntropy(logits, m.classes[batch*lineBatch:(batch+1)*lineBatch], 0)
	if m.nan == m.passes {
		loss = t.Scale(loss, float32(math.NaN()))
	}
	return []*autograd.Var{loss}, lineBatch, nil
}

// over trains with a number of ranks in the folder root, from its newest snapshot if there is one. change, if it is not nil, changes
// what a rank trains, and returns the context that it has.
func over(t *testing.T, size int, root string, c Config, change func(rank int, trainer *Trainer, m *table) context.Context) error {
	t.Helper()
	return collective.Run(size, func(g collective.Group) error {
		m := newTable()
		trainer := &Trainer{Config: c, Device: m.dev, Task: m, Group: g, Observer: watcher{}, Log: slog.New(slog.DiscardHandler), bucket: 1}
		if g.Rank() == 0 {
			trainer.Dir = &Dir{root: root}
		}
		ctx := t.Context()
		if change != nil {
			ctx = change(g.Rank(), trainer, m)
		}
		_, err := trainer.Run(ctx, true)
		return err
	})
}

// lastSnapshot is what the newest snapshot of the run in the folder root has, but for its position.
func lastSnapshot(t *testing.T, root string) string {
	t.Helper()
	files, err := (&Dir{root: root}).listSnapshots()
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", root, files, err)
	}
	r, err := checkpoint.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all strings.Builder
	for _, info := range r.Tensors() {
		data, err := r.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %s", info.Name, data)
	}
	return all.String()
}

// stopAfter returns a change that interrupts one rank after a step.
func stopAfter(t *testing.T, rank, step int) func(int, *Trainer, *table) context.Context {
	return func(r int, trainer *Trainer, _ *table) context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		trainer.Observer = watcher{func(e StepEvent) {
			if e.Step == step && r == rank {
				cancel()
			}
		}}
		return ctx
	}
}

// A run ends in the same bits on any number of ranks, also when one of them is interrupted and the run goes on with another number.
func TestRanksTrainAsOne(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	first := func(epoch int) bool { return epoch < 2 }
	then := func(epoch int) bool { return epoch >= 2 }
	for _, c := range []struct {
		batches, size, then int
		round               bool
		threads             int                  // with more than one, gradients are exchanged while batches are computed; with one, ranks divide the update
		sharded             [2]bool              // before and behind the interrupt
		tied                func(epoch int) bool // when the table's gradient is dense
	}{
		{2, 2, 1, false, 1, [2]bool{true, true}, nil}, {3, 2, 3, false, 2, [2]bool{false, true}, nil}, {3, 3, 2, true, 2, [2]bool{true, true}, first},
		{4, 4, 2, false, 2, [2]bool{true, false}, then}, {5, 1, 4, false, 1, [2]bool{true, true}, first}, {8, 8, 4, false, 2, [2]bool{}, nil},
		{2, 2, 1, false, 1, [2]bool{}, first}, {4, 4, 2, false, 1, [2]bool{}, then}, {8, 8, 1, false, 1, [2]bool{}, first}, {4, 1, 4, true, 1, [2]bool{}, first},
		{5, 2, 4, false, 1, [2]bool{false, true}, nil},
	} {
		tied := func(change func(int, *Trainer, *table) context.Context) func(int, *Trainer, *table) context.Context {
			return func(rank int, trainer *Trainer, m *table) context.Context {
				m.tied = c.tied
				if change == nil {
					return t.Context()
				}
				return change(rank, trainer, m)
			}
		}
		parallel.SetThreads(c.threads)
		config := testConfig()
		config.ExchangeBfloat16 = c.round
		config.GradientAccumulation = c.batches
		whole, parted, resumed := t.TempDir(), t.TempDir(), t.TempDir()
		config.ShardOptimizer = c.sharded[0]
		for root, size := range map[string]int{whole: 1, parted: c.size} {
			if err := over(t, size, root, config, tied(nil)); err != nil {
				t.Fatal(err)
			}
		}
		err := over(t, c.size, resumed, config, tied(stopAfter(t, c.size-1, 3)))
		if !errors.Is(err, context.Canceled) || c.size > 1 && strings.Count(err.Error(), "context canceled") != c.size {
			t.Fatalf("interrupted: %v", err)
		}
		config.ShardOptimizer = c.sharded[1]
		if err := over(t, c.then, resumed, config, tied(nil)); err != nil {
			t.Fatal(err)
		}
		for _, root := range []string{parted, resumed} {
			if lastModel(t, root) != lastModel(t, whole) {
				t.Errorf("%+v: %s has another model", c, root)
			}
			if lastSnapshot(t, root) != lastSnapshot(t, whole) {
				t.Errorf("%+v: %s has other moments", c, root)
			}
			if got, want := steps(t, &Dir{root: root}), steps(t, &Dir{root: whole}); got != want {
				t.Errorf("%+v: the log has\n%s\nwant\n%s", c, got, want)
			}
		}
	}
}

// What goes wrong on one rank ends all of them: with the same words, and nobody waits.
func TestOneRankFails(t *testing.T) {
	c := testConfig()
	c.GradientAccumulation = 4
	full := errors.New("no space left on device")
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(2) // with one, ranks would give each other what has drifted
	for _, f := range []struct {
		name, want string
		change     func(rank int, trainer *Trainer, m *table) context.Context
	}{
		{"a loss", "rank 2: step 2 (epoch 2, batch 2: batch number 1): the loss is NaN", func(rank int, _ *Trainer, m *table) context.Context {
			if rank == 2 {
				m.nan = 2
			}
			return t.Context()
		}},
		{"saving", full.Error(), func(rank int, _ *Trainer, m *table) context.Context {
			if rank == 0 {
				m.failing = full
			}
			return t.Context()
		}},
		{"drift", "rank 3 has computed other numbers than rank 0", func(rank int, trainer *Trainer, m *table) context.Context {
			trainer.Observer = watcher{func(e StepEvent) {
				if rank == 3 && e.Step == 1 {
					engine.Values(m.dev, m.w.Value)[0]++
				}
			}}
			return t.Context()
		}},
	} {
		err := over(t, 4, t.TempDir(), c, f.change)
		if err == nil || strings.Count(err.Error(), f.want) != 4 {
			t.Errorf("%s: got %v, want on each rank %s", f.name, err, f.want)
		}
	}
}

func TestMoreRanksThanBatches(t *testing.T) {
	c := testConfig()
	c.GradientAccumulation = 2
	root := t.TempDir()
	err := over(t, 3, root, c, nil)
	if err == nil || !strings.Contains(err.Error(), "--set gradient_accumulation=3") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(root); len(entries) != 0 {
		t.Errorf("the folder has %v", entries)
	}
}

// A device that holds back the last operation of a pass backwards, that of the table, until gradients have been exchanged.
type lateTable struct {
	*cpu.Device
	exchanged chan struct{}
	missed    *atomic.Int32 // passes that waited in vain
}

func (d lateTable) ScatterAdd(dst *engine.Tensor, rows []int32, src *engine.Tensor, first []bool) {
	select {
	case <-d.exchanged:
	case <-time.After(5 * time.Second):
		d.missed.Add(1)
	}
	d.Device.ScatterAdd(dst, rows, src, first)
}

// noticing is a group that says when values have come.
type noticing struct {
	collective.Group
	exchanged chan struct{}
}

func (g noticing) AllToAll(send, recv []byte) error {
	err := g.Group.AllToAll(send, recv)
	select {
	case g.exchanged <- struct{}{}:
	default:
	}
	return err
}

// Gradients of the upper layers are exchanged while those of the lower ones are computed, wherever they are among the parameters.
func TestExchangeWhileComputing(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(2)
	for _, last := range []bool{false, true} {
		var missed atomic.Int32
		c := testConfig()
		c.GradientAccumulation, c.MaxSteps = 2, 2
		err := over(t, 2, t.TempDir(), c, func(rank int, trainer *Trainer, m *table) context.Context {
			m.wordsLast = last
			exchanged := make(chan struct{}, 1)
			trainer.Device, trainer.Group = lateTable{m.dev.(*cpu.Device), exchanged, &missed}, noticing{trainer.Group, exchanged}
			trainer.Observer = watcher{func(e StepEvent) {
				if e.Hidden <= 0 {
					t.Errorf("step %d: %v s of exchange are hidden", e.Step, e.Hidden)
				}
				select { // the table's own rows
				case <-exchanged:
				default:
				}
			}}
			return t.Context()
		})
		if err != nil || missed.Load() > 0 {
			t.Errorf("the table is last: %v: %d passes went on without an exchange; %v", last, missed.Load(), err)
		}
	}
}

// A layout has every row of every parameter once, in the same buckets for any number of ranks, and gives ranks about as much each.
func TestLayout(t *testing.T) {
	d := cpu.New()
	rapid.Check(t, func(t *rapid.T) {
		var grads []*autograd.Gradient
		for range rapid.IntRange(1, 6).Draw(t, "parameters") {
			grads = append(grads, autograd.NewGradient(d.New(rapid.IntRange(1, 9).Draw(t, "rows"), rapid.IntRange(1, 9).Draw(t, "cols"))))
		}
		ranks, least := rapid.IntRange(1, 8).Draw(t, "ranks"), rapid.IntRange(1, 99).Draw(t, "bucket")
		l := newLayout(grads, ranks, least)
		var order []int
		for _, bucket := range l.buckets {
			order = append(order, bucket...)
			values, part := 0, make([]int, ranks)
			for _, i := range bucket {
				rows, cols := grads[i].Tensor().Rows, grads[i].Tensor().Cols
				values += rows * cols
				if first := l.first[i]; len(first) != ranks+1 || first[0] != 0 || first[ranks] != rows || !slices.IsSorted(first) {
					t.Fatalf("parameter %d with %d rows is cut at %v", i, rows, first)
				}
				for r := range ranks {
					part[r] += (l.first[i][r+1] - l.first[i][r]) * cols
				}
			}
			for r, n := range part {
				if n >= values/ranks+1+9 { // a row more than its share
					t.Fatalf("rank %d of %d has %d of %d values", r, ranks, n, values)
				}
			}
		}
		for i := range order {
			if order[i] != len(grads)-1-i {
				t.Fatalf("the buckets have %v", order)
			}
		}
	})
}

// With a thread each, ranks divide the update of what has dense gradients alone; with more, where their exchange is hidden, and with rounded gradients, they do not.
func TestRanksDivideTheUpdate(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	for _, c := range []struct {
		threads int
		round   bool
		want    []bool // of the table, the weight and its bias
	}{{1, false, []bool{false, true, true}}, {2, false, []bool{false, false, false}}, {1, true, []bool{false, false, false}}} {
		parallel.SetThreads(c.threads)
		config := testConfig()
		config.GradientAccumulation, config.MaxSteps, config.ExchangeBfloat16 = 2, 2, c.round
		err := over(t, 2, t.TempDir(), config, func(_ int, trainer *Trainer, _ *table) context.Context {
			trainer.Observer = watcher{func(e StepEvent) {
				if got := trainer.exchange.divided; !slices.Equal(got, c.want) {
					t.Errorf("%d threads, rounded %v: %v, want %v", c.threads, c.round, got, c.want)
				}
			}}
			return t.Context()
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// jointly is the processor as a device that is one of several: what they sum, the first of them sums for all.
type jointly struct {
	engine.Device
	rank int
	of   *[]*jointly
	ts   []*engine.Tensor
	sums *int
}

func (j *jointly) Joined() int { return len(*j.of) }

func (j *jointly) SumAll(ts []*engine.Tensor, meet func() error) error {
	j.ts = ts
	if err := meet(); err != nil {
		return err
	}
	if all := *j.of; j.rank == 0 {
		*j.sums++
		for i := range ts {
			var ranks [][]float32
			for _, d := range all {
				ranks = append(ranks, engine.Values(d.Device, d.ts[i]))
			}
			for width := 1; width < len(all); width *= 2 {
				for r := 0; r+width < len(all); r += 2 * width {
					for k, v := range ranks[r+width] {
						ranks[r][k] += v
					}
				}
			}
			for _, d := range all {
				d.Device.Write(d.ts[i], ranks[0])
			}
		}
	}
	return meet()
}

// joined returns a change that gives ranks devices which sum themselves.
func joined(size int, sums *int, then func(rank int, trainer *Trainer, m *table) context.Context) func(int, *Trainer, *table) context.Context {
	all := make([]*jointly, size)
	for r := range all {
		all[r] = &jointly{rank: r, of: &all, sums: sums}
	}
	return func(rank int, trainer *Trainer, m *table) context.Context {
		all[rank].Device = trainer.Device
		trainer.Device = all[rank]
		return then(rank, trainer, m)
	}
}

// Ranks whose devices sum gradients themselves train as one rank does, to the same bits, also when they are interrupted; and as ranks that exchange.
func TestJointDevicesTrainTheSame(t *testing.T) {
	c := testConfig()
	c.GradientAccumulation, c.SnapshotSteps = 4, 2
	alone := t.TempDir()
	if err := over(t, 1, alone, c, nil); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{2, 3, 4} {
		sums := 0
		root := t.TempDir()
		stop := stopAfter(t, size-1, 3)
		if err := over(t, size, root, c, joined(size, &sums, stop)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if sums != 3 {
			t.Errorf("%d ranks: %d sums in 3 steps", size, sums)
		}
		if err := over(t, size, root, c, joined(size, &sums, func(int, *Trainer, *table) context.Context { return t.Context() })); err != nil {
			t.Fatal(err)
		}
		if lastSnapshot(t, root) != lastSnapshot(t, alone) {
			t.Errorf("%d ranks do not train what one trains", size)
		}
	}
}

// A rank that fails before devices sum ends all; and settings that are for processes are refused.
func TestJointDevicesFail(t *testing.T) {
	sums := 0
	plain := func(rank int, _ *Trainer, m *table) context.Context {
		if rank == 1 {
			m.nan = 3
		}
		return t.Context()
	}
	c := testConfig()
	c.GradientAccumulation = 2
	var bad *NonFiniteError
	if err := over(t, 2, t.TempDir(), c, joined(2, &sums, plain)); !errors.As(err, &bad) {
		t.Error(err)
	}
	c.ShardOptimizer = true
	if err := over(t, 2, t.TempDir(), c, joined(2, &sums, plain)); err == nil || !strings.Contains(err.Error(), "shard_optimizer") {
		t.Error(err)
	}
}
