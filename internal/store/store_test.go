package store

import (
	"net/url"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store/server"
)

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct{ name, url, want string }{
		{"no URL", "photos", "is no URL"},
		{"another database", "mysql://ada:hidden@localhost/photos", "no kind that is known"},
		{"a port that is none", "postgres://ada:hidden@localhost:port/photos", "no URL"},
		{"an @ in the password", "postgres://ada:hid@den@localhost/photos", "%40"},
		{"a / in the password", "postgres://ada:1/hidden@localhost/photos", "%40"},
		{"a # in the password", "postgres://ada:#hidden@localhost/photos", "no URL"},
		{"a wrong setting", "postgres://ada:hidden@localhost/photos?sslmode=wrong", "cannot be used"},
		{"nobody there", "postgres://ada:hidden@127.0.0.1:1/photos?password=hidden", "is the server running"},
		{"too large vectors", "postgres://ada:hidden@127.0.0.1:1/photos", "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := 8
			if c.name == "too large vectors" {
				size = 4001
			}
			_, err := Open(t.Context(), []string{c.url}, rank.Collection{Index: "00", Model: "00", Size: size})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hid") || strings.Contains(err.Error(), "den") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q and no password", err, c.want)
			}
		})
	}
	const twice = "postgres://127.0.0.1:1/photos"
	if _, err := Open(t.Context(), []string{twice, twice}, rank.Collection{}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("error %v of a URL that is named twice", err)
	}
}

func TestWithoutSecrets(t *testing.T) {
	for from, want := range map[string]string{
		"postgres://ada:hidden@db:5433/photos?sslmode=require": "postgres://ada@db:5433/photos?sslmode=require",
		"postgres://db/photos?password=hidden&user=ada":        "postgres://db/photos?user=ada",
		"postgres://db/photos?SSLPassword=hidden":              "postgres://db/photos",
		"postgres://db/photos?pass%77ord=hidden":               "postgres://db/photos",
		"postgres://:hidden@db/photos#hidden":                  "postgres://@db/photos",
		"postgres://db/photos?hnsw.ef_search=200":              "postgres://db/photos?hnsw.ef_search=200",
	} {
		u, err := url.Parse(from)
		if err != nil {
			t.Fatal(err)
		}
		if got := server.WithoutSecrets(u); got != want {
			t.Errorf("%s is shown as %s, want %s", from, got, want)
		}
	}
}

// Whatever a URL is, a password that stands where passwords stand is not in what is said of it.
func FuzzParse(f *testing.F) {
	f.Add("postgres://ada:", "@db.example:5432/photos?sslmode=require")
	f.Add("postgres://db/photos?password=", "&user=ada")
	f.Add("postgres://ada:x", "/@db/photos")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "5ecretW0rd"
		address := before + secret + after
		u, err := parse(address)
		if err != nil {
			if u, other := url.Parse(address); other == nil && connects[u.Scheme] == nil {
				return // what is no store's URL has no place for a password that we know of
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q: %v", address, err)
			}
			return
		}
		if password, ok := u.User.Password(); ok && strings.Contains(password, secret) && strings.Contains(server.WithoutSecrets(u), secret) {
			t.Errorf("%q is shown as %q", address, server.WithoutSecrets(u))
		}
		if strings.Contains(u.Query().Get("password"), secret) && strings.Contains(server.WithoutSecrets(u), secret) {
			t.Errorf("%q is shown as %q", address, server.WithoutSecrets(u))
		}
	})
}

func TestEveryIDHasItsShard(t *testing.T) {
	// A hash that changed would send queries and updates to different servers.
	for id, want := range map[string]int{"": 2, "a.jpg": 2, "holidays/b.jpg": 1} {
		if got := shard(id, 3); got != want {
			t.Errorf("%q is in shard %d, want %d", id, got, want)
		}
	}
}
