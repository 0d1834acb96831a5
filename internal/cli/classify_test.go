package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ticketsFolder writes texts of three kinds, in three forms of file, their columns named as the table of
// names does not know them.
func ticketsFolder(t *testing.T) string {
	t.Helper()
	words := []string{"the train was late", "a parcel is broken", "where is my money"}
	labels := []string{"Züge & Busse", "post", "true"}
	line := func(i int) (text, label string) {
		return fmt.Sprintf("%s , case %d", words[i%3], i%7), labels[i%3]
	}
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString(",what,kind of case\n")
	for i := range 120 {
		text, label := line(i)
		fmt.Fprintf(&b, "%d,%q,%s\n", i, text, label)
	}
	writeFile(t, filepath.Join(dir, "train.csv"), b.String())
	b.Reset()
	for i := range 30 {
		text, label := line(29 - i)
		fmt.Fprintf(&b, "{\"kind of case\": %q, \"what\": %q, \"id\": \"n%d\"}\n", label, text, i)
	}
	writeFile(t, filepath.Join(dir, "validation.jsonl"), b.String())
	writeFile(t, filepath.Join(dir, "test.tsv"), "what\nthe train was broken\nwhere is my parcel\n")
	return dir
}

const ticketColumns = "text=what,label=kind of case"

func classifyArgs(data, out string, settings ...string) []string {
	args := []string{"finetune", "classify", "--data", data, "--out", out, "--columns", ticketColumns}
	return withSettings(args, append(tiny[:len(tiny):len(tiny)], settings...)...)
}

func readMetrics(t *testing.T, r result) map[string]float64 {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		t.Fatalf("%v in %q", err, r.stdout)
	}
	m := map[string]float64{}
	for key, value := range all {
		if number, ok := value.(float64); ok {
			m[key] = number
		}
	}
	return m
}

func TestClassify(t *testing.T) {
	data, out := ticketsFolder(t), filepath.Join(t.TempDir(), "run")
	trained := must(t, append(classifyArgs(data, out, "epochs=60"), "--json")...)
	metrics := readMetrics(t, trained)
	if metrics["examples"] != 30 || metrics["accuracy"] < 0.9 || math.Abs(metrics["macro_f1"]-metrics["accuracy"]) > 0.1 {
		t.Errorf("metrics are %v", metrics)
	}
	if want := "120 training examples: Züge & Busse: 40 (33.3 %), post: 40 (33.3 %), true: 40 (33.3 %)\n"; !strings.Contains(trained.stderr, want) {
		t.Errorf("%q lacks %q", trained.stderr, want)
	}
	var config struct {
		NumLabels int               `json:"num_labels"`
		ID2Label  map[string]string `json:"id2label"`
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(out, "best", "config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	if config.NumLabels != 3 || config.ID2Label["0"] != "Züge & Busse" || config.ID2Label["1"] != "post" || config.ID2Label["2"] != "true" {
		t.Errorf("got %+v", config)
	}
	if page := read(t, filepath.Join(out, "report.html")); !strings.Contains(page, "Scores by class") || !strings.Contains(page, "Züge &amp; Busse") || !strings.Contains(page, "always Züge") {
		t.Error("the report lacks the scores by class, or what the most frequent label would score")
	}
	if lines := strings.Split(read(t, filepath.Join(out, "predictions", "test.glue.tsv")), "\n"); len(lines) != 4 {
		t.Errorf("predictions %q", lines)
	}

	// The same labels in another order and form, without the names.
	again := filepath.Join(t.TempDir(), "again.json")
	writeFile(t, again, `[{"text": "a parcel is broken , case 1", "label": "Post"}, {"text": "the train was late", "label": "Züge & Busse"}, {"text": "where", "label": null}]`)
	r := call(t, "", "evaluate", "classify", "--model", out, "--data", again)
	if r.code != exitDone || !strings.Contains(r.stdout, "macro_f1") || !strings.Contains(r.stdout, "always Züge & Busse: 0.5000") || !strings.Contains(r.stderr, "1 example without label left out") {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(r.stdout, "class         examples  predicted  precision  recall  F1\n") {
		t.Errorf("no scores by class in %s", r.stdout)
	}
	writeFile(t, again, `[{"text": "a parcel is broken", "label": "pots"}]`)
	if r := call(t, "", "evaluate", "classify", "--model", out, "--data", again); r.code != exitFailed || !strings.Contains(r.stderr, `again.json:1: label "pots" is not one of Züge & Busse, post, true`) {
		t.Errorf("got %+v", r)
	}
	if r := must(t, "predict", "--model", out, "the train was late"); !strings.HasPrefix(r.stdout, "Züge & Busse\t") {
		t.Errorf("got %q", r.stdout)
	}
	if r := must(t, append(classifyArgs(data, out, "epochs=60"), "--resume")...); !strings.Contains(r.stderr, "the run is complete") {
		t.Errorf("got %+v", r)
	}
	// A grid's runs have the labels each for itself.
	grid := must(t, append(classifyArgs(data, filepath.Join(t.TempDir(), "grid"), "max_steps=2"), "--grid", "seed=1,2", "--json")...)
	if !strings.Contains(grid.stdout, `"macro_f1"`) {
		t.Errorf("got %s", grid.stdout)
	}
	// Another number of classes is no hindrance to start from the model.
	single := filepath.Join(t.TempDir(), "single.tsv")
	writeFile(t, single, "text\tlabel\na\t1\nb\t2\nc\t10\nd\t1.0\n")
	more := filepath.Join(t.TempDir(), "more")
	must(t, "finetune", "classify", "--data", single, "--dev-share", "0.25", "--init", out, "--out", more, "--set", "max_steps=1")
	if config := read(t, filepath.Join(more, "best", "config.json")); !strings.Contains(config, `"2": "10"`) && !strings.Contains(config, `"3": "10"`) {
		t.Errorf("got %s", config)
	}
}

// Classes that the data name give the bits that the same classes give where the task names them.
func TestClassifyIsSST2(t *testing.T) {
	data := opinionsFolder(t)
	values := func(task string) []byte {
		out := filepath.Join(t.TempDir(), task)
		args := finetuneArgs(data, out, "eval_steps=0")
		args[1] = task
		must(t, args...)
		raw, err := os.ReadFile(filepath.Join(out, "best", "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return raw[8+binary.LittleEndian.Uint64(raw):] // after the header, which names the task
	}
	if !bytes.Equal(values("sst-2"), values("classify")) {
		t.Error("the models differ")
	}
}

func TestClassifyRefuses(t *testing.T) {
	data := ticketsFolder(t)
	out := filepath.Join(t.TempDir(), "run")
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, content)
		return path
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no columns", []string{"--data", data}, exitFailed, "train.csv:1: the first line is no known header: found columns"},
		{"no such column", []string{"--data", data, "--columns", "text=title"}, exitFailed, `no column "title"`},
		{"no role", []string{"--data", data, "--columns", "what"}, exitUsage, "ROLE=NAME"},
		{"no dev file", []string{"--data", filepath.Join(data, "train.csv"), "--columns", ticketColumns}, exitFailed, "--dev-share 0.1"},
		{"a dev file and a share", []string{"--data", data, "--columns", ticketColumns, "--dev-share", "0.1"}, exitUsage, "validation.jsonl is there"},
		{"an impossible share", []string{"--data", data, "--columns", ticketColumns, "--dev-share", "1"}, exitUsage, "dev_share is 1"},
		{"a label that only dev has", []string{"--data", file("t.csv", "text,label\na,x\nb,y\n"), "--dev", file("d.csv", "text,label\na,z\n")}, exitFailed, `d.csv:2: label "z" is not one of x, y`},
		{"a single text", []string{"--data", file("t.csv", "text,label\na,x\na,y\n"), "--dev-share", "0.5"}, exitFailed, "has a single text"},
		{"a single label", []string{"--data", file("t.csv", "text,label\na,x\nb,x\n"), "--dev-share", "0.5"}, exitFailed, `the label "x" in all of 2 examples`},
	} {
		r := call(t, "", append([]string{"finetune", "classify", "--out", out}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: exit code %d, %q", c.name, r.code, r.stderr)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused run left its folder behind")
	}
}

// Scores of any size are learnt, and told in their own size.
func TestRegress(t *testing.T) {
	var b strings.Builder
	b.WriteString("text,price\n")
	for i := range 160 {
		word := []string{"cheap", "dear"}[i%2]
		fmt.Fprintf(&b, "a %s thing number %d,%d\n", word, i/2, 40000+(i%2)*9000)
	}
	file, out := filepath.Join(t.TempDir(), "prices.csv"), filepath.Join(t.TempDir(), "run")
	writeFile(t, file, b.String())
	args := withSettings([]string{"finetune", "regress", "--data", file, "--columns", "label=price", "--dev-share", "0.2", "--out", out, "--json"}, append(tiny[:len(tiny):len(tiny)], "epochs=40")...)
	metrics := readMetrics(t, must(t, args...))
	if metrics["examples"] != 32 || metrics["pearson"] < 0.8 || metrics["rmse"] > 3000 || metrics["mae"] > metrics["rmse"] || metrics["loss"] > 0.5 {
		t.Errorf("metrics are %v", metrics)
	}
	evaluated := readMetrics(t, must(t, "evaluate", "regress", "--data", file, "--columns", "label=price", "--model", out, "--json"))
	if evaluated["examples"] != 160 || evaluated["rmse"] > 3000 {
		t.Errorf("metrics are %v", evaluated)
	}
	plain := must(t, "evaluate", "regress", "--data", file, "--columns", "label=price", "--model", out)
	if !strings.Contains(plain.stdout, "(always 4.45e+04: rmse 4500.0000)") {
		t.Errorf("got %s", plain.stdout)
	}
	var answer struct{ Score float64 }
	if err := json.Unmarshal([]byte(must(t, "predict", "--model", out, "--json", "a dear thing number 3").stdout), &answer); err != nil || answer.Score < 44500 {
		t.Errorf("got %v, %v", answer, err)
	}
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "train.csv"), b.String())
	writeFile(t, filepath.Join(folder, "dev.csv"), "text,price\na,3\nb,3\n")
	if r := must(t, "data", "validate", "regress", folder, "--columns", "label=price"); !strings.Contains(r.stdout, "dev.csv: 2 examples: scores from 3 to 3") {
		t.Errorf("got %s", r.stdout)
	}
}
