package tei

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// prediction is a class with its probability.
type prediction struct {
	Score float64 `json:"score"`
	Label string  `json:"label"`
}

// pair is an input of one text or two.
func pair(param string, list []json.RawMessage) (backend.Input, error) {
	var in backend.Input
	if len(list) < 1 || len(list) > 2 {
		return in, backend.Errorf(backend.Invalid, param, "%s has %d texts; want a text, a pair of texts [\"a\", \"b\"], or a list of either, [[\"a\"], [\"a\", \"b\"]]", param, len(list))
	}
	var err error
	if in.Text, err = web.Text(web.At(param, 0), list[0]); err == nil && len(list) == 2 {
		in.Pair, err = web.Text(web.At(param, 1), list[1])
	}
	if err == nil && in.Text == "" {
		err = isEmpty("inputs")
	}
	return in, err
}

// pairs are the inputs of POST /predict, and whether they are one that stands alone.
func (s *server) pairs(raw json.RawMessage) (inputs []backend.Input, single bool, err error) {
	if !web.Given(raw) {
		return nil, false, backend.Errorf(backend.Invalid, "inputs", "missing field `inputs`")
	}
	if web.IsText(raw) {
		in, err := pair("inputs", []json.RawMessage{raw})
		return []backend.Input{in}, true, err
	}
	list, err := s.limits.Elements("inputs", raw)
	if err != nil {
		return nil, false, err
	}
	if len(list) == 0 {
		return nil, false, isEmpty("inputs")
	}
	if web.IsText(list[0]) {
		in, err := pair("inputs", list)
		return []backend.Input{in}, true, err
	}
	for i, e := range list {
		at := web.At("inputs", i)
		texts, err := web.Limits{Items: 2}.Elements(at, e)
		if err != nil {
			return nil, false, err
		}
		in, err := pair(at, texts)
		if err != nil {
			return nil, false, err
		}
		inputs = append(inputs, in)
	}
	return inputs, false, nil
}

func (s *server) predict(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Inputs json.RawMessage `json:"inputs"`
		cutting
		RawScores bool   `json:"raw_scores"`
		Model     string `json:"model"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	if err := onlyRight(q.Direction); err != nil {
		return nil, err
	}
	inputs, single, err := s.pairs(q.Inputs)
	if err != nil {
		return nil, err
	}
	function := ""
	if q.RawScores {
		function = "none"
	}
	lists, err := s.classes(ctx, q.Model, inputs, q.Truncate, function)
	if err != nil {
		return nil, err
	}
	if single {
		return lists[0], nil
	}
	return lists, nil
}

// onlyRight is for models that read pairs, whose texts are cut at their ends.
func onlyRight(where string) error {
	if left, err := direction(where); err != nil || !left {
		return err
	}
	return backend.Errorf(backend.Invalid, "truncation_direction", "`truncation_direction` left is not supported here; texts are cut at their ends")
}

// regression is the label of the one value of a regression.
const regression = "LABEL_0"

// classes are those of inputs, the likeliest first. A regression has one, whose score is the logistic function of its value. function is
// what else is to be made of the model's values: "none", or "".
func (s *server) classes(ctx context.Context, name string, inputs []backend.Input, truncate *bool, function string) ([][]prediction, error) {
	m, err := s.target(name, backend.CanClassify, "the model is not a classifier model")
	if err != nil {
		return nil, err
	}
	labels := m.Info().Labels
	if len(labels) > 0 && function != "" && function != "softmax" {
		return nil, backend.Errorf(backend.Invalid, "raw_scores", "a model with classes gives their probabilities (softmax) and nothing else; leave out `raw_scores` and `function_to_apply`")
	}
	answers, _, err := m.Classify(ctx, inputs)
	if err != nil {
		return nil, err
	}
	lists := make([][]prediction, len(answers))
	for i, a := range answers {
		if a.Truncated && !truncates(truncate) {
			return nil, tooLong(web.At("inputs", i), m)
		}
		if len(a.Probabilities) == 0 {
			score := a.Score
			if function != "none" {
				score = backend.Logistic(score)
			}
			lists[i] = []prediction{{score, regression}}
			continue
		}
		for k, p := range a.Probabilities {
			lists[i] = append(lists[i], prediction{p, labels[k]})
		}
		slices.SortStableFunc(lists[i], func(a, b prediction) int { return cmp.Compare(b.Score, a.Score) })
	}
	return lists, nil
}

func tooLong(param string, m backend.Model) error {
	most := m.Info().MaxTokens
	return &backend.Error{Kind: backend.TooLarge, Param: param, Limit: most, Message: fmt.Sprintf("`%s` must have at most %d tokens; set `truncate` to true to have it cut", param, most)}
}

// pipeline answers as the Inference API does for text classification: a list for each input, also for one that stands alone, of the top_k
// likeliest classes. huggingface_hub's text_classification takes the first list.
func (s *server) pipeline(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Inputs     json.RawMessage `json:"inputs"`
		Parameters struct {
			TopK     *int   `json:"top_k"`
			Function string `json:"function_to_apply"`
		} `json:"parameters"`
		Model string `json:"model"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "softmax", "sigmoid", "none"}, q.Parameters.Function) {
		return nil, backend.Errorf(backend.Invalid, "function_to_apply", "`function_to_apply` is %.40q; want softmax, sigmoid or none", q.Parameters.Function)
	}
	top := q.Parameters.TopK
	if top != nil && *top < 1 {
		return nil, backend.Errorf(backend.Invalid, "top_k", "`top_k` is %d; want 1 or more", *top)
	}
	var texts []string
	var err error
	if web.IsText(q.Inputs) {
		texts = []string{""}
		texts[0], err = web.Text("inputs", q.Inputs)
	} else {
		texts, err = s.limits.Texts("inputs", q.Inputs)
	}
	if err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return nil, isEmpty("inputs")
	}
	inputs := make([]backend.Input, len(texts))
	for i, t := range texts {
		if inputs[i].Text = t; t == "" {
			return nil, isEmpty("inputs")
		}
	}
	lists, err := s.classes(ctx, q.Model, inputs, nil, q.Parameters.Function)
	if err != nil {
		return nil, err
	}
	for i, l := range lists {
		if top != nil {
			lists[i] = l[:min(*top, len(l))]
		}
	}
	return lists, nil
}

// rank is a text's place in the order.
type rank struct {
	Index int     `json:"index"`
	Text  *string `json:"text,omitempty"`
	Score float64 `json:"score"`
}

func (s *server) rerank(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Query *string         `json:"query"`
		Texts json.RawMessage `json:"texts"`
		cutting
		RawScores  bool            `json:"raw_scores"`
		ReturnText bool            `json:"return_text"`
		Documents  json.RawMessage `json:"documents"` // of another protocol
		Model      string          `json:"model"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	switch {
	case q.Query == nil:
		return nil, backend.Errorf(backend.Invalid, "query", "missing field `query`")
	case !web.Given(q.Texts) && web.Given(q.Documents):
		return nil, backend.Errorf(backend.Invalid, "texts", "missing field `texts`: requests with `documents` go to /v1/rerank or /v2/rerank")
	case !web.Given(q.Texts):
		return nil, backend.Errorf(backend.Invalid, "texts", "missing field `texts`")
	case *q.Query == "":
		return nil, isEmpty("query")
	}
	if err := onlyRight(q.Direction); err != nil {
		return nil, err
	}
	texts, err := s.limits.Texts("texts", q.Texts)
	if err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return nil, isEmpty("texts")
	}
	m, err := s.target(q.Model, backend.CanScore, "the model is not a re-ranker model")
	if err != nil {
		return nil, err
	}
	documents := make([]backend.Item, len(texts))
	for i, t := range texts {
		documents[i].Text = t
	}
	scores, err := m.Score(ctx, backend.Item{Text: *q.Query}, documents)
	if err != nil {
		return nil, err
	}
	ranks := make([]rank, 0, len(texts))
	for _, i := range scores.Best() {
		one := rank{Index: i, Score: scores.Relevance(i)}
		if scores.List[i].Truncated && !truncates(q.Truncate) {
			return nil, tooLong(web.At("texts", i), m)
		}
		if q.RawScores {
			one.Score = scores.List[i].Value
		}
		if q.ReturnText {
			one.Text = &texts[i]
		}
		ranks = append(ranks, one)
	}
	return ranks, nil
}
