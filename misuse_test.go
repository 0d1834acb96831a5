package unimo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/unimo-go/unimo"
)

// Every method of everything that is closed gives an error, an index also when only its model is; closing again does
// nothing.
func TestUseAfterClose(t *testing.T) {
	ctx := t.Context()
	run, pictures := tinyScenes(t)
	raw, err := os.ReadFile(filepath.Join(pictures, "train-00001.png"))
	if err != nil {
		t.Fatal(err)
	}
	retriever, err := unimo.OpenRetriever(run)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "index")
	if err := retriever.WriteIndex(ctx, pictures, folder); err != nil {
		t.Fatal(err)
	}
	first, err := retriever.OpenIndex(folder)
	if err != nil {
		t.Fatal(err)
	}
	second, err := retriever.OpenIndex(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{0, -1, math.MinInt} {
		if _, err := first.Search(ctx, "a circle", k); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("a search for %d pictures: %v", k, err)
		}
		if _, err := first.Similar(ctx, raw, k); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("a search for %d pictures: %v", k, err)
		}
	}
	if found, err := first.Search(ctx, "a circle", math.MaxInt); err != nil || len(found) == 0 {
		t.Errorf("all pictures: %d, %v", len(found), err)
	}
	if _, err := retriever.Match(ctx, nil, "a"); err == nil {
		t.Error("no picture was matched")
	}
	if err := retriever.WriteIndex(ctx, "", folder); err == nil {
		t.Error("an index of no folder was made")
	}
	search := func(x *unimo.Index) error { _, err := x.Search(ctx, "a circle", 3); return err }
	similar := func(x *unimo.Index) error { _, err := x.Similar(ctx, raw, 3); return err }
	closed := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, unimo.ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		closed("search in a closed index", search(first))
		closed("similar in a closed index", similar(first))
	}
	if err := search(second); err != nil {
		t.Errorf("search in another index: %v", err)
	}
	for range 2 {
		if err := retriever.Close(); err != nil {
			t.Error(err)
		}
		closed("search after its model's end", search(second))
		closed("similar after its model's end", similar(second))
		_, err := retriever.Match(ctx, raw, "a circle")
		closed("match", err)
		closed("write an index", retriever.WriteIndex(ctx, pictures, folder))
		_, err = retriever.OpenIndex(folder)
		closed("open an index", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}

	for name, dir := range map[string]string{"classifier": tinyRun(t), "zero": ""} {
		m := new(unimo.Model)
		if dir != "" {
			if m, err = unimo.Open(dir); err != nil {
				t.Fatal(err)
			}
			//lint:ignore SA1012 what is tested
			if _, err := m.Predict(nil, unimo.Input{Text: "a"}); err == nil {
				t.Error("nil for a context was accepted")
			}
			answer, err := m.Predict(ctx, unimo.Input{Text: "a"})
			if err != nil {
				t.Fatal(err)
			}
			keys(t, answer[0], "label", "probability", "probabilities")
			keys(t, unimo.Prediction{Score: 0}, "score")
			keys(t, unimo.Found{}, "path", "similarity", "ranked", "match")
			keys(t, unimo.Text{}, "generated", "score", "finished")
			over, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := m.Predict(over, unimo.Input{Text: "a"}); !errors.Is(err, context.Canceled) {
				t.Errorf("a context that is over: %v", err)
			}
		}
		for range 2 {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			_, err = m.Predict(ctx, unimo.Input{Text: "a"})
			closed(name, err)
			m.Labels()
		}
	}
}

// keys fails unless v has these keys in JSON and no others.
func keys(t *testing.T, v any, want ...string) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range want {
		if _, ok := got[key]; !ok || len(got) != len(want) {
			t.Errorf("%s, want the keys %q", raw, want)
		}
	}
}

// What emit does with the model that calls it neither ends in a deadlock nor leaves anything behind.
func TestStreamAndItsModel(t *testing.T) {
	m, err := unimo.OpenGenerator(tinyConversation(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, request := t.Context(), unimo.Request{Texts: []string{"Where is Mary?"}, Passage: "Mary is in the kitchen."}
	texts, err := m.Generate(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	want := texts[0]
	called := false
	got, err := m.Stream(ctx, request, func(piece string) {
		called = true
		if inner, err := m.Generate(ctx, request); err != nil || inner[0] != want {
			t.Errorf("from within: %v, %v", inner, err)
		}
		if piece == "" {
			t.Error("an empty piece")
		}
	})
	if err != nil || got != want || !called {
		t.Errorf("%v, %v, called: %v; want %v", got, err, called, want)
	}
	if got, err := m.Stream(ctx, request, nil); err != nil || got != want {
		t.Errorf("without emit: %v, %v", got, err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		m.Stream(ctx, request, func(string) { panic("of the caller") })
	}()
	if again, err := m.Generate(ctx, request); err != nil || again[0] != want {
		t.Errorf("after a panic: %v, %v", again, err)
	}
	late, cancel := context.WithCancel(ctx)
	if _, err := m.Stream(late, request, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled by emit: %v", err)
	}
	for name, change := range map[string]func(d *unimo.Decoding){
		"beam":        func(d *unimo.Decoding) { d.Beam = -1 },
		"no beam":     func(d *unimo.Decoding) { d.Beam = 0 },
		"huge beam":   func(d *unimo.Decoding) { d.Beam = math.MaxInt },
		"length":      func(d *unimo.Decoding) { d.MaxLength = -1 },
		"huge length": func(d *unimo.Decoding) { d.MaxLength = math.MaxInt },
		"temperature": func(d *unimo.Decoding) { d.Temperature = math.NaN() },
		"cold":        func(d *unimo.Decoding) { d.Temperature = -1 },
		"top k":       func(d *unimo.Decoding) { d.TopK = -1 },
		"top p":       func(d *unimo.Decoding) { d.TopP = 2 },
		"no top p":    func(d *unimo.Decoding) { d.TopP = math.NaN() },
	} {
		bad := m.Decoding()
		change(&bad)
		if _, err := m.GenerateWith(ctx, bad, request); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := m.StreamWith(ctx, bad, request, nil); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("%s, streamed: %v", name, err)
		}
	}
	if _, err := m.Generate(ctx, unimo.Request{Texts: request.Texts}); err == nil {
		t.Error("a conversation about nothing was accepted")
	}
	if _, err := m.Stream(ctx, request, func(string) { m.Close() }); !errors.Is(err, unimo.ErrClosed) {
		t.Errorf("closed by emit: %v", err)
	}
	if _, err := m.Generate(ctx, request); !errors.Is(err, unimo.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestErrorsOfOpening(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	classifier := tinyRun(t)
	for what, open := range map[string]func(dir string) error{
		"a model":     func(dir string) error { _, err := unimo.Open(dir); return err },
		"a generator": func(dir string) error { _, err := unimo.OpenGenerator(dir); return err },
		"a retriever": func(dir string) error { _, err := unimo.OpenRetriever(dir, nil); return err },
		"an answerer": func(dir string) error { _, err := unimo.OpenAnswerer(dir); return err },
		"a captioner": func(dir string) error { _, err := unimo.OpenCaptioner(dir); return err },
		"an embedder": func(dir string) error { _, err := unimo.OpenEmbedder(dir); return err },
		"an index":    func(dir string) error { _, err := unimo.OpenIndex(dir); return err },
	} {
		for _, dir := range []string{missing, t.TempDir(), ""} {
			if err := open(dir); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, unimo.ErrWrongTask) {
				t.Errorf("%s in %q: %v", what, dir, err)
			}
			if err := open(dir); errors.Is(err, unimo.ErrSetting) != (dir == "") {
				t.Errorf("%s in %q, a setting: %v", what, dir, err)
			}
		}
		if err := open(classifier); what != "a model" && what != "an embedder" && what != "an index" && (!errors.Is(err, unimo.ErrWrongTask) || errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("%s in a classifier's folder: %v", what, err)
		}
	}
}

// A weights file that is shortened while it is open is an error that names it, not the end of the process.
func TestShortenedWeights(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: files that are mapped cannot be shortened everywhere") // Windows refuses it
	}
	dir := tinyRun(t)
	m, err := unimo.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.Truncate(filepath.Join(dir, "best", "model.safetensors"), 4096); err != nil {
		t.Fatal(err)
	}
	var many []unimo.Input
	for range 100 {
		many = append(many, unimo.Input{Text: strings.Repeat("a long text ", 50)})
	}
	for range 3 {
		if _, err := m.Predict(t.Context(), many...); err == nil || !strings.Contains(err.Error(), "model.safetensors") {
			t.Errorf("got %v", err)
		}
	}
}
