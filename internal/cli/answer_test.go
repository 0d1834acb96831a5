package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

// The answers of the model in testdata, which has learnt them by heart, in every form; and what is asked wrongly.
func TestAsk(t *testing.T) {
	root := filepath.Join("..", "..", "testdata")
	model, picture := filepath.Join(root, "questions.model"), filepath.Join(root, "shapes", "images", "red-bar.png")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{model, picture, "what colour is it?", "what is it?"}, exitDone, "red\t1.0000\twhat colour is it?\nbar\t1.0000\twhat is it?\n"},
		{[]string{model, picture, "what\nis it?", "--json"}, exitDone, `"question":"what\nis it?","answer":"bar","probability":`},
		{[]string{model, picture, "what is it?", "--json", "--top", "2"}, exitDone, `"answers":[{"answer":"bar","probability":`},
		{[]string{model, picture, "what is it?", "--top", "99"}, exitDone, "yes\t0.0000\twhat is it?\n"},
		{[]string{model, picture, strings.Repeat("what ", 500)}, exitDone, "question 1 is longer than the"},
		{[]string{model, picture}, exitUsage, "give a picture and one question or more"},
		{[]string{model, picture, "-"}, exitUsage, "ask reads no standard input"},
		{[]string{model, picture, "what?", "--top", "0"}, exitUsage, "--top is 0, want 1 or more"},
		{[]string{model, "what?", picture}, exitFailed, "what? is no file: the picture comes first, then the questions"},
		{[]string{model, filepath.Join(root, "films", "dev.tsv"), "what?"}, exitFailed, "dev.tsv"},
		{[]string{filepath.Join(root, "films.model"), picture, "what?"}, exitFailed, `want "visual_question_answering" or "free_answering": this model classifies texts`},
		{[]string{filepath.Join(root, "shapes.model"), picture, "what?"}, exitFailed, `this model compares images with texts`},
		{[]string{root, picture, "what?"}, exitFailed, "testdata"},
	} {
		r := call(t, "", append([]string{"ask", "--model"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.want) {
			t.Errorf("%q: %d, %s%s; want %d and %q", c.args, r.code, r.stdout, r.stderr, c.code, c.want)
		}
	}
}
