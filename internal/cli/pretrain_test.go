package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/pretrained"
)

// collections writes a folder of data with synthetic pictures and a file of texts beside it.
func collections(t *testing.T) string {
	t.Helper()
	dir := scenesFolder(t)
	var texts strings.Builder
	for i := range 60 {
		fmt.Fprintf(&texts, "the %s circle is above the %s square and a star is near them, number %d\n", []string{"red", "blue", "green"}[i%3], []string{"big", "small"}[i%2], i)
	}
	if err := os.WriteFile(filepath.Join(dir, "texts.txt"), []byte(texts.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pretrainArgs(data, out string, settings ...string) []string {
	args := []string{"pretrain", "--preset", "mini", "--out", out}
	own := []string{
		"epochs=1", "text=[" + filepath.Join(data, "texts.txt") + "]", "images=[" + filepath.Join(data, "images") + "]", "pairs=[" + data + "]",
		"extractor=patches", "image_size=32", "patch_size=16", "batch_size=6", "shuffle_buffer=8", "held_out_share=0.2", "held_out=8", "max_steps=8",
	}
	kept := slices.DeleteFunc(slices.Clone(settings), func(s string) bool { return strings.HasPrefix(s, "epochs=") })
	return withSettings(args, slices.Concat(tiny, own, kept)...)
}

// The chain: pre-train with every objective, look at the report, go on with a task.
func TestPretrainChain(t *testing.T) {
	data, run := collections(t), filepath.Join(t.TempDir(), "run")
	r := must(t, append(pretrainArgs(data, run, "log_steps=1", "max_steps=24"), "--json")...)
	m := numbers(t, r.stdout)
	page := read(t, filepath.Join(run, "report.html"))
	for key, title := range map[string]string{
		"text.masked_lm": "Text: masked language modelling", "text.seq2seq": "Text: seq2seq", "images.region_feature": "Images: hidden regions",
		"pairs.masked_lm": "Pairs: masked language", "pairs.seq2seq": "Pairs: seq2seq", "pairs.region_feature": "Pairs: hidden regions",
		"pairs.contrast": "Pairs: contrastive, alone", "pairs.rewrite": "Pairs: contrastive, rewritten", "masked_accuracy": "Masked accuracy",
	} {
		if _, ok := m[key]; !ok {
			t.Errorf("pretrain --json has no %s: %s", key, r.stdout)
		}
		if !strings.Contains(page, title) {
			t.Errorf("the report has no curve %q", title)
		}
	}
	if !strings.Contains(page, "waited for data") {
		t.Error("the report does not say how long the model waited for data")
	}
	if log := read(t, filepath.Join(run, "log.jsonl")); !strings.Contains(log, `"parts":{"`) {
		t.Error("the log has no parts of the loss")
	}
	tuned := must(t, append(flickrArgs(data, filepath.Join(t.TempDir(), "tuned"), "epochs=2"), "--init", run, "--json")...)
	if strings.Contains(tuned.stderr, "start from random values") {
		t.Errorf("a retriever did not start from all of its parameters: %s", tuned.stderr)
	}
}

// Without a setting small collections hold out enough to measure on, and of too few pairs recall is
// not shown as if it said something. The run goes on with the same share.
func TestPretrainHoldsOutEnough(t *testing.T) {
	data, run := collections(t), filepath.Join(t.TempDir(), "run")
	args := append(pretrainArgs(data, run, "ratio_images=0", "held_out_share=0", "held_out=256"), "--json")
	r := must(t, args...)
	if !strings.Contains(r.stderr, "10 % of each collection are held out") || !strings.Contains(r.stderr, "recall and the losses of pairs say nothing") && !strings.Contains(r.stderr, "the numbers say nothing") {
		t.Errorf("not said: %s", r.stderr)
	}
	if !strings.Contains(r.stdout, `"recall@1"`) || !strings.Contains(r.stdout, `"notes":["held-out: `) {
		t.Errorf("--json has no recall, or no notes: %s", r.stdout)
	}
	if info := read(t, filepath.Join(run, "run.json")); !strings.Contains(info, `"held_out_share": 0.1`) {
		t.Error("run.json has not the share that was held out")
	}
	page := read(t, filepath.Join(run, "report.html"))
	if strings.Contains(page, "ecall@1") || !strings.Contains(page, "say nothing") {
		t.Error("the report shows recall among a handful of pairs, or does not say that it says nothing")
	}
	again := must(t, "resume", run)
	if strings.Contains(again.stdout, "recall@1") || !strings.Contains(again.stderr, "say nothing") {
		t.Errorf("a complete run: %s%s", again.stdout, again.stderr)
	}
}

// With a weight of 0 an objective is not measured, and with a ratio of 0 all of a kind are not.
func TestPretrainParts(t *testing.T) {
	data := collections(t)
	for _, c := range []struct {
		settings    []string
		with, omits []string
	}{
		{[]string{"ratio_images=0", "ratio_pairs=0", "seq2seq_weight=0"}, []string{"text.masked_lm"}, []string{"text.seq2seq", "pairs.masked_lm", "recall@1"}},
		{[]string{"ratio_images=0", "ratio_pairs=0", "seq2seq_share=0"}, []string{"text.masked_lm"}, []string{"text.seq2seq"}},
		{[]string{"ratio_images=0", "ratio_pairs=0", "seq2seq_share=1"}, []string{"text.seq2seq"}, []string{"text.masked_lm"}},
		{[]string{"ratio_text=0", "ratio_pairs=0"}, []string{"images.region_feature"}, []string{"text.masked_lm", "masked_accuracy"}},
		{[]string{"ratio_text=0", "ratio_images=0", "rewrite_weight=0", "pair_masked_lm_weight=0", "pair_seq2seq_weight=0"}, []string{"pairs.contrast"}, []string{"pairs.rewrite", "masked_accuracy"}},
		{[]string{"ratio_images=0", "pair_masked_lm_weight=0", "pair_region_feature_weight=0"}, []string{"text.masked_lm", "pairs.seq2seq"}, []string{"pairs.masked_lm", "pairs.region_feature"}},
		{[]string{"ratio_text=0", "ratio_images=0", "positives=0", "negatives=0", "batch_negatives=3", "retrieved_images=0", "retrieved_texts=0"}, []string{"pairs.contrast", "pairs.rewrite"}, nil},
	} {
		m := numbers(t, must(t, append(pretrainArgs(data, filepath.Join(t.TempDir(), "run"), append(c.settings, "max_steps=4")...), "--json")...).stdout)
		for _, key := range c.with {
			if _, ok := m[key]; !ok {
				t.Errorf("%v: no %s", c.settings, key)
			}
		}
		for _, key := range c.omits {
			if _, ok := m[key]; ok {
				t.Errorf("%v: measures %s", c.settings, key)
			}
		}
	}
}

func TestPretrainRefuses(t *testing.T) {
	data := collections(t)
	for _, c := range []struct {
		setting, says string
		code          int
	}{
		{"ratio_text=0 ratio_images=0 ratio_pairs=0", "are all 0", 2},
		{"text=[]", "names no collection", 2},
		{"region_feature_weight=0 region_class_weight=0", "ratio_images is not 0", 2},
		{"text=[" + filepath.Join(data, "absent.txt") + "]", "absent.txt", 1},
		{"batch_size=1", "compares the pairs of a batch", 2},
		{"batch_negatives=6", "only 5 other pairs", 2},
		{"negatives=0", "nothing wrong to compare", 2},
		{"ratio_text=0 ratio_pairs=0 region_feature_weight=0", "region_class_weight counts only", 2},
		{"max_steps=0", "max_steps", 2},
		{"epochs=2", "max_steps says", 2},
		{"held_out_share=1", "held_out_share", 2},
		{"mask_share=1.5", "mask_share", 2},
		{"max_text_len=1000", "max_text_len", 2},
		{"unknown=1", `unknown setting "unknown"`, 2},
		{"patch_size=7", "patch size", 2},
		{"paraphrases=" + filepath.Join(data, "texts.txt"), "texts.txt", 1},
	} {
		out := filepath.Join(t.TempDir(), "run")
		r := call(t, "", append(pretrainArgs(data, out), withSettings(nil, strings.Split(c.setting, " ")...)...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%s: exit code %d, want %d: %s", c.setting, r.code, c.code, r.stderr)
		}
	}
	for _, c := range []struct {
		args []string
		says string
	}{{nil, "--example"}, {[]string{"--set", "seed=2"}, "--out"}} {
		if r := call(t, "", append([]string{"pretrain"}, c.args...)...); r.code != 2 || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%v: exit code %d: %s", c.args, r.code, r.stderr)
		}
	}
}

// Pre-training goes on with images of another form, whose parts of the model start anew.
func TestPretrainFromOtherImages(t *testing.T) {
	data, run := collections(t), filepath.Join(t.TempDir(), "run")
	only := []string{"ratio_text=0", "ratio_pairs=0", "max_steps=2"}
	must(t, pretrainArgs(data, run, only...)...)
	r := must(t, append(pretrainArgs(data, filepath.Join(t.TempDir(), "next"), append(only, "patch_size=8")...), "--init", run)...)
	for _, name := range []string{"image_emb.w_0", "mask_region_feature_fc.w_0", "mask_region_feature_fc.b_0"} {
		if !strings.Contains(r.stderr, name) {
			t.Errorf("not said of %s: %s", name, r.stderr)
		}
	}
}

// Held-out pictures that cannot be read are left out, though a batch of them has no other.
func TestPretrainBadHeldOut(t *testing.T) {
	data := collections(t)
	images, err := os.ReadDir(filepath.Join(data, "images"))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range images {
		if i%2 == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(data, "images", e.Name()), []byte("no picture"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := pretrainArgs(data, filepath.Join(t.TempDir(), "run"), "ratio_text=0", "ratio_pairs=0", "batch_size=1", "held_out_share=0.5", "max_steps=3")
	r := must(t, args...)
	if !strings.Contains(r.stderr, "picture cannot be read") {
		t.Errorf("not counted: %s", r.stderr)
	}
}

// The example is a configuration, and its values are those of mini but for the collections.
func TestPretrainExample(t *testing.T) {
	file := filepath.Join(t.TempDir(), "example.yaml")
	if err := os.WriteFile(file, []byte(must(t, "pretrain", "--example").stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	example, err := run.Defaults(pretrained.Task, "mini")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.File(example, file); err != nil {
		t.Fatal(err)
	}
	defaults, _ := run.Defaults(pretrained.Task, "mini")
	want := settings.List(defaults)
	for i, s := range settings.List(example) {
		if slices.Contains([]string{"text", "images", "pairs"}, s.Key) {
			continue
		}
		if fmt.Sprint(s.Value) != fmt.Sprint(want[i].Value) {
			t.Errorf("%s is %v in the example, %v by default", s.Key, s.Value, want[i].Value)
		}
	}
}

// Pre-training goes on from another library's encoder, and from an earlier run.
func TestPretrainFrom(t *testing.T) {
	data, bert := collections(t), bertFolder(t)
	args := func(init, out string) []string {
		return withSettings([]string{"pretrain", "--init", init, "--out", out}, "text=["+filepath.Join(data, "texts.txt")+"]", "pairs=["+data+"]", "ratio_images=0",
			"extractor=patches", "image_size=32", "patch_size=16", "batch_size=4", "held_out_share=0.2", "held_out=8", "max_steps=4")
	}
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	r := must(t, args(bert, first)...)
	if !strings.Contains(r.stderr, "image_emb.w_0") || strings.Contains(r.stderr, "word_embedding") || strings.Contains(r.stderr, "ffn_fc_0") {
		t.Errorf("want what is of images to be new, and nothing else of the encoder: %s", r.stderr)
	}
	r = must(t, args(first, second)...)
	if strings.Contains(r.stderr, "random values") {
		t.Errorf("want all to be there: %s", r.stderr)
	}
	if vocabulary := read(t, filepath.Join(second, "best", "vocab.txt")); vocabulary != read(t, filepath.Join(bert, "vocab.txt")) {
		t.Error("another vocabulary")
	}
}
