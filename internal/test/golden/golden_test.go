package golden

import (
	"math"
	"testing"
)

// The comparator itself must be able to fail.
func TestDifference(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name      string
		got, want []float32
		ok        bool // at 1e-5
	}{
		{"equal", []float32{1, 2}, []float32{1, 2}, true},
		{"near", []float32{1.00001, 2}, []float32{1, 2}, true},
		{"far", []float32{1.0001, 2}, []float32{1, 2}, false},
		{"last element", []float32{1, 2.001}, []float32{1, 2}, false},
		{"nan", []float32{nan, 2}, []float32{1, 2}, false},
		{"nan first", []float32{nan, 3}, []float32{1, 2}, false},
		{"zero", []float32{0}, []float32{0}, true},
		{"not zero", []float32{1}, []float32{0}, false},
		{"infinite", []float32{float32(math.Inf(1))}, []float32{1}, false},
	} {
		if ok := Difference(c.got, c.want) <= 1e-5; ok != c.ok {
			t.Errorf("%s: within tolerance is %v, want %v", c.name, ok, c.ok)
		}
	}
}
