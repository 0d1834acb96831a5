package main

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var values []float64
	for i := range 100 {
		values = append(values, float64(99-i))
	}
	if percentile(values, 0.99) != 99 || median(values) != 50 || percentile(nil, 0.5) != 0 || median([]float64{3, 1, 2}) != 2 {
		t.Error(percentile(values, 0.99), median(values))
	}
}

// A server that answers two requests of three is counted so, by both ways of asking.
func TestLoad(t *testing.T) {
	n := make(chan int, 1)
	n <- 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := <-n
		n <- i + 1
		if i%3 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer s.Close()
	w := workload{bodies: [][]byte{[]byte("a"), []byte("b")}}
	f, err := closed(context.Background(), w, s.URL, 2, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	refused := f.Statuses["429"]
	if all := refused + f.Statuses["200"]; f.Answered != f.Statuses["200"] || refused < all/3-1 || refused > all/3+1 || f.NoRetry != refused || !f.only("200", "429") || f.only("200") {
		t.Errorf("%+v", f)
	}
	f, err = open(context.Background(), w, s.URL, 100, 400*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if all := f.Statuses["429"] + f.Statuses["200"]; all < 30 || all > 50 || f.Rate != 100 {
		t.Errorf("100 a second for 0.4 s: %+v", f)
	}
}

func TestVectors(t *testing.T) {
	numbers, err := parseVectors([]byte(`{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,0]}]}`), 2)
	if err != nil {
		t.Fatal(err)
	}
	coded, err := parseVectors([]byte(`{"data":[{"index":0,"embedding":"AACAPwAAAAA="},{"index":1,"embedding":"AABAQAAAgEA="}]}`), 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range numbers {
		if !slices.Equal(numbers[i], coded[i]) {
			t.Error(numbers, coded)
		}
	}
	if d, err := distance(numbers[0], numbers[1]); err != nil || d < 0.4-1e-9 || d > 0.4+1e-9 {
		t.Error(d, err)
	}
	for _, answer := range []string{`{"data":[]}`, `{"data":[{"index":0},{"index":0}]}`, `{"data":[{"index":2,"embedding":[1]},{"index":0,"embedding":[1]}]}`, `{"data":[{"index":0,"embedding":"AAA="},{"index":1}]}`} {
		if v, err := parseVectors([]byte(answer), 2); err == nil {
			t.Errorf("%s: %v", answer, v)
		}
	}
}

// What counts as lost: what the server saw, and what came on a connection that it had answered on.
func TestEnds(t *testing.T) {
	e := ends{Statuses: map[string]int{}}
	reset := errors.New("reset")
	e.add([]outcome{
		{id: "a", status: 200, connected: true},
		{id: "f", status: 200, connected: true},
		{id: "g", status: 429, connected: true},
		{id: "b", err: reset},
		{id: "c", connected: true, err: reset},
		{id: "d", connected: true, err: reset},
		{id: "e", connected: true, reused: true, err: reset},
	}, map[string]bool{"a": true, "d": true})
	if e.Requests != 7 || e.Statuses["200"] != 2 || e.Refused != 1 || e.Unheard != 1 || !slices.Equal(e.Lost, []string{"d: reset", "e: reset"}) || e.Unlogged != 1 {
		t.Errorf("%+v", e)
	}
}

func TestSentences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	var text strings.Builder
	for i := range 40 {
		text.WriteString("\"a, " + string(rune('a'+i)) + "\",same,1.0\n")
	}
	os.WriteFile(path, []byte(text.String()), 0o644)
	all, err := readSentences(path)
	if err != nil || len(all) != 41 {
		t.Fatal(len(all), err)
	}
	list, err := newWorkloads(all, "base64")
	if err != nil {
		t.Fatal(err)
	}
	if w := list[1]; len(w.bodies) != requests || strings.Count(string(w.bodies[3]), `"a, `) < 31 || !strings.Contains(string(w.bodies[3]), `"encoding_format":"base64"`) {
		t.Errorf("%s", w.bodies[3])
	}
	os.WriteFile(path, []byte("a,b\n"), 0o644)
	if _, err := readSentences(path); err == nil || !strings.Contains(err.Error(), "a.csv:1") {
		t.Error(err)
	}
}

// The bomb is a picture to those who look at its head alone.
func TestPictureBomb(t *testing.T) {
	c, err := png.DecodeConfig(bytes.NewReader(pictureBomb(60000, 50000)))
	if err != nil || c.Width != 60000 || c.Height != 50000 {
		t.Error(c, err)
	}
	if _, err := png.Decode(bytes.NewReader(pictureBomb(1, 1))); err == nil {
		t.Error("it has pixels")
	}
}

// What is written is read again, and the tables say what was reached and what was not.
func TestResults(t *testing.T) {
	r := &results{Memory: map[string]int64{ours: 2e8}}
	for _, x := range []struct {
		server string
		rate   float64
	}{{ours, 130}, {infinity, 100}, {onnx, 131}} {
		for _, n := range []int{1, 4} {
			r.Throughput = append(r.Throughput, measurement{Workload: "w", Sentences: 1, Server: x.server, Round: 1, figures: figures{Connections: n, PerSecond: x.rate * float64(n) / 4}})
		}
	}
	r.Latency = []loaded{{Workload: "w", Server: ours, Round: 1, Peak: figures{PerSecond: 130}, Unloaded: figures{P50: 2}, Load: figures{P99: 8}}}
	load := figures{PerSecond: 89, Statuses: map[string]int{"200": 1, "429": 3}}
	r.Overload = []overloaded{{Workload: "w", Peak: figures{PerSecond: 100}, Load: load, Memory: 1, Limit: 2}}
	r.Endurance = &endured{Ends: ends{Signals: 1, Ready: []float64{300}, Lost: []string{"x: reset"}}, Rough: rough{Same: true, Before: vitals{Goroutines: 9}, Second: vitals{Goroutines: 10}}}
	path := filepath.Join(t.TempDir(), "a.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range partNames() {
		if !got.has(p) || (&results{}).has(p) {
			t.Errorf("%s is not found, or found in nothing", p)
		}
	}
	var b strings.Builder
	if err := got.markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| w | infinity-emb | 4 | 100.0 | 100 | 1.30 | 1.3 | yes |", "| w | ONNX Runtime | 4 | 131.0 | 131 | 0.99 | 1 | **no** |", "4.0 (4.0) | at most 4 | yes |",
		"| 0.89 | 0.00 (0.00) | 200: 1, 429: 3 | 0 (0) | 0 | **no** |", "1 lost, 0 answers in no log | **no** |", "| goroutines: before, after once, after twice | no more | 9, 0, 10 | **no** |", "- x: reset",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
