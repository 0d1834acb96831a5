package backend_test

import (
	"context"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
)

func TestShorten(t *testing.T) {
	ctx, m := context.Background(), backendtest.New()[0]
	tokens, err := m.Tokenize(ctx, "a b c d", false)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, x := range tokens {
		ids = append(ids, x.ID)
	}
	text, given := backend.Item{Text: "a b c d"}, backend.Item{Tokens: ids}
	for _, c := range []struct {
		it     backend.Item
		tokens int // two stand around a text
		last   bool
		want   []int // nil: as it was
	}{
		{text, 6, false, nil},
		{text, 5, false, ids[:3]},
		{text, 5, true, ids[1:]},
		{text, 3, true, ids[3:]},
		{given, 6, true, nil},
		{given, 4, false, ids[:2]},
		{backend.Item{Picture: []byte("x")}, 3, false, nil},
	} {
		got, err := backend.Shorten(ctx, m, c.it, "n", c.tokens, c.last)
		want := c.it.Tokens
		if c.want != nil {
			want = c.want
		}
		if err != nil || !slices.Equal(got.Tokens, want) || (got.Text == "") != (c.it.Text == "" || c.want != nil) {
			t.Errorf("%+v to %d: %+v, %v", c.it, c.tokens, got, err)
		}
	}
	if _, err := backend.Shorten(ctx, m, text, "n", 2, false); backend.AsError(err).Param != "n" {
		t.Error(err)
	}
}

func TestShortenText(t *testing.T) {
	ctx, m := context.Background(), backendtest.New()[0]
	for tokens, want := range map[int]string{3: "aa", 4: "aa bb", 5: "aa bb  cc ", 9: "aa bb  cc "} {
		if got, err := backend.ShortenText(ctx, m, "aa bb  cc ", "n", tokens); err != nil || got != want {
			t.Errorf("%d: %q, %v, want %q", tokens, got, err, want)
		}
	}
	if _, err := backend.ShortenText(ctx, m, "a", "n", 1); backend.AsError(err).Param != "n" {
		t.Error(err)
	}
}
