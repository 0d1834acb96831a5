package tasks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/run"
)

// over trains on a number of ranks; change may give a rank other options.
func over(t *testing.T, size int, o run.Options, change func(rank int, o *run.Options)) error {
	t.Helper()
	return overContext(t.Context(), size, o, change)
}

func overContext(ctx context.Context, size int, o run.Options, change func(rank int, o *run.Options)) error {
	return collective.Run(size, func(g collective.Group) error {
		o := o
		o.Group = g
		o.Set = slices.Clone(o.Set)
		if change != nil {
			change(g.Rank(), &o)
		}
		s, err := run.Finetune(ctx, o)
		if err == nil && (s.Dir == nil || s.Outcome.Steps == 0) {
			err = errors.New("a summary without a folder or steps")
		}
		return err
	})
}

// trained is a small run of a task.
type trained struct {
	task string
	data string
	size int // ranks
	set  []string
}

// everyKind has runs of all kinds of task but pre-training.
func everyKind(t *testing.T) []trained {
	labelled := "sentence\tlabel\na dull film\t0\nwonderful from its first minute to the very last one\t1\nbad\t0\nit is a great joy\t1\n"
	written := ""
	for _, target := range []string{"a", "one two three four five six", "one two", "some three words"} {
		written += `{"source":"a story about many things","target":"` + target + `"}` + "\n"
	}
	return []trained{
		{"sst-2", writeFiles(t, map[string]string{"train.tsv": labelled, "dev.tsv": labelled}), 3, []string{"batch_size=1", "gradient_accumulation=3", "adv=freelb_text"}},
		{"gigaword", writeFiles(t, map[string]string{"train.jsonl": written, "dev.jsonl": written}), 2, []string{"batch_size=1", "min_out_len=1", "max_out_len=4", "beam_size=1"}},
		{"flickr8k", pictures(t), 2, []string{"batch_size=2", "negatives=2", "contrast_epochs=0", "image_size=32"}},
		{"flickr8k", pictures(t), 4, []string{"contrast_batch_size=2", "negatives=2", "epochs=2", "contrast_epochs=1", "image_size=32", "gradient_accumulation=4", "contrast_over_step=true"}},
		{"snli-ve", claims(t), 2, []string{"batch_size=1", "image_size=32"}},
		{"vqa", questions(t), 2, []string{"batch_size=1", "image_size=32"}},
		{"coco-caption", pictures(t), 2, []string{"batch_size=2", "image_size=32", "patch_size=16", "beam_size=1", "min_out_len=1", "max_out_len=4"}},
		{"multi", "", 4, []string{"tasks=sst-2=" + labelledTask(t) + ",flickr8k=" + pictures(t), "flickr8k.contrast_over_step=true", "flickr8k.negatives=2", "image_size=32", "gradient_accumulation=4"}},
		// One model for two tasks, a network that is trained with the model, and one whose features the first rank computes.
		{"multi", "", 2, []string{"tasks=sst-2=" + labelledTask(t) + ",gigaword=" + writtenTask(t), "gigaword.min_out_len=1", "gigaword.max_out_len=4", "gradient_accumulation=3"}},
		{"snli-ve", claims(t), 2, []string{"batch_size=1", "extractor=" + eyes("dinov2-registers"), "train_extractor=true"}},
		{"coco-caption", pictures(t), 2, []string{"extractor=" + eyes("vit"), "beam_size=1", "min_out_len=1", "max_out_len=4"}},
	}
}

// settings are those of the run, and others before them.
func (c trained) settings(set ...string) []string {
	return append(append([]string{"gradient_accumulation=2", "hidden_dropout_prob=0.1", "eval_steps=1", "batch_size=2"}, set...), c.set...)
}

// Every kind of task trains the same model on several ranks as on one.
func TestRanksTrainTheSameModel(t *testing.T) {
	for _, c := range everyKind(t) {
		t.Run(c.task, func(t *testing.T) {
			set := c.settings()
			alone := options(t, c.task, c.data, set...)
			if _, err := run.Finetune(t.Context(), alone); err != nil {
				t.Fatal(err)
			}
			together := options(t, c.task, c.data, set...)
			var log bytes.Buffer
			nowhere, temporary := filepath.Join(t.TempDir(), "nowhere"), t.TempDir()
			t.Setenv("TMPDIR", temporary)
			err := over(t, c.size, together, func(rank int, o *run.Options) {
				o.Log = slog.New(slog.NewTextHandler(&synced{w: &log}, nil))
				if rank > 0 { // its machine does not see the run's folder
					o.Out = nowhere
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(nowhere); err == nil {
				t.Error("another rank than the first has a folder")
			}
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
				t.Errorf("temporary files are left: %v, %v", left, err)
			}
			for _, dir := range []string{"best", "last"} {
				if !maps.Equal(files(t, filepath.Join(alone.Out, dir)), files(t, filepath.Join(together.Out, dir))) {
					t.Errorf("%s differs", dir)
				}
			}
			if page, err := os.ReadFile(filepath.Join(together.Out, "report.html")); err != nil || !strings.Contains(string(page), fmt.Sprintf("s between %d ranks", c.size)) {
				t.Errorf("the report does not say what the exchange took: %v", err)
			}
			if n := strings.Count(log.String(), "device "); n != 1 {
				t.Errorf("the device is said %d times:\n%s", n, log.String())
			}
		})
	}
}

// synced is a writer for several goroutines.
type synced struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (s *synced) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// Ranks that would not compute the same are refused before there is a folder, and the error says which has what.
func TestRanksMustAgree(t *testing.T) {
	data := labelledTask(t)
	other := writeFiles(t, map[string]string{"train.tsv": "sentence\tlabel\nanother\t0\none\t1\n", "dev.tsv": "sentence\tlabel\nanother\t0\none\t1\n"})
	for want, change := range map[string]func(o *run.Options){
		"content of train": func(o *run.Options) { o.Data = other },
		"seed is 9":        func(o *run.Options) { o.Set = append(o.Set, "seed=9") },
		"version of unimo": func(o *run.Options) { o.Version = map[string]string{"unimo": "2"} },
		"rank 1: ":         func(o *run.Options) { o.Data = "nowhere" },
		"gradient_accumulation=2": func(o *run.Options) {
			o.Set = append(o.Set, "gradient_accumulation=1")
		},
	} {
		o := options(t, "sst-2", data, "batch_size=1", "gradient_accumulation=2")
		o.Version = map[string]string{"unimo": "1"}
		err := over(t, 2, o, func(rank int, o *run.Options) {
			if rank == 1 {
				change(o)
			}
		})
		var common *collective.RankError
		if err == nil || !errors.As(err, &common) || strings.Count(err.Error(), want) < 2 {
			t.Errorf("%s: got %v", want, err)
		}
		if _, err := os.Stat(o.Out); err == nil {
			t.Errorf("%s: the folder was made", want)
		}
	}
}

// A run goes on with any number of ranks, and a complete one is known as such on all.
func TestRanksGoOn(t *testing.T) {
	set := []string{"batch_size=1", "gradient_accumulation=2", "epochs=3", "eval_steps=1", "hidden_dropout_prob=0.1"}
	whole, parted := options(t, "sst-2", labelledTask(t), set...), options(t, "sst-2", labelledTask(t), set...)
	if _, err := run.Finetune(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{2, 1} {
		ctx, cancel := context.WithCancel(t.Context())
		err := overContext(ctx, size, parted, func(_ int, o *run.Options) { o.Observer = stopper{step: i + 1, stop: cancel} })
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		parted.Resume = true
	}
	for range 2 {
		// Only the first rank needs to see the folder.
		if err := over(t, 2, parted, func(rank int, o *run.Options) {
			if rank == 1 {
				o.Out = filepath.Join(t.TempDir(), "elsewhere")
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"best", "last"} {
		if !maps.Equal(files(t, filepath.Join(whole.Out, dir)), files(t, filepath.Join(parted.Out, dir))) {
			t.Errorf("%s differs", dir)
		}
	}
}
