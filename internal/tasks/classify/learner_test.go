package classify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

const labelledTable = "sentence\tlabel\na dull film\t0\nwonderful from its first minute to the very last one\t1\nbad\t0\nit is a great joy\t1\nworse\t0\n"

const scoredTable = "score\ttext\n1\tone step\n3\tthree long steps\n5\tfive steps\n2\ttwo more\n"

// The loss of a batch is the mean over its examples, which is what an evaluation of them says too; and the
// scores of a regression are scaled alike in both.
func TestLearner(t *testing.T) {
	for _, c := range []struct {
		task, table, metric string
		lines               []string
	}{
		{"sst-2", labelledTable, "accuracy", []string{
			"5 training examples: negative: 3 (60.0 %), positive: 2 (40.0 %)", "5 dev examples: negative: 3 (60.0 %), positive: 2 (40.0 %)",
			`the first: "a dull film" is negative`,
		}},
		{"classify", labelledTable, "accuracy", []string{
			"5 training examples: 0: 3 (60.0 %), 1: 2 (40.0 %)", "5 dev examples: 0: 3 (60.0 %), 1: 2 (40.0 %)", `the first: "a dull film" is 0`,
		}},
		{"regress", scoredTable, "pearson", []string{
			"4 training examples: scores from 1 to 5, on average 2.75", "4 dev examples: scores from 1 to 5, on average 2.75", `the first: "one step" is 1`,
		}},
	} {
		env, log := logged()
		j := jobOf(t, c.task, env)
		l := learnerOf(t, j, write(t, map[string]string{"train.tsv": c.table, "dev.tsv": c.table}))
		examples := strings.Count(c.table, "\n") - 1
		about := l.About()
		if about.Examples != examples || !slices.Equal(about.Lines, c.lines) {
			t.Errorf("%s: about %d examples: %q", c.task, about.Examples, about.Lines)
		}
		if !strings.Contains(log.String(), fmt.Sprintf("%d of %[1]d dev examples are in the training data too", examples)) {
			t.Errorf("%s: log is %s", c.task, log)
		}
		if got := l.Model(); len(got.Params) != len(l.model.Params) || len(got.Fixed) != 0 || len(got.Files) != 0 {
			t.Errorf("%s: model has %d parameters, fixed %q, files %d", c.task, len(got.Params), got.Fixed, len(got.Files))
		}

		count, all, tokens := 0, 0.0, 0
		tape := autograd.NewInference(env.Device)
		for batch := range l.Batches(0) {
			parts, err := l.Parts(0, batch)
			if err != nil || len(parts) != 1 || parts[0].Weight != 1 {
				t.Fatalf("%s: parts %+v, %v", c.task, parts, err)
			}
			losses, n, err := l.Loss(tape, 0, batch)
			if err != nil || len(losses) != 1 {
				t.Fatalf("%s: %d losses, %v", c.task, len(losses), err)
			}
			all += float64(engine.Values(env.Device, losses[0].Value)[0]) * float64(parts[0].Count)
			count, tokens = count+parts[0].Count, tokens+n
			tape.Release()
		}
		want := 0
		for _, r := range l.train {
			want += len(r.Tokens)
		}
		if count != examples || tokens != want || l.Batches(0) != (examples+3)/4 {
			t.Errorf("%s: %d batches with %d examples of %d tokens, want %d of %d", c.task, l.Batches(0), count, tokens, examples, want)
		}
		e, err := l.Evaluate(t.Context(), 0, tick)
		if err != nil || e.Metric != c.metric || e.Lower || e.Score != e.Metrics[c.metric] || int(e.Metrics["examples"]) != examples {
			t.Fatalf("%s: %+v, %v", c.task, e, err)
		}
		if got, want := all/float64(count), float64(e.Metrics["loss"]); math.Abs(got-want) > 1e-5*want {
			t.Errorf("%s: training says a loss of %v, evaluation %v", c.task, got, want)
		}
		if got := l.Describe(0, 0); !strings.HasPrefix(got, "lines ") || !strings.HasSuffix(got, " of the training file") {
			t.Errorf("%s: the first batch is %q", c.task, got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Evaluate(ctx, 0, tick); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %v", c.task, err)
		}
	}
}

// Texts that are cut are counted in the log.
func TestCutTexts(t *testing.T) {
	env, log := logged()
	data := write(t, map[string]string{"train.tsv": labelledTable, "dev.tsv": labelledTable})
	l := learnerOf(t, jobOf(t, "sst-2", env, "max_seq_len=8"), data)
	if !strings.Contains(log.String(), "of 5 training texts are longer than 8 tokens (max_seq_len) and were cut") {
		t.Errorf("log is %s", log)
	}
	r, err := l.Score(t.Context(), run.File{Split: "dev", Path: filepath.Join(data, "dev.tsv")}, tick)
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "of 5 texts are longer than the 8 tokens that are read and were cut") {
		t.Errorf("notes %q, %v", r.Notes, err)
	}
}

// A test file that cannot be read is an error that a run can do without.
func TestSubmitUnusable(t *testing.T) {
	env, _ := logged()
	data := write(t, map[string]string{"train.tsv": labelledTable, "dev.tsv": labelledTable, "test.tsv": ""})
	l := learnerOf(t, jobOf(t, "sst-2", env), data)
	var unusable *run.UnusableError
	if err := l.Submit(t.Context(), run.File{Split: "test", Path: filepath.Join(data, "test.tsv")}, t.TempDir(), tick); !errors.As(err, &unusable) {
		t.Errorf("got %v", err)
	}
}

// opinion is a table that a tiny model learns: the first word decides.
func opinion(n int, header string, row func(i int, text string, good bool) string) string {
	table := header + "\n"
	for i := range n {
		table += row(i, fmt.Sprintf("%s number %d", []string{"good", "bad"}[i%2], i), i%2 == 0) + "\n"
	}
	return table
}

// A model learns; opened again it says what the learner said, by evaluation and by answers.
func TestFinetuneClassifier(t *testing.T) {
	table := opinion(40, "verdict,note,text", func(i int, text string, good bool) string {
		return fmt.Sprintf("%s,x,%s", map[bool]string{true: "good", false: "bad"}[good], text)
	})
	data := write(t, map[string]string{"train.csv": table, "dev.csv": table, "test.csv": "id,text\nq1,good number 2\nq2,bad number 3\n"})
	s := finetune(t, "classify", data, "epochs=6", "columns=label=verdict")
	if a := s.Metrics["accuracy"]; a < 0.9 || s.Metrics["macro_f1"] == 0 || s.Metrics["examples"] != 40 {
		t.Errorf("metrics are %v", s.Metrics)
	}
	fell(t, s)
	if got := read(t, s.Dir.Path("predictions/test.glue.tsv")); got != "index\tprediction\nq1\tgood\nq2\tbad\n" {
		t.Errorf("predictions for test are %q", got)
	}
	contains(t, "the report", read(t, s.Dir.Report()), "Scores by class", "95 % interval", "always bad: 0.5000", "classification of own texts, mini", "macro_f1")

	p, kind := kindOf(t, "classify")
	out := filepath.Join(t.TempDir(), "out")
	results, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: p, Model: s.Dir.Root(), Data: data, Split: "dev", Predictions: out, Set: []string{"columns=label=verdict"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range s.Metrics {
		if got := results[0].Metrics[key]; math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("opened: %s is %v, the learner said %v", key, got, want)
		}
	}
	lines := strings.Split(read(t, filepath.Join(out, "dev.reference.tsv")), "\n")
	for _, file := range kind.PredictionFiles("dev") {
		read(t, filepath.Join(out, file))
	}

	env, _ := logged()
	m, err := Open(s.Dir.Root(), *env)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Regression() || !slices.Equal(m.Labels(), []string{"bad", "good"}) || m.Tokenizer().VocabSize() != m.Config.VocabSize {
		t.Errorf("labels %q, %+v", m.Labels(), m.Config)
	}
	examples := results[0].Detail.(*detail).examples
	answers, err := m.Predict(t.Context(), examples, tick)
	if err != nil || len(answers) != 40 || len(lines) != 41 {
		t.Fatalf("%d answers, %d lines, %v", len(answers), len(lines), err)
	}
	for i, a := range answers {
		said := results[0].Detail.Answers()[i]
		sum := 0.0
		for _, p := range a.Probabilities {
			sum += p
		}
		if a.Label != said.Predicted || a.Label != m.Labels()[a.Class] || a.Probability != a.Probabilities[a.Class] || math.Abs(sum-1) > 1e-9 || a.IsScore || a.Truncated ||
			!strings.HasPrefix(lines[i], fmt.Sprintf("%d\t%d.0\t[", i, a.Class)) {
			t.Errorf("example %d: %+v, evaluation said %+v, the file %q", i, a, said, lines[i])
		}
	}
	long := examples[0]
	long.TextA = strings.Repeat("word ", 500)
	if answers, err := m.Predict(t.Context(), append(examples[:1:1], long), tick); err != nil || answers[0].Truncated || !answers[1].Truncated {
		t.Errorf("a long text: %+v, %v", answers, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Predict(ctx, examples, tick); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	// It fits tasks with its labels alone, or with any.
	for task, want := range map[string]string{
		"classify": "", "sst-2": `calls class 0 "bad", but sst-2 calls it "negative"`, "mnli": "with 2 outputs, but mnli needs single_label_classification with 3", "sts-b": "sts-b needs regression with 1",
	} {
		p, _ := kindOf(t, task)
		if err := m.Fits(p); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", task, err, want)
		}
	}
	if _, err := kind.Open(t.TempDir(), env); err == nil {
		t.Error("an empty folder is a model")
	}
	unknown := write(t, map[string]string{"dev.csv": "label,text\nsoso,good number 1\n"})
	if _, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: p, Model: s.Dir.Root(), Data: unknown}); err == nil || !strings.Contains(err.Error(), `label "soso" is not one of bad, good`) {
		t.Errorf("a label that the model does not know: %v", err)
	}
}

// fell complains if the loss of training did not fall.
func fell(t *testing.T, s *run.Summary) {
	t.Helper()
	h, err := train.ReadHistory(s.Dir)
	if err != nil || len(h.Steps) < 2 {
		t.Fatalf("%d steps, %v", len(h.Steps), err)
	}
	if first, last := h.Steps[0].Loss, h.Steps[len(h.Steps)-1].Loss; !(last < first/2) {
		t.Errorf("the loss was %v and is %v", first, last)
	}
}

// A regression learns scores of any size, from training examples of which a part is drawn for dev.
func TestFinetuneRegression(t *testing.T) {
	table := opinion(40, "text\tscore", func(i int, text string, good bool) string {
		return fmt.Sprintf("%s\t%d", text, map[bool]int{true: 1200, false: 800}[good]+i)
	})
	data := write(t, map[string]string{"own.tsv": table})
	s := finetune(t, "regress", filepath.Join(data, "own.tsv"), "epochs=8", "dev_share=0.25")
	if r := s.Metrics["pearson"]; r < 0.9 || s.Metrics["examples"] != 10 || s.Metrics["rmse"] > 150 {
		t.Errorf("metrics are %v", s.Metrics)
	}
	fell(t, s)
	contains(t, "the report", read(t, s.Dir.Report()), "regression on own texts, mini", "always ")

	m, err := Open(s.Dir.Root(), run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if !m.Regression() || m.Labels() != nil || m.Config.ScoreScale < 100 || m.Config.ScoreMean < 900 {
		t.Errorf("%+v", m.Config)
	}
	d := s.Results[0].Detail.(*detail)
	answers, err := m.Predict(t.Context(), d.examples, tick)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if want := float64(d.outputs[i][0]); !a.IsScore || math.Abs(a.Score-want) > 1e-3*want || a.Probabilities != nil {
			t.Errorf("example %d: %+v, the learner said %v", i, a, want)
		}
	}
	out := t.TempDir()
	if err := d.WritePredictions(out, "dev"); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(read(t, filepath.Join(out, "dev.glue.tsv"))), "\n")[1:] {
		want := min(max(float64(d.outputs[i][0]), d.schema.MinScore), d.schema.MaxScore)
		if line != fmt.Sprintf("%d\t%.3f", i, want) {
			t.Errorf("line %d is %q, want the score %.3f", i, line, want)
		}
	}
	if p, _ := kindOf(t, "sts-b"); m.Fits(p) != nil {
		t.Errorf("a regression of own scores does not fit another: %v", m.Fits(p))
	}
}

// The dev files of MNLI are two, and both are scored.
func TestFinetunePairs(t *testing.T) {
	table := opinion(9, "sentence1\tsentence2\tlabel", func(i int, text string, _ bool) string {
		return fmt.Sprintf("%s\tanother text\t%s", text, []string{"entailment", "neutral", "contradiction"}[i%3])
	})
	s := finetune(t, "mnli", write(t, map[string]string{"train.tsv": table, "dev_matched.tsv": table, "dev_mismatched.tsv": table}), "epochs=1")
	if len(s.Results) != 2 || s.Results[0].Split != "dev_m" || s.Results[1].Split != "dev_mm" || s.Metrics["accuracy"] != s.Metrics["accuracy_dev_mm"] {
		t.Errorf("%v", s.Metrics)
	}
	if problem := (&Kind{}).Problem(); problem != model.Classification {
		t.Error(problem)
	}
}
