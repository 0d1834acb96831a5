package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/test/clusters"
)

const (
	index  = "0123456789abcdef"
	digest = "fedcba9876543210ffff"
	size   = 32
)

func collection() rank.Collection { return rank.Collection{Index: index, Model: digest, Size: size} }

// made are n rows.
func made(n int) rank.Rows {
	m := clusters.New(size, 1)
	rows := rank.Rows{Size: size}
	for i := range n {
		id := fmt.Sprintf("%05d.jpg", i)
		rows.IDs, rows.Origins, rows.Vectors = append(rows.IDs, id), append(rows.Origins, sha256.Sum256([]byte(id))), append(rows.Vectors, m.Next()...)
	}
	return rows
}

// first are the first n of rows.
func first(rows rank.Rows, n int) rank.Rows {
	return rank.Rows{IDs: rows.IDs[:n], Origins: rows.Origins[:n], Vectors: rows.Vectors[:n*size], Size: size}
}

// exactly is what an exact search finds.
func exactly(rows rank.Rows, query []float32, k int) []string {
	type hit struct {
		id    string
		score float64
	}
	hits := make([]hit, len(rows.IDs))
	for i, id := range rows.IDs {
		hits[i].id = id
		for j, v := range rows.Vector(i) {
			hits[i].score += float64(v) * float64(query[j])
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return int(math.Copysign(1, b.score-a.score)) })
	ids := make([]string, min(k, len(hits)))
	for i := range ids {
		ids[i] = hits[i].id
	}
	return ids
}

func ids(list []rank.Neighbor) []string {
	var ids []string
	for _, n := range list {
		ids = append(ids, n.ID)
	}
	return ids
}

func open(t *testing.T, urls ...string) rank.Database {
	t.Helper()
	d, err := Open(t.Context(), urls, collection())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func update(t *testing.T, d rank.Database, rows rank.Rows) int {
	t.Helper()
	sent, err := d.Update(t.Context(), rows, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// holds says what is wrong with what a database has, if it is not rows.
func holds(t *testing.T, d rank.Database, rows rank.Rows) {
	t.Helper()
	list, err := d.Nearest(t.Context(), rows.Vector(0), len(rows.IDs)+100)
	if err != nil {
		t.Fatal(err)
	}
	want := maps.Collect(func(yield func(string, rank.Origin) bool) {
		for i, id := range rows.IDs {
			yield(id, rows.Origins[i])
		}
	})
	got := map[string]rank.Origin{}
	for _, n := range list {
		got[n.ID] = n.Origin
	}
	if len(list) != len(got) || !maps.Equal(got, want) {
		t.Errorf("the database has %d rows, want %d, each as it is", len(list), len(want))
	}
}

// standing is a database server of a test.
type standing interface {
	Empty(t testing.TB) string // the URL of an empty database
	Run(t testing.TB)          // again, after Kill
	Kill()
	Signal(sig syscall.Signal)
}

// kind is a kind of server, with what sets it apart.
type kind struct {
	secret          string                         // which no error may show
	atOnce          bool                           // nobody sees what an update has sent before it has ended
	scanning, exact string                         // what makes a URL have the vectors' index be asked, or not be
	beside          func(t *testing.T, url string) // makes something that is not ours
	untouched       func(t *testing.T, url string) // it is as it was
}

// still says what is wrong with what who has the rows finds, while an update goes on or after it was interrupted.
func (k kind) still(t *testing.T, d rank.Database, rows rank.Rows) {
	t.Helper()
	if k.atOnce {
		holds(t, d, rows)
		return
	}
	list, err := d.Nearest(t.Context(), rows.Vector(0), 10*len(rows.IDs))
	if err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(n rank.Neighbor) bool {
		at := slices.Index(rows.IDs, n.ID)
		return at < 0 || rows.Origins[at] != n.Origin
	})
	if len(list) != len(rows.IDs) {
		t.Errorf("the database has %d of the rows, want %d", len(list), len(rows.IDs))
	}
}

// shows says whether an error has the secret.
func (k kind) shows(err error) bool { return k.secret != "" && strings.Contains(err.Error(), k.secret) }

// test runs what all kinds of servers are to do, with two of them.
func (k kind) test(t *testing.T, one, two standing) {
	for _, c := range []struct {
		name string
		test func(k kind, t *testing.T, one, two standing)
	}{
		{"nearest", kind.nearest}, {"updating", kind.updating}, {"ids are data", kind.idsAreData},
		{"an update is all or nothing", kind.updateIsAllOrNothing}, {"a server stops under load", kind.serverStopsUnderLoad},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(k, t, one, two) })
	}
}

// What the vectors' index finds is nearly what an exact search finds, and without it, where a server can, it is that: on one server and on two.
func (k kind) nearest(t *testing.T, one, two standing) {
	rows, queries := made(1500), clusters.New(size, 1)
	for range len(rows.IDs) {
		queries.Next()
	}
	for name, urls := range map[string][]string{
		"one server":  {one.Empty(t)},
		"two servers": {one.Empty(t), two.Empty(t)},
	} {
		t.Run(name, func(t *testing.T) {
			var scanned, sorted []string
			for _, u := range urls {
				scanned, sorted = append(scanned, u+k.scanning), append(sorted, u+k.exact)
			}
			hnsw := open(t, scanned...)
			if hnsw.Revision() != "" || update(t, hnsw, rows) != len(rows.IDs) {
				t.Error("rows before they were sent, or not all sent")
			}
			all := open(t, sorted...)
			if all.Revision() != rows.Revision() {
				t.Errorf("revision %q, want %q", all.Revision(), rows.Revision())
			}
			holds(t, hnsw, rows)
			found := 0
			const best, asked = 20, 25
			for range asked {
				query := queries.Next()
				want := exactly(rows, query, best)
				got, err := all.Nearest(t.Context(), query, best)
				if err != nil || k.exact != "" && !slices.Equal(ids(got), want) {
					t.Fatalf("found %v (%v), want %v", ids(got), err, want)
				}
				if got, err = hnsw.Nearest(t.Context(), query, best); err != nil || len(got) != best {
					t.Fatal(len(got), err)
				}
				for _, n := range got {
					if slices.Contains(want, n.ID) {
						found++
					}
				}
			}
			if recall := float64(found) / (best * asked); recall < 0.98 {
				t.Errorf("recall@%d is %.4f", best, recall)
			} else {
				t.Logf("recall@%d is %.4f", best, recall)
			}
			if err := hnsw.Drop(t.Context()); err != nil {
				t.Error(err)
			}
			if open(t, urls...).Revision() != "" {
				t.Error("there is something left")
			}
		})
	}
}

func (k kind) updating(t *testing.T, one, two standing) {
	url := one.Empty(t)
	rows := made(1200)
	d := open(t, url)
	update(t, d, first(rows, 1000))
	changed := rows
	changed.Origins = slices.Clone(rows.Origins)
	changed.Origins[3], changed.Origins[7] = rank.Origin{1}, rank.Origin{2}
	if sent := update(t, d, changed); sent != 202 {
		t.Errorf("%d vectors were sent, want the 200 that are new and the 2 that have changed", sent)
	}
	holds(t, d, changed)
	again := open(t, url)
	if sent := update(t, again, changed); sent != 0 {
		t.Errorf("%d vectors were sent again", sent)
	}
	if update(t, d, first(rows, 10)) != 2 {
		t.Error("want the two that have changed back")
	}
	holds(t, d, first(rows, 10))

	// Another model has another table, in the place of the old one.
	c := collection()
	c.Model, c.Size = "ffffffffffffffff", size/2
	other, err := Open(t.Context(), []string{url}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Revision() != "" {
		t.Error("another model has the vectors of this one")
	}
	half := rank.Rows{IDs: rows.IDs[:4], Origins: rows.Origins[:4], Vectors: rows.Vectors[:4*size/2], Size: size / 2}
	if sent := update(t, other, half); sent != 4 {
		t.Errorf("%d vectors were sent, want 4", sent)
	}
	if _, err := d.Nearest(t.Context(), rows.Vector(0), 3); err == nil || !strings.Contains(err.Error(), "made again") {
		t.Errorf("error %v of the first model", err)
	}
}

// Ids are data, whatever is in them.
func (k kind) idsAreData(t *testing.T, one, two standing) {
	url := one.Empty(t)
	k.beside(t, url)
	rows := made(12)
	for i, id := range []string{"'; DROP TABLE mine; --", `"; DROP TABLE mine; --`, `\'); DROP TABLE mine; --`, "$1", "%s%n", "{a,b}", `{"a"}`, "NULL", "tab\tand\nline", "ünï©ode 😀", strings.Repeat("long/", 400), " "} {
		rows.IDs[i] = id
	}
	d := open(t, url)
	for range 2 {
		update(t, d, rows)
		holds(t, d, rows)
		k.untouched(t, url)
		rows.Origins[0][0]++
	}
	update(t, d, first(rows, 1))
	holds(t, d, first(rows, 1))
}

// A query sees the old rows until all servers have the new ones, and an update that was killed has changed nothing.
func (k kind) updateIsAllOrNothing(t *testing.T, one, two standing) {
	urls := []string{one.Empty(t), two.Empty(t)}
	rows := made(2000)
	old := first(rows, 500)
	d := open(t, urls...)
	update(t, d, old)
	interrupted, interrupt := context.WithCancel(t.Context())
	if _, err := d.Update(interrupted, rows, func(done, total int) {
		if done > 0 {
			interrupt()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of an update that was interrupted", err)
	}
	k.still(t, open(t, urls...), old)
	if !k.atOnce { // what an interrupted update has sent stays; a server that ends meanwhile may lose some of it
		if sent := update(t, d, rows); sent > 1000 {
			t.Errorf("%d vectors were sent again", sent)
		}
		holds(t, d, rows)
		return
	}
	killed := false
	_, err := d.Update(t.Context(), rows, func(done, total int) {
		if done > 0 && !killed {
			holds(t, open(t, urls...), old)
			killed = true
			two.Kill()
		}
	})
	if err == nil || !killed || !strings.Contains(err.Error(), "shard 2 of 2") {
		t.Fatalf("error %v; killed %v", err, killed)
	}
	if _, err := Open(t.Context(), urls, collection()); err == nil || !strings.Contains(err.Error(), "shard 2 of 2") || k.shows(err) {
		t.Errorf("one of two servers is down: %v", err)
	}
	two.Run(t)
	again := open(t, urls...)
	if again.Revision() != old.Revision() {
		t.Errorf("revision %q, want the old", again.Revision())
	}
	holds(t, again, old)
	if sent := update(t, again, rows); sent != 1500 {
		t.Errorf("%d vectors were sent, want 1500", sent)
	}
	holds(t, d, rows)
	// The other way round, servers with their shards exchanged are brought into order.
	slices.Reverse(urls)
	exchanged := open(t, urls...)
	if exchanged.Revision() != "" {
		t.Error("servers that were exchanged are not noticed")
	}
	update(t, exchanged, rows)
	holds(t, exchanged, rows)
}

// A server that stops under load makes errors that name it, and nothing else; once it is back it answers.
func (k kind) serverStopsUnderLoad(t *testing.T, one, two standing) {
	urls := []string{one.Empty(t), two.Empty(t)}
	rows := made(300)
	d := open(t, urls...)
	update(t, d, rows)
	var wait sync.WaitGroup
	var answered, failed atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for worker := range 4 {
		wait.Go(func() {
			for i := worker; ctx.Err() == nil; i += 4 {
				query := rows.Vector(i % 300)
				list, err := d.Nearest(ctx, query, 20)
				switch {
				case err == nil && !slices.Equal(ids(list), exactly(rows, query, 20)):
					t.Errorf("a part of an answer: %v", ids(list))
				case err == nil:
					answered.Add(1)
				case ctx.Err() == nil && (!strings.Contains(err.Error(), "shard 2 of 2") || k.shows(err)):
					t.Errorf("error %v", err)
				default:
					failed.Add(1)
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	until := func(n *atomic.Int64) {
		t.Helper()
		for from := n.Load(); n.Load() < from+20; time.Sleep(5 * time.Millisecond) {
			if ctx.Err() != nil {
				t.Fatal("nothing happens")
			}
		}
	}
	until(&answered)
	two.Kill()
	until(&failed)
	two.Run(t)
	until(&answered)
	cancel()
	wait.Wait()

	// One that hangs is an error in time.
	two.Signal(syscall.SIGSTOP)
	defer two.Signal(syscall.SIGCONT)
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := d.Nearest(short, rows.Vector(0), 5); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "shard 2 of 2") || time.Since(begin) > 5*time.Second {
		t.Errorf("error %v after %v", err, time.Since(begin))
	}
}
