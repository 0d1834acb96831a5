package engine

import (
	"slices"
	"testing"
)

func TestChecksSayWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		check func()
		want  string // empty: it fits
	}{
		{func() { CheckShape("add", "b", &Tensor{Rows: 2, Cols: 3}, 2, 3) }, ""},
		{func() { CheckShape("add", "b", &Tensor{Rows: 2, Cols: 3}, 3, 3) }, "engine: add: b is 2 x 3, want 3 x 3"},
		{func() { CheckShape("add", "b", &Tensor{Rows: 2, Cols: 3}, 2, 2) }, "engine: add: b is 2 x 3, want 2 x 2"},
		{func() { CheckIndices("gather", []int32{0, 4}, 5) }, ""},
		{func() { CheckIndices("gather", []int32{0, 5}, 5) }, "engine: gather: index 1 is 5, want 0 to 4"},
		{func() { CheckIndices("gather", []int32{-1}, 5) }, "engine: gather: index 0 is -1, want 0 to 4"},
	} {
		func() {
			defer func() {
				message := ""
				if failure, ok := recover().(ShapeError); ok {
					message = failure.Error()
				}
				if message != c.want {
					t.Errorf("got %q, want %q", message, c.want)
				}
			}()
			c.check()
		}()
	}
}

// remote is a device whose memory the program does not see.
type remote struct{ Device }

func (remote) Read(host []float32, src *Tensor) { copy(host, src.Memory.([]float32)) }

// local is one whose memory it does.
type local struct{ remote }

func (local) Host(t *Tensor) []float32 { return t.Memory.([]float32) }

func TestValues(t *testing.T) {
	memory := []float32{1, 2, 3, 4}
	x := &Tensor{Rows: 2, Cols: 2, Memory: memory}
	if got := Values(local{}, x); &got[0] != &memory[0] {
		t.Error("a copy where the memory can be seen")
	}
	if got := Values(remote{}, x); &got[0] == &memory[0] || !slices.Equal(got, memory) {
		t.Errorf("got %v, want a copy of %v", got, memory)
	}
}

func TestWeight(t *testing.T) {
	w := &Tensor{Rows: 3, Cols: 5}
	for op, want := range map[Transpose][2]int{NN: {3, 5}, NT: {5, 3}} {
		if p := Plain(w, op); p.In() != want[0] || p.Out() != want[1] || p.Tensor != w || p.Op != op || p.Prepared != nil {
			t.Errorf("product %d: from %d to %d, want %v", op, p.In(), p.Out(), want)
		}
	}
	defer func() {
		if failure, ok := recover().(ShapeError); !ok || failure.Error() != "engine: weight: product 2, want NN or NT" {
			t.Errorf("a weight on the left: %v", failure)
		}
	}()
	Plain(w, TN)
}
