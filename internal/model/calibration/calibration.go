// Package calibration makes probabilities of a model's scores that mean what they say: of what gets 0.8, eight in ten are right.
//
//	calibration.go  what is kept with a model; reading and writing it
//	fit.go          fitting it, and what it is worth on examples that it was not fitted on
//
// A score becomes log-odds by a scale and a bias, as in Platt's method; the scores of classes are divided by a temperature. Both keep
// every order and every choice as they are. Sources: Platt 1999; Guo et al. 2017, "On Calibration of Modern Neural Networks".
package calibration

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// Scaling makes probabilities of scores:
//
//	p = 1 / (1 + exp(-(Scale·score + Bias)))      Scale >= 0
type Scaling struct {
	Scale float64 `json:"scale"`
	Bias  float64 `json:"bias"`
}

// Plain is the sigmoid itself.
var Plain = Scaling{Scale: 1}

// Probability returns the probability of a score.
func (s Scaling) Probability(score float64) float64 {
	return 1 / (1 + math.Exp(-(s.Scale*score + s.Bias)))
}

// Pairs makes probabilities of the scores of pairs of a picture and a text.
type Pairs struct {
	Scaling
	// Threshold is the probability from which on a text fits: as many right pairs are below it as wrong ones above it.
	Threshold float64 `json:"threshold"`
	// EqualError is the share of the right pairs below it, and of the wrong ones above it.
	EqualError float64 `json:"equal_error"`
}

// Fits says whether a pair of this score fits.
func (p Pairs) Fits(score float64) bool { return p.Probability(score) >= p.Threshold }

// Calibration is what is kept with a model: see [Sample.Fit]. What does not belong to the kind of task is nil or 0.
type Calibration struct {
	Version int    `json:"version"`
	Model   string `json:"model_digest"` // of the weights that it belongs to

	Temperature float64  `json:"temperature,omitempty"` // of classes of which one is right
	Answers     *Scaling `json:"answers,omitempty"`     // of answers of which several may be right; without a bias
	Match       *Pairs   `json:"match,omitempty"`       // of the full model's scores
	Similarity  *Pairs   `json:"similarity,omitempty"`  // of the products of vectors

	FittedOn FittedOn `json:"fitted_on"`
}

// Classes returns the probabilities of classes of which one is right; without a calibration those of the model.
func (c *Calibration) Classes(logits []float32) []float64 {
	if c == nil || c.Temperature == 0 {
		return Softmax(logits, 1)
	}
	return Softmax(logits, c.Temperature)
}

// Answer returns the probability of an answer of several that may be right; without a calibration that of the model.
func (c *Calibration) Answer(logit float32) float64 {
	if c == nil || c.Answers == nil {
		return Plain.Probability(float64(logit))
	}
	return c.Answers.Probability(float64(logit))
}

// FittedOn says what a calibration was fitted on.
type FittedOn struct {
	Task      string `json:"task"`
	Split     string `json:"split"`
	File      string `json:"file"`   // its name
	Digest    string `json:"sha256"` // of the file
	Examples  int    `json:"examples"`
	Positives int    `json:"positives,omitempty"` // of pairs: those that belong together
	Negatives int    `json:"negatives,omitempty"` // those that were drawn, each a caption with another picture
	Seed      uint64 `json:"seed"`
}

// version is that of the file; maxSize bounds it.
const (
	version = 1
	maxSize = 64 << 10
)

// Read reads the calibration at path of the model with the digest. One of another model is an error, and so is one that makes no
// probabilities.
func Read(path, digest string) (*Calibration, error) {
	c := new(Calibration)
	raw, err := infile.Read(path, maxSize)
	if err != nil {
		return nil, err
	}
	if err := infile.DecodeJSON(path, raw, c); err != nil {
		return nil, err
	}
	switch {
	case c.Version != version:
		err = fmt.Errorf("its version is %d, want %d", c.Version, version)
	case c.Model != digest:
		err = fmt.Errorf("it was fitted for other weights than these")
	default:
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("calibration %s: %w; remove it, or fit it again with 'unimo evaluate TASK --calibrate'", path, err)
	}
	return c, nil
}

func (c *Calibration) check() error {
	if t := c.Temperature; t != 0 && !(t > 0 && t <= math.MaxFloat32) {
		return fmt.Errorf("temperature is %v, want more than 0", t)
	}
	list := []*Scaling{c.Answers}
	for _, p := range []*Pairs{c.Match, c.Similarity} {
		if p != nil {
			list = append(list, &p.Scaling)
			if !(p.Threshold >= 0 && p.Threshold <= 1) {
				return fmt.Errorf("threshold is %v, want 0 to 1", p.Threshold)
			}
		}
	}
	for _, s := range list {
		if s != nil && !(s.Scale >= 0 && s.Scale <= math.MaxFloat32 && math.Abs(s.Bias) <= math.MaxFloat32) {
			return fmt.Errorf("scale is %v and bias %v, want numbers, the scale 0 or more", s.Scale, s.Bias)
		}
	}
	return nil
}

// Write writes the calibration of the model with the digest.
func (c *Calibration) Write(path, digest string) error {
	c.Version, c.Model = version, digest
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write calibration: %w", err)
	}
	return atomicfile.WriteBytes(path, append(raw, '\n'))
}
