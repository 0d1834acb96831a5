package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/internal/test/postgres"
	"github.com/unimo-go/unimo/internal/test/weaviate"
	"github.com/unimo-go/unimo/vectorstore"
)

// An index is put into a database, searched there by the commands and the library, and taken out of it.
func TestIndexInAStore(t *testing.T) {
	server := postgres.Start(t)
	first, second := server.Database(t, postgres.Extension), server.Database(t, postgres.Extension)
	model, index := filepath.Join("..", "..", "testdata", "shapes.model"), filepath.Join(t.TempDir(), "index")
	pictures := filepath.Join("..", "..", "testdata", "shapes", "images")
	make := func(flags ...string) []string {
		return append([]string{"index", pictures, "--model", model, "--out", index}, flags...)
	}
	search := []string{"search", "--index", index, "a green square", "-k", "4"}
	must(t, make()...)
	want := must(t, search...).stdout

	var made indexed
	if err := json.Unmarshal([]byte(must(t, make("--json", "--store", first, "--store", second)...).stdout), &made); err != nil {
		t.Fatal(err)
	}
	if s := made.Store; s == nil || s.Sent != made.Images || s.Recall != 1 || len(s.URLs) != 2 {
		t.Errorf("index says %+v", made.Store)
	}
	t.Setenv("PGPASSFILE", filepath.Join(t.TempDir(), "none")) // of whoever runs the tests
	if r := call(t, "", search...); r.code != exitFailed || !strings.Contains(r.stderr, "PGPASSWORD") {
		t.Errorf("without a password: exit code %d, %q", r.code, r.stderr)
	}
	t.Setenv("PGPASSWORD", postgres.Password)
	if got := must(t, search...).stdout; got != want {
		t.Errorf("found\n%swant\n%s", got, want)
	}
	if out := must(t, make()...).stdout; !strings.Contains(out, "0 vectors sent to postgres://unimo@127.0.0.1") || !strings.Contains(out, "recall@20 against the exact index 1.0000") {
		t.Errorf("index prints %q", out)
	}
	err := filepath.WalkDir(index, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && (strings.Contains(read(t, path), postgres.Password) || strings.Contains(read(t, path), "very-secret")) {
			t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	t.Run("library", func(t *testing.T) {
		if _, err := unimo.OpenIndex(index); err == nil || !strings.Contains(err.Error(), "unimo.Stores") {
			t.Errorf("error %v", err)
		}
		x, err := unimo.OpenIndex(index, unimo.Stores(vectorstore.Open))
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		found, err := x.Search(t.Context(), "a green square", 1)
		if err != nil || len(found) != 1 || !strings.Contains(want, filepath.Base(found[0].Path)) {
			t.Errorf("%v, %v", found, err)
		}
	})
	for _, c := range []struct {
		name, want string
		code       int
		args       []string
		set        func()
	}{
		{"none with another", "goes alone", exitUsage, make("--store", "none", "--store", first), func() {}},
		{"no URL", "is no URL", exitFailed, make("--store", "photos"), func() {}},
		{"a table of somebody else", "not made by unimo", exitFailed, make(), func() {
			server.Exec(t, first, `DO $$ DECLARE name text; BEGIN SELECT relname INTO name FROM pg_class WHERE relname LIKE 'unimo%' AND relkind = 'r'; EXECUTE 'COMMENT ON TABLE ' || name || ' IS NULL'; END $$`)
		}},
		{"a search while the server is down", "is the server running", exitFailed, search, server.Kill},
	} {
		c.set()
		if r := call(t, "", c.args...); r.code != c.code || !strings.Contains(r.stderr, c.want) || strings.Contains(r.stderr, "secret") {
			t.Errorf("%s: exit code %d, %q", c.name, r.code, r.stderr)
		}
	}
	server.Run(t)
	server.Exec(t, first, `DO $$ DECLARE name text; BEGIN SELECT relname INTO name FROM pg_class WHERE relname LIKE 'unimo%' AND relkind = 'r'; EXECUTE 'DROP TABLE ' || name; END $$`)
	must(t, make()...)
	must(t, make("--store", "none")...)
	server.Kill()
	if got := must(t, search...).stdout; got != want {
		t.Errorf("found\n%swant\n%s", got, want)
	}
}

// The same with Weaviate, which wants an API key.
func TestIndexInWeaviate(t *testing.T) {
	server := weaviate.Start(t, "AUTHENTICATION_APIKEY_ENABLED=true", "AUTHENTICATION_APIKEY_ALLOWED_KEYS=very-secret", "AUTHENTICATION_APIKEY_USERS=ada")
	model, index := filepath.Join("..", "..", "testdata", "shapes.model"), filepath.Join(t.TempDir(), "index")
	make := []string{"index", filepath.Join("..", "..", "testdata", "shapes", "images"), "--model", model, "--out", index}
	search := []string{"search", "--index", index, "a green square", "-k", "4"}
	must(t, make...)
	want := must(t, search...).stdout
	fails := func(name, want string, args ...string) {
		t.Helper()
		if r := call(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, want) || strings.Contains(r.stderr, "secret") {
			t.Errorf("%s: exit code %d, %q", name, r.code, r.stderr)
		}
	}
	t.Setenv(weaviate.KeyVariable, "")
	fails("no key", weaviate.KeyVariable, append(make, "--store", server.URL())...)
	t.Setenv(weaviate.KeyVariable, "very-secret")
	if out := must(t, append(make, "--store", server.URL())...).stdout; !strings.Contains(out, "6 vectors sent to "+server.URL()+"; recall@20 against the exact index 1.0000") {
		t.Errorf("index prints %q", out)
	}
	if out := must(t, make...).stdout; !strings.Contains(out, "0 vectors sent to "+server.URL()) {
		t.Errorf("index prints %q", out)
	}
	if got := must(t, search...).stdout; got != want {
		t.Errorf("found\n%swant\n%s", got, want)
	}
	server.Stop()
	fails("a server that is down", "is the server running", search...)
	fails("a server that is down", "is the server running", make...)
	server.Run(t)
	if got := must(t, search...).stdout; got != want {
		t.Errorf("found\n%swant\n%s", got, want)
	}
	must(t, append(make, "--store", "none")...)
	server.Kill()
	if got := must(t, search...).stdout; got != want {
		t.Errorf("found\n%swant\n%s", got, want)
	}
}
