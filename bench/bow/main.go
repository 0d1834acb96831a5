package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/metrics"
)

// lambdas is the grid, from strong to weak: half decades around the optimum
// (neither end may win, the program says so if one does).
var lambdas = []float64{1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6}

var schema = labelled.Schema{Labels: []string{"negative", "positive"}}

func main() {
	dir := flag.String("data", "../shared/data/sst2", "folder with SST-2's train.tsv and dev.tsv")
	flag.Parse()
	if err := run(os.Stdout, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "bow:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, dir string) error {
	train, err := load(dir, "train")
	if err != nil {
		return err
	}
	dev, err := load(dir, "dev")
	if err != nil {
		return err
	}
	fitted, judging, dropped := split(train)
	fmt.Fprintf(w, "train %d, dev %d; lambda chosen on %d lines of train after fitting %d (%d share text with them)\n",
		len(train), len(dev), len(judging), len(fitted), dropped)
	for _, features := range []struct {
		name  string
		order int
	}{{"unigrams", 1}, {"unigrams and bigrams", 2}} {
		lambda, heldOutAccuracy := choose(fitted, judging, features.order)
		v := newVocabulary(train, features.order)
		m := fit(v.rows(train), len(v.id), lambda, nil)
		correct := countCorrect(m, v.rows(dev))
		lo, hi := metrics.WilsonInterval(correct, len(dev))
		fmt.Fprintf(w, "%-20s  %6d features  lambda %g%s  held-out accuracy %.4f  dev accuracy %.4f (%d/%d), 95 %% interval %.4f to %.4f\n",
			features.name, len(v.id), lambda, atEnd(lambda), heldOutAccuracy, float64(correct)/float64(len(dev)), correct, len(dev), lo, hi)
	}
	return nil
}

func load(dir, name string) ([]labelled.Example, error) {
	path, err := textfile.Resolve(dir, name, []string{name})
	if err != nil {
		return nil, err
	}
	examples, _, err := labelled.Read(path, schema, labelled.ReadOptions{})
	return examples, err
}

// choose returns the lambda with the best accuracy on judging, the stronger one
// of equals.
func choose(fitted, judging []labelled.Example, order int) (best, accuracy float64) {
	v := newVocabulary(fitted, order)
	fitRows, judgeRows := v.rows(fitted), v.rows(judging)
	accuracy = -1
	var m model
	for _, lambda := range lambdas {
		// The previous fit is a good start for the next.
		m = fit(fitRows, len(v.id), lambda, m)
		if a := float64(countCorrect(m, judgeRows)) / float64(len(judgeRows)); a > accuracy {
			best, accuracy = lambda, a
		}
	}
	return best, accuracy
}

func countCorrect(m model, rows []row) int {
	pred, gold := make([]int, len(rows)), make([]int, len(rows))
	for i, r := range rows {
		pred[i] = m.predict(r)
		if r.positive {
			gold[i] = 1
		}
	}
	return metrics.Correct(pred, gold)
}

func atEnd(lambda float64) string {
	if lambda == lambdas[0] || lambda == lambdas[len(lambdas)-1] {
		return " (at the end of the grid)"
	}
	return ""
}
