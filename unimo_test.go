package unimo_test

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo"

	"github.com/unimo-go/unimo/internal/demo"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/run"
)

// tinyRun trains a classifier for a second and returns its run's folder.
func tinyRun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	trainSet, dev := synth.Opinions(1, 200, 40)
	for name, opinions := range map[string][]synth.Opinion{"train.tsv": trainSet, "dev.tsv": dev} {
		writeFile(t, filepath.Join(dir, name), func(w io.Writer) error { return synth.WriteTSV(w, opinions) })
	}
	return finetuned(t, demo.Opinions, dir)
}

// tinyConversation trains a model that answers questions about stories for a second.
func tinyConversation(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	trainSet, dev := synth.Stories(1, 40, 5)
	for name, stories := range map[string][]synth.Story{"train.json": trainSet, "dev.json": dev} {
		writeFile(t, filepath.Join(dir, name), func(w io.Writer) error { return synth.WriteStories(w, stories) })
	}
	return finetuned(t, demo.Stories, dir, "min_out_len=3") // an untrained model may say nothing
}

func writeFile(t *testing.T, path string, content func(io.Writer) error) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := content(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func finetuned(t *testing.T, p *run.Task, dir string, more ...string) string {
	t.Helper()
	out := filepath.Join(dir, "run")
	_, err := run.Finetune(t.Context(), run.Options{
		Env: run.Env{Out: out}, Task: p, Size: "mini", Data: dir,
		Set: append([]string{"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=300", "epochs=1"}, more...),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPredict(t *testing.T) {
	m, err := unimo.Open(tinyRun(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if labels := m.Labels(); len(labels) != 2 || labels[0] != "negative" {
		t.Errorf("labels are %q", labels)
	}
	inputs := []unimo.Input{{Text: "the film is funny"}, {Text: ""}, {Text: "\xff\x00"}, {Text: "a", Pair: "b"}}
	want, err := m.Predict(t.Context(), inputs...)
	if err != nil || len(want) != len(inputs) {
		t.Fatalf("%v, %v", want, err)
	}
	for i, p := range want {
		if sum := p.Probabilities[0] + p.Probabilities[1]; math.Abs(sum-1) > 1e-6 || p.Label == "" || p.Truncated {
			t.Errorf("answer %d is %+v", i, p)
		}
	}
	// Any number of goroutines may ask; the answers are the same.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := m.Predict(t.Context(), inputs...)
			if err != nil || got[0].Probability != want[0].Probability {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := unimo.Open(t.TempDir()); err == nil {
		t.Error("an empty folder was opened")
	}
}

func TestGenerate(t *testing.T) {
	m, err := unimo.OpenGenerator(tinyConversation(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	requests := []unimo.Request{
		{Texts: []string{"Where is Mary?"}, Passage: "Mary is in the kitchen."},
		{Texts: []string{"Where is Mary?", "the kitchen", "And the ball?"}, Passage: "Mary is in the kitchen. She has the ball."},
	}
	want, err := m.Generate(t.Context(), requests...)
	if err != nil || len(want) != len(requests) {
		t.Fatalf("%v, %v", want, err)
	}
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			var pieces strings.Builder
			got, err := m.Stream(t.Context(), r, func(piece string) { pieces.WriteString(piece) })
			if err != nil || got.Text != want[i].Text || pieces.String() != got.Text {
				t.Errorf("streamed %q in pieces %q, want %q (%v)", got.Text, pieces.String(), want[i].Text, err)
			}
		})
	}
	wg.Wait()
	d := m.Decoding()
	d.Sample, d.MinLength, d.MaxLength, d.Temperature, d.TopK, d.TopP, d.Seed = true, 0, 1, 2, 3, 0.9, 4
	short, err := m.GenerateWith(t.Context(), d, requests[0])
	if err != nil || len(strings.Fields(short[0].Text)) > 1 {
		t.Errorf("one token gives %+v (%v)", short, err)
	}
	for name, bad := range map[string]unimo.Request{"nothing": {}, "an empty text": {Texts: []string{""}}} {
		if _, err := m.Generate(t.Context(), bad); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := m.GenerateWith(t.Context(), unimo.Decoding{}, requests...); err == nil {
		t.Error("a beam of 0 was accepted")
	}
}

func TestOpenGeneratorSaysWhatIsWrong(t *testing.T) {
	if _, err := unimo.OpenGenerator(tinyRun(t)); err == nil || !strings.Contains(err.Error(), "problem_type") {
		t.Errorf("a classifier gives %v", err)
	}
}

// Of a model for several tasks that reads pictures with texts, and no texts alone, Open takes the task for statements, or else the one that
// fits.
func TestOpenOfSeveralTasks(t *testing.T) {
	const both = "internal/demo/model"
	labels := func(dir string) []string {
		m, err := unimo.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return m.Labels()
	}
	statements := []string{"entailment", "neutral", "contradiction"}
	if got := labels(both); !slices.Equal(got, statements) {
		t.Errorf("of both %v", got)
	}
	one := t.TempDir()
	if err := os.CopyFS(one, os.DirFS(both)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(one, "config.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	all := config["tasks"].([]any)
	for _, without := range []int{0, 1} { // vqa, snli-ve
		config["tasks"] = slices.Delete(slices.Clone(all), without, without+1)
		if raw, err = json.Marshal(config); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := labels(one); slices.Equal(got, statements) != (without == 0) {
			t.Errorf("without %v: labels %v", all[without], got)
		}
	}
}
