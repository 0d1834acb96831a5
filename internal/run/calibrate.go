package run

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
)

// Calibrated is a finished model that probabilities can be kept with; [Opened] implements it for all kinds.
type Calibrated interface {
	Finished
	Calibration() (*calibration.Calibration, error)
	Calibrate()
	SaveCalibration(c *calibration.Calibration) (path string, err error)
}

// Sampled is a detail that knows the scores of what was right and what was wrong.
type Sampled interface {
	// Sample is what probabilities are fitted to, and compared with; nil if there is none.
	Sample() *calibration.Sample
}

// calibrationSeed divides samples, and draws what is wrong.
const calibrationSeed = 1

// leastExamples is how many examples a run's dev set has at least if it ends with a calibration: of fewer, one says little.
const leastExamples = 100

func uncalibrated(t *Task) error {
	return &SettingError{fmt.Errorf("there is nothing to calibrate: models of %s give no probabilities, or the data are too few (of pictures, four); leave out --calibrate", t.Name)}
}

// calibrate adds to a result how far the model's probabilities are from what was right, as they are and calibrated. With
// [EvaluateOptions.Calibrate] they are fitted on the first file and kept with the model.
func (o *EvaluateOptions) calibrate(m Calibrated, f File, r *Result, first bool) error {
	sample := sampleOf(r)
	switch {
	case o.Calibrate && !first:
		return nil
	case o.Calibrate && sample == nil:
		return uncalibrated(o.Task)
	case sample == nil:
		return nil
	case o.Calibrate:
		if n := sample.Examples(); n < leastExamples {
			r.Notes = append(r.Notes, fmt.Sprintf("the probabilities are fitted to %s; give a file with %d or more, so that they mean something", Count(n, "example"), leastExamples))
		}
		c, err := fitCalibration(o.Task, f, r, sample)
		if err == nil {
			r.Calibrated, err = m.SaveCalibration(c)
		}
		return err
	}
	c, err := m.Calibration()
	if err != nil || c == nil {
		return err
	}
	digest, err := DigestFile(f.Path)
	if err != nil {
		return err
	}
	addErrors(r, c, sample, digest)
	return nil
}

func sampleOf(r *Result) *calibration.Sample {
	if d, ok := r.Detail.(Sampled); ok {
		return d.Sample()
	}
	return nil
}

// fitCalibration fits probabilities to a sample of a file, and adds to the result what they are worth.
func fitCalibration(t *Task, f File, r *Result, sample *calibration.Sample) (*calibration.Calibration, error) {
	digest, err := DigestFile(f.Path)
	if err != nil {
		return nil, err
	}
	c := sample.Fit()
	c.FittedOn.Task, c.FittedOn.Split, c.FittedOn.File, c.FittedOn.Digest, c.FittedOn.Seed = t.Name, f.Split, filepath.Base(f.Path), digest, calibrationSeed
	addErrors(r, c, sample, digest)
	return c, nil
}

// addErrors adds expected calibration errors to the metrics. On the file that the probabilities were fitted on they are those of the halves
// of the sample that a fit did not see.
func addErrors(r *Result, c *calibration.Calibration, sample *calibration.Sample, digest string) {
	applied := c
	if digest == c.FittedOn.Digest {
		applied = nil
	}
	r.Errors = sample.Errors(applied, calibrationSeed)
	for _, e := range r.Errors {
		r.Metrics[e.Name+"ece_before"], r.Metrics[e.Name+"ece"] = train.Number(e.Before), train.Number(e.After)
	}
	for name, p := range map[string]*calibration.Pairs{"match_": c.Match, "similarity_": c.Similarity} {
		if p != nil {
			r.Metrics[name+"threshold"], r.Metrics[name+"equal_error"] = train.Number(p.Threshold), train.Number(p.EqualError)
		}
	}
}

// diagrams are the curves of a page that compare probabilities with what was right.
func (r *Result) diagrams() (curves []report.Curve) {
	for _, e := range r.Errors {
		var x, y []float64
		for _, b := range e.Diagram {
			if b.Count > 0 {
				x, y = append(x, b.Probability), append(y, b.Right)
			}
		}
		title := strings.TrimSpace("Probabilities " + strings.TrimSuffix(e.Name, "_"))
		curves = append(curves, report.Curve{
			Title: title, XLabel: "probability", YLabel: "share that was right", Low: 0, High: 1,
			Series: []report.Series{{Name: "right", X: x, Y: y, Points: true}, {Name: "as it should be", X: []float64{0, 1}, Y: []float64{0, 1}}},
			Note:   fmt.Sprintf("Expected calibration error %.4f, without calibration %.4f.", e.After, e.Before),
		})
	}
	return curves
}

// isCalibration says whether a metric is one of probabilities.
func isCalibration(metric string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(metric, "match_"), "similarity_")
	return slices.Contains([]string{"ece", "ece_before", "threshold", "equal_error"}, name)
}
