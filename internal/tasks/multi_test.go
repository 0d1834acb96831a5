package tasks_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
	"github.com/unimo-go/unimo/internal/tasks/captioning"
	"github.com/unimo-go/unimo/internal/tasks/classify"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/internal/tasks/write"
	"github.com/unimo-go/unimo/internal/train"
)

// writtenTask is a small data set of headlines.
func writtenTask(t *testing.T) string {
	t.Helper()
	const lines = `{"source":"story number 1 of many","target":"a"}
{"source":"story number 2 of many many","target":"one two three"}
{"source":"a third story","target":"one two"}
`
	return writeFiles(t, map[string]string{"train.jsonl": lines, "dev.jsonl": lines})
}

// dataOf are the folders of the tasks' data. Two of the tasks are about the same pictures.
func dataOf(t *testing.T) map[string]string {
	t.Helper()
	seen := pictures(t)
	const table = "image,question,answer\np0.png,how bright is it?,dark\np1.png,how bright is it?,dark\np2.png,is it bright?,yes\np3.png,is it bright?,yes\n"
	for _, name := range []string{"train.csv", "dev.csv"} {
		if err := os.WriteFile(filepath.Join(seen, name), []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said := pictures(t)
	for _, name := range []string{"train.csv", "dev.csv"} {
		const table = "image,hypothesis,label\np0.png,it is dark,entailment\np1.png,it is dark,neutral\np2.png,it is dark,contradiction\np3.png,it is bright,entailment\n"
		if err := os.WriteFile(filepath.Join(said, name), []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"sst-2": labelledTask(t), "gigaword": writtenTask(t), "flickr8k": seen, "vqa": seen, "coco-caption": seen, "snli-ve": said}
}

// several are the options of a run of tasks, with dropout, one of them under attack, and with two batches a step, which
// may be of two tasks. Retrieval scores every pair while it trains, as evaluation does: captions that are cut to the same words tie, which two stages order
// by their vectors.
func several(t *testing.T, data map[string]string) run.Options {
	t.Helper()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(data)) {
		list = append(list, name+"="+data[name])
	}
	return options(t, "multi", "", "tasks="+strings.Join(list, ","), "ratio=sst-2=0.5,gigaword=2",
		"epochs=3", "batch_size=2", "gradient_accumulation=2", "image_size=32", "hidden_dropout_prob=0.1",
		"flickr8k.negatives=2", "flickr8k.eval_candidates=0", "flickr8k.max_seq_len=5", "snli-ve.max_seq_len=5", "vqa.max_seq_len=4", "sst-2.max_seq_len=6",
		"gigaword.min_out_len=1", "gigaword.max_out_len=4", "gigaword.beam_size=1", "sst-2.adv=freelb_text", "sst-2.adv_step=2", "snli-ve.adv=villa", "snli-ve.adv_step=2",
		"coco-caption.min_out_len=1", "coco-caption.max_out_len=3", "coco-caption.beam_size=1")
}

// canceller ends a run after so many steps.
type canceller struct {
	run.Silent
	steps  int
	cancel func()
}

func (c *canceller) Step(train.StepEvent) {
	if c.steps--; c.steps == 0 {
		c.cancel()
	}
}

// interrupted runs o, stopping it after every three steps, and returns the result.
func interrupted(t *testing.T, o run.Options) *run.Summary {
	t.Helper()
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		o.Observer = &canceller{steps: 3, cancel: cancel}
		s, err := run.Finetune(ctx, o)
		cancel()
		if err == nil {
			return s
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		o.Resume = true
	}
	t.Fatal("the run does not end")
	return nil
}

// One model for tasks of all kinds: what is said of it at the end of the run is what its folder says of each task, and a run
// that is interrupted ends in the same bits.
func TestOneModelForManyTasks(t *testing.T) {
	data := dataOf(t)
	o := several(t, data)
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	sum := s.Metrics["sst-2/accuracy"] + s.Metrics["gigaword/rouge-l"] + s.Metrics["flickr8k/recall@1"] + s.Metrics["vqa/accuracy"] + s.Metrics["snli-ve/accuracy"] +
		train.Number(run.Metric{}.Normalised(float64(s.Metrics["coco-caption/cider-d"]), false))
	if got := s.Metrics["score"]; math.Abs(float64(got-sum/6)) > 1e-9 || s.Outcome.Best.Metric != "score" || s.Metrics["examples"] != 4+3+8+4+4+8 {
		t.Errorf("the score is %v of %v", got, s.Metrics)
	}
	best := s.Dir.Best()
	for task, dir := range data {
		results, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: find(t, task), Model: o.Out, Data: dir})
		if err != nil {
			t.Fatal(err)
		}
		if len(results[0].Metrics) < 2 {
			t.Errorf("%s: %v", task, results[0].Metrics)
		}
		for metric, value := range results[0].Metrics {
			if want := s.Metrics[task+"/"+metric]; value != want && value == value {
				t.Errorf("%s: %s is %v, at the end of the run it was %v", task, metric, value, want)
			}
		}
	}
	p, err := classify.Open(o.Out, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if answers, err := p.Predict(t.Context(), []labelled.Example{{TextA: "bad"}}, func(int, int) {}); err != nil || answers[0].Label == "" {
		t.Errorf("%+v, %v", answers, err)
	}
	g, err := write.Open(o.Out, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if g.Decoding.MaxLength != 4 || g.Decoding.BeamSize != 1 {
		t.Errorf("the decoding is %+v", g.Decoding)
	}
	c, err := captioning.Open(o.Out, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Decoding.MaxLength != 3 {
		t.Errorf("the decoding of captions is %+v", c.Decoding)
	}
	r, err := retrieve.Open(o.Out, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Config.ContrastSize != 128 || r.Spec() == nil {
		t.Errorf("retrieval has %+v", r.Config)
	}
	page, err := os.ReadFile(s.Dir.Report())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Scores of the tasks", "Confusion matrix", "Generated and reference texts", "flickr8k: recall@1 on dev", "gigaword: loss", "SST-2 (sentiment of film reviews)"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the report has no %q", want)
		}
	}

	again := o
	again.Out = filepath.Join(t.TempDir(), "again")
	if got := interrupted(t, again); got.Metrics["score"] != s.Metrics["score"] || !maps.Equal(files(t, got.Dir.Best()), files(t, best)) {
		t.Error("an interrupted run ends in other bits")
	}
}

// Tasks that an opened model has not, or has twice, are told apart.
func TestTaskOfAModelForSeveral(t *testing.T) {
	data := labelledTask(t)
	o := options(t, "multi", "", "tasks=sst-2="+data+",cola="+writeFiles(t, map[string]string{
		"train.tsv": "sentence\tlabel\nthe dog barks\t1\ndog the barks\t0\n", "dev.tsv": "sentence\tlabel\nthe dog barks\t1\ndog the barks\t0\n",
	})+",gigaword="+writtenTask(t), "gigaword.min_out_len=1", "gigaword.max_out_len=4")
	if _, err := run.Finetune(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for task, want := range map[string]string{
		"": "its tasks sst-2, cola all fit; name one of them", "sst2": "", "cola": "", "gigaword": "another sort of work", "mnli": `unknown task of the model "mnli"`,
	} {
		p, err := classify.Open(o.Out, run.Env{Task: task})
		if err == nil {
			p.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", task, err, want)
		}
	}
	if _, err := retrieve.Open(o.Out, run.Env{}); !errors.Is(err, model.ErrWrongTask) || !strings.Contains(err.Error(), "gigaword (generation)") {
		t.Errorf("retrieval: %v", err)
	}
	if _, err := tasks.All.OfModel(o.Out); err == nil || !strings.Contains(err.Error(), "several tasks; name one of sst-2, cola, gigaword") {
		t.Errorf("the task of the model: %v", err)
	}

	// The model is where one task starts from, with the head that it has for it, and several tasks start from another.
	one := options(t, "cola", filepath.Join(data), "max_steps=1", "learning_rate=0", "batch_size=4")
	one.Init = o.Out
	if _, err := run.Finetune(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	more := options(t, "multi", "", "tasks=sst-2="+data+",gigaword="+writtenTask(t), "max_steps=1", "learning_rate=0", "gigaword.min_out_len=1", "gigaword.max_out_len=4")
	more.Init = one.Out
	if _, err := run.Finetune(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"cola.cls_out_2_w": {o.Out, one.Out}, "word_embedding": {o.Out, more.Out}, "pooled_fc_text.w_0": {one.Out, more.Out},
	} {
		a, b := tensor(t, pair[0], name), tensor(t, pair[1], strings.TrimPrefix(name, "cola."))
		if a == "" || a != b {
			t.Errorf("%s is not that of the model it started from", name)
		}
	}
}

// tensor is the data of a tensor of a run's best model.
func tensor(t *testing.T, dir, name string) string {
	t.Helper()
	r, err := checkpoint.Open(filepath.Join(dir, "best"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := r.Bytes(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestSettingsOfSeveralTasks(t *testing.T) {
	data, written := labelledTask(t), writtenTask(t)
	both := "tasks=sst-2=" + data + ",gigaword=" + written
	for _, c := range []struct {
		set  []string
		want string
	}{
		{nil, "tasks names no task"},
		{[]string{"tasks=sst-2"}, `tasks has "sst-2", want NAME=DIR`},
		{[]string{"tasks=sst-2=" + data + ",sst2=" + data}, "tasks has sst-2 twice"},
		{[]string{"tasks=sst-3=" + data}, `unknown task "sst-3"; did you mean sst-2?`},
		{[]string{"tasks=pretrain=" + data}, "pretrain cannot be one of several tasks"},
		{[]string{"tasks=sst-2=" + filepath.Join(data, "none")}, "sst-2: "},
		{[]string{both, "ratio=cola=2"}, `ratio: unknown task of the run "cola"`},
		{[]string{both, "ratio=sst-2=0"}, `ratio has "sst-2=0", want NAME=X`},
		{[]string{both, "ratio=0.5"}, `ratio has "0.5", want NAME=X`},
		{[]string{both, "ratio=sst-2=1,sst-2=2"}, "ratio has sst-2 twice"},
		{[]string{both, "cola.max_seq_len=20"}, `unknown task of the run "cola"`},
		{[]string{both, "sst-2.max_sequence=20"}, "sst-2: unknown setting"},
		{[]string{both, "sst-2.max_seq_len=many"}, "sst-2: max_seq_len is many, want a whole number"},
		{[]string{both, "sst-2.max_seq_len=1"}, "sst-2: max_seq_len is 1, want"},
		{[]string{both, "sst-2.max_seq_len=4000"}, "sst-2: max_seq_len is 4000, but the model reads at most"},
		{[]string{both, "sst-2.learning_rate=1"}, "all tasks have the same learning_rate; set learning_rate itself"},
		{[]string{both, "task_settings=sst-2"}, "want NAME.KEY=VALUE"},
	} {
		o := options(t, "multi", "", c.set...)
		if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.set, err, c.want)
		}
		if _, err := os.Stat(o.Out); err == nil {
			t.Errorf("%q leaves a folder behind", c.set)
		}
	}
}

// Images of one model are cut up in one way.
func TestImagesOfSeveralTasks(t *testing.T) {
	o := options(t, "multi", "", "tasks=flickr8k="+pictures(t)+",flickr30k="+pictures(t), "image_size=32", "flickr8k.negatives=2", "flickr30k.negatives=2", "flickr30k.image_size=48")
	if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), "all tasks have the same image_size") {
		t.Errorf("two sizes of pictures: %v", err)
	}
}

// The network that sees the pictures of a model for several tasks is opened once for those that share what they are opened from.
func TestNetworkOfSeveralTasks(t *testing.T) {
	data := dataOf(t)
	o := options(t, "multi", "", "tasks=vqa="+data["vqa"]+",coco-caption="+data["coco-caption"], "extractor="+eyes("vit"), "max_steps=1",
		"batch_size=2", "coco-caption.min_out_len=1", "coco-caption.max_out_len=3", "coco-caption.beam_size=1")
	if _, err := run.Finetune(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	open := func(shared *run.Shared) (all []regions.Extractor) {
		t.Helper()
		for _, name := range []string{"vqa", "coco-caption"} {
			_, m, err := tasks.All.OpenServable(o.Out, model.Config{Task: name}, run.Env{Task: name, Shared: shared}.Ready())
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			pictures := m.(interface {
				run.PictureReader
				Extractor() (regions.Extractor, error)
			})
			if err := pictures.Prepare(); err != nil {
				t.Fatal(err)
			}
			x, err := pictures.Extractor()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, x)
		}
		return all
	}
	shared := run.NewShared(cpu.New())
	defer shared.Close()
	if all := open(shared); all[0] != all[1] {
		t.Error("each task has a network of its own")
	}
	if all := open(nil); all[0] == all[1] {
		t.Error("models that were opened apart share a network, which none of them closes alone")
	}
}

// A file of settings may have those of a task below its name, and a folder a comma in its.
func TestFileOfSeveralTasks(t *testing.T) {
	data := filepath.Join(t.TempDir(), "a, b")
	if err := os.Rename(labelledTask(t), data); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(writeFiles(t, map[string]string{"c.yaml": "tasks: [\"sst-2=" + data + "\"]\nsst2:\n  max-seq-len: 9\nsst-2.batch_size: 3\n"}), "c.yaml")
	o := options(t, "multi", "", "sst-2.batch_size=2", "max_steps=1")
	o.ConfigFile = file
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var saved struct {
		Tasks        []string `json:"tasks"`
		TaskSettings []string `json:"task_settings"`
	}
	f, err := train.ReadFile(s.Dir.Root())
	if err == nil {
		err = f.Config(&saved)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(saved.Tasks) != 1 || saved.Tasks[0] != "sst-2="+data || strings.Join(saved.TaskSettings, " ") != "sst-2.max_seq_len=9 sst-2.batch_size=2" {
		t.Errorf("the settings are %+v", saved)
	}
}
