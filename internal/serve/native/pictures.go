package native

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

type searchRequest struct {
	Model   string        `json:"model"`
	Text    string        `json:"text"`
	Picture web.Reference `json:"picture"`
	K       *int          `json:"k"`
}

type searchAnswer struct {
	Model string         `json:"model"`
	Found []answer.Found `json:"found"`
	Usage usage          `json:"usage"`
}

// fitOf is what a model that is calibrated says of a score.
func fitOf(x backend.Score) answer.Fit {
	return answer.FitOf(run.Matched{Probability: x.Probability, Fits: x.Fits, Calibrated: x.Calibrated})
}

// pictureOf is the address of a picture of the index of the model that a request named.
func pictureOf(id, model string) string {
	u := url.URL{Path: "/pictures/" + id}
	if model != "" {
		u.RawQuery = url.Values{"model": {model}}.Encode()
	}
	return u.String()
}

func (s *server) search(ctx context.Context, q searchRequest) (a searchAnswer, err error) {
	if err := either(q.Text != "", q.Picture != "", "text or picture"); err != nil {
		return a, err
	}
	k, err := s.many(q.K, 10)
	if err != nil {
		return a, err
	}
	m, err := s.models.Model(q.Model)
	if err != nil {
		return a, err
	}
	item := backend.Item{Text: q.Text}
	if q.Picture != "" {
		if item.Picture, err = s.picked(ctx, "picture", q.Picture); err != nil {
			return a, err
		}
	}
	hits, use, err := m.Search(ctx, item, k)
	if err != nil {
		return a, err
	}
	a = searchAnswer{m.Info().ID, make([]answer.Found, len(hits)), usage(use)}
	for i, h := range hits {
		a.Found[i] = answer.Found{Rank: i + 1, Image: h.ID, Path: pictureOf(h.ID, q.Model), Similarity: float32(h.Similarity), Fit: fitOf(h.Score)}
		if match := float32(h.Score.Value); h.Ranked {
			a.Found[i].Match = &match
		}
	}
	return a, nil
}

type picturesAnswer struct {
	Model    string    `json:"model"`
	Pictures []indexed `json:"pictures"`
	Total    int       `json:"total"`
}

type indexed struct {
	Image string `json:"image"`
	Path  string `json:"path"`
}

// pictures lists pictures of an index.
func (s *server) pictures(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "first", "k", "model")
	if err != nil {
		return err
	}
	number := func(name string, otherwise int) (int, error) {
		if !q.Has(name) {
			return otherwise, nil
		}
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 0 {
			return 0, backend.Errorf(backend.Invalid, name, "%s is %.40q; want a number from 0", name, q.Get(name))
		}
		return n, nil
	}
	first, err := number("first", 0)
	if err != nil {
		return err
	}
	k, err := number("k", 10)
	if err != nil {
		return err
	}
	if k, err = s.many(&k, 0); err != nil {
		return err
	}
	m, err := s.models.Model(q.Get("model"))
	if err != nil {
		return err
	}
	ids, total, err := m.Pictures(r.Context(), first, k)
	if err != nil {
		return err
	}
	a := picturesAnswer{m.Info().ID, make([]indexed, len(ids)), total}
	for i, id := range ids {
		a.Pictures[i] = indexed{id, pictureOf(id, q.Get("model"))}
	}
	web.WriteJSON(w, http.StatusOK, a)
	return nil
}

// thumbnailSide is the longer side of a picture that is shown among others, in pixels: sharp on a phone.
const thumbnailSide = 480

// picture answers with a picture of an index, small enough to be shown among others, or with size=full as it is. The model looks the id up
// in its index; no path is made of what a client sent.
func (s *server) picture(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "model", "size")
	if err != nil {
		return err
	}
	size := q.Get("size")
	if size != "" && size != "full" {
		return backend.Errorf(backend.Invalid, "size", `size is %.40q; want "full", or leave it out`, size)
	}
	m, err := s.models.Model(q.Get("model"))
	if err != nil {
		return err
	}
	raw, err := m.Picture(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if size == "" {
		err := picture.VisitContext(r.Context(), raw, picture.DefaultLimits, func(p *picture.Picture) {
			if max(p.Width, p.Height) > thumbnailSide {
				if small, err := p.Thumbnail(thumbnailSide); err == nil {
					raw = small
				}
			}
		})
		if r.Context().Err() != nil {
			return backend.Ended(r.Context())
		}
		if err != nil {
			return &backend.Error{Kind: backend.NotFound, Param: "id", Message: "the picture cannot be read any more", Err: err}
		}
	}
	kind := http.DetectContentType(raw)
	if !strings.HasPrefix(kind, "image/") {
		return &backend.Error{Kind: backend.NotFound, Param: "id", Message: "the file is no picture any more", Err: fmt.Errorf("its type is %s", kind)}
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	h.Set("Cache-Control", "private, max-age=300")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.Write(raw)
	return nil
}

type captionRequest struct {
	Model   string        `json:"model"`
	Picture web.Reference `json:"picture"`
	backend.Decoding
}

type captionAnswer struct {
	Model string `json:"model"`
	answer.Caption
	Usage usage `json:"usage"`
}

func (s *server) caption(ctx context.Context, q captionRequest) (a captionAnswer, err error) {
	m, err := s.models.Model(q.Model)
	if err != nil {
		return a, err
	}
	raw, err := s.picked(ctx, "picture", q.Picture)
	if err != nil {
		return a, err
	}
	g, err := m.Caption(ctx, raw, q.Decoding)
	return captionAnswer{m.Info().ID, answer.Caption{Image: "picture", Caption: g.Text, Score: g.Score, Finished: g.Finished}, usage(g.Usage)}, err
}

type askRequest struct {
	Model    string        `json:"model"`
	Picture  web.Reference `json:"picture"`
	Question string        `json:"question"`
	K        *int          `json:"k"`
}

type askAnswer struct {
	Model string `json:"model"`
	answer.Answer
	Usage usage `json:"usage"`
}

func (s *server) ask(ctx context.Context, q askRequest) (a askAnswer, err error) {
	k, err := s.many(q.K, 1)
	if err != nil {
		return a, err
	}
	if q.Question == "" {
		return a, backend.Errorf(backend.Invalid, "question", "question is missing; ask something about the picture")
	}
	m, err := s.models.Model(q.Model)
	if err != nil {
		return a, err
	}
	raw, err := s.picked(ctx, "picture", q.Picture)
	if err != nil {
		return a, err
	}
	said, use, err := m.Ask(ctx, raw, q.Question, k)
	if err != nil {
		return a, err
	}
	return askAnswer{m.Info().ID, answer.AnswerOf("picture", said, k), usage(use)}, nil
}

// matchRequest compares a picture or a text with texts or with pictures.
type matchRequest struct {
	Model    string          `json:"model"`
	Picture  web.Reference   `json:"picture"`
	Texts    []string        `json:"texts"`
	Text     string          `json:"text"`
	Pictures []web.Reference `json:"pictures"`
}

type matchAnswer struct {
	Model      string         `json:"model"`
	Similarity bool           `json:"similarity"` // scores are similarities of vectors, -1 to 1
	Matches    []answer.Match `json:"matches"`
	Usage      usage          `json:"usage"`
}

func (s *server) match(ctx context.Context, q matchRequest) (a matchAnswer, err error) {
	query, documents, err := s.sides(ctx, q)
	if err != nil {
		return a, err
	}
	m, err := s.models.Model(q.Model)
	if err != nil {
		return a, err
	}
	scores, err := m.Score(ctx, query, documents)
	if err != nil {
		return a, err
	}
	a = matchAnswer{m.Info().ID, scores.Similarity, make([]answer.Match, len(documents)), usage(scores.Usage)}
	for i, x := range scores.List {
		one := answer.Match{Text: cmp.Or(documents[i].Text, q.Text), Score: float32(x.Value), Fit: fitOf(x), Truncated: x.Truncated}
		switch {
		case documents[i].Picture != nil:
			one.Image = web.At("pictures", i)
		case q.Picture != "":
			one.Image = "picture"
		}
		a.Matches[i] = one
	}
	return a, nil
}

// sides are what is compared with what.
func (s *server) sides(ctx context.Context, q matchRequest) (query backend.Item, documents []backend.Item, err error) {
	if err := cmp.Or(either(q.Text != "", q.Picture != "", "text or picture"), either(len(q.Texts) > 0, len(q.Pictures) > 0, "texts or pictures")); err != nil {
		return query, nil, err
	}
	if err := cmp.Or(s.limits.CheckItems("texts", len(q.Texts)), s.limits.CheckItems("pictures", len(q.Pictures))); err != nil {
		return query, nil, err
	}
	query.Text = q.Text
	if q.Picture != "" {
		if query.Picture, err = s.picked(ctx, "picture", q.Picture); err != nil {
			return query, nil, err
		}
	}
	for _, t := range q.Texts {
		documents = append(documents, backend.Item{Text: t})
	}
	for i, ref := range q.Pictures {
		raw, err := s.picked(ctx, web.At("pictures", i), ref)
		if err != nil {
			return query, nil, err
		}
		documents = append(documents, backend.Item{Picture: raw})
	}
	return query, documents, nil
}
