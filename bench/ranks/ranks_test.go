package main

import (
	"math"
	"os"
	"strings"
	"testing"
)

// What goes over a link, and what is left of the speed: 344 MB each way at 119 MB/s are 2.9 s for two ranks, half as much again for four.
func TestArithmetic(t *testing.T) {
	s := shape{batch: 1, update: 0, exchange: 344e6}
	if got := s.seconds(2, 1); math.Abs(got-2.897) > 1e-3 {
		t.Errorf("two ranks exchange for %v s", got)
	}
	if got := s.seconds(4, 1); math.Abs(got-4.345) > 1e-3 {
		t.Errorf("four ranks exchange for %v s", got)
	}
	if a, b := s.seconds(2, 25), s.seconds(2, 100); a != b || math.Abs(a-0.1376) > 1e-3 {
		t.Errorf("fast links: %v and %v s", a, b)
	}
	if got, want := s.efficiency(2, 1, 1, 0), 1/(1+2.897); math.Abs(got-want) > 1e-3 {
		t.Errorf("efficiency %v, want %v", got, want)
	}
	if got, want := s.efficiency(2, 1, 1, 1), 1/(1+2.897-2.0/3); math.Abs(got-want) > 1e-3 {
		t.Errorf("with overlap %v, want %v", got, want)
	}
	if got := s.efficiency(2, 1, 100, 1); got != 1 {
		t.Errorf("all of it hidden: %v", got)
	}
}

// The table of the results' page is what the formula gives.
func TestTableOfTheResults(t *testing.T) {
	page, err := os.ReadFile("../../docs/results/2026-11-29-ranks.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	printArithmetic(&table, 4)
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/results/2026-11-29-ranks.md has another table than\n%s", table.String())
	}
}

// Steps that warm up do not count; a log that lacks some is refused.
func TestRead(t *testing.T) {
	log := []byte(`{"event":"start"}
{"event":"step","step":1,"tokens_per_second":50,"exchange_seconds":3}
{"event":"step","step":2,"tokens_per_second":100,"exchange_seconds":0.5}
{"event":"evaluation","step":2}
{"event":"step","step":3,"tokens_per_second":200}
`)
	var m measured
	if err := m.read(log, workload{steps: 3, warm: 1}); err != nil || median(m.Speeds) != 150 || median(m.Exchange) != 0.25 {
		t.Errorf("%+v, %v", m, err)
	}
	if err := new(measured).read(log, workload{steps: 4, warm: 1}); err == nil {
		t.Error("a log without its last step was taken")
	}
}

// A passage has its number of words, of its story and those behind it.
func TestPassages(t *testing.T) {
	var stories []string
	for i := range 9 {
		stories = append(stories, strings.Repeat(string(rune('a'+i))+" ", 100+i))
	}
	got := passages(stories)
	if len(got) != len(stories) {
		t.Fatalf("%d passages of %d stories", len(got), len(stories))
	}
	for i, p := range got {
		text, label, _ := strings.Cut(p, "\t")
		words := strings.Fields(text)
		if len(words) < leastWords || len(words) >= mostWords || words[0] != string(rune('a'+i)) || label != string(rune('0'+i%2)) {
			t.Errorf("passage %d begins with %s, has %d words and the label %s", i, words[0], len(words), label)
		}
	}
}
