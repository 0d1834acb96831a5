package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/test/clusters"
	"github.com/unimo-go/unimo/internal/test/postgres"
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

// TestPgvector runs against two real servers.
func TestPgvector(t *testing.T) {
	one, two := postgres.Start(t), postgres.Start(t)
	for _, c := range []struct {
		name string
		test func(t *testing.T, one, two *postgres.Server)
	}{
		{"nearest", nearest}, {"updating", updating}, {"ids are data", idsAreData}, {"an update is all or nothing", updateIsAllOrNothing},
		{"a server stops under load", serverStopsUnderLoad}, {"opening says what is wrong", openSaysWhatIsWrong},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, one, two) })
	}
}

// What an index scan finds is nearly what an exact search finds, and without an index scan it is that: on one server and on two.
func nearest(t *testing.T, one, two *postgres.Server) {
	rows, queries := made(1500), clusters.New(size, 1)
	for range len(rows.IDs) {
		queries.Next()
	}
	for name, urls := range map[string][]string{
		"one server":  {one.Database(t, postgres.Extension)},
		"two servers": {one.Database(t, postgres.Extension), two.Database(t, postgres.Extension)},
	} {
		t.Run(name, func(t *testing.T) {
			var scanned, sorted []string
			for _, u := range urls {
				scanned, sorted = append(scanned, u+"&enable_seqscan=off"), append(sorted, u+"&enable_indexscan=off")
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
			const k, asked = 20, 25
			for range asked {
				query := queries.Next()
				want := exactly(rows, query, k)
				got, err := all.Nearest(t.Context(), query, k)
				if err != nil || !slices.Equal(ids(got), want) {
					t.Fatalf("found %v (%v), want %v", ids(got), err, want)
				}
				if got, err = hnsw.Nearest(t.Context(), query, k); err != nil || len(got) != k {
					t.Fatal(len(got), err)
				}
				for _, n := range got {
					if slices.Contains(want, n.ID) {
						found++
					}
				}
			}
			if recall := float64(found) / (k * asked); recall < 0.98 {
				t.Errorf("recall@%d is %.4f", k, recall)
			} else {
				t.Logf("recall@%d is %.4f", k, recall)
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

func updating(t *testing.T, one, two *postgres.Server) {
	url := one.Database(t, postgres.Extension)
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
func idsAreData(t *testing.T, one, two *postgres.Server) {
	url := one.Database(t, postgres.Extension, "CREATE TABLE mine (x int)", "INSERT INTO mine VALUES (1)")
	rows := made(12)
	for i, id := range []string{"'; DROP TABLE mine; --", `"; DROP TABLE mine; --`, `\'); DROP TABLE mine; --`, "$1", "%s%n", "{a,b}", `{"a"}`, "NULL", "tab\tand\nline", "ünï©ode 😀", strings.Repeat("long/", 400), " "} {
		rows.IDs[i] = id
	}
	d := open(t, url)
	for range 2 {
		update(t, d, rows)
		holds(t, d, rows)
		one.Exec(t, url, "INSERT INTO mine SELECT x FROM mine LIMIT 1")
		rows.Origins[0][0]++
	}
	update(t, d, first(rows, 1))
	holds(t, d, first(rows, 1))
}

// A query sees the old rows until all servers have the new ones, and an update that was killed has changed nothing.
func updateIsAllOrNothing(t *testing.T, one, two *postgres.Server) {
	urls := []string{one.Database(t, postgres.Extension), two.Database(t, postgres.Extension)}
	rows := made(2000)
	old := first(rows, 500)
	d := open(t, urls...)
	update(t, d, old)
	interrupted, interrupt := context.WithCancel(t.Context())
	if _, err := d.Update(interrupted, rows, func(done, total int) {
		if done > 1000 {
			interrupt()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of an update that was interrupted", err)
	}
	holds(t, open(t, urls...), old)
	looked, killed := false, false
	_, err := d.Update(t.Context(), rows, func(done, total int) {
		if done > 500 && !looked {
			looked = true
			holds(t, open(t, urls...), old)
		}
		if done > 1000 && !killed {
			killed = true
			two.Kill()
		}
	})
	if err == nil || !killed || !looked || !strings.Contains(err.Error(), "shard 2 of 2") {
		t.Fatalf("error %v; killed %v, looked %v", err, killed, looked)
	}
	if _, err := Open(t.Context(), urls, collection()); err == nil || !strings.Contains(err.Error(), "shard 2 of 2") || strings.Contains(err.Error(), postgres.Password) {
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
func serverStopsUnderLoad(t *testing.T, one, two *postgres.Server) {
	urls := []string{one.Database(t, postgres.Extension), two.Database(t, postgres.Extension)}
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
				case ctx.Err() == nil && (!strings.Contains(err.Error(), "shard 2 of 2") || strings.Contains(err.Error(), postgres.Password)):
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

// What is wrong is said when the database is opened, with what to do, and nothing is changed.
func openSaysWhatIsWrong(t *testing.T, one, two *postgres.Server) {
	s := one
	whole := s.Database(t, postgres.Extension, "CREATE ROLE reader LOGIN PASSWORD 'reader'")
	ours := "unimo_" + index + "_" + digest[:16]
	with := func(url, from, to string) string { return strings.Replace(url, from, to, 1) }
	secret := strings.Replace(postgres.Password, "@", "%40", 1)
	for _, c := range []struct{ name, url, want string }{
		{"no extension", s.Database(t), "CREATE EXTENSION vector"},
		{"no database", s.URL("nothing"), "create the database"},
		{"a wrong password", with(whole, secret, "hidden"), "PGPASSWORD"},
		{"no password", with(whole, ":"+secret, ""), "PGPASSWORD"},
		{"no such user", with(whole, postgres.User, "hacker"), "PGPASSWORD"},
		{"somebody's table", s.Database(t, postgres.Extension, "CREATE TABLE "+ours+" (id text)"), "not made by unimo"},
		{"somebody's view", s.Database(t, postgres.Extension, "CREATE VIEW "+ours+" AS SELECT 1", "COMMENT ON VIEW "+ours+` IS 'made by unimo index: {}'`), "not made by unimo"},
		{"another model's table", s.Database(t, postgres.Extension, "CREATE TABLE "+ours+" (id text)", "COMMENT ON TABLE "+ours+` IS 'made by unimo index: {"model": "aaaa", "size": 32}'`), "of the model aaaa"},
		{"another size", s.Database(t, postgres.Extension, "CREATE TABLE "+ours+" (id text)", "COMMENT ON TABLE "+ours+` IS 'made by unimo index: {"model": "`+digest+`", "size": 31}'`), "31 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PGPASSFILE", filepath.Join(t.TempDir(), "none"))
			_, err := Open(t.Context(), []string{c.url}, collection())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), postgres.Password) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
		})
	}
	t.Run("a user who may not", func(t *testing.T) {
		d := open(t, with(with(whole, postgres.User, "reader"), secret, "reader"))
		if _, err := d.Update(t.Context(), made(3), func(int, int) {}); err == nil || !strings.Contains(err.Error(), "right to create tables") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a password from the environment or a file", func(t *testing.T) {
		bare := with(whole, ":"+secret, "")
		t.Setenv("PGPASSWORD", postgres.Password)
		open(t, bare)
		t.Setenv("PGPASSWORD", "")
		file := filepath.Join(t.TempDir(), "pgpass")
		if err := os.WriteFile(file, []byte("127.0.0.1:*:*:"+postgres.User+":"+postgres.Password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PGPASSFILE", file)
		if urls := open(t, bare).URLs(); strings.Contains(urls[0], "secret") {
			t.Error(urls)
		}
	})
	t.Run("vectors of half precision", func(t *testing.T) {
		c := collection()
		c.Size = 3000
		d, err := Open(t.Context(), []string{whole}, c)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		rows := rank.Rows{IDs: []string{"a", "b"}, Origins: make([]rank.Origin, 2), Vectors: make([]float32, 6000), Size: 3000}
		rows.Vectors[0], rows.Vectors[3001] = 1, 1
		update(t, d, rows)
		if got, err := d.Nearest(t.Context(), rows.Vector(1), 1); err != nil || len(got) != 1 || got[0].ID != "b" || got[0].Score != 1 {
			t.Errorf("%v, %v", got, err)
		}
	})
}
