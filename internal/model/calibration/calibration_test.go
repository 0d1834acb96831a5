package calibration

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
)

// pairs draws scores whose log-odds are scale·score + bias.
func pairs(n int, scale, bias float64) *Scores {
	stream, s := random.New(1, "test"), new(Scores)
	for range n {
		score := (stream.Normal() - bias) / scale
		right := 0.0
		if stream.Float64() < 1/(1+math.Exp(-(scale*score+bias))) {
			right = 1
		}
		s.Scores, s.Right = append(s.Scores, score), append(s.Right, right)
	}
	return s
}

func TestFitFindsTheScaling(t *testing.T) {
	for _, want := range []Scaling{{1, 0}, {0.02, 3}, {40, -20}} {
		got := pairs(20000, want.Scale, want.Bias).fit()
		if math.Abs(got.Scale/want.Scale-1) > 0.1 || math.Abs(got.Bias-want.Bias) > 0.1*max(1, math.Abs(want.Bias)) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// A model whose probabilities are far too sure, or too high, gets better on halves that were not fitted; no order changes.
func TestErrorsGetSmaller(t *testing.T) {
	match := pairs(4000, 0.1, 1)
	logits, classes := classesOf(4000, 8)
	answers := pairs(4000, 0.1, 0)
	for _, s := range []*Sample{{Match: match, Similarity: pairs(4000, 9, -4)}, {Logits: logits, Classes: classes}, {Answers: answers}} {
		fitted := s.Fit()
		held, own := s.Errors(nil, 1), s.Errors(fitted, 1)
		if len(held) == 0 || len(held) != len(own) {
			t.Fatalf("%d errors, %d", len(held), len(own))
		}
		for i, e := range held {
			if !(e.After < 0.03 && e.Before > 2*e.After && e.Before > 0.08) {
				t.Errorf("%q: from %v to %v", e.Name, e.Before, e.After)
			}
			if own[i].Before != e.Before || !(own[i].After < 0.03) {
				t.Errorf("%q, of the fit itself: %+v", e.Name, own[i])
			}
			n := 0
			for _, b := range e.Diagram {
				n += b.Count
			}
			if len(e.Diagram) != Bins || n != 4000 {
				t.Errorf("%d bins with %d", len(e.Diagram), n)
			}
		}
		for i := range match.Scores[1:] {
			if c := fitted.Match; c != nil && (match.Scores[i] > match.Scores[i+1]) != (c.Probability(match.Scores[i]) > c.Probability(match.Scores[i+1])) {
				t.Fatal("an order changed")
			}
		}
		for _, row := range s.Logits {
			p := fitted.Classes(row)
			for k := range p {
				if p[k] > p[Best(row)] {
					t.Fatal("a choice changed")
				}
			}
		}
	}
}

// classesOf draws logits that are sharp times too large.
func classesOf(n int, sharp float64) (logits [][]float32, classes []int) {
	stream := random.New(2, "test")
	for range n {
		row := []float64{stream.Normal(), stream.Normal(), stream.Normal()}
		sum, u, class := 0.0, stream.Float64(), 0
		for _, x := range row {
			sum += math.Exp(x)
		}
		for k, x := range row {
			if u -= math.Exp(x) / sum; u < 0 {
				class = k
				break
			}
		}
		logits = append(logits, []float32{float32(sharp * row[0]), float32(sharp * row[1]), float32(sharp * row[2])})
		classes = append(classes, class)
	}
	return logits, classes
}

func TestTemperature(t *testing.T) {
	for _, want := range []float64{0.2, 1, 8} {
		logits, classes := classesOf(20000, want)
		if got := fitTemperature(logits, classes); math.Abs(got/want-1) > 0.05 {
			t.Errorf("temperature %v, want %v", got, want)
		}
	}
	// What is always right, and what is always wrong, stay within bounds.
	for i, row := range [][]float32{{5, 0}, {0, 5}} {
		if got := fitTemperature([][]float32{row}, []int{0}); math.Abs(got/[]float64{coldest, hottest}[i]-1) > 1e-3 {
			t.Errorf("temperature %v", got)
		}
	}
}

func TestDegenerateFits(t *testing.T) {
	for name, s := range map[string]*Scores{
		"told apart":    {Scores: []float64{1, 2, 3, 4}, Right: []float64{0, 0, 1, 1}},
		"the reverse":   {Scores: []float64{4, 3, 2, 1}, Right: []float64{0, 0, 1, 1}},
		"one score":     {Scores: []float64{2, 2, 2}, Right: []float64{0, 1, 1}},
		"all right":     {Scores: []float64{1, 2}, Right: []float64{1, 1}},
		"huge scores":   {Scores: []float64{-1e30, 1e30, 2e30}, Right: []float64{0, 1, 1}},
		"one of a kind": {Scores: []float64{1}, Right: []float64{1}},
	} {
		p := s.fitPairs()
		if !(p.Scale >= 0 && p.Scale <= math.MaxFloat32 && math.Abs(p.Bias) <= math.MaxFloat32 && p.Threshold >= 0 && p.Threshold <= 1) {
			t.Errorf("%s: %+v", name, p)
		}
		for _, x := range s.Scores {
			if q := p.Probability(x); !(q > 0 && q < 1) {
				t.Errorf("%s: probability %v", name, q)
			}
		}
	}
}

// As many right pairs are below the threshold as wrong ones above.
func TestThreshold(t *testing.T) {
	s := pairs(4000, 2, 0.5)
	p := s.fitPairs()
	var refused, accepted, right float64
	for i, x := range s.Scores {
		switch {
		case s.Right[i] > 0:
			right++
			if !p.Fits(x) {
				refused++
			}
		case p.Fits(x):
			accepted++
		}
	}
	a, b := refused/right, accepted/(4000-right)
	if math.Abs(a-b) > 0.005 || math.Abs(p.EqualError-a) > 0.005 || a < 0.05 || a > 0.45 {
		t.Errorf("%v refused, %v accepted, said %v", a, b, p.EqualError)
	}
	clear := (&Scores{Scores: []float64{1, 2, 3, 4}, Right: []float64{0, 0, 1, 1}}).fitPairs()
	if clear.EqualError != 0 || clear.Fits(2) || !clear.Fits(3) || !clear.Fits(2.9) {
		t.Errorf("%+v", clear)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calibration.json")
	c := (&Sample{Match: pairs(100, 1, 0)}).Fit()
	c.FittedOn.Task = "flickr8k"
	if err := c.Write(path, "abc"); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path, "abc")
	if err != nil || *got.Match != *c.Match || got.FittedOn != c.FittedOn || got.FittedOn.Examples != 100 || got.FittedOn.Positives+got.FittedOn.Negatives != 100 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Read(path, "abd"); err == nil || !strings.Contains(err.Error(), "fitted for other weights than these; remove it, or fit it again") {
		t.Errorf("of another model: %v", err)
	}
	if _, err := Read(path+"x", "abc"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
	for content, want := range map[string]string{
		"{": "calibration.json", `{"version": 9}`: "version is 9, want 1",
		`{"version": 1, "model_digest": "abc", "temperature": -1}`:                                  "temperature is -1",
		`{"version": 1, "model_digest": "abc", "match": {"scale": -1, "bias": 0}}`:                  "scale is -1",
		`{"version": 1, "model_digest": "abc", "match": {"scale": 1, "bias": 0, "threshold": 1.5}}`: "threshold is 1.5",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path, "abc"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version": 1, "model_digest": "", "temperature": 2, "match": {"scale": 1, "bias": 2, "threshold": 0.5}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "c")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Read(path, "")
		if err != nil {
			return
		}
		for _, x := range []float32{-3, 0, 1e30} {
			p := c.Answer(x)
			if c.Match != nil {
				p += c.Match.Probability(float64(x))
			}
			for _, q := range c.Classes([]float32{x, 0}) {
				p += q
			}
			if p-p != 0 {
				t.Errorf("%s: probabilities of %v: %v", raw, x, p)
			}
		}
	})
}
