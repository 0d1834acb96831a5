//go:build linux || darwin

package tasks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/train"
)

func TestMain(m *testing.M) { accelerator.Main(m) }

var suggested = regexp.MustCompile(`go on with --resume: an? ([a-z_]+) of about ([0-9]+) fits$`)

// Where training fits into the device's memory and an evaluation does not, what was trained is kept, and the run goes on with what the error suggests.
func TestAnEvaluationWithoutRoom(t *testing.T) {
	const long = "wonderful from its first minute to the very last one, and then once more"
	many := func(n int, header, line string) string { return header + strings.Repeat(line+"\n", n) }
	source := func(target string) string { return fmt.Sprintf(`{"source":"a story","target":%q}`, target) }
	texts := writeFiles(t, map[string]string{"train.tsv": many(3, "sentence\tlabel\n", "bad\t0"), "dev.tsv": many(60, "sentence\tlabel\n", long+"\t1")})
	read := writeFiles(t, map[string]string{"train.jsonl": many(1, "", source("one")), "dev.jsonl": many(60, "", source(long))})
	written := writeFiles(t, map[string]string{"train.jsonl": many(1, "", source("one")), "dev.jsonl": many(200, "", source("one"))})
	seen := claims(t)
	if err := os.WriteFile(filepath.Join(seen, "dev.csv"), []byte(many(200, "image,hypothesis,label\n", "p0.png,it is dark,neutral")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		task, setting, data string
		set                 []string
	}{
		{"sst-2", "eval_batch_size", texts, nil},
		{"gigaword", "eval_batch_size", read, []string{"min_out_len=1", "max_out_len=2", "beam_size=1", "decode_examples=1"}},
		{"gigaword", "decode_memory", written, []string{"eval_batch_size=50", "min_out_len=1", "max_out_len=32", "beam_size=2"}},
		{"snli-ve", "eval_batch_size", seen, []string{"image_size=32"}},
	} {
		t.Run(c.task+" "+c.setting, func(t *testing.T) {
			base := append([]string{"batch_size=1", "eval_batch_size=200", "device=" + accelerator.Blank(t, 1<<20)}, c.set...)
			var o run.Options
			var err error
			for memory := 200_000; ; memory += memory / 2 { // the least in which it can train
				t.Setenv(device.MemoryVariable, fmt.Sprint(memory))
				o = options(t, c.task, c.data, base...)
				if _, err = run.Finetune(t.Context(), o); err == nil {
					t.Fatal("all fits")
				}
				if train.HasSnapshot(o.Out) && suggested.MatchString(err.Error()) && suggested.FindStringSubmatch(err.Error())[1] == c.setting {
					break
				}
			}
			o.Resume = true
			for followed := map[string]bool{}; err != nil; _, err = run.Finetune(t.Context(), o) { // texts are written once losses are computed
				said := suggested.FindStringSubmatch(err.Error())
				if said == nil || followed[said[1]] {
					t.Fatalf("after %v: %v", o.Set, err)
				}
				followed[said[1]] = true
				o.Set = append(o.Set, said[1]+"="+said[2])
			}
		})
	}
}
