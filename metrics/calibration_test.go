package metrics

import (
	"math"
	"testing"
)

// Numbers of torchmetrics 1.x's calibration error with norm l1, and one made by hand.
func TestExpectedCalibrationError(t *testing.T) {
	for _, c := range []struct {
		p, right []float64
		bins     int
		want     float64
	}{
		// Two bins: 0.3 and 0.4 of which one is right, 0.8 and 1 of which both are: (2·|0.35-0.5| + 2·|0.9-1|)/4.
		{[]float64{0.3, 0.4, 0.8, 1}, []float64{0, 1, 1, 1}, 2, 0.125},
		{[]float64{0.25, 0.25, 0.55, 0.75, 0.75}, []float64{0, 0, 1, 1, 1}, 2, 0.29}, // torchmetrics' own example
		{[]float64{0, 0, 1, 1}, []float64{0, 0, 1, 1}, 15, 0},
		{[]float64{1, 1}, []float64{0, 0.5}, 15, 0.75}, // an answer may be right in part
	} {
		if got := ExpectedCalibrationError(c.p, c.right, c.bins); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("of %v and %v: %v, want %v", c.p, c.right, got, c.want)
		}
	}
	if got := ExpectedCalibrationError(nil, nil, 15); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
	bins := Reliability([]float64{0.3, 0.4, 0.8, 1}, []float64{0, 1, 1, 1}, 2)
	if len(bins) != 2 || bins[0] != (ReliabilityBin{2, 0.35, 0.5}) || bins[1].Count != 2 {
		t.Errorf("%+v", bins)
	}
	defer func() {
		if recover() == nil {
			t.Error("different lengths were accepted")
		}
	}()
	ExpectedCalibrationError([]float64{1}, nil, 15)
}
