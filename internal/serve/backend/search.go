package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
)

// searching answers queries from an index.
func searching(x run.Index) func(ctx context.Context, queries []rank.Query) ([][]Found, error) {
	return func(ctx context.Context, queries []rank.Query) ([][]Found, error) {
		hits, err := x.Search(ctx, queries)
		if store := (*rank.StoreError)(nil); errors.As(err, &store) && ctx.Err() == nil {
			err = &Error{Kind: Unavailable, Message: "the index cannot be searched now; try again", RetryAfter: 5 * time.Second, Err: err}
		}
		all := make([][]Found, len(hits))
		for i, list := range hits {
			for _, hit := range list {
				f := Found{ID: hit.ID, Similarity: float64(hit.Similarity), Ranked: hit.Ranked}
				if queries[i].Image == nil {
					f.Score = scoreOf(x.Says(hit))
					f.Score.Value = float64(hit.Match)
				}
				all[i] = append(all[i], f)
			}
		}
		return all, err
	}
}

// searcher returns the head that has an index.
func (v view) searcher() (*head, error) {
	does := "search; models for retrieval with vectors of pictures (contrast_size) do"
	if slices.ContainsFunc(v.heads, func(h *head) bool { return h.OpenIndex != nil }) {
		does = "search; start the server with the index that it made (--index)"
	}
	return v.with(CanSearch, does)
}

// Search implements [Model].
func (m *served) Search(ctx context.Context, item Item, k int) (list []Found, use Usage, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.searcher()
		if err != nil {
			return err
		}
		switch {
		case k < 1:
			return Errorf(Invalid, "k", "%d pictures; ask for 1 or more", k)
		case item.Tokens != nil:
			return Errorf(Invalid, "text", "the query is tokens; give a text or a picture")
		}
		it, q := rank.Query{K: min(k, len(h.ids))}, &request{group: h}
		if item.Picture != nil {
			images, err := m.r.decode(ctx, v, h, "picture", [][]byte{item.Picture})
			if err != nil {
				return err
			}
			it.Image, q.rows, use.Pictures = images[0], rowsOf(images), 1
		} else {
			it.Text, _ = h.index.Encode(item.Text)
			q.rows, use.Tokens = []int{len(it.Text)}, len(it.Text)
			if it.Candidates = h.index.Candidates(); it.Candidates > 0 {
				q.rows[0] += shareRows // what the pairs of a text and its candidates take
			}
		}
		q.usage = use
		found, err := through(ctx, v, q, "search", []rank.Query{it}, searching(h.index))
		if err == nil {
			list = found[0]
		}
		return err
	})
	return list, use, err
}

// Pictures implements [Model].
func (m *served) Pictures(_ context.Context, first, k int) (ids []string, total int, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.searcher()
		if err != nil {
			return err
		}
		all := h.index.IDs()
		total = len(all)
		first = min(max(first, 0), total)
		ids = slices.Clone(all[first:min(first+max(k, 0), total)])
		return nil
	})
	return ids, total, err
}

// Picture implements [Model].
func (m *served) Picture(_ context.Context, id string) (raw []byte, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.searcher()
		if err != nil {
			return err
		}
		if !h.ids[id] {
			return Errorf(NotFound, "id", "no picture of the index is called %.100q", id)
		}
		path := h.index.Path(id)
		if path == "" {
			return Errorf(NotFound, "id", "the index is of region features, which have no pictures with them")
		}
		raw, err = picture.ReadFile(path, picture.Limits{})
		if err != nil {
			return &Error{Kind: NotFound, Param: "id", Message: fmt.Sprintf("picture %.100q cannot be read any more; the index is older than the folder", id), Err: err}
		}
		return nil
	})
	return raw, err
}
