package cli

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/demo/synth"
)

// storiesFolder writes CoQA files of synthetic stories.
func storiesFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	trainSet, dev := synth.Stories(7, 40, 8)
	for name, stories := range map[string][]synth.Story{"train.json": trainSet, "dev.json": dev} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := synth.WriteStories(f, stories); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func coqaArgs(data, out string, settings ...string) []string {
	args := []string{"finetune", "coqa", "--data", data, "--preset", "mini", "--out", out}
	return withSettings(args, append(append(slices.Clone(tiny), "max_out_len=6"), settings...)...)
}

// trainedConversation is a run on synthetic stories.
func trainedConversation(t *testing.T) (data, run string, metrics map[string]float64) {
	t.Helper()
	data, run = storiesFolder(t), filepath.Join(t.TempDir(), "run")
	r := must(t, append(coqaArgs(data, run), "--json")...)
	return data, run, numbers(t, r.stdout)
}

func numbers(t *testing.T, raw string) map[string]float64 {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	m := map[string]float64{}
	for key, value := range all {
		if v, ok := value.(float64); ok {
			m[key] = v
		}
	}
	return m
}

// The whole chain of a conversation: train, what the folder holds, evaluate from the
// official file, generate, chat, convert.
func TestConversationChain(t *testing.T) {
	data, run, metrics := trainedConversation(t)
	for _, key := range []string{"f1", "em", "f1_synthetic", "em_synthetic"} {
		if v, ok := metrics[key]; !ok || !(v >= 0 && v <= 1) {
			t.Errorf("%s is %v", key, v)
		}
	}
	if got, want := metrics["perplexity"], math.Exp(metrics["loss"]); !(math.Abs(got-want) <= 1e-9*want) {
		t.Errorf("perplexity is %v, want %v", got, want)
	}
	best := filepath.Join(run, "best")
	evaluated := numbers(t, must(t, "evaluate", "coqa", "--data", filepath.Join(data, "dev.json"), "--model", best, "--json").stdout)
	for key, want := range metrics {
		if got := evaluated[key]; !(math.Abs(got-want) <= 1e-6*max(1, math.Abs(want))) {
			t.Errorf("evaluate says %s is %v, training said %v", key, got, want)
		}
	}
	report, err := os.ReadFile(filepath.Join(run, "report.html"))
	if err != nil || !strings.Contains(string(report), "Generated and reference texts") {
		t.Errorf("the report shows no texts (%v)", err)
	}
	predictions := filepath.Join(t.TempDir(), "out")
	must(t, "evaluate", "coqa", "--data", data, "--model", run, "--beam", "1", "--predictions", predictions)
	for _, name := range []string{"dev.txt", "dev.jsonl"} {
		raw, err := os.ReadFile(filepath.Join(predictions, name))
		if lines := strings.Count(string(raw), "\n"); err != nil || lines != int(metrics["examples"]) {
			t.Errorf("%s has %d lines (%v), want %v", name, lines, err, metrics["examples"])
		}
	}

	story := filepath.Join(data, "story.txt")
	writeFile(t, story, "Mary is in the kitchen. Mary took the ball.")
	one := must(t, "generate", "--model", run, "--story", story, "Where is Mary?", "Who has the ball?")
	if lines := strings.Split(strings.TrimSuffix(one.stdout, "\n"), "\n"); len(lines) != 2 {
		t.Errorf("generate printed %q", one.stdout)
	}
	sampled := func(seed string) string {
		return must(t, "generate", "--model", run, "--story", story, "--sample", "--temperature", "5", "--max-length", "20", "--seed", seed, "Where is Mary?").stdout
	}
	greedy := must(t, "generate", "--model", run, "--story", story, "--beam", "1", "Where is Mary?").stdout
	for _, args := range [][]string{{"--temperature", "0"}, {"--temperature", "0", "--sample"}} {
		if got := must(t, append([]string{"generate", "--model", run, "--story", story, "Where is Mary?"}, args...)...).stdout; got != greedy {
			t.Errorf("%v wrote %q, greedy decoding %q", args, got, greedy)
		}
	}
	if a, b, c := sampled("1"), sampled("1"), sampled("2"); a != b || a == c {
		t.Errorf("samples of seeds 1, 1, 2 are %q, %q, %q", a, b, c)
	}
	chat := call(t, "Where is Mary?\nWho has the ball?\n\nnot asked\n", "chat", "--model", run, "--story", story, "--json")
	turns := strings.Split(strings.TrimSpace(chat.stdout), "\n")
	if chat.code != exitDone || len(turns) != 2 || !strings.Contains(turns[1], "Who has the ball?") {
		t.Errorf("chat gave %+v", chat)
	}
	first := strings.SplitN(one.stdout, "\n", 2)[0]
	plain := call(t, "\ufeffWhere is Mary?\n", "chat", "--model", run, "--story", story)
	if want := "> " + first + "\n> \n"; plain.stdout != want {
		t.Errorf("chat printed %q, want the answer of generate, %q", plain.stdout, want)
	}

	archive, folder := filepath.Join(t.TempDir(), "m.tar.gz"), filepath.Join(t.TempDir(), "m")
	must(t, "convert", best, archive)
	must(t, "convert", archive, folder, "--config", filepath.Join(best, "config.json"), "--vocab", best)
	there := must(t, "generate", "--model", folder, "--story", story, "--beam", "3", "--length-penalty", "0", "--max-length", "6", "Where is Mary?")
	if there.stdout != first+"\n" {
		t.Errorf("after converting there and back the answer is %q, not %q", there.stdout, first)
	}
}

// Text to text without conversation: files of the reference's form, several sources,
// standard input, JSON.
func TestTextToText(t *testing.T) {
	dir, run := t.TempDir(), filepath.Join(t.TempDir(), "run")
	var b strings.Builder
	b.WriteString("src\ttgt\n")
	for range 30 {
		b.WriteString("the red ball is here\tred ball\nthe blue box is there\tblue box\n")
	}
	writeFile(t, filepath.Join(dir, "train.tsv"), b.String())
	writeFile(t, filepath.Join(dir, "dev.tsv"), "src\ttgt\nthe red box is here\tred box\n")
	writeFile(t, filepath.Join(dir, "test.tsv"), "src\ttgt\nthe red box is here\t\n")
	args := []string{"finetune", "gigaword", "--data", dir, "--out", run, "--json"}
	m := numbers(t, must(t, withSettings(args, append(slices.Clone(tiny), "min_out_len=1", "max_out_len=8")...)...).stdout)
	for _, key := range []string{"rouge-1", "rouge-2", "rouge-l"} {
		if v, ok := m[key]; !ok || !(v >= 0 && v <= 1) {
			t.Errorf("%s is %v", key, v)
		}
	}
	if _, err := os.Stat(filepath.Join(run, "predictions", "test.txt")); err != nil {
		t.Error(err)
	}
	out := call(t, "the red ball is here\nthe \xff box\n", "generate", "--model", run, "--json", "-")
	lines := strings.Split(strings.TrimSpace(out.stdout), "\n")
	var g answer.Generated
	if out.code != exitDone || len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &g) != nil || g.Source[0] != "the red ball is here" || !(g.Score < 0) {
		t.Errorf("generate gave %+v", out)
	}
	file := must(t, "generate", "--model", run, "--data", filepath.Join(dir, "dev.tsv"))
	if strings.Count(file.stdout, "\n") != 1 {
		t.Errorf("generate --data printed %q", file.stdout)
	}
	long := call(t, "", "generate", "--model", run, strings.Repeat("red ball ", 2000))
	if long.code != exitDone || !strings.Contains(long.stderr, "cut") {
		t.Errorf("a text over the limit gave %+v", long)
	}
}

func TestGenerationRefusesBadInput(t *testing.T) {
	data, run, _ := trainedConversation(t)
	sst, classifier := opinionsFolder(t), filepath.Join(t.TempDir(), "classifier")
	must(t, finetuneArgs(sst, classifier)...)
	story := filepath.Join(data, "story.txt")
	writeFile(t, story, "Mary is in the kitchen.")
	empty, bytes := filepath.Join(data, "empty.txt"), filepath.Join(data, "bytes.txt")
	writeFile(t, empty, " \n")
	writeFile(t, bytes, "a \xff b")
	ids := filepath.Join(data, "ids.tsv")
	writeFile(t, ids, "src\tknowledge\ttgt\n12 99999999\t15\t17\n")
	ask := func(args ...string) []string {
		return append([]string{"generate", "--model", run, "--story", story}, args...)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"empty source", ask(""), exitFailed, "input 1 is empty"},
		{"beam of 0", ask("--beam", "0", "Where?"), exitUsage, "beam_size"},
		{"limit of 0", ask("--max-length", "0", "Where?"), exitUsage, "max_out_len"},
		{"limit beyond positions", ask("--max-length", "100000", "Where?"), exitUsage, "max_out_len"},
		{"no memory", ask("--memory", "0", "Where?"), exitUsage, "max_memory"},
		{"temperature without --sample", ask("--temperature", "0.5", "Where?"), exitUsage, "--temperature is for --sample"},
		{"seed without --sample", ask("--seed", "3", "Where?"), exitUsage, "--seed is for --sample"},
		{"beams and --sample", ask("--beam", "4", "--sample", "Where?"), exitUsage, "--beam 4 searches"},
		{"beams and temperature of 0", ask("--beam", "4", "--temperature", "0", "Where?"), exitUsage, "--beam 4 searches"},
		{"temperature below 0", ask("--sample", "--temperature", "-1", "Where?"), exitUsage, "temperature"},
		{"no text", []string{"generate", "--model", run}, exitUsage, "give texts"},
		{"no story for a conversation", []string{"generate", "--model", run, "text"}, exitUsage, "--story"},
		{"no language head", []string{"generate", "--model", classifier, "text"}, exitFailed, "problem_type"},
		{"classify with a generator", []string{"predict", "--model", run, "text"}, exitFailed, "problem_type"},
		{"other task", []string{"evaluate", "gigaword", "--data", sst, "--model", run}, exitFailed, "gigaword needs"},
		{"empty story", []string{"chat", "--model", run, "--story", empty}, exitFailed, "empty"},
		{"story of bytes", []string{"chat", "--model", run, "--story", bytes}, exitFailed, "UTF-8"},
		{"no story", []string{"chat", "--model", run, "--story", filepath.Join(data, "none")}, exitFailed, "none"},
		{"ids outside the vocabulary", []string{"evaluate", "coqa", "--data", ids, "--model", run}, exitFailed, "99999999"},
		{"source limit beyond positions", coqaArgs(data, filepath.Join(t.TempDir(), "r"), "max_src_len=100000"), exitUsage, "max_src_len"},
		{"beam of 0 in training", coqaArgs(data, filepath.Join(t.TempDir(), "r"), "beam_size=0"), exitUsage, "beam_size"},
		{"smoothing of 1", coqaArgs(data, filepath.Join(t.TempDir(), "r"), "label_smooth=1"), exitUsage, "label_smooth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call(t, "", c.args...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) || strings.Contains(r.stderr, "panic") {
				t.Errorf("exit code %d, want %d with %q\n%s", r.code, c.code, c.want, r.stderr)
			}
		})
	}
}

// A story's answer can be read from a pipe as it is written.
func TestChatWritesAsItGoes(t *testing.T) {
	data, model, _ := trainedConversation(t)
	story := filepath.Join(data, "story.txt")
	writeFile(t, story, "Mary is in the kitchen.")
	in, questions := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan int)
	go func() {
		code := runArgs(t.Context(), []string{"chat", "--model", model, "--story", story}, in, out, io.Discard)
		out.Close()
		done <- code
	}()
	read := make([]byte, 2)
	if _, err := io.ReadFull(answers, read); err != nil || string(read) != "> " {
		t.Fatalf("the prompt is %q (%v)", read, err)
	}
	go func() {
		io.WriteString(questions, "Where is Mary?\n")
		questions.Close()
	}()
	rest, err := io.ReadAll(answers)
	if err != nil || !strings.HasSuffix(string(rest), "\n> \n") {
		t.Errorf("the answer is %q (%v)", rest, err)
	}
	if code := <-done; code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
