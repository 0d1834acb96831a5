// Package server says what a client of a vector database has to do for package store.
package server

import (
	"context"
	"net/url"
	"strings"

	"github.com/unimo-go/unimo/internal/model/rank"
)

// Server is one server's part of an index.
type Server interface {
	rank.Store
	// Revision is what the server had when it was connected to; "" for nothing.
	Revision() string
	// Prepare sends what the server lacks of the rows with the numbers own, which are all that it is to have, and of which rows the
	// revision is that of. Nobody sees a change before its Commit.
	Prepare(ctx context.Context, rows rank.Rows, own []int, revision string, tick func(done, total int)) (Change, error)
	// Drop removes what the server has of the index.
	Drop(ctx context.Context) error
}

// Change is a change that is ready.
type Change interface {
	Sent() int // vectors
	Commit(ctx context.Context) error
	Abandon() // after Commit it does nothing
}

// Part is what one server has of an index.
type Part struct {
	rank.Collection
	Shard, Shards int
}

// WithoutSecrets is a URL without its passwords.
func WithoutSecrets(u *url.URL) string {
	public := *u
	if u.User != nil {
		public.User = url.User(u.User.Username())
	}
	public.RawQuery, public.Fragment, public.RawFragment = "", "", ""
	values, _ := url.ParseQuery(u.RawQuery) // of what is damaged the rest
	for name := range values {
		if lower := strings.ToLower(name); strings.Contains(lower, "password") || strings.Contains(lower, "secret") {
			values.Del(name)
		}
	}
	public.RawQuery = values.Encode()
	return public.String()
}
