package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store/pgvector"
	"github.com/unimo-go/unimo/internal/store/server"
	"github.com/unimo-go/unimo/internal/store/weaviate"
)

// Timeout bounds the answer to a query: a server that hangs must not hold up all others.
const Timeout = 10 * time.Second

// connects is the client for each scheme.
var connects = map[string]func(ctx context.Context, address string, p server.Part) (server.Server, error){
	"postgres":   pgvector.Connect,
	"postgresql": pgvector.Connect,

	weaviate.Scheme + "http":  weaviate.Connect,
	weaviate.Scheme + "https": weaviate.Connect,
}

// database is a [rank.Database] of several servers, each with its shard.
type database struct {
	urls    []string
	servers []server.Server
}

// Open implements [rank.OpenStore].
func Open(ctx context.Context, urls []string, c rank.Collection) (rank.Database, error) {
	d := &database{servers: make([]server.Server, len(urls))}
	parsed := make([]*url.URL, len(urls))
	for i, address := range urls {
		u, err := parse(address)
		if err != nil {
			return nil, err
		}
		parsed[i] = u
		if public := server.WithoutSecrets(u); slices.Contains(d.urls, public) {
			return nil, fmt.Errorf("store %s is named twice; each server has vectors of its own", public)
		} else {
			d.urls = append(d.urls, public)
		}
	}
	err := d.each(ctx, func(ctx context.Context, i int) (err error) {
		d.servers[i], err = connects[parsed[i].Scheme](ctx, urls[i], server.Part{Collection: c, Shard: i, Shards: len(urls)})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// parse reads the URL of a server. Errors do not quote it, as it may hold a password.
func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	authority, rest, _ := strings.Cut(strings.TrimPrefix(address[strings.Index(address, ":")+1:], "//"), "/")
	if err != nil || strings.Contains(address, "#") || strings.Count(authority, "@") > 1 || strings.Contains(rest, "@") { // what is wrong may be part of a password
		return nil, errors.New("a store is no URL; want one such as postgres://ada@db.example:5432/photos or weaviate+http://db.example:8080 (in a password, write %40 for @ and the like)")
	}
	if u.Scheme == "" {
		return nil, fmt.Errorf("store %q is no URL; want one such as postgres://ada@db.example:5432/photos or weaviate+http://db.example:8080", server.WithoutSecrets(u))
	}
	if connects[u.Scheme] == nil {
		return nil, fmt.Errorf("store %s is of no kind that is known; want a URL such as postgres://ada@db.example:5432/photos or weaviate+http://db.example:8080", server.WithoutSecrets(u))
	}
	return u, nil
}

// each calls work for every server at once, and names the one that failed.
func (d *database) each(ctx context.Context, work func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range d.urls {
		g.Go(func() error {
			if err := work(ctx, i); err != nil {
				return d.failed(i, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// failed is the error of one server.
func (d *database) failed(i int, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer in time (%w)", err)
	}
	if len(d.urls) == 1 {
		return fmt.Errorf("store %s: %w", d.urls[i], err)
	}
	return fmt.Errorf("store %s (shard %d of %d): %w", d.urls[i], i+1, len(d.urls), err)
}

// URLs implements [rank.Database].
func (d *database) URLs() []string { return d.urls }

// Revision implements [rank.Database].
func (d *database) Revision() string {
	var all []string
	for _, s := range d.servers {
		if s.Revision() == "" {
			return ""
		}
		all = append(all, s.Revision())
	}
	return strings.Join(slices.Compact(all), "+")
}

// Nearest implements [rank.Store].
func (d *database) Nearest(ctx context.Context, query []float32, k int) ([]rank.Neighbor, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	lists := make([][]rank.Neighbor, len(d.servers))
	err := d.each(ctx, func(ctx context.Context, i int) (err error) {
		lists[i], err = d.servers[i].Nearest(ctx, query, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(lists) == 1 {
		return lists[0], nil
	}
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b rank.Neighbor) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.ID, b.ID))
	})
	return all[:min(k, len(all))], nil
}

// shard is the number of the server that has the vector of an id.
func shard(id string, shards int) int {
	h := fnv.New64a()
	h.Write([]byte(id))
	return int(h.Sum64() % uint64(shards))
}

// Update implements [rank.Database]. No server takes the new rows before all are ready to.
func (d *database) Update(ctx context.Context, rows rank.Rows, tick func(done, total int)) (sent int, err error) {
	of := make([][]int, len(d.servers))
	for i, id := range rows.IDs {
		s := shard(id, len(of))
		of[s] = append(of[s], i)
	}
	var mu sync.Mutex
	dones, totals := make([]int, len(of)), make([]int, len(of))
	changes := make([]server.Change, len(d.servers))
	defer func() {
		for _, c := range changes {
			if c != nil {
				c.Abandon()
			}
		}
	}()
	revision := rows.Revision()
	err = d.each(ctx, func(ctx context.Context, i int) (err error) {
		changes[i], err = d.servers[i].Prepare(ctx, rows, of[i], revision, func(done, total int) {
			mu.Lock()
			defer mu.Unlock()
			dones[i], totals[i] = done, total
			tick(sum(dones), sum(totals))
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	for i, c := range changes {
		if err := c.Commit(ctx); err != nil {
			return sent, d.failed(i, err)
		}
		sent += c.Sent()
	}
	return sent, nil
}

func sum(list []int) (total int) {
	for _, n := range list {
		total += n
	}
	return total
}

// Drop implements [rank.Database].
func (d *database) Drop(ctx context.Context) error {
	return d.each(ctx, func(ctx context.Context, i int) error { return d.servers[i].Drop(ctx) })
}

// Close implements [rank.Store].
func (d *database) Close() error {
	var errs []error
	for i, s := range d.servers {
		if s != nil {
			if err := s.Close(); err != nil {
				errs = append(errs, d.failed(i, err))
			}
		}
	}
	return errors.Join(errs...)
}
