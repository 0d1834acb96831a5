package tasks_test

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
	"github.com/unimo-go/unimo/internal/train"
)

// tiny are settings of a model that trains in no time, without chance.
var tiny = []string{
	"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=300", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
	"log_steps=1", "clip_norm=0", "epochs=1", "eval_steps=0", "learning_rate=0.01",
}

// options are those of a run over the folder data with tiny and further settings.
func options(t *testing.T, task, data string, set ...string) run.Options {
	t.Helper()
	return run.Options{
		Env:  run.Env{Out: filepath.Join(t.TempDir(), "run")},
		Task: find(t, task), Size: "mini", Data: data, Set: append(append([]string{}, tiny...), set...),
	}
}

func find(t *testing.T, name string) *run.Task {
	t.Helper()
	task, err := tasks.All.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// writeFiles writes files into a new folder.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pictures writes pictures with two captions each, as a data set for retrieval.
func pictures(t *testing.T) string {
	t.Helper()
	table, list := "image,caption\n", ""
	for i := range 4 {
		name := fmt.Sprintf("p%d.png", i)
		list += name + "\n"
		table += fmt.Sprintf("%s,a picture of number %d\n%s,%s\n", name, i, name, strings.Repeat("many words ", i+1))
	}
	dir := writeFiles(t, map[string]string{"captions.csv": table, "train.txt": list, "dev.txt": list})
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		im := image.NewRGBA(image.Rect(0, 0, 32, 32))
		for k := range 32 * 32 {
			im.Set(k%32, k/32, color.RGBA{uint8(60 * i), uint8(k * (i + 3)), uint8(k / 4), 255})
		}
		f, err := os.Create(filepath.Join(dir, "images", fmt.Sprintf("p%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, im); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// claims are texts about the pictures, with what is to be said of them.
func claims(t *testing.T) string {
	return asked(t, "image,hypothesis,label", "it is dark", "entailment", "neutral", "contradiction", "neutral")
}

// questions are the same, with answers of many lengths.
func questions(t *testing.T) string {
	return asked(t, "image,question,answer", "how dark is it?", "very", "not at all", "very", "as dark as the night before")
}

func asked(t *testing.T, header, text string, answers ...string) string {
	dir := pictures(t)
	table := header + "\n"
	for i, answer := range answers {
		table += fmt.Sprintf("p%d.png,%s%s,%s\n", i, strings.Repeat("one says ", i), text, answer)
	}
	for _, name := range []string{"train.csv", "dev.csv"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A step over the same examples has the same loss and the same gradient however they are
// divided into batches, of equal size or not, and where fewer batches are left than a step takes.
func TestAccumulationIsALargerBatch(t *testing.T) {
	labelled := "sentence\tlabel\na dull film\t0\nwonderful from its first minute to the very last one\t1\nbad\t0\nit is a great joy\t1\n"
	scored := "sentence1\tsentence2\tscore\na man runs\ta man is running\t4.5\na cat\ta dog sleeps in the sun beside an old house\t1\nrain\tsnow\t2\na boy plays\tchildren play with a ball\t3\n"
	written := ""
	for i, target := range []string{"a", "one two three four five six", "one two", "some three words"} {
		written += fmt.Sprintf(`{"source":"story number %d of %s","target":%q}`+"\n", i, strings.Repeat("many ", i+1), target)
	}
	for _, c := range []struct {
		task  string
		data  string
		sizes []string // of a batch, with the batches of a step; the first takes all in one
		set   []string
	}{
		{"sst-2", writeFiles(t, map[string]string{"train.tsv": labelled, "dev.tsv": labelled}), []string{"4 1", "2 2", "1 4", "3 2", "1 9"}, nil},
		{"sst-2", writeFiles(t, map[string]string{"train.tsv": labelled, "dev.tsv": labelled}), []string{"1000 1", "40 9", "1 9"}, []string{"in_tokens=true"}},
		{"sst-2", writeFiles(t, map[string]string{"train.tsv": labelled, "dev.tsv": labelled}), []string{"4 1", "2 2"}, []string{"adv=freelb_text", "adv_step=1", "adv_init_mag=0"}},
		{"sts-b", writeFiles(t, map[string]string{"train.tsv": scored, "dev.tsv": scored}), []string{"4 1", "2 2", "1 4", "3 2", "1 9"}, nil},
		{"gigaword", writeFiles(t, map[string]string{"train.jsonl": written, "dev.jsonl": written}), []string{"4 1", "2 2", "1 4", "3 2", "1 9"}, []string{"min_out_len=1", "max_out_len=4", "beam_size=1"}},
		{"flickr8k", pictures(t), []string{"8 1", "4 2", "2 4", "1 8", "5 2", "3 9"}, []string{
			"negatives=2", "hard_negatives=false", "contrast_weight=0", "contrast_epochs=0", "flip=false", "min_crop_area=1", "image_size=32", "eval_candidates=0",
		}},
		{"flickr8k", pictures(t), []string{"8 1", "4 2", "2 4", "1 8", "5 2", "3 9"}, []string{
			"negatives=2", "hard_negatives=false", "contrast_weight=0.5", "contrast_over_step=true", "contrast_epochs=0", "flip=false", "min_crop_area=1", "image_size=32", "eval_candidates=0",
		}},
		{"multi", "", []string{"8 1", "4 2", "2 4", "1 8", "5 2", "3 9"}, []string{
			"tasks=flickr8k=" + pictures(t), "image_size=32", "flickr8k.negatives=2", "flickr8k.hard_negatives=false", "flickr8k.contrast_weight=0.5",
			"flickr8k.contrast_over_step=true", "flickr8k.flip=false", "flickr8k.min_crop_area=1", "flickr8k.eval_candidates=0",
		}},
		{"snli-ve", claims(t), []string{"4 1", "2 2", "1 4", "3 2", "1 9"}, []string{"flip=false", "min_crop_area=1", "image_size=32"}},
		{"vqa", questions(t), []string{"4 1", "2 2", "1 4", "3 2", "1 9"}, []string{"image_size=32"}},
		{"vqa", questions(t), []string{"4 1", "2 2", "1 4", "3 2", "1 9"}, []string{"image_size=32", "answer_by=generate", "max_out_len=4"}},
		{"coco-caption", pictures(t), []string{"8 1", "4 2", "2 4", "1 8", "5 2", "3 9"}, []string{
			"flip=false", "min_crop_area=1", "image_size=32", "patch_size=16", "beam_size=1", "min_out_len=1", "max_out_len=4",
		}},
	} {
		var want struct{ loss, norm float64 }
		for i, size := range c.sizes {
			var batch, accumulate int
			fmt.Sscan(size, &batch, &accumulate)
			o := options(t, c.task, c.data, append([]string{
				fmt.Sprintf("batch_size=%d", batch), fmt.Sprintf("gradient_accumulation=%d", accumulate)}, c.set...)...)
			s, err := run.Finetune(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			h, err := train.ReadHistory(s.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(h.Steps) != 1 {
				t.Fatalf("%s %s: %d steps, want 1", c.task, size, len(h.Steps))
			}
			loss, norm := h.Steps[0].Loss, h.Steps[0].Norm
			if i == 0 {
				want.loss, want.norm = loss, norm
				if !(norm > 0) {
					t.Fatalf("%s: no gradient", c.task)
				}
			}
			if math.Abs(loss-want.loss) > 1e-5*want.loss || math.Abs(norm-want.norm) > 1e-4*want.norm {
				t.Errorf("%s, batches of %s: loss %v and gradient norm %v, in one batch %v and %v", c.task, size, loss, norm, want.loss, want.norm)
			}
		}
	}
}
