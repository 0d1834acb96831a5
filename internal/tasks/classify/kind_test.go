package classify

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// What people are told about a kind.
func TestWords(t *testing.T) {
	mnli, kind := kindOf(t, "mnli")
	if got := kind.DataFiles(mnli); !slices.Equal(got, []string{"train.tsv", "dev_matched.tsv", "dev_mismatched.tsv", "or .csv, .jsonl, .json"}) {
		t.Errorf("data files are %q", got)
	}
	if got := kind.Use("RUN"); got != `unimo predict --model RUN "TEXT"` {
		t.Error(got)
	}
	if got := kind.PredictionFiles("dev_m"); !slices.Equal(got, []string{"dev_m.reference.tsv", "dev_m.glue.tsv"}) {
		t.Errorf("%q", got)
	}
	for _, c := range []struct{ task, command, long, example string }{
		{"regress", "evaluate", "pearson, spearman", ""},
		{"mnli", "evaluate", "accuracy, loss", ""},
		{"mnli", "finetune", "", ""},
		{"classify", "finetune", "", "unimo finetune classify --data reviews.csv --columns text=review,label=stars"},
		{"regress", "finetune", "", "unimo finetune regress --data DIR"},
	} {
		p, kind := kindOf(t, c.task)
		long, example := kind.Help(p, c.command)
		if !strings.Contains(long, c.long) || !strings.Contains(example, c.example) || (c.long == "") != (long == "") || (c.example == "") != (example == "") {
			t.Errorf("%s %s: %q, %q", c.command, c.task, long, example)
		}
	}
	for task, want := range map[string]string{"classify": model.Classification, "mnli": model.Classification, "regress": model.Regression, "sts-b": model.Regression} {
		if _, kind := kindOf(t, task); kind.Problem() != want {
			t.Errorf("%s is %s, want %s", task, kind.Problem(), want)
		}
	}
}

// Metrics have their bounds, and those of two runs are compared by what they are.
func TestMetrics(t *testing.T) {
	p, kind := kindOf(t, "cola")
	for metric, want := range map[string]run.Metric{"matthews": {Low: -1, High: 1}, "pearson": {Low: -1, High: 1}, "spearman": {Low: -1, High: 1}, "accuracy": run.Share, "macro_f1": run.Share, "rmse": {}, "loss": {}} {
		if got := kind.Describe(metric); got != want {
			t.Errorf("%s: %+v, want %+v", metric, got, want)
		}
	}
	if got := p.Shown(train.Numbers{"loss": 1, "accuracy": 1, "examples": 1, "matthews": 1}); !slices.Equal(got, []string{"matthews", "accuracy", "loss", "examples"}) {
		t.Errorf("shown are %q", got)
	}
	labels := func(pairs ...string) (list []run.Answer) {
		for _, p := range pairs {
			gold, pred, _ := strings.Cut(p, " ")
			list = append(list, run.Answer{Gold: gold, Predicted: pred})
		}
		return list
	}
	for _, c := range []struct {
		metric string
		list   []run.Answer
		want   float64
	}{
		{"pearson", labels("1 2", "2 4", "3 6"), 1},
		{"pearson", labels("1 3", "2 2", "3 1"), -1},
		{"spearman", labels("1 1", "2 10", "3 100"), 1},
		{"matthews", labels("a a", "b b", "a a", "b b"), 1},
		{"matthews", labels("a b", "b a", "a b", "b a"), -1},
		{"matthews", labels("a a", "b a", "a a", "b b"), 1 / math.Sqrt(3)},
		{"matthews", labels("a a", "b b", "c c", "c c"), 1}, // of more classes it is macro F1
		{"macro_f1", labels("a a", "b a", "b b"), 2.0 / 3},
	} {
		got := kind.Measure(c.metric)(c.list, func(i int) run.Answer { return c.list[i] })
		if !(math.Abs(got-c.want) < 1e-9) {
			t.Errorf("%s of %+v is %v, want %v", c.metric, c.list, got, c.want)
		}
	}
	if kind.Measure("accuracy") != nil {
		t.Error("accuracy is not the mean of right answers")
	}
}

// classified is what a model with two classes says of four texts.
func classified(t *testing.T, task string) *detail {
	t.Helper()
	_, kind := kindOf(t, task)
	schema := kind.Schema
	schema.Labels = []string{"negative", "positive"}
	examples := []labelled.Example{
		{ID: "a", TextA: "one", Label: "negative", Class: 0}, {TextA: "two", TextB: "more", Label: "positive", Class: 1},
		{TextA: "three", Label: "positive", Class: 1}, {TextA: "four", Label: "positive", Class: 1},
	}
	out := outputRows{{0, -1e3}, {0, 1}, {2, 0}, {0, 3}}
	records := make([]labelled.Record, len(examples))
	for i, x := range examples {
		records[i].Class = x.Class
	}
	return kind.result(run.File{Split: "dev"}, examples, out, &runner{schema: schema}, score(schema, model.Config{}, records, out)).Detail.(*detail)
}

func TestDetailOfClassification(t *testing.T) {
	d := classified(t, "sst-2")
	want := []run.Answer{
		{ID: "a", Text: "one", Gold: "negative", Predicted: "negative", Value: 1}, {Text: "two\tmore", Gold: "positive", Predicted: "positive", Value: 1},
		{Text: "three", Gold: "positive", Predicted: "negative"}, {Text: "four", Gold: "positive", Predicted: "positive", Value: 1},
	}
	if got := d.Answers(); !slices.Equal(got, want) {
		t.Errorf("answers are %+v", got)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := d.WritePredictions(dir, "dev"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "dev.glue.tsv")); got != "index\tprediction\na\t0\n1\t1\n2\t0\n3\t1\n" {
		t.Errorf("for GLUE: %q", got)
	}
	if got := read(t, filepath.Join(dir, "dev.reference.tsv")); !strings.HasPrefix(got, "a\t0.0\t[1.0 0.0]\n1\t1.0\t[0.26894143 0.7310586]\n") {
		t.Errorf("as the reference: %q", got)
	}
	if err := d.WritePredictions(filepath.Join(dir, "dev.glue.tsv"), "dev"); err == nil {
		t.Error("a folder that is a file is written to")
	}
	for metric, want := range map[string]string{"accuracy": "on dev; 95 % interval 0.301 to 0.954; always positive: 0.7500", "loss": "on dev", "matthews": "on dev"} {
		if got := d.Comment(metric, "on dev"); got != want {
			t.Errorf("%s: %q, want %q", metric, got, want)
		}
	}
	lines, table := d.Remarks()
	if !slices.Equal(lines, []string{"95 % interval of the accuracy: 0.3006 to 0.9544", "always positive: 0.7500"}) || table != nil {
		t.Errorf("remarks are %q, %+v", lines, table)
	}
	if _, table := classified(t, "classify").Remarks(); table == nil || len(table.Rows) != 2 {
		t.Errorf("own labels have the table %+v", table)
	}
	var page report.Run
	d.Section(&page)
	if page.Confusion == nil || !slices.Equal(page.Confusion.Counts[1], []int{1, 2}) || page.Scatter != nil || len(page.Tables) != 1 || len(page.Mistakes) != 1 || page.Mistakes[0].Text != "three" || page.MistakesNote == "" {
		t.Errorf("the page has %+v", page)
	}
	if _, kind := kindOf(t, "mnli"); !slices.Equal(kind.submission(kind.Schema).Names, kind.Schema.Labels) {
		t.Error("a task without names of GLUE's writes others than its labels")
	}
}

func TestDetailOfRegression(t *testing.T) {
	_, kind := kindOf(t, "sts-b")
	d := &detail{kind: kind, schema: kind.Schema, examples: []labelled.Example{{TextA: "x", TextB: "y", Score: 1, Label: "1"}, {ID: "q", TextA: "z", Score: 5, Label: "5"}}, outputs: outputRows{{1.5}, {7}}}
	want := []run.Answer{{Text: "x\ty", Gold: "1", Predicted: "1.5", Value: 0.25}, {ID: "q", Text: "z", Gold: "5", Predicted: "7", Value: 4}}
	if got := d.Answers(); !slices.Equal(got, want) {
		t.Errorf("answers are %+v", got)
	}
	var page report.Run
	if d.Section(&page); page.Confusion != nil || page.Scatter == nil || !slices.Equal(page.Scatter.Gold, []float64{1, 5}) || !slices.Equal(page.Scatter.Predicted, []float64{1.5, 7}) {
		t.Errorf("the page has %+v", page)
	}
	dir := t.TempDir()
	if err := d.WritePredictions(dir, "test"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "test.glue.tsv")); got != "index\tprediction\n0\t1.500\nq\t5.000\n" {
		t.Errorf("for GLUE: %q", got) // which takes 0 to 5
	}
	if got := read(t, filepath.Join(dir, "test.reference.tsv")); got != "0\t1.5\t[1.5]\nq\t7.0\t[7.0]\n" {
		t.Errorf("as the reference: %q", got)
	}
	if got := d.Comment("pearson", "on test"); got != "on test" {
		t.Error(got)
	}
	d.scores.Metrics = train.Numbers{"rmse": 1.5}
	if got := d.Comment("rmse", "on test"); got != "always 3: rmse 2.0000" {
		t.Error(got)
	}
	if lines, table := d.Remarks(); !slices.Equal(lines, []string{"always 3: rmse 2.0000"}) || table != nil {
		t.Errorf("remarks are %q", lines)
	}
}

// Of scores of own data the deviations are shown too; their loss is that of the scaled scores.
func TestScoreOfOwnScores(t *testing.T) {
	schema := labelled.Schema{Open: true, Regression: true}
	s := score(schema, model.Config{ScoreScale: 2}, []labelled.Record{{Score: 1}, {Score: 5}}, outputRows{{2}, {3}})
	for metric, want := range map[string]float64{"rmse": math.Sqrt(2.5), "mae": 1.5, "loss": 2.5 / 4, "pearson": 1} {
		if got := float64(s.Metrics[metric]); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	own := labelled.Schema{Open: true, Labels: []string{"a", "b", "c"}}
	m := score(own, model.Config{}, []labelled.Record{{Class: 0}, {Class: 1}, {Class: 2}}, outputRows{{1, 0, 0}, {1, 0, 0}, {0, 0, 1}}).Metrics
	if _, ok := m["matthews"]; ok || math.Abs(float64(m["macro_f1"])-(2.0/3+0+1)/3) > 1e-12 {
		t.Errorf("three classes: %v", m)
	}
}
