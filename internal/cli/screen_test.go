package cli

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/internal/train"
)

// hostile is what a name or a label may hold: a forged line, a screen wiped, text turned round.
const hostile = "pos\n1.0\tforged\x1b[2J\x07\u009b31m\u202e\x7f"

// checkSafe fails where output could act on a terminal or has more lines than it should have.
func checkSafe(t *testing.T, what, out string, lines int) {
	t.Helper()
	if strings.ContainsFunc(out, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || r == 0x202e)
	}) || strings.Contains(out, "\n1.0") || strings.Count(out, "\n") != lines {
		t.Errorf("%s prints %q", what, out)
	}
	if !strings.Contains(out, "forged") {
		t.Errorf("%s lost the name: %q", what, out)
	}
}

// A value of many megabytes in an error or a warning is shown in part: its beginning, and what comes after it.
func TestLongMessages(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	var b bytes.Buffer
	slog.New(newLineHandler(&b, slog.LevelInfo)).Warn("token " + long + " is long; cut it")
	for _, s := range []string{strings.TrimSuffix(b.String(), "\n"), oneLine(fmt.Errorf("token %s is long; cut it", long))} {
		if len(s) > maxMessage+100 || !utf8.ValidString(s) || !strings.Contains(s, "token é") || !strings.HasSuffix(s, "é is long; cut it") {
			t.Errorf("%d bytes: %.60q", len(s), s)
		}
	}
}

// A command that is printed is read by a shell as it was meant, whatever its words hold.
func TestCommandsAreQuoted(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("not run: no bash, and $'...' is not of every shell") // on Windows, say
	}
	for _, word := range []string{"", "plain", "it's", "a b", `$HOME\n"*`, hostile, "it's\n'\\x41\tb", "\xff\xfe0", "\u202eé1"} {
		out, err := exec.Command(bash, "-c", "printf %s "+shellQuote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q as %s is read as %q, %v", word, shellQuote(word), out, err)
		}
	}
}

func TestNothingThatDataHoldActsOnTheTerminal(t *testing.T) {
	var out, stderr bytes.Buffer
	a := newApp(nil, nil, &out, &stderr)
	a.log = slog.New(newLineHandler(a.stderr, slog.LevelInfo))
	for what, print := range map[string]func() error{
		"predict": func() error {
			return a.printPrediction(model.Config{ProblemType: model.Classification, NumLabels: 2}, true, labelled.Example{TextA: "a text", TextB: "x"}, run.Reply{Label: hostile})
		},
		"predict, the text": func() error {
			return a.printPrediction(model.Config{ProblemType: model.Classification, NumLabels: 2}, false, labelled.Example{TextA: hostile}, run.Reply{Label: "pos"})
		},
		"search": func() error {
			return a.printFound(&retrieve.Search{Info: rank.IndexInfo{Source: "pictures"}}, []rank.Found{{ID: hostile}}, false)
		},
		"a metric of run.json": func() error {
			printMetrics(a.stdout, &run.Task{Kind: retrieve.Kind{}}, train.Numbers{hostile: 1})
			return nil
		},
		"a command": func() error {
			_, err := fmt.Fprintln(a.stdout, shellQuote("it's "+hostile))
			return err
		},
		"JSON": func() error { return a.printJSON(map[string]string{hostile: hostile}) },
	} {
		out.Reset()
		if err := print(); err != nil {
			t.Fatal(err)
		}
		checkSafe(t, what, out.String(), 1)
	}
	for what, print := range map[string]func(){
		"a warning": func() { a.log.Warn("left out "+hostile, "image", hostile, "error", errors.New(hostile)) },
		"an error": func() {
			fmt.Fprintf(a.stderr, "unimo: %s\n", oneLine(fmt.Errorf("open %s: %w", hostile, os.ErrNotExist)))
		},
	} {
		stderr.Reset()
		print()
		checkSafe(t, what, stderr.String(), 1)
	}
	missing := filepath.Join(t.TempDir(), hostile)
	for _, args := range [][]string{
		{"predict", "--model", missing, "x"}, {"inspect", missing}, {"tokenizer", "encode", "--vocab", missing, "x"}, {"finetune", hostile},
		{"match", "--model", missing, "--features", "f", "a.jpg", "x"}, {"predict", "--" + hostile}, {"convert", missing, missing}, {hostile},
	} {
		r := call(t, "", args...)
		checkSafe(t, args[0], r.stderr, 1)
	}
}

// Where standard error is no terminal, a line a minute says how far the work is, and one soon after a stage begins.
func TestALineAMinute(t *testing.T) {
	for what, c := range map[string]struct {
		tick func(p *progress, i int)
		want string
	}{
		"training": {func(p *progress, i int) {
			p.Step(train.StepEvent{Step: i, Total: 1001, Loss: 0.3125, Tokens: 5030, Seconds: 10})
		}, "about 2 h 50 min for 997 steps, without evaluations\nstep 7/1001, loss 0.3125, 503 tok/s, 2 h 50 min left\nstep 13/1001, loss 0.3125, 503 tok/s, 2 h 40 min left\n"},
		"a stage":                   {func(p *progress, i int) { p.Tick(i, 1000) }, "scoring 1/1000, 0.1/s, 2 h 50 min left\nscoring 7/1000, 0.1/s, 2 h 50 min left\n"},
		"a stage of unknown length": {func(p *progress, i int) { p.counted(i) }, "scoring: 1\nscoring: 7\n"},
		"evaluating":                {func(p *progress, i int) { p.Evaluating(i, 1000) }, "evaluating 1/1000\nevaluating 7/1000\n"},
	} {
		var stderr bytes.Buffer
		p := newApp(nil, nil, &bytes.Buffer{}, &stderr).newProgress()
		clock := time.Unix(0, 0)
		p.now = func() time.Time { return clock }
		p.begin("scoring")
		for i := range 14 {
			clock = clock.Add(10 * time.Second)
			c.tick(p, i+1)
			if i == 11 && what != "training" {
				break
			}
		}
		if stderr.String() != c.want {
			t.Errorf("%s: printed %q, want %q", what, stderr.String(), c.want)
		}
	}
}

// terminal is standard error where a person looks.
type terminal struct{ bytes.Buffer }

func (*terminal) isTerminal() bool { return true }

// An interruption saves in training, and breaks a compilation off in which a step waits. Before training there is nothing to save.
func TestStagesAreInterrupted(t *testing.T) {
	a := newApp(nil, nil, &bytes.Buffer{}, &bytes.Buffer{})
	p := a.newProgress()
	for _, c := range []struct {
		stage string
		want  *ending
	}{
		{run.StageCompiling + "1", nil}, {"reading", nil}, {stageTraining, &saves}, {run.StageCompiling + "2", &breaksOff}, {stageTraining, &saves},
		{"scoring dev", &saves}, {run.StageCompiling + "3", &breaksOff}, {"scoring dev", &saves},
	} {
		if p.Stage(c.stage); a.ending.Load() != c.want {
			t.Errorf("in the stage %q an interruption does %+v, want %+v", c.stage, a.ending.Load(), c.want)
		}
	}
}

// On a terminal a stage that is not counted is named while it lasts, and one that is has a bar with its speed.
func TestStagesOnATerminal(t *testing.T) {
	var screen terminal
	p := newApp(nil, nil, &bytes.Buffer{}, &screen).newProgress()
	p.Stage("writing the report")
	p.Stage("scoring dev")
	for i := range 3 {
		p.Tick(i+1, 4)
		time.Sleep(150 * time.Millisecond) // more than a bar waits before it is drawn again
	}
	p.finish()
	got := screen.String()
	if want := "\r\x1b[Kwriting the report\r\x1b[K\r\x1b[Kscoring dev\r\x1b[K"; !strings.HasPrefix(got, want) {
		t.Errorf("printed %q, want first %q", got, want)
	}
	if bar := regexp.MustCompile(`scoring dev +\d+% .*/4, \d+ ?/s`); !bar.MatchString(got) {
		t.Errorf("no bar with a speed in %q", got)
	}
	if !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("the line of the bar is left: %q", got)
	}
	screen.Reset()
	p.finish()
	if screen.Len() > 0 {
		t.Errorf("nothing was shown, but %q is printed", screen.String())
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", 42 * time.Second: "42 s", 100 * time.Second: "2 min", 75 * time.Minute: "75 min",
		11*time.Hour + 18*time.Minute: "11 h 20 min", 100 * time.Hour: "4 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// Messages do not stand in the line of a bar.
func TestABarIsWipedBeforeText(t *testing.T) {
	var b bytes.Buffer
	s := newScreen(&b)
	fmt.Fprint(s.bar(), "training 36% [..]")
	fmt.Fprintln(s, "model")
	fmt.Fprintln(s, "data")
	if got, want := b.String(), "training 36% [..]\r\x1b[Kmodel\ndata\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
