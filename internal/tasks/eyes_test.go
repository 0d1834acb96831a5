package tasks_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

// eyes are small Vision Transformers, from the files of their library.
func eyes(name string) string { return filepath.Join("..", "vision", "vit", "testdata", name) }

// The network that sees the pictures is trained with the model: both folders have it as it became, an interruption changes no bit,
// and so does another number of threads.
func TestTrainExtractor(t *testing.T) {
	for _, c := range []struct {
		task, data, eyes string
		set              []string
	}{
		{"flickr8k", pictures(t), "siglip", []string{"contrast_batch_size=4", "contrast_epochs=1", "negatives=2", "min_crop_area=0.5"}},
		{"snli-ve", claims(t), "dinov2-registers", []string{"gradient_accumulation=2"}},
		{"vqa", questions(t), "clip-vision", []string{"min_crop_area=0.6"}},
		{"vqa", questions(t), "siglip-headless", []string{"answer_by=generate", "max_out_len=4"}},
		{"coco-caption", pictures(t), "vit", []string{"max_out_len=6", "beam_size=1", "decode_examples=1", "flip=true"}},
	} {
		t.Run(c.task+" "+c.eyes, func(t *testing.T) {
			set := append([]string{"batch_size=2", "epochs=2", "hidden_dropout_prob=0.2", "weight_decay=0.1", "extractor=" + eyes(c.eyes), "train_extractor=true"}, c.set...)
			whole, stopped := options(t, c.task, c.data, set...), options(t, c.task, c.data, set...)
			if _, err := run.Finetune(t.Context(), whole); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			stopped.Observer = stopper{step: 2, stop: cancel}
			if _, err := run.Finetune(ctx, stopped); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			// What was lost is made again.
			if err := os.Remove(filepath.Join(stopped.Out, "last", regions.WeightsFile)); err != nil {
				t.Fatal(err)
			}
			stopped.Observer, stopped.Resume, stopped.Threads = nil, true, 1
			if _, err := run.Finetune(t.Context(), stopped); err != nil {
				t.Fatal(err)
			}
			before, err := extractor.Open(regions.Spec{Extractor: eyes(c.eyes)})
			if err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{"best", "last"} {
				want := files(t, filepath.Join(whole.Out, dir))
				if got := files(t, filepath.Join(stopped.Out, dir)); !maps.Equal(got, want) {
					t.Errorf("%s: another model after an interruption: %v", dir, slices.Sorted(maps.Keys(got)))
				}
				x, err := extractor.In(filepath.Join(whole.Out, dir))
				if err != nil {
					t.Fatal(err)
				}
				if x.Spec().Fingerprint == before.Spec().Fingerprint {
					t.Errorf("%s: the network is what it was", dir)
				}
			}
			// Training can go on from it, and the network stays if that is not said again.
			next := options(t, c.task, c.data, slices.DeleteFunc(slices.Clone(set), func(s string) bool {
				return strings.HasPrefix(s, "extractor=") || strings.HasPrefix(s, "train_extractor=")
			})...)
			next.Init = whole.Out
			if _, err := run.Finetune(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			if got, want := files(t, filepath.Join(next.Out, "last"))[regions.WeightsFile], files(t, filepath.Join(whole.Out, "best"))[regions.WeightsFile]; got != want {
				t.Error("a network that is not trained changes")
			}
		})
	}
}

func TestTrainExtractorRefusals(t *testing.T) {
	for want, c := range map[string]struct {
		task, data string
		set        []string
	}{
		"patches, image size 32":    {"snli-ve", claims(t), []string{"image_size=32"}},
		"give a Vision Transformer": {"snli-ve", claims(t), []string{"extractor=patches"}},
		"adv do not go together":    {"snli-ve", claims(t), []string{"adv=villa", "adv_step=2", "extractor=" + eyes("vit")}},
		"pictures=hidden":           {"vqa", questions(t), []string{"pictures=hidden", "extractor=" + eyes("vit")}},
		"features says where":       {"vqa", questions(t), []string{"features=" + t.TempDir(), "extractor=" + eyes("vit")}},
		"one model for many tasks":  {"multi", "", []string{"tasks=vqa=" + questions(t), "vqa.train_extractor=true", "extractor=" + eyes("vit")}},
	} {
		set := []string{"batch_size=2", "epochs=1"}
		if c.task != "multi" {
			set = append(set, "train_extractor=true")
		}
		_, err := run.Finetune(t.Context(), options(t, c.task, c.data, append(set, c.set...)...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
