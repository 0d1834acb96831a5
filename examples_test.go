package unimo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The programs in examples run as their comments say.
func TestExamplePrograms(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	for _, c := range []struct {
		program string
		args    []string
		want    string // within the output
	}{
		{"classify", []string{"a gripping and funny film", "two hours i will never get back"}, "negative\t1.00\ttwo hours i will never get back"},
		{"summarise", []string{"the museum shows paintings from three countries"}, "museum shows paintings\n"},
		{"search", []string{"a green square"}, "green-square.png\n"},
		{"finetune", []string{"-out", run}, "accuracy "},
		{"checkpoint", nil, "word_embedding F32 [264 8]\n"},
	} {
		out, err := exec.Command("go", append([]string{"run", "./examples/" + c.program}, c.args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, want %q in\n%s", c.program, err, c.want, out)
		}
	}
	if folders, err := filepath.Glob("examples/*"); err != nil || len(folders) != 5 {
		t.Errorf("examples has %q (%v), and this test runs five programs", folders, err)
	}
}

// otherModule is a program of another module that uses the public packages.
const otherModule = `package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/metrics"
	"github.com/unimo-go/unimo/tokenizer"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	ctx, data, out := context.Background(), os.Args[1], os.Args[2]
	ok := func(what string, is bool) {
		if !is {
			log.Fatal(what)
		}
		fmt.Println(what)
	}

	films := must(unimo.Open(filepath.Join(data, "films.model"), unimo.Threads(1)))
	answers := must(films.Predict(ctx, unimo.Input{Text: "a gripping and funny film"}))
	ok("predict", answers[0].Label == "positive" && slices.Equal(films.Labels(), []string{"negative", "positive"}))
	ok("close", films.Close() == nil)

	headlines := must(unimo.OpenGenerator(filepath.Join(data, "headlines.model")))
	texts := must(headlines.Generate(ctx, unimo.Request{Texts: []string{"heavy rain closes the main road to the airport"}}))
	ok("generate", texts[0].Text == "rain closes road")
	ok("close a generator", headlines.Close() == nil)

	shapes := must(unimo.OpenRetriever(filepath.Join(data, "shapes.model")))
	index := filepath.Join(out, "index")
	ok("index", shapes.WriteIndex(ctx, filepath.Join(data, "shapes", "images"), index) == nil)
	x := must(shapes.OpenIndex(index))
	ok("search", filepath.Base(must(x.Search(ctx, "a blue bar", 1))[0].Path) == "blue-bar.png")
	ok("close an index", x.Close() == nil && shapes.Close() == nil)

	events := 0
	small := unimo.Settings{"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 264, "batch_size": 4, "max_steps": 4}
	run := must(unimo.Finetune(ctx, unimo.FinetuneOptions{
		Task: "classify", Data: filepath.Join(data, "films"), Out: filepath.Join(out, "run"),
		TrainOptions: unimo.TrainOptions{Settings: small, Work: unimo.Work{
			Progress: func(unimo.Event) { events++ }, Log: slog.New(slog.DiscardHandler), Threads: 1,
		}},
	}))
	ok("finetune", run.Steps == 4 && events > 4)
	ok("evaluate", len(must(unimo.Evaluate(ctx, unimo.EvaluateOptions{Model: run.Best, Data: filepath.Join(data, "films")}))) == 1)
	ok("tasks", len(unimo.Tasks()) > 5)
	small["text"], small["ratio_images"], small["ratio_pairs"] = filepath.Join(data, "headlines", "texts.txt"), 0, 0
	small["batch_size"], small["eval_steps"] = 2, 4
	ok("pretrain", must(unimo.Pretrain(ctx, unimo.PretrainOptions{Out: filepath.Join(out, "pre"), TrainOptions: unimo.TrainOptions{Settings: small}})).Steps == 4)

	r := must(checkpoint.Open(filepath.Join(run.Best, "model.safetensors")))
	ok("checkpoint", len(r.Tensors()) > 5 && r.Close() == nil)
	tok := must(tokenizer.Load(run.Best))
	ok("tokenizer", tok.VocabSize() == 264)
	lo, hi := metrics.WilsonInterval(8, 10)
	ok("metrics", lo < 0.8 && hi > 0.8)
}
`

// A module of its own, beside this one, can use everything that is public, and nothing else is needed.
func TestAnotherModule(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	// The requirements are ours, so that nothing has to be fetched.
	_, requirements, _ := strings.Cut(string(own), "\nrequire ")
	requirements, _, _ = strings.Cut(requirements, "\ntool ")
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"go.mod":  "module example.com/other\n\ngo 1.26.0\n\nrequire github.com/unimo-go/unimo v0.0.0\n\nreplace github.com/unimo-go/unimo => " + here + "\n\nrequire " + requirements,
		"go.sum":  string(sums),
		"main.go": otherModule,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("go", "run", "-mod=mod", ".", filepath.Join(here, "testdata"), t.TempDir())
	c.Dir, c.Env = dir, append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-trimpath")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "metrics\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
