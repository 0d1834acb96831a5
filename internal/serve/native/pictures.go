package native

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

type searchRequest struct {
	Model   string        `json:"model"`
	Text    string        `json:"text"`
	Picture web.Reference `json:"picture"`
	K       *int          `json:"k"`
}

type found struct {
	ID          string   `json:"id"`
	Picture     string   `json:"picture"` // where it is
	Similarity  float64  `json:"similarity"`
	Ranked      bool     `json:"ranked"`
	Match       *float64 `json:"match,omitempty"`
	Probability *float64 `json:"probability,omitempty"`
	Fits        *bool    `json:"fits,omitempty"`
}

type searchAnswer struct {
	Model string  `json:"model"`
	Found []found `json:"found"`
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
	hits, err := m.Search(ctx, item, k)
	if err != nil {
		return a, err
	}
	a = searchAnswer{m.Info().ID, []found{}}
	for _, h := range hits {
		f := found{ID: h.ID, Picture: pictureOf(h.ID, q.Model), Similarity: h.Similarity, Ranked: h.Ranked}
		if h.Ranked {
			f.Match = &h.Score.Value
		}
		if h.Score.Calibrated {
			f.Probability, f.Fits = &h.Score.Probability, &h.Score.Fits
		}
		a.Found = append(a.Found, f)
	}
	return a, nil
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
	type entry struct {
		ID      string `json:"id"`
		Picture string `json:"picture"`
	}
	list := make([]entry, len(ids))
	for i, id := range ids {
		list[i] = entry{id, pictureOf(id, q.Get("model"))}
	}
	web.WriteJSON(w, http.StatusOK, map[string]any{"model": m.Info().ID, "pictures": list, "total": total})
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

// text is a text that a model wrote.
type text struct {
	Model     string  `json:"model"`
	Generated string  `json:"generated"`
	Score     float64 `json:"score"`
	Finished  bool    `json:"finished"`
	Usage     usage   `json:"usage"`
}

func textOf(m backend.Model, g backend.Generated) text {
	return text{m.Info().ID, g.Text, g.Score, g.Finished, usage(g.Usage)}
}

func (s *server) caption(ctx context.Context, q captionRequest) (a text, err error) {
	m, err := s.models.Model(q.Model)
	if err != nil {
		return a, err
	}
	raw, err := s.picked(ctx, "picture", q.Picture)
	if err != nil {
		return a, err
	}
	g, err := m.Caption(ctx, raw, q.Decoding)
	return textOf(m, g), err
}

type askRequest struct {
	Model    string        `json:"model"`
	Picture  web.Reference `json:"picture"`
	Question string        `json:"question"`
	K        *int          `json:"k"`
}

type given struct {
	Answer      string  `json:"answer"`
	Probability float64 `json:"probability"`
}

type askAnswer struct {
	Model   string  `json:"model"`
	Answers []given `json:"answers"`
	Usage   usage   `json:"usage"`
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
	answers, use, err := m.Ask(ctx, raw, q.Question, k)
	if err != nil {
		return a, err
	}
	a = askAnswer{m.Info().ID, []given{}, usage(use)}
	for _, x := range answers {
		a.Answers = append(a.Answers, given{x.Text, x.Probability})
	}
	return a, nil
}

// matchRequest compares a picture or a text with texts or with pictures.
type matchRequest struct {
	Model    string          `json:"model"`
	Picture  web.Reference   `json:"picture"`
	Texts    []string        `json:"texts"`
	Text     string          `json:"text"`
	Pictures []web.Reference `json:"pictures"`
}

type match struct {
	Score       float64  `json:"score"`
	Probability *float64 `json:"probability,omitempty"`
	Fits        *bool    `json:"fits,omitempty"`
	Truncated   bool     `json:"truncated,omitempty"`
}

type matchAnswer struct {
	Model      string  `json:"model"`
	Similarity bool    `json:"similarity"` // scores are similarities of vectors, -1 to 1
	Matches    []match `json:"matches"`
	Usage      usage   `json:"usage"`
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
	a = matchAnswer{m.Info().ID, scores.Similarity, []match{}, usage(scores.Usage)}
	for _, x := range scores.List {
		one := match{Score: x.Value, Truncated: x.Truncated}
		if x.Calibrated {
			one.Probability, one.Fits = &x.Probability, &x.Fits
		}
		a.Matches = append(a.Matches, one)
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
