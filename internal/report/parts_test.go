package report

import (
	"bytes"
	"strings"
	"testing"
)

// Each part of a run of several tasks has what a run has, in the order of the parts, and is checked like one.
func TestParts(t *testing.T) {
	r := Run{Title: "many", Parts: []Run{
		{Title: "first", Metrics: []Metric{{Name: "accuracy", Value: 0.5}}, Confusion: &Confusion{Labels: []string{"a"}, Counts: [][]int{{1}}}, Notes: []string{"few"}},
		{Title: "second", Samples: []Sample{{Source: "s", Reference: "r", Generated: "g"}}, SamplesNote: "chosen"},
	}, Config: []Item{{Key: "seed", Value: "1"}}}
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{"<h1>many</h1>", "<h2>first</h2>", "few", "accuracy", "Confusion matrix", "<h2>second</h2>", "chosen", "Configuration"} {
		i := strings.Index(b.String()[at:], want)
		if i < 0 {
			t.Errorf("no %q behind what comes before it", want)
			continue
		}
		at += i
	}
	r.Parts[1].Confusion = &Confusion{Labels: []string{"a"}}
	if err := Write(&b, r); err == nil {
		t.Error("a part that contradicts itself is written")
	}
}
