package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One model for two tasks from the command line: trained in another folder than it is resumed in, and asked for each.
func TestManyTasks(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"films", "news"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "films", "train.tsv"), "sentence\tlabel\na dull film\t0\nit is a great joy\t1\nbad\t0\nwonderful\t1\n")
	writeFile(t, filepath.Join(dir, "films", "dev.tsv"), "sentence\tlabel\na dull film\t0\nwonderful\t1\n")
	for _, split := range []string{"train", "dev"} {
		writeFile(t, filepath.Join(dir, "news", split+".jsonl"), `{"source":"story one","target":"one"}`+"\n"+`{"source":"story two","target":"two"}`+"\n")
	}
	t.Chdir(dir)
	args := withSettings([]string{"finetune", "multi", "--tasks", "sst-2=films,gigaword=news", "--out", "run", "--ratio", "gigaword=2"},
		append(tiny, "gigaword.min_out_len=1", "gigaword.max_out_len=3", "vocab_size=300")...)
	contains(t, must(t, args...).stdout, "many tasks on dev, best model", "sst-2/accuracy", "gigaword/rouge-l", "task      metric    value   normalised")
	t.Chdir(t.TempDir())
	run := filepath.Join(dir, "run")
	if r := must(t, "resume", run); !strings.Contains(r.stderr, "the run is complete") {
		t.Errorf("resumed from another folder: %s", r.stderr)
	}
	contains(t, must(t, "inspect", run).stdout, "tasks sst-2 (single_label_classification), gigaword (generation)", "0 missing, 0 of another shape, 0 unknown")
	contains(t, must(t, "predict", "--model", run, "bad").stdout, "\tbad\n")
	must(t, "generate", "--model", run, "--task", "gigaword", "story one")
	must(t, "generate", "--model", half(t, run), "story one")
	contains(t, must(t, "evaluate", "gigaword", "--model", run, "--data", filepath.Join(dir, "news")).stdout, "rouge-l")
	small := filepath.Join(dir, "small")
	contains(t, must(t, "quantize", run, small, "--task", "sst-2", "--calibrate", filepath.Join(dir, "films")).stdout, "are int8")
	contains(t, must(t, "evaluate", "gigaword", "--model", small, "--data", filepath.Join(dir, "news")).stdout, "rouge-l")
	contains(t, must(t, "evaluate", "--task", "sst-2", "--model", run, "--data", filepath.Join(dir, "films")).stdout, "accuracy")
	alone := t.TempDir()
	writeFile(t, filepath.Join(alone, "train.csv"), "image,question,answer\nx.png,what?,bar\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"evaluate", "--model", run, "--data", filepath.Join(dir, "news")}, exitUsage, "several tasks; name one of sst-2, gigaword"},
		{[]string{"evaluate", "multi", "--model", run, "--data", filepath.Join(dir, "news")}, exitUsage, "several tasks; name one of sst-2, gigaword"},
		{[]string{"predict", "--model", run, "--task", "cola", "bad"}, exitUsage, `unknown task of the model "cola"`},
		{[]string{"predict", "--model", run, "--task", "gigaword", "bad"}, exitFailed, "its task gigaword is another sort of work"},
		{[]string{"match", "--model", run, filepath.Join(dir, "films", "dev.tsv"), "bad"}, exitFailed, "it has the tasks sst-2 (single_label_classification), gigaword (generation): this needs one for retrieval"},
		{[]string{"finetune", "multi", "--out", "x"}, exitUsage, "tasks names no task"},
		{[]string{"finetune", "multi", "--tasks", "sst-2=" + filepath.Join(dir, "films", "train.tsv"), "--out", "x"}, exitFailed, "is one file; name the folder that holds both train and dev"},
		{[]string{"finetune", "multi", "--tasks", "vqa=" + alone, "--out", "x"}, exitFailed, "or have a tenth of the training pictures drawn for it, with --set vqa.dev_share=0.1"},
		{[]string{"finetune", "multi", "--tasks", "multi=x", "--out", "x"}, exitUsage, `unknown task "multi"`},
	} {
		if r := call(t, "", c.args...); r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%q: exit code %d, %s", c.args, r.code, r.stderr)
		}
	}
}

// What a match head says that no training has touched is said to be of chance, wherever it decides.
func TestAMatchHeadThatWasNotTrained(t *testing.T) {
	const vectors = "../demo/model"
	picture := filepath.Join(shapesFolder, "red-bar.png")
	index := filepath.Join(t.TempDir(), "index")
	must(t, "index", shapesFolder, "--model", vectors, "--out", index)
	statement := must(t, "predict", "--model", vectors, picture, "a red bar").stdout // not a question, for which there is ask
	if named := must(t, "predict", "--model", vectors, "--task", "snli-ve", picture, "a red bar").stdout; statement != named {
		t.Errorf("without a task: %s, with it: %s", statement, named)
	}
	for _, c := range []struct {
		args []string
		said bool
	}{
		{[]string{"match", "--model", vectors, picture, "a red bar"}, false}, // its vectors are compared
		{[]string{"match", "--model", "../../testdata/shapes.model", picture, "a red bar"}, false},
		{[]string{"search", "--index", index, "a red bar"}, false}, // and here
		{[]string{"search", "--index", index, "--candidates", "5", "a red bar"}, true},
		{[]string{"search", "--index", index, "--candidates", "0", "a red bar"}, false},
		{[]string{"search", "--index", index, "--image", picture}, false},
		{[]string{"evaluate", "flickr8k", "--model", vectors, "--data", "../../testdata/shapes"}, false},
		{[]string{"evaluate", "flickr8k", "--model", vectors, "--data", "../../testdata/shapes", "--two-stage", "3"}, true},
		{[]string{"evaluate", "flickr8k", "--model", vectors, "--data", "../../testdata/shapes", "--two-stage", "1"}, false},
	} {
		if r := must(t, c.args...); strings.Contains(r.stderr, "match head of this model was not trained") != c.said {
			t.Errorf("%q: %s", c.args, r.stderr)
		}
	}
	evaluate := []string{"evaluate", "flickr8k", "--model", vectors, "--data", "../../testdata/shapes", "--json"}
	plain, byVectors := numbers(t, must(t, evaluate...).stdout), numbers(t, must(t, append(evaluate, "--two-stage", "1")...).stdout)
	if plain["mean_rank"] != byVectors["mean_rank"] || !(plain["mean_rank"] >= 1) {
		t.Errorf("evaluated otherwise than by vectors: %v, %v", plain, byVectors)
	}
}
