package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/test/postgres"
)

// TestPgvector runs against two real servers.
func TestPgvector(t *testing.T) {
	one, two := postgres.Start(t), postgres.Start(t)
	k := kind{
		secret: postgres.Password, atOnce: true, scanning: "&enable_seqscan=off", exact: "&enable_indexscan=off",
		beside: func(t *testing.T, url string) {
			one.Exec(t, url, "CREATE TABLE IF NOT EXISTS mine (x int)", "INSERT INTO mine VALUES (1)")
		},
		untouched: func(t *testing.T, url string) { one.Exec(t, url, "INSERT INTO mine SELECT x FROM mine LIMIT 1") },
	}
	k.test(t, one, two)
	t.Run("opening says what is wrong", func(t *testing.T) { openSaysWhatIsWrong(t, one) })
}

// What is wrong is said when the database is opened, with what to do, and nothing is changed.
func openSaysWhatIsWrong(t *testing.T, s *postgres.Server) {
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
		{"a setting out of range", whole + "&hnsw.ef_search=5000", "5000 is outside the valid range"},
		{"a setting that is no number", whole + "&hnsw.ef_search=many", `"many"`},
		{"TLS that is not there", with(whole, "sslmode=disable", "sslmode=require"), "the server has no TLS"},
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
		if _, err := d.Update(t.Context(), made(3), func(int, int) {}); err == nil || !strings.Contains(err.Error(), "to create tables") {
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
