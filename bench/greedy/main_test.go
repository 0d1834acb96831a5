package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
)

// headlines is a model that writes, with texts of its own.
var headlines = filepath.Join("..", "..", "testdata", "headlines")

// A model agrees with itself in everything, and its copy of whole numbers is held against it.
func TestCompare(t *testing.T) {
	small := filepath.Join(t.TempDir(), "small")
	if _, err := run.Quantise(t.Context(), run.QuantiseOptions{Tasks: tasks.All, Model: headlines + ".model", Out: small}); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := compare(t.Context(), &out, headlines+".model", []string{headlines + ".model", small}, filepath.Join(headlines, "dev.jsonl")); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "| 2 questions | F1 ") {
		t.Fatalf("%q", lines)
	}
	cells := func(line string) []string { return strings.Split(strings.Trim(line, "| "), " | ") }
	exact, itself, whole := cells(lines[2]), cells(lines[3]), cells(lines[4])
	if !slices.Equal(exact[1:4], itself[1:4]) || itself[4] != "2" || !strings.HasSuffix(itself[5], ", 1.0000") || itself[5] != itself[6] {
		t.Errorf("%q, itself %q", exact, itself)
	}
	if len(whole) != 7 || whole[0] != small {
		t.Errorf("%q", whole)
	}
}

func TestAgreement(t *testing.T) {
	a := func(tokens ...int32) answer { return answer{tokens: tokens} }
	answers, places := inPlaces([]answer{a(1, 2, 9), a(1, 2, 9), a(1, 9), {}}, []answer{a(1, 2, 9), a(3, 2, 2, 9), a(9), {}})
	if answers != 2 || places != (count{4, 9}) {
		t.Errorf("%d answers, %v", answers, places)
	}
	want := []choice{{3, 1}, {4, 0.25}, {5, 2}}
	got := []choice{{3, 1}, {5, 1}, {5, 1}}
	if c := nextTokens(want, got); c.String() != "2 of 3, 0.6667" {
		t.Error(c)
	}
	x := []seq2seq.Example{{Sources: []string{"said", "asked"}, Target: "b"}}
	text := differences("small", x, []answer{a(3, 4, 5)}, []answer{a(3, 5)}, want, got)
	for _, part := range []string{`small: "asked": "", ""; asked for "b"`, "0.250 to 0.250, median 0.250; of all 1.000; 0 of 3 are below the largest"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
	for _, c := range []struct {
		logits []float32
		want   choice
	}{{[]float32{1, 3, 2}, choice{1, 1}}, {[]float32{3, 1, 2.5}, choice{0, 0.5}}, {[]float32{1, 2, 4}, choice{2, 2}}, {[]float32{5, 5}, choice{0, 0}}} {
		if got := likeliest(c.logits); got != c.want {
			t.Errorf("%v: %v, want %v", c.logits, got, c.want)
		}
	}
}

func TestQuestions(t *testing.T) {
	data, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	put(t, filepath.Join(data, "coqa", "dev_full_stories.json"), []byte(`{"data":[{"id":"a","story":"Anna has a cat. It is très gray. It sleeps.",
		"questions":[{"input_text":"What is gray?"},{"input_text":"Does it sleep?"},{"input_text":"Where?"}],
		"answers":[{"input_text":"the cat.","span_start":22,"span_end":31},{"input_text":"Yes","span_start":33,"span_end":42},{"input_text":"unknown","span_start":-1,"span_end":-1}]}]}`))
	put(t, filepath.Join(data, "coqa", "train_recovered.json"), []byte(`{"data":[]}`))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte("1\tA man in a red shirt is riding a bike.\n1\tA man rides a red bike on a road.\n2\tPeople sit and look on.\n3\tTwo dogs, wet, run along the sandy beach.\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(data, "flickr30k-captions", "captions.tsv.gz"), zipped.Bytes())
	if err := makeQuestions(data, out); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"test":  {"Anna has a cat. It is très gray.|What is gray?|the cat", "It is très gray. It sleeps.|What is gray? the cat. Does it sleep?|Yes"},
		"gaps":  {"a man in a red shirt is riding a bike.|what in a red shirt ?|a man"},
		"train": {"two dogs, wet, run along the sandy beach.|wet , run along what ?|the sandy beach"},
		"dev":   nil,
	} {
		examples, _, err := seq2seq.ReadFile(filepath.Join(out, name+".jsonl"), seq2seq.Options{Dialogue: true, NeedTarget: true})
		if err != nil && want != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range examples {
			got = append(got, strings.Join([]string{x.Knowledge, strings.Join(x.Sources, " "), x.Target}, "|"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
