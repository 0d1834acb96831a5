package cli

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// eachCommand calls f for every command that help shows.
func eachCommand(f func(c *cobra.Command)) { newApp(nil, nil, io.Discard, io.Discard).eachCommand(f) }

func (a *app) eachCommand(f func(c *cobra.Command)) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		f(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(a.rootCommand())
}

// The help of every command fits the terminal, with usage and examples first.
func TestHelp(t *testing.T) {
	a := newApp(nil, nil, io.Discard, io.Discard)
	a.eachCommand(func(c *cobra.Command) {
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example or no summary", c.CommandPath())
		}
		for _, columns := range []int{fewestColumns, defaultColumns, mostColumns} {
			for _, all := range []bool{false, true} {
				text := a.helpText(c, columns, all)
				for line := range strings.SplitSeq(text, "\n") {
					// What has no space cannot be broken, such as a long path.
					if n := utf8.RuneCountInString(line); n > columns && (columns >= defaultColumns || strings.Contains(strings.TrimSpace(line), " ") && n > columns+20) {
						t.Errorf("%s: %d columns of %d: %s", c.CommandPath(), n, columns, line)
					}
				}
				usage, examples := strings.Index(text, "Usage:\n"), strings.Index(text, "\nExamples:\n")
				if flags := strings.Index(text, "\nFlags:\n"); usage < 0 || examples < usage || flags >= 0 && flags < examples || examples > 600 {
					t.Errorf("%s: usage at %d, examples at %d:\n%s", c.CommandPath(), usage, examples, text)
				}
			}
		}
	})
	for _, args := range [][]string{{"help", "data", "prepare"}, {"data", "prepare", "--help"}, {"data", "prepare", "-h"}} {
		if r := must(t, args...); r.stdout != must(t, "help", "data", "prepare").stdout || !strings.HasPrefix(r.stdout, "Write a data folder") {
			t.Errorf("%v printed %s", args, r.stdout)
		}
	}
}

func TestHelpOfSettings(t *testing.T) {
	short, all := must(t, "finetune", "coqa", "--help").stdout, must(t, "finetune", "coqa", "--help", "--all").stdout
	for _, want := range []string{"epochs = ", "learning_rate = ", "'unimo settings coqa'"} {
		if !strings.Contains(short, want) {
			t.Errorf("the help lacks %q", want)
		}
	}
	if strings.Contains(short, "beta1") || !strings.Contains(all, "beta1") || strings.Contains(short, "--beta1") {
		t.Error("the settings that few set are shown, or not shown with --all")
	}
	if r := must(t, "settings", "sst2", "--preset", "base"); !strings.Contains(r.stdout, "learning_rate = 3e-05") || !strings.Contains(r.stdout, "beta2") {
		t.Errorf("got %s", r.stdout)
	}
	if r := must(t, "settings", "pretrain", "--json"); !strings.Contains(r.stdout, `{"key":"epochs","value":1,"help":`) || !strings.Contains(r.stdout, `"task":"pretrain"`) {
		t.Errorf("got %s", r.stdout)
	}
}

func TestWrapCommand(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"  unimo predict -m RUN \"a b\"", "  unimo predict -m RUN \"a b\""},
		{"  unimo predict --model RUN/best \"a gripping and funny film\"", "  unimo predict --model RUN/best \\\n      \"a gripping and funny film\""},
		{"  unimo x --json --data DIR --out OUT --preset mini A B", "  unimo x --json --data DIR --out OUT \\\n      --preset mini A B"},
	} {
		if got := wrapCommand(c.line, 40); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}
