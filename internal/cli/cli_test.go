package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/demo/synth"
)

// result is what a call of the command gave.
type result struct {
	code           int
	stdout, stderr string
}

// runArgs runs a command line under ctx.
func runArgs(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newApp(args, stdin, stdout, stderr).run(ctx)
}

func call(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := runArgs(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// must fails the test unless the call ended with exit code 0.
func must(t *testing.T, args ...string) result {
	t.Helper()
	r := call(t, "", args...)
	if r.code != exitDone {
		t.Fatalf("unimo %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// tiny are settings of a model that trains in a second.
var tiny = []string{
	"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=400",
	"epochs=1", "batch_size=16", "learning_rate=5e-3",
}

func withSettings(args []string, settings ...string) []string {
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	return args
}

// opinionsFolder writes a small data folder in SST-2's form.
func opinionsFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	trainSet, dev := synth.Opinions(7, 400, 60)
	write := func(name, header string, opinions []synth.Opinion, line func(int, synth.Opinion) string) {
		var b strings.Builder
		b.WriteString(header + "\n")
		for i, o := range opinions {
			b.WriteString(line(i, o) + "\n")
		}
		writeFile(t, filepath.Join(dir, name), b.String())
	}
	labelled := func(_ int, o synth.Opinion) string {
		label := "0"
		if o.Positive {
			label = "1"
		}
		return o.Text + "\t" + label
	}
	write("train.tsv", "sentence\tlabel", trainSet, labelled)
	write("dev.tsv", "sentence\tlabel", dev, labelled)
	write("test.tsv", "index\tsentence", dev, func(i int, o synth.Opinion) string { return fmt.Sprintf("%d\t%s", i, o.Text) })
	return dir
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func finetuneArgs(data, out string, settings ...string) []string {
	args := []string{"finetune", "sst-2", "--data", data, "--preset", "mini", "--out", out}
	return withSettings(args, append(slices.Clone(tiny), settings...)...)
}

// The whole chain on a small model: train, what the run's folder holds, evaluate,
// predict, inspect, convert, continue from the result.
func TestChain(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	trained := must(t, append(finetuneArgs(data, out, "epochs=3"), "--json")...)
	metrics := numbers(t, trained.stdout)
	for _, want := range []string{`"task":"sst-2"`, `"model":` + quoted(filepath.Join(out, "best")), `"report":` + quoted(filepath.Join(out, "report.html"))} {
		if !strings.Contains(trained.stdout, want) {
			t.Errorf("the result lacks %s: %s", want, trained.stdout)
		}
	}
	if metrics["examples"] != 60 || !(metrics["accuracy"] >= 0 && metrics["accuracy"] <= 1) || !(metrics["loss"] > 0) {
		t.Errorf("metrics are %v", metrics)
	}
	for _, name := range []string{
		"best/model.safetensors", "best/config.json", "best/README.md", "best/vocab.txt", "best/encoder.json", "best/vocab.bpe",
		"last/model.safetensors", "log.jsonl", "run.json", "report.html",
		"predictions/test.glue.tsv", "predictions/test.reference.tsv",
	} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	best := filepath.Join(out, "best")
	evaluated := must(t, "evaluate", "sst-2", "--data", filepath.Join(data, "dev.tsv"), "--model", best, "--json")
	again := numbers(t, evaluated.stdout)
	for key, want := range metrics {
		if got := again[key]; !(math.Abs(got-want) <= 1e-6) {
			t.Errorf("evaluate says %s is %v, training said %v", key, got, want)
		}
	}
	predicted := call(t, "the film is good\n\nbad \xff bytes", "predict", "--model", out, "--json", "-")
	if lines := strings.Split(strings.TrimSpace(predicted.stdout), "\n"); predicted.code != exitDone || len(lines) != 3 {
		t.Errorf("predict gave %+v", predicted)
	}
	plain := must(t, "predict", "--model", best, "the film is good")
	if fields := strings.Split(plain.stdout, "\t"); len(fields) != 3 || (fields[0] != "negative" && fields[0] != "positive") {
		t.Errorf("predict printed %q", plain.stdout)
	}
	archive, folder := filepath.Join(t.TempDir(), "m.tar.gz"), filepath.Join(t.TempDir(), "m")
	must(t, "convert", best, archive)
	must(t, "convert", archive, folder, "--config", filepath.Join(best, "config.json"), "--vocab", best)
	if there := must(t, "predict", "--model", folder, "the film is good"); there.stdout != plain.stdout {
		t.Errorf("after converting there and back the answer is %q, not %q", there.stdout, plain.stdout)
	}
	next := filepath.Join(t.TempDir(), "next")
	must(t, withSettings([]string{"finetune", "sst-2", "--data", data, "--init", out, "--out", next}, "max_steps=2", "batch_size=4")...)
}

func quoted(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}

// A folder of predictions is new, empty, or of the same command: never one with other files.
func TestFolderOfPredictions(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	must(t, finetuneArgs(data, out)...)
	to := filepath.Join(t.TempDir(), "predictions")
	evaluate := []string{"evaluate", "sst-2", "--data", data, "--model", out, "--predictions"}
	for range 2 {
		must(t, append(evaluate, to)...)
	}
	before := read(t, filepath.Join(data, "dev.tsv"))
	if r := call(t, "", append(evaluate, data)...); r.code != exitFailed || !strings.Contains(r.stderr, "name a new folder") {
		t.Errorf("the data's folder: %+v", r)
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) != 3 || read(t, filepath.Join(data, "dev.tsv")) != before {
		t.Errorf("the data's folder holds %v (%v)", entries, err)
	}
	if err := os.Remove(filepath.Join(to, "dev.glue.tsv")); err != nil {
		t.Fatal(err)
	}
	if r := call(t, "", append(evaluate, to)...); r.code != exitFailed {
		t.Errorf("a folder with one file of two: %+v", r)
	}
	for flag, want := range map[string]string{"--beam=2": "it is one of cnn-dailymail, coqa", "--two-stage=2": "it is one of flickr30k, flickr8k", "--seed=1": `unknown flag "--seed" of evaluate sst-2`} {
		if r := call(t, "", "evaluate", "sst-2", "--data", data, "--model", out, flag); r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: %+v", flag, r)
		}
	}
}

// Results do not depend on the number of threads, bit for bit.
func TestThreadsDoNotChangeTheModel(t *testing.T) {
	data := opinionsFolder(t)
	var models []string
	for _, threads := range []string{"1", "2", "3"} {
		out := filepath.Join(t.TempDir(), "run")
		must(t, append(finetuneArgs(data, out), "--threads", threads)...)
		models = append(models, read(t, filepath.Join(out, "last", "model.safetensors")))
	}
	if models[0] != models[1] || models[0] != models[2] {
		t.Error("the model depends on the number of threads")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestResume(t *testing.T) {
	data := opinionsFolder(t)
	out := filepath.Join(t.TempDir(), "run")
	fresh := must(t, append(finetuneArgs(data, out), "--resume")...)
	if !strings.Contains(fresh.stderr, "nothing has been saved yet") {
		t.Errorf("a fresh resume says %q", fresh.stderr)
	}
	again := call(t, "", finetuneArgs(data, out)...)
	if again.code != exitFailed || !strings.Contains(again.stderr, "--resume") {
		t.Errorf("a second run in the same folder: %+v", again)
	}
	complete := must(t, append(finetuneArgs(data, out), "--resume")...)
	if !strings.Contains(complete.stderr, "complete") {
		t.Errorf("resuming a complete run says %q", complete.stderr)
	}
	grid := call(t, "", append(finetuneArgs(data, out), "--resume", "--grid", "seed=1,2")...)
	if grid.code != exitFailed || !strings.Contains(grid.stderr, "cannot be resumed") {
		t.Errorf("a grid in the folder of a run: %+v", grid)
	}
	other := call(t, "", append(finetuneArgs(data, out, "seed=9"), "--resume")...)
	if other.code != exitFailed || !strings.Contains(other.stderr, "seed was 1 and is 9") {
		t.Errorf("resuming with another seed: %+v", other)
	}
}

// The case rule of a given vocabulary is taken over unless the user sets another.
func TestCaseRuleOfTheVocabulary(t *testing.T) {
	data := opinionsFolder(t)
	vocab := filepath.Join(t.TempDir(), "vocab")
	must(t, "tokenizer", "train", "--out", vocab, "--vocab-size", "300", "--keep-case", filepath.Join(data, "dev.tsv"))
	for _, c := range []struct {
		set, want string
	}{{"seed=1", "false"}, {"do_lower_case=true", "true"}} {
		out := filepath.Join(t.TempDir(), "run")
		must(t, append(finetuneArgs(data, out, "max_steps=1", c.set), "--vocab", vocab)...)
		settings := read(t, filepath.Join(out, "best", "tokenizer_config.json"))
		if !strings.Contains(settings, `"do_lower_case": `+c.want) {
			t.Errorf("%s: tokenizer_config.json is %s", c.set, settings)
		}
	}
}

func TestInterruptedRunSaysHowToGoOn(t *testing.T) {
	data := opinionsFolder(t)
	out := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	// Cancelled as soon as training has evaluated once.
	stderr := &trigger{on: "on dev", call: cancel}
	code := runArgs(ctx, finetuneArgs(data, out, "epochs=50"), strings.NewReader(""), &stdout, stderr)
	if code != exitInterrupted || !strings.Contains(stderr.text.String(), "unimo resume ") {
		t.Fatalf("exit code %d, %q", code, stderr.text.String())
	}
	if info := read(t, filepath.Join(out, "run.json")); !strings.Contains(info, `"interrupted"`) {
		t.Errorf("run.json says %s", info)
	}
}

// trigger calls a function once a text has been written to it.
type trigger struct {
	on   string
	call func()
	text bytes.Buffer
}

func (w *trigger) Write(p []byte) (int, error) {
	w.text.Write(p)
	if strings.Contains(w.text.String(), w.on) {
		w.call()
	}
	return len(p), nil
}

func TestGrid(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	r := must(t, append(finetuneArgs(data, out, "max_steps=3"), "--grid", "batch_size=4,8", "--grid", "seed=1,2", "--json")...)
	var g struct {
		Cells []struct {
			Name  string
			Score float64
		}
		Best, Median, Mean, Deviation float64
	}
	if err := json.Unmarshal([]byte(r.stdout), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cells) != 4 || g.Cells[0].Name != "batch_size-4_seed-1" {
		t.Fatalf("cells are %+v", g.Cells)
	}
	var sum, best float64
	for _, c := range g.Cells {
		sum += c.Score
		best = max(best, c.Score)
	}
	if math.Abs(g.Mean-sum/4) > 1e-9 || g.Best != best || g.Median > best {
		t.Errorf("statistics are %+v", g)
	}
	if page := read(t, filepath.Join(out, "report.html")); !strings.Contains(page, "accuracy on dev") || strings.Count(page, "batch_size-8_seed-2") < 3 { // in the table, its link and the plot
		t.Error("the page of the grid has no curves of its runs")
	}
	must(t, "predict", "--model", out, "fine")
	table := must(t, append(finetuneArgs(data, out, "max_steps=3"), "--grid", "batch_size=4,8", "--grid", "seed=1,2", "--resume")...)
	for _, word := range []string{"best", "median", "mean", "deviation", "batch_size-8_seed-2"} {
		if !strings.Contains(table.stdout, word) {
			t.Errorf("the table lacks %q:\n%s", word, table.stdout)
		}
	}
}

// Bad input gets one line that names the place and the remedy, the documented exit
// code, and nothing half-written.
func TestBadInput(t *testing.T) {
	data := opinionsFolder(t)
	run := filepath.Join(t.TempDir(), "run")
	must(t, finetuneArgs(data, run)...)
	best := filepath.Join(run, "best")
	// variant copies the data folder with one file replaced.
	variant := func(name, content string) string {
		dir := t.TempDir()
		for _, file := range []string{"train.tsv", "dev.tsv"} {
			writeFile(t, filepath.Join(dir, file), read(t, filepath.Join(data, file)))
		}
		writeFile(t, filepath.Join(dir, name), content)
		return dir
	}
	broken := func(change func(dir string)) string {
		dir := filepath.Join(t.TempDir(), "model")
		if err := os.CopyFS(dir, os.DirFS(best)); err != nil {
			t.Fatal(err)
		}
		change(dir)
		return dir
	}
	truncated := broken(func(dir string) {
		path := filepath.Join(dir, "model.safetensors")
		writeFile(t, path, read(t, path)[:1000])
	})
	misfit := broken(func(dir string) {
		path := filepath.Join(dir, "config.json")
		writeFile(t, path, strings.Replace(read(t, path), `"hidden_size": 16`, `"hidden_size": 32`, 1))
	})
	otherVocab := broken(func(dir string) {
		path := filepath.Join(dir, "vocab.txt")
		writeFile(t, path, read(t, path)+"more\nthan the table has\n")
	})
	badConfig := broken(func(dir string) { writeFile(t, filepath.Join(dir, "config.json"), "{") })
	settings := filepath.Join(t.TempDir(), "settings.yaml")
	writeFile(t, settings, "epochs: 1\nlearnin_rate: 2\n")

	finetune := func(dir string, more ...string) []string {
		return append(finetuneArgs(dir, filepath.Join(t.TempDir(), "out")), more...)
	}
	evaluate := func(file, model string) []string {
		return []string{"evaluate", "sst-2", "--data", file, "--model", model}
	}
	dev := filepath.Join(data, "dev.tsv")
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string // parts of the message
	}{
		{"no such command", []string{"fintune"}, exitUsage, []string{"fintune"}},
		{"no such task", []string{"finetune", "sst22", "--data", data}, exitUsage, []string{`"sst22"`, "did you mean sst-2?", "see 'unimo finetune --help'"}},
		{"no such flag", []string{"predict", "--modle", best}, exitUsage, []string{"modle", "--help"}},
		{"flag missing", []string{"evaluate", "sst-2", "--data", dev}, exitUsage, []string{"model"}},
		{"no text", []string{"predict", "--model", best}, exitUsage, []string{"-"}},
		{"standard input and a text", []string{"predict", "--model", best, "-", "x"}, exitUsage, []string{"standard input"}},
		{"vocabulary for an archive", []string{"convert", best, filepath.Join(t.TempDir(), "x.tar.gz"), "--vocab", best}, exitUsage, []string{"--vocab", "x.tar.gz"}},
		{"no such preset", finetune(data, "--preset", "huge"), exitUsage, []string{`"huge"`, "mini, base, large"}},
		{"unknown key", finetune(data, "--set", "learnin_rate=1"), exitUsage, []string{`"learnin_rate"`, "did you mean learning_rate?", "unimo settings sst-2"}},
		{"bad value", finetune(data, "--set", "epochs=many"), exitUsage, []string{"epochs is many, want a whole number"}},
		{"impossible value", finetune(data, "--set", "batch_size=0"), exitUsage, []string{"batch_size", "1 or more"}},
		{"unknown key in a file", finetune(data, "--config", settings), exitUsage, []string{settings, "learnin_rate"}},
		{"negative threads", []string{"version", "--threads", "-1"}, exitUsage, []string{"--threads"}},
		{"data folder missing", finetune(filepath.Join(data, "absent")), exitFailed, []string{"absent"}},
		{"data file missing", finetune(t.TempDir()), exitFailed, []string{"no train file", ".tsv"}},
		{"data file empty", finetune(variant("train.tsv", "")), exitFailed, []string{"train.tsv", "empty"}},
		{"only a header", finetune(variant("train.tsv", "sentence\tlabel\n")), exitFailed, []string{"train.tsv"}},
		{"bad label", finetune(variant("train.tsv", "sentence\tlabel\na\t1\nb\tgood\n")), exitFailed, []string{"train.tsv:3", "good", "positive"}},
		{"column too few", finetune(variant("dev.tsv", "sentence\tlabel\na\t1\nb\n")), exitFailed, []string{"dev.tsv:3"}},
		{"no header", finetune(variant("dev.tsv", "good film\t1\nbad film\t0\n")), exitFailed, []string{"dev.tsv:1", "sentence"}},
		{"evaluate a missing file", evaluate(filepath.Join(data, "no.tsv"), best), exitFailed, []string{"no.tsv"}},
		{"model missing", evaluate(dev, filepath.Join(data, "nomodel")), exitFailed, []string{"nomodel", "does not exist"}},
		{"model truncated", evaluate(dev, truncated), exitFailed, []string{"model.safetensors"}},
		{"model of another shape", evaluate(dev, misfit), exitFailed, []string{"word_embedding", "16", "32"}},
		{"vocabulary does not fit", evaluate(dev, otherVocab), exitFailed, []string{otherVocab, "vocabulary"}},
		{"configuration broken", evaluate(dev, badConfig), exitFailed, []string{"config.json"}},
		{"model for another task", []string{"evaluate", "sts-b", "--data", dev, "--model", best}, exitFailed, []string{"sts-b", "regression"}},
		{"vocabulary folder empty", finetune(data, "--vocab", t.TempDir()), exitFailed, []string{"vocab"}},
		{"init missing", finetune(data, "--init", filepath.Join(data, "none.tar.gz")), exitFailed, []string{"none.tar.gz"}},
		{"init is no checkpoint", finetune(data, "--init", dev, "--vocab", best), exitFailed, []string{"dev.tsv"}},
		{"init of another shape", []string{"finetune", "sst-2", "--data", data, "--init", misfit, "--out", filepath.Join(t.TempDir(), "out")}, exitFailed, []string{"word_embedding", "16", "32"}},
		{"run's folder below a file", []string{"finetune", "sst-2", "--data", data, "--out", filepath.Join(data, "dev.tsv", "run")}, exitFailed, []string{filepath.Join(data, "dev.tsv")}},
		{"grid key unknown", finetune(data, "--grid", "foo=1"), exitUsage, []string{`"foo"`}},
		{"grid value bad", finetune(data, "--grid", "batch_size=16,x"), exitUsage, []string{"batch_size is x, want a whole number"}},
		{"grid value twice", finetune(data, "--grid", "seed=1,1"), exitUsage, []string{"twice"}},
		{"heads do not divide", finetune(data, "--set", "num_attention_heads=5"), exitUsage, []string{"num_attention_heads"}},
		{"vocab_size too small", finetune(data, "--set", "vocab_size=10"), exitUsage, []string{"vocab_size", "264"}},
		{"max_seq_len too long", finetune(data, "--set", "max_seq_len=1000"), exitUsage, []string{"max_seq_len", "256"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call(t, "", c.args...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d", r.code, c.code)
			}
			for _, part := range c.want {
				if !strings.Contains(r.stderr, part) {
					t.Errorf("the message lacks %q: %s", part, r.stderr)
				}
			}
			said := strings.Split(strings.TrimSpace(r.stderr), "\n")
			for len(said) > 1 && (strings.HasPrefix(said[0], "train: ") || strings.HasPrefix(said[0], "dev: ")) { // what the data hold
				said = said[1:]
			}
			if len(said) != 1 || !strings.HasPrefix(said[0], "unimo: ") {
				t.Errorf("the message has %d lines: %s", len(said), r.stderr)
			}
			if r.stdout != "" {
				t.Errorf("standard output has %q", r.stdout)
			}
			if i := slices.Index(c.args, "--out"); i >= 0 {
				if _, err := os.Stat(c.args[i+1]); err == nil {
					t.Error("the run's folder was made")
				}
			}
		})
	}
}

func TestFolderWithoutWritePermission(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("not run: this user may write everywhere")
	}
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o555); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(parent, "run")
	r := call(t, "", finetuneArgs(opinionsFolder(t), out)...)
	if r.code != exitFailed || !strings.Contains(r.stderr, out) {
		t.Errorf("got %+v", r)
	}
}

func TestResumeCommandIsQuoted(t *testing.T) {
	got := resumeCommand([]string{"unimo", "finetune", "--out", "my run", "--set", "a=it's"})
	if want := `unimo finetune --out 'my run' --set 'a=it'\''s' --resume`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// full is a standard output whose disk is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestLostOutputIsAnError(t *testing.T) {
	var stderr bytes.Buffer
	if code := runArgs(t.Context(), []string{"version"}, strings.NewReader(""), full{}, &stderr); code != exitFailed {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}

// Each task of evaluate has the flags of its kind alone. Without a task the model says it, and flags of its kind
// are taken wherever they stand.
func TestEvaluateFlags(t *testing.T) {
	data, dir := opinionsFolder(t), t.TempDir()
	out := filepath.Join(dir, "run")
	must(t, finetuneArgs(data, out, "max_steps=2")...)
	for _, args := range [][]string{
		{"evaluate", "--columns", "text=sentence", "-d", data, "-m", out, "--json"},
		{"--json", "eval", "-m", out, "--data=" + data},
		{"evaluate", "-d", data, "SST_2", "-m", out, "--json"},
	} {
		if m := numbers(t, must(t, args...).stdout); m["examples"] == 0 {
			t.Errorf("%v: %v", args, m)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"evaluate", "-d", data, "-m", out, "--beam", "3"}, `unknown flag "--beam" of evaluate sst-2: it is one of cnn-dailymail, coqa, gigaword, squad-qg`},
		{[]string{"evaluate", "coqa", "-d", data, "-m", out, "--first", "3"}, `unknown flag "--first" of evaluate coqa: it is one of flickr30k, flickr8k`},
		{[]string{"evaluate", "flickr8k", "-d", data, "-m", out, "--first", "x"}, `--first is "x", want a whole number`},
		{[]string{"evaluate", "flickr8k", "-d", data, "-m", out, "--compare", "3"}, "--compare is for --two-stage"},
		{[]string{"evaluate", "coqa", "-d", data, "-m", out, "--top-k", "3"}, "--top-k is for --sample"},
		{[]string{"evaluate", "coqa", "-d", data, "-m", out, "--temperature", "0", "--beam", "2"}, "leave one out"},
		{[]string{"evaluate", "-d", data, "-m", data}, "config.json"},
	} {
		if r := call(t, "", c.args...); r.code == exitDone || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
	if help := must(t, "evaluate", "coqa", "--help").stdout; !strings.Contains(help, "--beam N") || strings.Contains(help, "--two-stage") || !strings.Contains(help, "(default 5)") {
		t.Errorf("the help of evaluate coqa is %s", help)
	}
	page := filepath.Join(dir, "page.html")
	must(t, "evaluate", "sst-2", "-d", data, "-m", out, "--report", page)
	if got := read(t, page); !strings.Contains(got, "istakes") || !strings.Contains(got, "% interval") {
		t.Error("the page has no mistakes or no interval")
	}
}
