package backend

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/internal/test/postgres"
	"github.com/unimo-go/unimo/internal/test/weaviate"
	"github.com/unimo-go/unimo/vectorstore"
)

func TestServeInAStore(t *testing.T) {
	t.Setenv("PGPASSWORD", postgres.Password)
	serveInAStore(t, postgres.Start(t))
}

func TestServeInWeaviate(t *testing.T) { serveInAStore(t, weaviate.Start(t)) }

// A server searches the database of an index. While that is down searches are unavailable, and nothing else.
func serveInAStore(t *testing.T, server interface {
	Empty(t testing.TB) string
	Run(t testing.TB)
	Kill()
}) {
	dir := index(t)
	search := func(m Model) ([]Found, error) {
		found, _, err := m.Search(t.Context(), Item{Text: "a green square"}, 3)
		return found, err
	}
	want, err := search(get(t, serve(t, Options{Index: dir}, "shapes"), "shapes"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := unimo.OpenRetriever(filepath.Join(tiny, "shapes.model"), unimo.Stores(vectorstore.Open))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.WriteIndex(t.Context(), filepath.Join(tiny, "shapes", "images"), dir, server.Empty(t)); err != nil {
		t.Fatal(err)
	}
	model := get(t, serve(t, Options{Index: dir}, "shapes"), "shapes")
	got, err := search(model)
	if err != nil || len(got) != len(want) {
		t.Fatal(got, err)
	}
	for i := range got {
		got[i].Similarity = want[i].Similarity // whose last digits are the database's
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, want %+v", got, want)
	}
	server.Kill()
	var e *Error
	if _, err := search(model); !errors.As(err, &e) || e.Kind != Unavailable || e.RetryAfter == 0 || e.Message != "the index cannot be searched now; try again" {
		t.Errorf("error %+v", err)
	}
	server.Run(t)
	for begin := time.Now(); ; {
		if _, err := search(model); err == nil {
			break
		} else if time.Since(begin) > time.Minute {
			t.Fatal(err)
		}
	}
}
