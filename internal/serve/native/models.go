package native

import (
	"net/http"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// model is what a client learns of a model.
type model struct {
	ID          string           `json:"id"`
	Can         []string         `json:"can"`
	Title       string           `json:"title,omitempty"`
	Task        string           `json:"task,omitempty"`
	Tasks       []string         `json:"tasks,omitempty"`
	Problem     string           `json:"problem,omitempty"`
	Parameters  int64            `json:"parameters,omitempty"`
	Layers      int              `json:"layers,omitempty"`
	Hidden      int              `json:"hidden,omitempty"`
	Vocabulary  int              `json:"vocabulary,omitempty"`
	MaxTokens   int              `json:"max_tokens,omitempty"`
	Dimension   int              `json:"dimension,omitempty"`
	Labels      []string         `json:"labels,omitempty"`
	Pair        bool             `json:"reads_pair"`
	Texts       []string         `json:"texts,omitempty"`
	Passage     bool             `json:"passage"`
	Decoding    backend.Decoding `json:"decoding,omitzero"`
	Calibrated  bool             `json:"calibrated"`
	Index       *index           `json:"index,omitempty"`
	Fingerprint string           `json:"fingerprint,omitempty"`
	Created     time.Time        `json:"created,omitzero"`
	Card        string           `json:"card,omitempty"`
}

type index struct {
	Pictures int    `json:"pictures"`
	Source   string `json:"source"`
}

type models struct {
	Models []model `json:"models"`
}

func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	if err := s.models.Loaded(); err != nil {
		return err
	}
	answer := models{Models: []model{}}
	for _, i := range s.models.List() {
		d := i.Details
		m := model{
			ID: i.ID, Can: i.Can.Names(), Title: d.Title, Task: d.Task, Tasks: d.Tasks, Problem: i.Problem,
			Parameters: d.Parameters, Layers: d.Layers, Hidden: d.Hidden, Vocabulary: d.Vocabulary, MaxTokens: i.MaxTokens, Dimension: i.Dimension,
			Labels: i.Labels, Pair: d.ReadsPair, Texts: d.Texts, Passage: d.Passage, Decoding: d.Decoding, Calibrated: d.Calibrated,
			Fingerprint: i.Fingerprint, Created: i.Created, Card: d.Card,
		}
		if d.Index != nil {
			m.Index = &index{d.Index.Pictures, d.Index.Source}
		}
		answer.Models = append(answer.Models, m)
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}
