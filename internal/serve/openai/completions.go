package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// completionRequest is what POST /v1/completions takes. What changes the answer and models here do not have is refused if it is set to
// something else than its default.
type completionRequest struct {
	Model         string          `json:"model"`
	Prompt        json.RawMessage `json:"prompt"`
	MaxTokens     *int            `json:"max_tokens"`
	Temperature   *float64        `json:"temperature"`
	TopP          *float64        `json:"top_p"`
	TopK          *int            `json:"top_k"` // vLLM's
	Seed          *int64          `json:"seed"`
	N             *int            `json:"n"`
	Stop          json.RawMessage `json:"stop"`
	Stream        bool            `json:"stream"`
	StreamOptions *struct {
		IncludeUsage       bool            `json:"include_usage"`
		IncludeObfuscation json.RawMessage `json:"include_obfuscation"` // has no effect
	} `json:"stream_options"`
	User                 json.RawMessage `json:"user"`                   // has no effect
	TruncatePromptTokens *int            `json:"truncate_prompt_tokens"` // vLLM's

	BestOf           *int            `json:"best_of"`
	Echo             bool            `json:"echo"`
	FrequencyPenalty float64         `json:"frequency_penalty"`
	PresencePenalty  float64         `json:"presence_penalty"`
	LogitBias        map[string]any  `json:"logit_bias"`
	Logprobs         json.RawMessage `json:"logprobs"`
	Suffix           json.RawMessage `json:"suffix"`
}

func (q *completionRequest) n() int {
	if q.N == nil {
		return 1
	}
	return *q.N
}

// samples says whether tokens are drawn: who sets a temperature wants so, and without any setting texts are found as the model was
// fine-tuned for, by beam search.
func (q *completionRequest) samples() bool {
	if q.Temperature != nil {
		return *q.Temperature > 0
	}
	return q.TopP != nil && *q.TopP < 1 || q.TopK != nil && *q.TopK > 0 || q.Seed != nil || q.n() > 1
}

func (q *completionRequest) validate() error {
	switch {
	case q.Echo:
		return backend.Errorf(backend.Cannot, "echo", "echo is not supported: the model reads the prompt and writes a text of its own")
	case web.Given(q.Logprobs):
		return backend.Errorf(backend.Cannot, "logprobs", "logprobs are not supported")
	case web.Given(q.Suffix):
		return backend.Errorf(backend.Cannot, "suffix", "suffix is not supported")
	case q.FrequencyPenalty != 0:
		return backend.Errorf(backend.Cannot, "frequency_penalty", "frequency_penalty is not supported")
	case q.PresencePenalty != 0:
		return backend.Errorf(backend.Cannot, "presence_penalty", "presence_penalty is not supported")
	case len(q.LogitBias) > 0:
		return backend.Errorf(backend.Cannot, "logit_bias", "logit_bias is not supported")
	case q.BestOf != nil && *q.BestOf != q.n():
		return backend.Errorf(backend.Cannot, "best_of", "best_of is %d and n is %d; all texts that are written are returned", *q.BestOf, q.n())
	case q.n() < 1:
		return backend.Errorf(backend.Invalid, "n", "n is %d; want 1 or more", q.n())
	case q.n() > 1 && !q.samples():
		return backend.Errorf(backend.Invalid, "n", "n is %d and temperature 0, which writes the same text each time; give a temperature above 0", q.n())
	case q.MaxTokens != nil && *q.MaxTokens < 1:
		return backend.Errorf(backend.Invalid, "max_tokens", "max_tokens is %d; want 1 or more", *q.MaxTokens)
	case q.Temperature != nil && (*q.Temperature < 0 || *q.Temperature > 2):
		return backend.Errorf(backend.Invalid, "temperature", "temperature is %g; want 0 to 2", *q.Temperature)
	case q.TopP != nil && (*q.TopP <= 0 || *q.TopP > 1):
		return backend.Errorf(backend.Invalid, "top_p", "top_p is %g; want more than 0 and at most 1", *q.TopP)
	case q.TopK != nil && *q.TopK < -1:
		return backend.Errorf(backend.Invalid, "top_k", "top_k is %d; want 0 or more, or -1 for all", *q.TopK)
	case q.TruncatePromptTokens != nil && *q.TruncatePromptTokens != -1:
		return backend.Errorf(backend.Cannot, "truncate_prompt_tokens", "truncate_prompt_tokens is %d; want -1, for as many as the model reads", *q.TruncatePromptTokens)
	case q.StreamOptions != nil && !q.Stream:
		return backend.Errorf(backend.Invalid, "stream_options", "stream_options needs stream")
	}
	return nil
}

// decoding is how the k-th text of a prompt is found by a model that has own.
func (q *completionRequest) decoding(own backend.Decoding, k int) backend.Decoding {
	var d backend.Decoding
	d.MaxLength = q.MaxTokens
	if least := own.MinLength; q.MaxTokens != nil && least != nil && *least > *q.MaxTokens {
		d.MinLength = q.MaxTokens
	}
	switch {
	case q.samples():
		yes := true
		d.Sample, d.TopP, d.TopK = &yes, q.TopP, q.TopK
		if q.TopK != nil && *q.TopK == -1 {
			d.TopK = new(int)
		}
		one := 1.0
		if d.Temperature = q.Temperature; d.Temperature == nil {
			d.Temperature = &one
		}
		seed := rand.Uint64()
		if q.Seed != nil {
			seed = uint64(*q.Seed)
		}
		seed += uint64(k)
		d.Seed = &seed
	case q.Temperature != nil: // 0
		no, greedy := false, 1
		d.Sample, d.Beam = &no, &greedy
	}
	return d
}

// mostStops is how many stop sequences the protocol allows.
const mostStops = 4

func (q *completionRequest) stops() ([]string, error) {
	if !web.Given(q.Stop) {
		return nil, nil
	}
	var stops []string
	var err error
	if web.IsText(q.Stop) {
		stops = []string{""}
		stops[0], err = web.Text("stop", q.Stop)
	} else {
		stops, err = web.Limits{Items: mostStops}.Texts("stop", q.Stop)
	}
	if e := backend.AsError(err); e != nil && e.Kind == backend.TooLarge {
		return nil, &backend.Error{Kind: backend.Invalid, Param: "stop", Limit: mostStops, Message: fmt.Sprintf("stop has more than %d sequences", mostStops)}
	}
	if err != nil {
		return nil, err
	}
	for i, s := range stops {
		if s == "" {
			return nil, backend.Errorf(backend.Invalid, web.At("stop", i), "stop has an empty text")
		}
	}
	return stops, nil
}

// prompts are the texts to write for.
func (q *completionRequest) prompts(l web.Limits) ([]string, error) {
	noTokens := func(raw json.RawMessage) error {
		if web.IsTokens(raw) {
			return backend.Errorf(backend.Cannot, "prompt", "prompt has token ids, which are not supported; send texts")
		}
		return nil
	}
	if err := noTokens(q.Prompt); err != nil {
		return nil, err
	}
	switch {
	case !web.Given(q.Prompt):
		return nil, backend.Errorf(backend.Invalid, "prompt", "prompt is missing; give the text to write for")
	case web.IsText(q.Prompt):
		text, err := web.Text("prompt", q.Prompt)
		return []string{text}, err
	}
	list, err := l.Elements("prompt", q.Prompt)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, backend.Errorf(backend.Invalid, "prompt", "prompt is empty")
	}
	if err := noTokens(list[0]); err != nil {
		return nil, err
	}
	return l.Texts("prompt", q.Prompt)
}

// choice is a text that was written, or a piece of one.
type choice struct {
	Text         string  `json:"text"`
	Index        int     `json:"index"`
	Logprobs     any     `json:"logprobs"` // always null
	FinishReason *string `json:"finish_reason"`
}

type completion struct {
	ID                string   `json:"id"`
	Object            string   `json:"object"`
	Created           int64    `json:"created"`
	Model             string   `json:"model"`
	SystemFingerprint string   `json:"system_fingerprint,omitempty"`
	Choices           []choice `json:"choices"`
	Usage             *usage   `json:"usage"`
}

func (s *server) completions(w http.ResponseWriter, r *http.Request) error {
	var q completionRequest
	if err := web.ReadStrictJSON(w, r, s.limits, &q); err != nil {
		return err
	}
	if err := q.validate(); err != nil {
		return err
	}
	stops, err := q.stops()
	if err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	prompts, err := q.prompts(s.limits)
	if err != nil {
		return err
	}
	if most := s.limits.Items / len(prompts); q.n() > most {
		return &backend.Error{Kind: backend.Invalid, Param: "n", Limit: most, Message: fmt.Sprintf("n is %d; of %d prompts this server writes at most %d texts each", q.n(), len(prompts), most)}
	}
	info := m.Info()
	answer := completion{ID: id("cmpl-"), Object: "text_completion", Created: time.Now().Unix(), Model: info.ID, SystemFingerprint: info.Fingerprint}
	work := &writing{q: &q, model: m, prompts: prompts, stops: stops}
	if !q.Stream {
		choices, use, err := work.all(r.Context(), func(choice) error { return nil })
		if err != nil {
			return err
		}
		answer.Choices, answer.Usage = choices, &use
		web.WriteJSON(w, http.StatusOK, answer)
		return nil
	}
	out := &web.Events{W: w}
	_, use, err := work.all(r.Context(), func(c choice) error {
		piece := answer
		piece.Choices = []choice{c}
		return left(out.Send(piece))
	})
	switch {
	case err != nil && !out.Begun():
		return err // with a status of its own
	case err != nil:
		_, e := describe(http.Header{}, err)
		return ignore(out.Send(failure{e}))
	}
	if q.StreamOptions != nil && q.StreamOptions.IncludeUsage {
		answer.Choices, answer.Usage = []choice{}, &use
		if err := out.Send(answer); err != nil {
			return nil
		}
	}
	return ignore(out.Done())
}

// ignore is for errors of an answer that has begun: nobody is left to tell.
func ignore(error) error { return nil }

// writing is the work of one request.
type writing struct {
	q       *completionRequest
	model   backend.Model
	prompts []string
	stops   []string
}

// atOnce is how many texts of a request wait in the model's queue together: enough to go through the model in one batch.
const atOnce = 8

// all writes n texts for each prompt. emit gets their pieces as they are settled, one call at a time.
func (x *writing) all(ctx context.Context, emit func(choice) error) ([]choice, usage, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	n := x.q.n()
	choices := make([]choice, len(x.prompts)*n)
	own := x.model.Info().Details.Decoding
	var use usage
	wrote := 0
	var mu sync.Mutex
	var wait sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i := range choices {
		wait.Add(1)
		free <- struct{}{}
		go func() {
			defer func() { <-free; wait.Done() }()
			if ctx.Err() != nil {
				return
			}
			request := backend.GenerateRequest{Texts: []string{x.prompts[i/n]}, Decoding: x.q.decoding(own, i%n), Strict: x.q.TruncatePromptTokens == nil}
			var text string
			var g written
			err := web.Caught(ctx, func() (err error) {
				text, g, err = x.one(ctx, request, func(piece string, reason *string) error {
					mu.Lock()
					defer mu.Unlock()
					return emit(choice{Text: piece, Index: i, FinishReason: reason})
				})
				return err
			})
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			reason := g.reason
			choices[i] = choice{Text: text, Index: i, FinishReason: &reason}
			if i%n == 0 {
				use.PromptTokens += g.read
			}
			wrote += g.written
		}()
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, use, context.Cause(ctx)
	}
	use.CompletionTokens, use.TotalTokens = &wrote, use.PromptTokens+wrote
	return choices, use, nil
}

// written is what is known of a text besides the text.
type written struct {
	reason        string // why it ends: "stop" or "length"
	read, written int    // tokens
}

// errStopped ends a text at a stop sequence; nobody has failed.
var errStopped = &backend.Error{Kind: backend.Canceled, Message: "a stop sequence was written"}

// left says of an error of writing a piece that the client left.
func left(err error) error {
	if err == nil {
		return nil
	}
	return &backend.Error{Kind: backend.Canceled, Message: "the client left", Err: err}
}

// one writes a text. emit gets its pieces, and last an empty one with the reason.
func (x *writing) one(ctx context.Context, request backend.GenerateRequest, emit func(piece string, reason *string) error) (string, written, error) {
	until := stopper{stops: x.stops}
	text := ""
	give := func(piece string) error {
		if piece == "" {
			return nil
		}
		text += piece
		return emit(piece, nil)
	}
	got, err := x.model.Generate(ctx, request, func(piece string) error {
		piece, stopped := until.next(piece)
		if err := give(piece); err != nil {
			return err
		}
		if stopped {
			return errStopped
		}
		return nil
	})
	what := written{reason: "length", read: got.Usage.Tokens, written: got.Written}
	switch {
	case errors.Is(err, errStopped):
		what.reason = "stop"
		if what, err = x.count(ctx, request.Texts[0], text, what); err != nil {
			return "", what, err
		}
	case err != nil:
		return "", what, asked(tooLong(err))
	default:
		if got.Finished {
			what.reason = "stop"
		}
		if err := give(until.rest()); err != nil {
			return "", what, err
		}
	}
	return text, what, emit("", &what.reason)
}

// asked says by its name in this protocol what the model refuses.
func asked(err error) error {
	said := *backend.AsError(err)
	if said.Param == "texts" {
		said.Param = "prompt"
	}
	if about, ok := strings.CutPrefix(said.Message, "max_out_len "); ok {
		said.Param, said.Message = "max_tokens", "max_tokens "+about
	}
	return &said
}

// count counts the tokens of a text that a stop sequence ended, which the model does not say.
func (x *writing) count(ctx context.Context, prompt, text string, what written) (written, error) {
	read, err := x.model.Tokenize(ctx, prompt, true)
	if err != nil {
		return what, err
	}
	wrote, err := x.model.Tokenize(ctx, text, false)
	what.read, what.written = len(read), len(wrote)
	return what, err
}
