// Package answer has what models say as JSON: a line of the commands with --json, and an answer of the server.
package answer

import "github.com/unimo-go/unimo/internal/run"

// Fit is what the calibration of a model says of a picture and a text.
type Fit struct {
	Probability *float64 `json:"probability,omitempty"`
	Fits        *bool    `json:"fits,omitempty"` // the probability reaches the model's threshold
}

// FitOf returns what is said of a match.
func FitOf(m run.Matched) (f Fit) {
	if m.Calibrated {
		f.Probability, f.Fits = &m.Probability, &m.Fits
	}
	return f
}

// Match is how well a picture and a text fit ("unimo match").
type Match struct {
	Image string  `json:"image,omitempty"`
	Text  string  `json:"text,omitempty"`
	Score float32 `json:"score"`
	Fit
	Truncated bool `json:"truncated,omitempty"`
}

// Found is a picture that a search found ("unimo search").
type Found struct {
	Rank       int      `json:"rank"`
	Image      string   `json:"image"`          // its name in the index
	Path       string   `json:"path,omitempty"` // where it is: a file's absolute path, or on the server; none of region features
	Similarity float32  `json:"similarity"`
	Match      *float32 `json:"match,omitempty"` // where the full model looked at it
	Fit
}

// Caption is a text for a picture ("unimo caption").
type Caption struct {
	Image    string  `json:"image"`
	Caption  string  `json:"caption"`
	Score    float64 `json:"score"`    // log-probability, with the length penalty
	Finished bool    `json:"finished"` // false: cut at the greatest length
}

// Answer is the likeliest answer to a question about a picture ("unimo ask"), of several with the others.
type Answer struct {
	Image       string       `json:"image"`
	Question    string       `json:"question"`
	Answer      string       `json:"answer"`
	Probability float64      `json:"probability"`
	Answers     []run.Scored `json:"answers,omitempty"` // where more than one was asked for
	Truncated   bool         `json:"truncated,omitempty"`
}

// AnswerOf returns the top answers to a question.
func AnswerOf(image string, x run.Answers, top int) Answer {
	a := Answer{Image: image, Question: x.Question, Answer: x.Best[0].Answer, Probability: x.Best[0].Probability, Truncated: x.Truncated}
	if top > 1 {
		a.Answers = x.Best
	}
	return a
}

// Generated is a text for texts ("unimo generate").
type Generated struct {
	ID        string   `json:"id,omitempty"`
	Turn      int      `json:"turn_id,omitempty"`
	Source    []string `json:"source"`
	Generated string   `json:"generated"`
	Reference string   `json:"reference,omitempty"`
	Score     float64  `json:"score"`    // log-probability, with the length penalty
	Finished  bool     `json:"finished"` // false: cut at the greatest length
}

// Prediction is the class of a text, of texts, or of a picture with a text ("unimo predict"); of a regression its score.
type Prediction struct {
	Image         string             `json:"image,omitempty"`
	Text          string             `json:"text"`
	TextB         string             `json:"text_b,omitempty"`
	More          []string           `json:"more_texts,omitempty"`
	Label         string             `json:"label,omitempty"`
	Probability   *float64           `json:"probability,omitempty"`
	Probabilities map[string]float64 `json:"probabilities,omitempty"` // by label; none of a model that writes
	Score         *float64           `json:"score,omitempty"`
	Truncated     bool               `json:"truncated,omitempty"`
}

// Says sets what a model says, whose classes have names.
func (p *Prediction) Says(r run.Reply, name func(class int) string) {
	p.Truncated = r.Truncated
	if r.IsScore {
		p.Score = &r.Score
		return
	}
	p.Label, p.Probability = r.Label, &r.Probability
	if len(r.Probabilities) > 0 {
		p.Probabilities = map[string]float64{}
	}
	for i, probability := range r.Probabilities {
		p.Probabilities[name(i)] = probability
	}
}
