package run

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/metrics"
)

// Answer is what a run's best model says of a dev example: a line of RUN/predictions/SPLIT.jsonl.
type Answer struct {
	ID        string  `json:"id,omitempty"`
	Text      string  `json:"text,omitempty"`
	Gold      string  `json:"gold"`
	Predicted string  `json:"predicted"`
	Value     float64 `json:"value"` // right or not, or how good a text is by the task's metric; of a regression the squared error
}

// answers lists what was answered to the examples of a result.
func answers(p *Preset, r Result) []Answer {
	var out []Answer
	for i, x := range r.Examples {
		var parts []string
		for text := range x.Texts {
			parts = append(parts, text)
		}
		a := Answer{ID: x.ID, Text: strings.Join(parts, "\t"), Gold: x.Label}
		if p.Schema.Regression {
			a.Gold, a.Predicted = fmt.Sprint(x.Score), fmt.Sprint(r.Outputs[i][0])
			a.Value = (x.Score - float64(r.Outputs[i][0])) * (x.Score - float64(r.Outputs[i][0]))
		} else {
			class := argmax(r.Outputs[i])
			a.Gold, a.Predicted, a.Value = p.Schema.Labels[x.Class], p.Schema.Labels[class], right(class == x.Class)
		}
		out = append(out, a)
	}
	for _, g := range r.Generated {
		value := p.Generation.scores([]Generated{g})[p.Metric]
		out = append(out, Answer{ID: g.ID, Text: g.shortSource(), Gold: g.Target, Predicted: g.Text, Value: float64(value)})
	}
	if f := r.Retrieved; f != nil {
		for text, hits := range f.Outcome.Images {
			a := Answer{Text: f.Texts[text], Gold: f.Set.Images.IDs[f.Set.ImageOf[text]]}
			if len(hits) > 0 {
				a.Predicted = f.Set.Images.IDs[hits[0].Number]
				a.Value = right(int(hits[0].Number) == f.Set.ImageOf[text])
			}
			out = append(out, a)
		}
		for image, hits := range f.Outcome.Texts {
			a := Answer{ID: f.Set.Images.IDs[image], Gold: "a caption of it"}
			if len(hits) > 0 {
				a.Predicted = f.Texts[hits[0].Number]
				a.Value = right(f.Set.ImageOf[hits[0].Number] == image)
			}
			out = append(out, a)
		}
	}
	return out
}

func right(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// answersFile is where a run keeps the answers of a split.
func answersFile(dir, split string) string {
	return filepath.Join(dir, "predictions", split+".jsonl")
}

// writeAnswers keeps what the best model says of the dev examples with the run.
func writeAnswers(p *Preset, dir string, r Result) error {
	list := answers(p, r)
	if len(list) == 0 {
		return nil
	}
	path := answersFile(dir, r.Split)
	if err := atomicfile.Mkdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		enc := json.NewEncoder(b)
		for _, a := range list {
			if err := enc.Encode(a); err != nil {
				return err
			}
		}
		return b.Flush()
	})
}

// readAnswers reads what writeAnswers wrote.
func readAnswers(path string) ([]Answer, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read predictions: %w", err)
	}
	defer f.Close()
	var list []Answer
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, textfile.MaxLine)
	for lines.Scan() {
		var a Answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, fmt.Errorf("read predictions %s:%d: %w", path, len(list)+1, infile.PlainJSON(err))
		}
		list = append(list, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read predictions %s:%d: %w", path, len(list)+1, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("read predictions %s: %w", path, errors.New("the file is empty"))
	}
	return list, nil
}

// measured computes the metric of a task over some answers: of those metrics that are no mean over examples from
// what was predicted, of all others the mean of the examples' values.
func measured(metric string, list []Answer, of func(i int) Answer) float64 {
	n := len(list)
	switch metric {
	case "pearson", "spearman":
		pred, gold := make([]float64, n), make([]float64, n)
		for i := range n {
			a := of(i)
			pred[i], _ = strconv.ParseFloat(a.Predicted, 64)
			gold[i], _ = strconv.ParseFloat(a.Gold, 64)
		}
		if metric == "spearman" {
			return metrics.Spearman(pred, gold)
		}
		return metrics.Pearson(pred, gold)
	case "matthews", "macro_f1":
		numbers := map[string]int{}
		number := func(label string) int {
			if _, ok := numbers[label]; !ok {
				numbers[label] = len(numbers)
			}
			return numbers[label]
		}
		for _, a := range list { // so that each label has the same number every time
			number(a.Gold)
		}
		pred, gold := make([]int, n), make([]int, n)
		for i := range n {
			a := of(i)
			pred[i], gold[i] = number(a.Predicted), number(a.Gold)
		}
		if metric == "matthews" && len(numbers) <= 2 {
			return metrics.Matthews(pred, gold)
		}
		return metrics.MacroF1(metrics.Confusion(pred, gold, len(numbers)))
	}
	var sum float64
	for i := range n {
		sum += of(i).Value
	}
	return sum / float64(n)
}
