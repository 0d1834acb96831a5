package nn

import (
	"math"
	"slices"
	"testing"
)

func TestInitialValues(t *testing.T) {
	const n, deviation = 200_000, 0.02
	values := make([]float32, n)
	Spec{Name: "w", Shape: []int{n / 100, 100}}.initial(values, Deviations{Normal: deviation}, 1)
	var mean, squares, top float64
	for _, v := range values {
		mean += float64(v) / n
		squares += float64(v) * float64(v) / n
		top = max(top, math.Abs(float64(v)))
	}
	// Of a normal distribution cut at two deviations.
	const cut = 0.8796256610342398
	if want := cut * deviation; math.Abs(mean) > 5*want/math.Sqrt(n) || math.Abs(math.Sqrt(squares)-want) > 0.01*want {
		t.Errorf("mean %g, deviation %g; want 0 and %g", mean, math.Sqrt(squares), want)
	}
	if top > 2*deviation*(1+1e-7) || top < 1.99*deviation {
		t.Errorf("largest value %g, want almost %g", top, 2*deviation)
	}
	for place, want := range map[float64]float64{deviation: deviation, 3: 3} {
		Spec{Name: "w", Shape: []int{n / 100, 100}, Init: PlaceNormal}.initial(values, Deviations{deviation, place}, 1)
		if top := float64(slices.Max(values)); top > 2*want*(1+1e-7) || top < 1.99*want {
			t.Errorf("of places, with a range of %g: the largest value is %g, want almost %g", place, top, 2*want)
		}
	}
	const bound = 0.2 // sqrt(6/(100+50))
	values = make([]float32, 100*50)
	Spec{Name: "w", Shape: []int{100, 50}, Init: Xavier}.initial(values, Deviations{Normal: deviation}, 1)
	mean, squares, top = 0, 0, 0
	for _, v := range values {
		mean += float64(v) / 5000
		squares += float64(v) * float64(v) / 5000
		top = max(top, math.Abs(float64(v)))
	}
	if math.Abs(mean) > 5*bound/math.Sqrt(3*5000) || math.Abs(math.Sqrt(3*squares)-bound) > 0.03*bound || top > bound || top < 0.99*bound {
		t.Errorf("Xavier: mean %g, deviation %g, largest %g; want uniform within ±%g", mean, math.Sqrt(squares), top, bound)
	}
	for init, want := range map[Init]float32{Zeros: 0, Ones: 1} {
		values := []float32{7, 7, 7, 7, 7}
		Spec{Name: "b", Shape: []int{5}, Init: init}.initial(values, Deviations{Normal: deviation}, 1)
		for _, v := range values {
			if v != want {
				t.Errorf("initial value %g, want %g", v, want)
			}
		}
	}
}
