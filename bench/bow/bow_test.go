package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
)

func TestNgrams(t *testing.T) {
	got := ngrams("a B  a b", 2)
	want := []string{"a", "b", "a b", "b a"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGradientIsThatOfTheObjective(t *testing.T) {
	rows := []row{{features: []int{0, 2}, positive: true}, {features: []int{1}}, {features: []int{0, 1}}, {}}
	m := model{.3, -.7, 1.1, .2}
	const lambda, h = .05, 1e-6
	grad := make([]float64, len(m))
	gradient(grad, m, rows, lambda)
	for i := range m {
		up, down := slices.Clone(m), slices.Clone(m)
		up[i] += h
		down[i] -= h
		want := (objective(up, rows, lambda) - objective(down, rows, lambda)) / (2 * h)
		if !(math.Abs(grad[i]-want) < 1e-8) {
			t.Errorf("d/d%d is %v, want %v", i, grad[i], want)
		}
	}
}

func TestMinimise(t *testing.T) {
	// A bowl a thousand times steeper in one direction, its bottom at (1, 2).
	x := minimise([]float64{-3, 40},
		func(x []float64) float64 { return 500*(x[0]-1)*(x[0]-1) + .5*(x[1]-2)*(x[1]-2) },
		func(g, x []float64) { g[0], g[1] = 1000*(x[0]-1), x[1]-2 })
	if !(math.Abs(x[0]-1) < 1e-5 && math.Abs(x[1]-2) < 1e-5) {
		t.Errorf("got %v", x)
	}
}

func TestSplitSharesNoText(t *testing.T) {
	var train []labelled.Example
	add := func(text string) { train = append(train, labelled.Example{TextA: text, Line: len(train) + 1}) }
	for i := range 40 {
		words := strings.Fields(fmt.Sprintf("w%[1]d x%[1]d y%[1]d z%[1]d one two three four%[1]d five%[1]d six%[1]d seven%[1]d", i))
		add(strings.Join(words, " "))
		add(strings.Join(words[:3], " "))
		add(strings.Join(words[2:8], " ") + " extra")
		add(fmt.Sprintf("alone%d", i))
	}
	fitted, judging, dropped := split(train)
	if len(fitted) == 0 || len(judging) == 0 || len(fitted)+len(judging)+dropped != len(train) {
		t.Fatalf("%d fitted, %d judging, %d dropped of %d", len(fitted), len(judging), dropped, len(train))
	}
	for _, j := range judging {
		for _, f := range fitted {
			if strings.Contains(" "+j.TextA+" ", " "+f.TextA+" ") || strings.Fields(j.TextA)[0] == strings.Fields(f.TextA)[0] {
				t.Fatalf("%q judges a fit on %q", j.TextA, f.TextA)
			}
		}
	}
}

func TestRunIsDeterministicAndLearns(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, lines int) {
		var b strings.Builder
		b.WriteString("sentence\tlabel\n")
		for i := range lines {
			class, word := i%2, [2]string{"dull", "bright"}[i%2]
			fmt.Fprintf(&b, "a%d b%d c%d d%d a film that was really %s indeed\t%d\n", i, i, i, i, word, class)
			fmt.Fprintf(&b, "%s%d %s\t%d\n", word, i, word, class)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("train.tsv", 40)
	write("dev.tsv", 10)
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := run(w, dir); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Errorf("first\n%s\nthen\n%s", &first, &second)
	}
	if n := strings.Count(first.String(), "dev accuracy 1.0000 (20/20)"); n != 2 {
		t.Errorf("got\n%s", &first)
	}
}
