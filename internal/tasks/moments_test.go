package tasks_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/run"
)

// However moments are kept, a run that is interrupted, and goes on alone or on several ranks, ends in the same bits. Those of other
// forms are others.
func TestResumeWithMoments(t *testing.T) {
	models := map[string]map[string]string{}
	for _, c := range []struct {
		moments string
		shard   string // where several ranks go on
	}{{"float32", "true"}, {"bfloat16", "true"}, {"bfloat16", "false"}, {"factored", "false"}} {
		t.Run(c.moments+" sharded "+c.shard, func(t *testing.T) {
			for _, task := range []struct {
				name, data string
				set        []string
			}{
				{"sst-2", labelledTask(t), nil},
				{"gigaword", writtenTask(t), []string{"min_out_len=1", "max_out_len=4", "beam_size=1"}},
			} {
				set := append([]string{
					"batch_size=1", "gradient_accumulation=2", "epochs=4", "eval_steps=1", "hidden_dropout_prob=0.1", "weight_decay=0.01", "moments=" + c.moments,
				}, task.set...)
				last := func(o run.Options) map[string]string { return files(t, filepath.Join(o.Out, "last")) }
				whole, parted := options(t, task.name, task.data, set...), options(t, task.name, task.data, set...)
				if _, err := run.Finetune(t.Context(), whole); err != nil {
					t.Fatal(err)
				}
				for i, size := range []int{1, 2, 1} {
					ctx, cancel := context.WithCancel(t.Context())
					err := overContext(ctx, size, parted, func(rank int, o *run.Options) {
						if c.shard == "false" {
							o.Threads = 1 // where ranks divide the update, too, unless moments forbid it
						}
						if o.Set = append(o.Set, "shard_optimizer="+c.shard); i < 2 {
							o.Observer = stopper{step: i + 1, stop: cancel}
						}
					})
					cancel()
					if i < 2 && !errors.Is(err, context.Canceled) || i == 2 && err != nil {
						t.Fatalf("%s: %v", task.name, err)
					}
					parted.Resume = true
				}
				if !maps.Equal(last(parted), last(whole)) {
					t.Errorf("%s: another model after an interruption", task.name)
				}
				key := task.name + " " + c.moments
				if models[key] != nil && !maps.Equal(models[key], last(whole)) {
					t.Errorf("%s: not the same twice", key)
				}
				models[key] = last(whole)
				snapshots, err := filepath.Glob(filepath.Join(whole.Out, "snapshots", "*"))
				if err != nil || len(snapshots) == 0 {
					t.Fatal("no snapshots", err)
				}
				checkMoments(t, snapshots[0], c.moments)
			}
		})
	}
	for name, m := range models {
		for other, n := range models {
			if task, _, _ := strings.Cut(name, " "); name < other && strings.HasPrefix(other, task) && maps.Equal(m, n) {
				t.Errorf("%s and %s train the same model", name, other)
			}
		}
	}
}

// checkMoments says whether a snapshot has moments of that form.
func checkMoments(t *testing.T, file, moments string) {
	t.Helper()
	r, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const name = "encoder_layer_0_ffn_fc_0.w_0" // 16 x 64
	want := map[string]string{
		"float32": "_moment1_0 F32 1024 _moment2_0 F32 1024", "bfloat16": "_moment1_0 BF16 1024 _moment2_0 BF16 1024",
		"factored": "_moment2_0_columns F32 65 _moment2_0_rows F32 16",
	}[moments]
	var got []string
	for _, info := range r.Tensors() {
		if suffix, ok := strings.CutPrefix(info.Name, name+"_"); ok {
			got = append(got, "_"+suffix, info.DType.String(), strconv.Itoa(info.Elements()))
		}
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("a snapshot has of %s %q, want %q", name, s, want)
	}
}

// Forms of moments that are unknown, or that ranks cannot share, and another form for a run that goes on, are refused.
func TestMomentsAreChecked(t *testing.T) {
	o := options(t, "sst-2", labelledTask(t), "batch_size=4")
	if _, err := run.Finetune(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	unfinished(t, o.Out)
	for want, c := range map[string]struct {
		resume bool
		set    []string
	}{
		`unknown form of moments "half"`:      {false, []string{"moments=half"}},
		"cannot be shared among ranks":        {false, []string{"moments=factored", "shard_optimizer=true"}},
		"moments was float32 and is bfloat16": {true, []string{"moments=bfloat16"}},
	} {
		p := options(t, "sst-2", labelledTask(t), append([]string{"batch_size=4"}, c.set...)...)
		if c.resume {
			p.Out, p.Data, p.Resume = o.Out, o.Data, true
		}
		if _, err := run.Finetune(t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}
