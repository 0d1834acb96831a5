package cli

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// typed is standard input where a person sits at a terminal.
type typed struct{ io.Reader }

func (typed) isTerminal() bool { return true }

// Without a text a terminal asks line by line, up to an empty line; elsewhere it is wrong use.
func TestCommandsAskAtATerminal(t *testing.T) {
	scenes, classifier, retriever := scenesFolder(t), filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "r")
	must(t, finetuneArgs(opinionsFolder(t), classifier)...)
	must(t, flickrArgs(scenes, retriever)...)
	index := filepath.Join(t.TempDir(), "index")
	must(t, "index", filepath.Join(scenes, "images"), "--model", retriever, "--out", index)
	for _, c := range []struct {
		args  []string
		lines int
	}{
		{[]string{"predict", "-m", classifier}, 2},
		{[]string{"predict", "-m", classifier, "--json"}, 2},
		{[]string{"search", "-m", retriever, "--index", index, "-k", "3"}, 6},
	} {
		var stdout, stderr bytes.Buffer
		code := runArgs(t.Context(), c.args, typed{strings.NewReader("a red circle\na fine film\n\nnot asked\n")}, &stdout, &stderr)
		if n := strings.Count(stdout.String(), "\n"); code != exitDone || n != c.lines || strings.Count(stderr.String(), "> ") != 3 || strings.Contains(stdout.String(), "> ") {
			t.Errorf("%v: exit code %d, %d lines, want %d\n%s%s", c.args, code, n, c.lines, stdout.String(), stderr.String())
		}
		if r := call(t, "a red circle\n", c.args...); r.code != exitUsage {
			t.Errorf("%v without a terminal: %+v", c.args, r)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := runArgs(t.Context(), []string{"predict", "-m", classifier, "--pair"}, typed{strings.NewReader("one\none\ttwo\n")}, &stdout, &stderr); code != exitDone ||
		strings.Count(stdout.String(), "\n") != 1 || !strings.Contains(stderr.String(), "needs two texts") {
		t.Errorf("a wrong text ended it: exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
}

// The task that a model is for need not be named.
func TestEvaluateTakesTheModelsTask(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	must(t, finetuneArgs(data, out)...)
	if got, want := must(t, "evaluate", "-d", data, "-m", out, "--json"), must(t, "evaluate", "sst-2", "-d", data, "-m", out, "--json"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
