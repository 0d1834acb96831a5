package model

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// several is a model for two classifications, a generation, a dialogue and a retrieval.
func several(t *testing.T) Config {
	t.Helper()
	base := tiny().WithoutHead()
	base.ImageEmbeddingSize = 10
	task := func(name, problem string, change func(*Config)) Config {
		c := base
		c.Task, c.ProblemType = name, problem
		change(&c)
		return c
	}
	cfg, err := base.WithTasks([]Config{
		task("sst-2", Classification, func(c *Config) { c.NumLabels, c.ID2Label = 2, map[string]string{"0": "bad", "1": "good"} }),
		task("cola", Classification, func(c *Config) { c.NumLabels, c.HiddenDropout = 2, 0.25 }),
		task("gigaword", Generation, func(c *Config) {}),
		task("coqa", Dialogue, func(c *Config) { c.TurnTypes = 4 }),
		task("flickr8k", Retrieval, func(c *Config) { c.ContrastSize = 3 }),
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestConfigOfSeveralTasks(t *testing.T) {
	cfg := several(t)
	raw, err := cfg.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if want := `"name": "sst-2"`; !strings.Contains(string(raw), want) || strings.Contains(string(raw), `"num_labels": 2,
  "problem_type"`) {
		t.Errorf("no %s in\n%s", want, raw)
	}
	again, err := ParseConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range cfg.TaskNames() {
		a, err := cfg.ForTask(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := again.ForTask(name)
		if err != nil || !reflect.DeepEqual(a, b) || a.Task != name || a.Tasks != nil || a.HiddenSize != 6 {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	if c, _ := again.ForTask("sst-2"); c.Label(1) != "good" || c.ProblemType != Classification || c.NumLabels != 2 {
		t.Errorf("sst-2 is %+v", c)
	}
	if c, _ := again.ForTask("cola"); c.HiddenDropout != 0.25 || c.ID2Label != nil {
		t.Errorf("cola is %+v", c)
	}
	if _, err := again.ForTask("mnli"); err == nil || !strings.Contains(err.Error(), "it has sst-2, cola, gigaword, coqa, flickr8k") {
		t.Errorf("got %v", err)
	}
	if got := again.String(); !strings.HasSuffix(got, "tasks sst-2 (single_label_classification), cola (single_label_classification), gigaword (generation), coqa (dialogue), flickr8k (retrieval)") {
		t.Errorf("it calls itself %s", got)
	}
	wide := tiny()
	wide.Task, wide.HiddenSize = "x", 8
	if _, err := cfg.WithTasks([]Config{wide}); err == nil || !strings.Contains(err.Error(), "hidden_size of task x is 8, but that of the model is 6") {
		t.Errorf("another size: %v", err)
	}
}

func TestConfigOfSeveralTasksErrors(t *testing.T) {
	const size = `"vocab_size": 7, "hidden_size": 6, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 6`
	for tasks, want := range map[string]string{
		`[{"name": "../a", "problem_type": "generation"}]`:                                         "a task has the name \"../a\"",
		`[{"name": "image_emb", "problem_type": "generation"}]`:                                    "a task has the name",
		`[{"name": "a", "problem_type": "generation"}, {"name": "a", "problem_type": "dialogue"}]`: "task a is there twice",
		`[{"name": "a", "problem_type": "generation", "hidden_size": 12}]`:                         `task a has "hidden_size" of its own`,
		`[{"name": "a", "problem_type": "generation", "Num_Labels": 12}]`:                          `task a has "Num_Labels" of its own`,
		`[{"name": "a", "problem_type": "multi"}]`:                                                 "which is no task's",
		`[{"name": "a", "problem_type": "pictures"}]`:                                              "which is no task's",
		`[{"name": "a"}]`:                  "which is no task's",
		`[{"problem_type": "generation"}]`: "has no name",
		`[{"name": "a", "problem_type": "single_label_classification", "num_labels": 1000000}]`: "task a: num_labels is 1000000",
		`[{"name": "a", "problem_type": "single_label_classification", "num_labels": "two"}]`:   "num_labels",
		`[{"name": "a", "problem_type": "retrieval"}]`:                                          "image_embedding_size is not set",
		`[]`:  "0 tasks, want 1 to 64",
		`[3]`: "not a model configuration",
		`"a"`: "not a model configuration",
		`[` + strings.Repeat(`{"name": "a", "problem_type": "generation"}, `, maxTasks) + `{"name": "a"}]`: "65 tasks, want 1 to 64",
	} {
		if _, err := ParseConfig([]byte(`{` + size + `, "problem_type": "multi", "tasks": ` + tasks + `}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", tasks, err, want)
		}
	}
	if _, err := ParseConfig([]byte(`{` + size + `, "problem_type": "generation", "tasks": [{"name": "a", "problem_type": "generation"}]}`)); err == nil || !strings.Contains(err.Error(), `belongs to problem_type "multi"`) {
		t.Errorf("tasks of a model for one: %v", err)
	}
}

// What the tasks share they have once, and what is one's own has its name; both start as they do alone.
func TestTasksShareParameters(t *testing.T) {
	d, cfg := cpu.New(), several(t)
	m, err := New[*Multi](d, cfg, 5)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, p := range m.Params {
		if names[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		names[p.Name] = true
	}
	for name, want := range map[string]bool{
		"word_embedding": true, "pooled_fc_text.w_0": true, "mask_lm_trans_fc.w_0": true, "image_emb.w_0": true, "sst-2.word_embedding": false,
		"sst-2.cls_out_2_w": true, "cola.cls_out_2_b": true, "cls_out_2_w": false, "coqa.role_embedding": true, "flickr8k.match_fc.w_0": true, "flickr8k.contrast_fc_text.w_0": true,
	} {
		if names[name] != want {
			t.Errorf("%s is there: %v", name, !want)
		}
	}
	unlabelled := cfg
	unlabelled.Tasks = []TaskConfig{{"a", map[string]json.RawMessage{"problem_type": json.RawMessage(`"single_label_classification"`)}}}
	if _, err := New[*Multi](d, unlabelled, 5); err == nil || !strings.Contains(err.Error(), "task a: num_labels is 0") {
		t.Errorf("a classification without labels: %v", err)
	}
	if got, want := m.Params.Specs(), Specs(cfg); !reflect.DeepEqual(got, want) {
		t.Errorf("%d parameters, %d are listed", len(got), len(want))
	}
	a, err := Part[*Classifier](m, "sst-2")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Part[*Generator](m, "coqa")
	if err != nil {
		t.Fatal(err)
	}
	if a.encoder.words != b.encoder.words || b.Config.TurnTypes != 4 || a.Params[0].Var != m.Params[0].Var {
		t.Error("the encoder is not shared")
	}
	if _, err := Part[*Generator](m, "sst-2"); !errors.Is(err, ErrWrongTask) {
		t.Errorf("a generator of sst-2: %v", err)
	}
	alone := contents(newModel(t, d, tiny(), 5))
	for _, p := range m.Params {
		if values, ok := alone[p.Name]; ok && !slices.Equal(values, engine.Values(d, p.Value)) {
			t.Errorf("%s starts from other values than alone", p.Name)
		}
	}
}

// The view of a task in a saved model computes what the task's part of the whole does, and shows nothing of other tasks.
func TestViewTask(t *testing.T) {
	d, cfg := cpu.New(), several(t)
	m, err := New[*Multi](d, cfg, 5)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := checkpoint.WriteSafetensors(path, m.Params.Tensors(d), nil); err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, name := range []string{"sst-2", "cola"} {
		task, err := cfg.ForTask(name)
		if err != nil {
			t.Fatal(err)
		}
		view := cfg.ViewTask(r, name)
		for _, info := range view.Tensors() {
			if strings.Contains(info.Name, "-") || strings.HasPrefix(info.Name, "co") {
				t.Errorf("%s sees %s", name, info.Name)
			}
		}
		if _, err := view.Info("match_fc.w_0"); !errors.Is(err, checkpoint.ErrNoTensor) {
			t.Errorf("the head of another task: %v", err)
		}
		opened, err := Open[*Classifier](d, task, view)
		if err != nil {
			t.Fatal(err)
		}
		part, err := Part[*Classifier](m, name)
		if err != nil {
			t.Fatal(err)
		}
		logits := func(c *Classifier) []float32 {
			tape := autograd.NewInference(d)
			defer tape.Release()
			return slices.Clone(engine.Values(d, c.Logits(tape, Input{Text: tinyText()}).Value))
		}
		if got, want := logits(opened), logits(part); !slices.Equal(got, want) || len(got) != 6 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
