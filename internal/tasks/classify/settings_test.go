package classify

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// The recipes are the reference's (script/classification and regression): its grid, ten epochs, 6 % of the steps
// warm up, no decay, 512 tokens. Those of mini are our own.
func TestRecipes(t *testing.T) {
	type mini struct{ epochs, evalSteps int }
	for _, c := range []struct {
		task, metric string
		mini         mini
		schema       labelled.Schema // without the forms that have no header
		submission   []string
	}{
		{"classify", "accuracy", mini{10, 0}, labelled.Schema{Open: true}, nil},
		{"cola", "matthews", mini{10, 250}, labelled.Schema{Labels: []string{"unacceptable", "acceptable"}}, []string{"0", "1"}},
		{"mnli", "accuracy", mini{3, 250}, labelled.Schema{Pair: true, Labels: []string{"entailment", "neutral", "contradiction"}}, nil},
		{"regress", "pearson", mini{10, 0}, labelled.Schema{Open: true, Regression: true}, nil},
		{"sst-2", "accuracy", mini{1, 250}, labelled.Schema{Labels: []string{"negative", "positive"}}, []string{"0", "1"}},
		{"sts-b", "pearson", mini{10, 250}, labelled.Schema{Pair: true, Regression: true, MinScore: 0, MaxScore: 5}, nil},
	} {
		p, kind := kindOf(t, c.task)
		if p.Metric != c.metric || p.Lower || p.Command != "finetune" || p.Title == "" {
			t.Errorf("%s: %+v", c.task, p)
		}
		schema := kind.Schema
		schema.Headerless = nil
		if !reflect.DeepEqual(schema, c.schema) || !slices.Equal(kind.Submission, c.submission) {
			t.Errorf("%s: schema %+v, submission %q", c.task, kind.Schema, kind.Submission)
		}
		if want := []string{"batch_size=16,32", "learning_rate=1e-5,2e-5,3e-5", "seed=1,2,3,4,5"}; !slices.Equal(p.ReferenceGrid(), want) {
			t.Errorf("%s: grid %q, want %q", c.task, p.ReferenceGrid(), want)
		}
		for _, size := range []string{"base", "large", "mini"} {
			s := defaults(t, p, size)
			got := []any{s.BatchSize, s.LearningRate, s.Epochs, s.WarmupProportion, s.WeightDecay, s.LRScheduler, s.HiddenDropout, s.MaxSeqLen, s.EvalSteps, s.EvalBatchSize, s.DevShare, s.Columns}
			want := []any{32, 3e-5, 10, 0.06, 0.0, "linear_warmup_decay", float32(0.1), 512, 0, 32, 0.0, ""}
			if size == "mini" {
				want = []any{64, 7e-4, c.mini.epochs, 0.06, 0.1, "linear_warmup_decay", float32(0.3), model.Mini.MaxTokens(), c.mini.evalSteps, 64, 0.0, ""}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s:\n%v, want\n%v", c.task, size, got, want)
			}
		}
	}
}

func defaults(t *testing.T, p *run.Task, size string) *Settings {
	t.Helper()
	s, err := run.Defaults(p, size)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Settings)
}

func TestSettingsAreChecked(t *testing.T) {
	p, _ := kindOf(t, "classify")
	for set, want := range map[string]string{
		"max_seq_len=2":          "max_seq_len is 2, want 3 or more",
		"max_seq_len=3":          "",
		"dev_share=1":            "dev_share is 1, want 0 or more and less than 1",
		"dev_share=-0.1":         "dev_share is -0.1",
		"dev_share=0.99":         "",
		"columns=text":           "columns",
		"columns=words=a":        "columns",
		"columns=text=a,label=b": "",
		"epochs=0":               "epochs is 0, want 1 or more",
		"pooler_act=tanh":        "",
		"pooler_act=relu":        "",
		"pooler_act=gelu":        "",
		"pooler_act=selu":        "pooler_act is selu, want relu, tanh or gelu",
	} {
		s := defaults(t, p, "mini")
		if err := settings.Set(s, set); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(func(string) bool { return false }); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	e := &EvalSettings{Columns: "text=a,text=b"}
	if err := e.Validate(nil); err != nil || !slices.Equal(e.columns().Texts, []string{"a", "b"}) {
		t.Errorf("of evaluation: %v, %+v", err, e.columns())
	}
	e.Columns = "text=a,text"
	if err := e.Validate(nil); err == nil {
		t.Error("columns of evaluation are not checked")
	}
}

// A model with few positions reads shorter texts; one with many does not make them longer.
func TestAdopt(t *testing.T) {
	for positions, want := range map[int]int{100: 98, 1000: 512} {
		p, _ := kindOf(t, "sst-2")
		s, cfg := defaults(t, p, "base"), model.Base
		cfg.MaxPositions = positions
		if s.Adopt(cfg); s.MaxSeqLen != want {
			t.Errorf("of %d positions: max_seq_len is %d, want %d", positions, s.MaxSeqLen, want)
		}
	}
}

// A model's pooler stays as it is, except in a model for many tasks.
func TestAdoptPooler(t *testing.T) {
	p, _ := kindOf(t, "sst-2")
	s, cfg := defaults(t, p, "base"), model.Base
	cfg.PoolerAct = "tanh"
	if s.Adopt(cfg); s.PoolerAct != "tanh" {
		t.Errorf("pooler_act is %q", s.PoolerAct)
	}
	if s.Join(); s.PoolerAct != "" {
		t.Errorf("of many tasks: pooler_act is %q", s.PoolerAct)
	}
	s.PoolerAct = "tanh"
	if err := s.Validate(func(string) bool { return true }); err == nil || !strings.Contains(err.Error(), "all tasks of a model have relu") {
		t.Errorf("of many tasks: %v", err)
	}
}

func TestHead(t *testing.T) {
	env, _ := logged()
	j := jobOf(t, "mnli", env)
	cfg, err := j.Head(model.Mini)
	if err != nil || cfg.NumLabels != 3 || cfg.Label(0) != "entailment" || cfg.Label(2) != "contradiction" || cfg.ScoreScale != 0 {
		t.Errorf("%+v, %v", cfg, err)
	}
	j.settings.MaxSeqLen = 257
	if _, err := j.Head(model.Mini); err == nil || err.Error() != "max_seq_len is 257, but the model reads at most 256 tokens" {
		t.Errorf("too long: %v", err)
	}
	j = jobOf(t, "sts-b", env)
	if cfg, err = j.Head(model.Mini); err != nil || cfg.NumLabels != 1 || cfg.ID2Label != nil {
		t.Errorf("a regression: %+v, %v", cfg, err)
	}
}
