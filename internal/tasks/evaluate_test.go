package tasks_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// A finished model of any kind cuts texts where training cut them: it scores what the run said of it.
func TestEvaluateSaysWhatTheRunSaid(t *testing.T) {
	data := dataOf(t)
	numbers := writeFiles(t, map[string]string{
		"train.csv": "text,label\none more of them,1\nthe very last of all,2.5\n", "dev.csv": "text,label\nsomething else altogether,2\nthe very last of all,0.5\n",
	})
	for _, c := range []struct {
		task, data string
		set        []string
	}{
		{"sst-2", data["sst-2"], []string{"max_seq_len=4"}},
		{"regress", numbers, []string{"max_seq_len=4"}},
		{"flickr8k", data["flickr8k"], []string{"image_size=32", "max_seq_len=4", "negatives=2", "contrast_epochs=0", "eval_candidates=0"}},
		{"snli-ve", data["snli-ve"], []string{"image_size=32", "max_seq_len=4", "adv_step=1"}},
		{"vqa", data["vqa"], []string{"image_size=32", "max_seq_len=4"}},
		{"vqa", data["vqa"], []string{"image_size=32", "max_seq_len=4", "answer_by=generate", "max_tgt_len=4", "max_out_len=4", "beam_size=1"}},
		{"coco-caption", data["coco-caption"], []string{"image_size=32", "patch_size=16", "max_tgt_len=4", "max_out_len=5", "min_out_len=1", "beam_size=2"}},
		{"gigaword", data["gigaword"], []string{"max_src_len=4", "max_tgt_len=4", "max_out_len=5", "min_out_len=1", "beam_size=2"}},
	} {
		o := options(t, c.task, c.data, append(c.set, "max_steps=3")...)
		s, err := run.Finetune(t.Context(), o)
		if err != nil {
			t.Errorf("%s: %v", c.task, err)
			continue
		}
		results, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: o.Task, Model: o.Out, Data: c.data})
		if err != nil {
			t.Errorf("%s: %v", c.task, err)
			continue
		}
		want, _ := json.Marshal(s.Metrics)
		if got, _ := json.Marshal(run.Metrics(results)); string(got) != string(want) {
			t.Errorf("%s: evaluate says %s, the run said %s", c.task, got, want)
		}
	}
}

// A model that reads short texts can be trained further on longer ones.
func TestLengthIsOfOneTraining(t *testing.T) {
	data := labelledTask(t)
	first := options(t, "sst-2", data, "max_steps=1", "max_seq_len=4")
	if _, err := run.Finetune(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	next := options(t, "sst-2", data, "max_steps=1", "max_seq_len=9")
	next.Init = first.Out
	if _, err := run.Finetune(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]int{first.Out: 4, next.Out: 9} {
		cfg, err := model.ReadConfig(filepath.Join(dir, "best", "config.json"))
		if err != nil || cfg.MaxSeqLen != want {
			t.Errorf("max_seq_len is %d (%v), want %d", cfg.MaxSeqLen, err, want)
		}
	}
}
