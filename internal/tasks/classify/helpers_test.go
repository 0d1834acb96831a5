package classify

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/tokenizer"
)

// tiny are settings of a model that trains in no time.
var tiny = []string{
	"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=300", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
	"learning_rate=0.01", "batch_size=4", "log_steps=1", "eval_steps=0",
}

// write makes a folder of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// logged is an environment whose log the test reads.
func logged() (*run.Env, *bytes.Buffer) {
	var log bytes.Buffer
	return run.Env{Log: slog.New(slog.NewTextHandler(&log, nil))}.Ready(), &log
}

// jobOf returns the work of a run of a task, with tiny and further settings.
func jobOf(t *testing.T, task string, env *run.Env, set ...string) *job {
	t.Helper()
	p, _ := kindOf(t, task)
	s, err := run.Defaults(p, "mini")
	if err != nil {
		t.Fatal(err)
	}
	for _, assignment := range slices.Concat(tiny, set) {
		if err := settings.Set(s, assignment); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Validate(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	return p.Kind.Job(p, s, env).(*job)
}

// learnerOf reads the folder data and returns what is trained on it.
func learnerOf(t *testing.T, j *job, data string) *learner {
	t.Helper()
	files, err := j.Files(data, "")
	if err == nil {
		err = j.Read(files)
	}
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Train(t.Context(), j.Texts(), 300, tokenizer.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := model.Mini
	cfg.VocabSize, cfg.HiddenSize, cfg.Heads, cfg.Layers, cfg.HiddenDropout, cfg.AttentionDropout, cfg.ProblemType = tok.VocabSize(), 16, 2, 1, 0, 0, j.kind.Problem()
	if cfg, err = j.Head(cfg); err != nil {
		t.Fatal(err)
	}
	l, err := j.Learner(t.Context(), cfg, tok)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*learner)
}

// finetune trains a model of a task on the folder data.
func finetune(t *testing.T, task, data string, set ...string) *run.Summary {
	t.Helper()
	p, _ := kindOf(t, task)
	s, err := run.Finetune(t.Context(), run.Options{
		Env: run.Env{Out: filepath.Join(t.TempDir(), "run")}, Task: p, Size: "mini", Data: data, Set: slices.Concat(tiny, set),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tick is told how far work has come, and does not care.
func tick(int, int) {}

// contains complains of what a text lacks.
func contains(t *testing.T, what, text string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q:\n%.2000s", what, want, text)
		}
	}
}
