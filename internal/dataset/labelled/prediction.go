package labelled

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Prediction is what a model says of one example.
type Prediction struct {
	ID    string    // the file's; "" writes the place in the list, from 0
	Class int       // of classification
	Probs []float32 // of classification, one a class; nil for regression
	Score float32   // of regression
}

// WriteReference writes predictions as the reference does, one a line without
// header: id, class, class probabilities, separated by tabs:
//
//	17	1.0	[0.0625 0.9375]
//
// The file appears whole or not at all.
//
// Differs from the reference: probabilities are shortest float32 decimals on one
// line, where NumPy pads columns and wraps rows; files without ids get the place
// in the file, where the reference writes nothing; and regression has the score
// in the second field too, where the reference always has 0.0.
func WriteReference(path string, predictions []Prediction) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		for i, p := range predictions {
			id, err := p.id(i)
			if err != nil {
				return err
			}
			label, values := float32(p.Class), p.Probs
			if p.Probs == nil {
				label, values = p.Score, []float32{p.Score}
			}
			list := make([]string, len(values))
			for k, v := range values {
				if list[k], err = decimal(v); err != nil {
					return fmt.Errorf("prediction %s: %w", id, err)
				}
			}
			first, err := decimal(label)
			if err != nil {
				return fmt.Errorf("prediction %s: %w", id, err)
			}
			if _, err := fmt.Fprintf(w, "%s\t%s\t[%s]\n", id, first, strings.Join(list, " ")); err != nil {
				return err
			}
		}
		return nil
	})
}

// Submission is the form of a task's file for GLUE's scoring server.
type Submission struct {
	Names              []string // what to write for every class; nil for regression
	Regression         bool
	MinScore, MaxScore float64 // scores are cut to this range
}

// WriteSubmission writes predictions in GLUE's form: the header
// "index<TAB>prediction", then one line an example with the class's name or the
// score with three decimals. The file appears whole or not at all.
func WriteSubmission(path string, predictions []Prediction, s Submission) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "index\tprediction\n"); err != nil {
			return err
		}
		for i, p := range predictions {
			id, err := p.id(i)
			if err != nil {
				return err
			}
			value, err := s.value(p)
			if err != nil {
				return fmt.Errorf("prediction %s: %w", id, err)
			}
			if _, err := fmt.Fprintf(w, "%s\t%s\n", id, value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Submission) value(p Prediction) (string, error) {
	if s.Regression {
		score := float64(p.Score)
		if math.IsNaN(score) {
			return "", fmt.Errorf("the score is not a number")
		}
		return strconv.FormatFloat(min(max(score, s.MinScore), s.MaxScore), 'f', 3, 64), nil
	}
	if p.Class < 0 || p.Class >= len(s.Names) {
		return "", fmt.Errorf("class %d of %d", p.Class, len(s.Names))
	}
	return oneField.Replace(s.Names[p.Class]), nil
}

// oneField keeps a label, which in CSV and JSON may be anything, within its column.
var oneField = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

func (p *Prediction) id(place int) (string, error) {
	if p.ID == "" {
		return strconv.Itoa(place), nil
	}
	if strings.ContainsAny(p.ID, "\t\r\n") { // possible in CSV
		return "", fmt.Errorf("id %s has a tab or line end and cannot be written", textfile.Quote(p.ID))
	}
	return p.ID, nil
}

// decimal is the shortest decimal that is the same float32, with a point as
// Python writes it.
func decimal(v float32) (string, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return "", fmt.Errorf("the value %v is not finite", v)
	}
	s := strconv.FormatFloat(float64(v), 'g', -1, 32)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s, nil
}
