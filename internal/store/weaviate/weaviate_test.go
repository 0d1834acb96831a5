package weaviate

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store/server"
)

// What is no server, or none that is ready, is said with what to do.
func TestConnectErrors(t *testing.T) {
	t.Setenv(KeyVariable, "hidden")
	answers := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/v1/meta")
			w.WriteHeader(status)
			w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return Scheme + s.URL
	}
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	plain := answers(200, "{}")
	for _, c := range []struct{ name, url, want string }{
		{"down", Scheme + down.URL, "is the server running"},
		{"starting", answers(503, ""), "HTTP status 503: Service Unavailable; is the server, or its cluster, starting or ending? try again"},
		{"without a leader", answers(500, `{"error":[{"message":"leader not found"}]}`), "or its cluster, starting"},
		{"something else", answers(200, "<html>"), "does not answer GET /meta as Weaviate does"},
		{"something else in JSON", plain, "is it the URL of its REST interface"},
		{"not found", answers(404, "404 page not found\n"), "HTTP status 404: 404 page not found"},
		{"moved", answers(301, ""), `redirection to "https://elsewhere.example/v1/meta"`},
		{"a long error", answers(500, strings.Repeat("x\n", 1000)), "HTTP status 500: x x x"},
		{"HTTPS where HTTP is", strings.Replace(plain, "http:", "https:", 1), "name it as weaviate+http://"},
		{"an unknown certificate", Scheme + tls.URL, "SSL_CERT_FILE"},
		{"a user", Scheme + "http://ada:secret@127.0.0.1:1", KeyVariable},
		{"no host", Scheme + "http:///v1", "has no host"},
		{"an unknown parameter", plain + "?shards=3", `shards="3"; all that may be there is replicas=N`},
		{"a wrong number", plain + "?replicas=0", "replicas"},
		{"twice", plain + "?replicas=1&replicas=2", "replicas"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Connect(t.Context(), c.url, server.Part{Collection: rank.Collection{Index: "0a", Model: "0b", Size: 4}, Shards: 1})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 700 || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
		})
	}
	t.Run("hanging", func(t *testing.T) {
		end := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
		defer s.Close()
		defer close(end)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := Connect(ctx, Scheme+s.URL, server.Part{Collection: rank.Collection{Index: "0a", Model: "0b"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// A server adds vectors to its index when it likes, and says how many wait.
func TestIndexedWaits(t *testing.T) {
	answers := []string{`[{"name":"a","status":"INDEXING","vectorQueueSize":7},{"name":"b","status":"READY","vectorQueueSize":0}]`, `[{"name":"a","status":"READY","vectorQueueSize":0}]`, `[{"name":"a","status":"READONLY"}]`}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(answers[0]))
		answers = answers[1:]
	}))
	defer s.Close()
	c := &client{api: api{base: s.URL, http: newHTTP()}}
	if err := c.indexed(t.Context()); err != nil || len(answers) != 1 {
		t.Errorf("%v, %d answers are left", err, len(answers))
	}
	if err := c.indexed(t.Context()); err == nil || !strings.Contains(err.Error(), "only reads") {
		t.Errorf("error %v", err)
	}
}

// A cluster that has lost a node answers from the others, and does not say so.
func TestAPartOfAnAnswerIsAnError(t *testing.T) {
	vectors := 36 // what the collection's description says
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Write([]byte(`{"data":{"Get":{"Unimo_0a_0b":[]},"Aggregate":{"Unimo_0a_0b":[{"meta":{"count":26}}]}}}`))
			return
		}
		p := server.Part{Collection: rank.Collection{Index: "0a", Model: "0b", Size: 4}, Shards: 1}
		json.NewEncoder(w).Encode(map[string]any{"version": "1", "classes": []any{map[string]string{"class": "Unimo_0a_0b", "description": p.Note("r", vectors).String()}}})
	}))
	defer s.Close()
	c, err := Connect(t.Context(), Scheme+s.URL, server.Part{Collection: rank.Collection{Index: "0a", Model: "0b", Size: 4}, Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Nearest(t.Context(), make([]float32, 4), 3); err == nil || !strings.Contains(err.Error(), "only 26 of 36 vectors") {
		t.Errorf("error %v", err)
	}
	vectors = 26 // another command has made the index smaller
	if _, err := c.Nearest(t.Context(), make([]float32, 4), 3); err != nil {
		t.Error(err)
	}
}

func TestAnswers(t *testing.T) {
	origin := strings.Repeat("0f", 32)
	for _, c := range []struct {
		name, json string
		found      int
		want       string
	}{
		{"two", `{"data":{"Get":{"C":[{"picture":"a","origin":"` + origin + `","_additional":{"distance":-0.5}},{"picture":"b","origin":"` + origin + `","_additional":{"distance":0.25}}]}}}`, 2, ""},
		{"none", `{"data":{"Get":{"C":[]}}}`, 0, ""},
		{"what the index has not", `{"data":{"Get":{"C":[{"picture":"a","origin":"0f","_additional":{"distance":1}},{"picture":"a","origin":"` + strings.Repeat("x", 64) + `","_additional":{"distance":1}}]}}}`, 0, ""},
		{"no distance", `{"data":{"Get":{"C":[{"picture":"a","origin":"` + origin + `"}]}}}`, 0, "no distance"},
		{"a huge distance", `{"data":{"Get":{"C":[{"picture":"a","origin":"` + origin + `","_additional":{"distance":1e300}}]}}}`, 0, "no distance"},
		{"an error", `{"data":{"Get":{"C":[]}},"errors":[{"message":"shard x: no answer"}]}`, 0, "shard x: no answer"},
		{"a node that is down", `{"errors":[{"message":"shard x: resolve node name \"node2\" to host"}]}`, 0, "is a node of its cluster down?"},
		{"no collection", `{"errors":[{"message":"Cannot query field \"C\" on type \"GetObjectsObj\"."}]}`, 0, "made again"},
		{"nothing", `{}`, 0, "neither objects nor errors"},
		{"another collection", `{"data":{"Get":{"D":[]}}}`, 0, "neither objects nor errors"},
	} {
		var a answer
		if err := json.Unmarshal([]byte(c.json), &a); err != nil {
			t.Fatal(err)
		}
		var objects []object
		var list []rank.Neighbor
		err := a.err("C")
		if err == nil {
			objects, err = a.objects("C")
		}
		if err == nil {
			list, err = neighbors(objects)
		}
		if len(list) != c.found || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", c.name, list, err)
		}
		if c.found == 2 && (list[0].ID != "a" || list[0].Score != 0.5 || list[1].Score != -0.25 || list[0].Origin[31] != 0x0f) {
			t.Errorf("%s: %v", c.name, list)
		}
	}
	for _, c := range []struct {
		name, json, want string
		sent             int
	}{
		{"all", `[{"result":{"status":"SUCCESS"}},{"result":{"status":"SUCCESS"}}]`, "", 2},
		{"too few", `[{"result":{"status":"SUCCESS"}}]`, "nothing of 1 of 2", 2},
		{"refused", `[{"result":{"status":"FAILED","errors":{"error":[{"message":"wrong length"}]}}}]`, "wrong length", 1},
		{"refused without a word", `[{"result":{"status":"FAILED"}}]`, "does not say why", 1},
	} {
		var results []stored
		if err := json.Unmarshal([]byte(c.json), &results); err != nil {
			t.Fatal(err)
		}
		if err := refused(results, c.sent); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Whatever a server answers, it is read or is an error of one line; who searches is given numbers.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"data":{"Get":{"Unimo_0a_0b":[{"picture":"a","origin":"`+strings.Repeat("0f", 32)+`","_additional":{"id":"00000000-0000-0000-0000-000000000001","distance":-0.5}}]}}}`))
	f.Add(200, []byte(`{"errors":[{"message":"a\nb"}]}`))
	f.Add(200, []byte(`{"version":"1.35.2","classes":[{"class":"Unimo_0a_0b","description":"made by unimo index: {\"model\":\"0b\",\"size\":4,\"shards\":1}"}]}`))
	f.Add(422, []byte(`{"error":[{"message":"no"}]}`))
	f.Add(401, []byte(`{"code":401,"message":"anonymous access not enabled"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 || status == 204 || status == 304 {
			return
		}
		c := &client{collection: "Unimo_0a_0b", api: api{base: "http://db.example", http: &http.Client{Transport: says{status, body}}}}
		c.Part = server.Part{Collection: rank.Collection{Index: "0a", Model: "0b", Size: 4}, Shards: 1}
		for name, work := range map[string]func() error{
			"look": func() error { return c.look(t.Context()) },
			"nearest": func() error {
				list, err := c.Nearest(t.Context(), make([]float32, 4), 3)
				for _, n := range list {
					if n.Score-n.Score != 0 {
						t.Errorf("a score of %v", n.Score)
					}
				}
				return err
			},
			"have": func() error { _, err := c.have(t.Context()); return err },
			"send": func() error {
				return c.send(t.Context(), rank.Rows{IDs: []string{"a"}, Origins: make([]rank.Origin, 1), Vectors: make([]float32, 4), Size: 4}, []int{0}, func(int, int) {})
			},
		} {
			if err := work(); err != nil && strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%s: an error of several lines: %q", name, err)
			}
		}
	})
}

// says is a transport that answers always the same.
type says struct {
	status int
	body   []byte
}

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteHeader(s.status)
	w.Write(s.body)
	return w.Result(), nil
}
