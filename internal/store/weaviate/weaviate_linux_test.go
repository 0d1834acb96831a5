package weaviate

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store/server"
	"github.com/unimo-go/unimo/internal/test/clusters"
	"github.com/unimo-go/unimo/internal/test/weaviate"
)

const size = 8

func part() server.Part {
	return server.Part{Collection: rank.Collection{Index: "0123456789abcdef", Model: "fedcba9876543210ffff", Size: size, About: "/photos"}, Shards: 1}
}

func made(n int) rank.Rows {
	m, rows := clusters.New(size, 1), rank.Rows{Size: size}
	for i := range n {
		id := fmt.Sprintf("%02d \"dogs\" & \u00e9.jpg", i)
		rows.IDs, rows.Origins, rows.Vectors = append(rows.IDs, id), append(rows.Origins, sha256.Sum256([]byte(id))), append(rows.Vectors, m.Next()...)
	}
	return rows
}

func first(rows rank.Rows, n int) rank.Rows {
	return rank.Rows{IDs: rows.IDs[:n], Origins: rows.Origins[:n], Vectors: rows.Vectors[:n*size], Size: size}
}

func connect(t *testing.T, url string, p server.Part) *client {
	t.Helper()
	s, err := Connect(t.Context(), url, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*client)
}

func prepare(t *testing.T, c *client, rows rank.Rows) server.Change {
	t.Helper()
	own := make([]int, len(rows.IDs))
	for i := range own {
		own[i] = i
	}
	change, err := c.Prepare(t.Context(), rows, own, rows.Revision(), func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	return change
}

func update(t *testing.T, c *client, rows rank.Rows) int {
	t.Helper()
	change := prepare(t, c, rows)
	defer change.Abandon()
	if err := change.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return change.Sent()
}

// holds says what is wrong with what the collection has, if it is not rows.
func holds(t *testing.T, c *client, rows rank.Rows) {
	t.Helper()
	list, err := c.Nearest(t.Context(), rows.Vector(0), 50)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != len(rows.IDs) {
		t.Errorf("%d rows, want %d", len(list), len(rows.IDs))
	}
	for i, n := range list {
		k := slices.Index(rows.IDs, n.ID)
		if k < 0 || n.Origin != rows.Origins[k] {
			t.Errorf("%q is none of the rows", n.ID)
			continue
		}
		want := float32(0)
		for j, v := range rows.Vector(k) {
			want += v * rows.Vector(0)[j]
		}
		if n.Score < want-1e-5 || n.Score > want+1e-5 || i > 0 && n.Score > list[i-1].Score {
			t.Errorf("%q has the score %v after %v, want %v", n.ID, n.Score, list[max(0, i-1)].Score, want)
		}
	}
}

func untouched(*weaviate.Server) {}

func TestRecordedUpdates(t *testing.T) {
	url := recorded(t, "updates", untouched)
	rows := made(12)
	c := connect(t, url, part())
	if c.Revision() != "" || update(t, c, first(rows, 10)) != 10 {
		t.Error("rows before they were sent, or not all sent")
	}
	holds(t, c, first(rows, 10))
	changed := made(12)
	changed.Origins[3], changed.Origins[7] = rank.Origin{1}, rank.Origin{2}
	if n := update(t, c, changed); n != 4 {
		t.Errorf("%d vectors were sent, want the 2 that are new and the 2 that have changed", n)
	}
	holds(t, c, changed)
	again := connect(t, url, part())
	if again.Revision() != changed.Revision() || update(t, again, changed) != 0 {
		t.Error("the same rows are not known again")
	}

	// Who prepares a change and does not commit has sent vectors that are of no revision; the next one needs not send them.
	prepare(t, c, rows).Abandon()
	if connect(t, url, part()).Revision() != changed.Revision() {
		t.Error("a change that was not committed has a revision")
	}
	if n := update(t, c, rows); n != 0 {
		t.Errorf("%d vectors were sent again", n)
	}
	holds(t, c, rows)

	// Of two commands at the same time the later one is refused.
	late := prepare(t, c, first(rows, 5))
	update(t, again, first(rows, 6))
	if err := late.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "another command") {
		t.Errorf("error %v", err)
	}
	holds(t, c, first(rows, 6))

	// Another shard has another revision, and the vectors that are there.
	p := part()
	p.Shard, p.Shards = 1, 2
	if s := connect(t, url, p); s.Revision() != "" || update(t, s, first(rows, 6)) != 0 {
		t.Error("shards that were exchanged are not noticed")
	}

	// Another model has another collection, in the place of the old one.
	p = part()
	p.Model, p.Size = "ffffffffffffffff", size/2
	other := connect(t, url, p)
	if n := update(t, other, rank.Rows{IDs: rows.IDs[:4], Origins: rows.Origins[:4], Vectors: rows.Vectors[:4*size/2], Size: size / 2}); n != 4 || other.Revision() != "" {
		t.Errorf("%d vectors were sent, want 4", n)
	}
	if _, err := c.Nearest(t.Context(), rows.Vector(0), 3); err == nil || !strings.Contains(err.Error(), "made again") {
		t.Errorf("error %v of the first model", err)
	}
	if err := other.Drop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := other.Nearest(t.Context(), rows.Vector(0)[:size/2], 3); err == nil || !strings.Contains(err.Error(), "made again") {
		t.Errorf("error %v after all was dropped", err)
	}
}

// What is wrong is said, and nothing is changed.
func TestRecordedErrors(t *testing.T) {
	name := connectName()
	foreign := func(description string) func(s *weaviate.Server) {
		return func(s *weaviate.Server) {
			s.Do(t, "POST", "/v1/schema", fmt.Sprintf(`{"class": %q, "description": %q, "vectorizer": "none"}`, name, description))
		}
	}
	noted := func(model string, size int) string {
		p := part()
		p.Model, p.Size = model, size
		return p.Note("", 0).String()
	}
	for _, c := range []struct {
		name, want string
		prepare    func(s *weaviate.Server)
		settings   []string
	}{
		{"foreign", "not made by unimo", foreign("my pictures"), nil},
		{"model", "of the model aaaa; want 8 values of fedcba987654", foreign(noted("aaaa", size)), nil},
		{"size", "vectors of 9 values", foreign(noted(part().Model, 9)), nil},
		{"no-key", KeyVariable, untouched, []string{"AUTHENTICATION_APIKEY_ENABLED=true", "AUTHENTICATION_APIKEY_ALLOWED_KEYS=right", "AUTHENTICATION_APIKEY_USERS=ada"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(KeyVariable, "")
			url := recorded(t, c.name, c.prepare, c.settings...)
			_, err := Connect(t.Context(), url, part())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
		})
	}
	t.Run("keys", func(t *testing.T) {
		url := recorded(t, "keys", untouched, "AUTHENTICATION_APIKEY_ENABLED=true", "AUTHENTICATION_APIKEY_ALLOWED_KEYS=right", "AUTHENTICATION_APIKEY_USERS=ada")
		t.Setenv(KeyVariable, "wrong")
		if _, err := Connect(t.Context(), url, part()); err == nil || !strings.Contains(err.Error(), KeyVariable) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("error %v", err)
		}
		t.Setenv(KeyVariable, "right")
		connect(t, url, part())
	})
	t.Run("rights", func(t *testing.T) {
		t.Setenv(KeyVariable, "right")
		url := recorded(t, "rights", untouched, "AUTHENTICATION_APIKEY_ENABLED=true", "AUTHENTICATION_APIKEY_ALLOWED_KEYS=right", "AUTHENTICATION_APIKEY_USERS=ada",
			"AUTHORIZATION_ADMINLIST_ENABLED=true", "AUTHORIZATION_ADMINLIST_READONLY_USERS=ada")
		if _, err := connect(t, url, part()).Prepare(t.Context(), made(1), []int{0}, "", func(int, int) {}); err == nil || !strings.Contains(err.Error(), "needs the rights") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("limits", func(t *testing.T) {
		url := recorded(t, "limits", untouched, "QUERY_MAXIMUM_RESULTS=10")
		c := connect(t, url, part())
		update(t, c, made(12))
		if list, err := c.Nearest(t.Context(), made(1).Vectors, 11); err == nil || !strings.Contains(err.Error(), "maximum results") {
			t.Errorf("%d results, error %v", len(list), err)
		}
		half := rank.Rows{IDs: []string{"a"}, Origins: make([]rank.Origin, 1), Vectors: make([]float32, size/2), Size: size / 2}
		if err := c.send(t.Context(), half, []int{0}, func(int, int) {}); err == nil || !strings.Contains(err.Error(), "refuses a vector") {
			t.Errorf("error %v", err)
		}
	})
}

func connectName() string { return "U" + part().Name()[1:] }
