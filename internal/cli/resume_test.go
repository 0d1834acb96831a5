package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/train"
)

// interrupted begins a run and stops it after its first evaluation.
func interrupted(t *testing.T, args ...string) (stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	w := &trigger{on: "on dev", call: cancel}
	if code := runArgs(ctx, args, strings.NewReader(""), &stdout, w); code != exitInterrupted {
		t.Fatalf("exit code %d, %s", code, w.text.String())
	}
	return w.text.String()
}

// A run goes on from any folder with what its run.json says, to the same bits, and settings that change
// nothing may differ.
func TestResumeRun(t *testing.T) {
	home, elsewhere := t.TempDir(), t.TempDir()
	t.Chdir(home)
	if err := os.Rename(opinionsFolder(t), filepath.Join(home, "data")); err != nil {
		t.Fatal(err)
	}
	settings := []string{"epochs=6", "gradient_accumulation=2", "seed=9007199254740993"}
	must(t, finetuneArgs("data", "whole", settings...)...)
	said := interrupted(t, finetuneArgs("data", "broken", settings...)...)
	contains(t, said, "go on with: unimo resume broken\n")
	t.Chdir(elsewhere)
	broken := filepath.Join(home, "broken")
	r := must(t, "resume", broken, "--set", "snapshot_steps=3", "--set", "log_steps=4")
	contains(t, r.stderr, "resuming after step")
	contains(t, r.stdout, "accuracy")
	for _, name := range []string{"last/model.safetensors", "best/model.safetensors"} {
		if read(t, filepath.Join(broken, name)) != read(t, filepath.Join(home, "whole", name)) {
			t.Errorf("%s differs", name)
		}
	}
	var info struct {
		Command []string
		From    struct{ Data, Folder string }
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(broken, "run.json"))), &info); err != nil {
		t.Fatal(err)
	}
	if info.From.Data != filepath.Join(home, "data") || info.Command[1] != "finetune" {
		t.Errorf("run.json has %+v", info)
	}
	contains(t, must(t, "resume", broken).stderr, "the run is complete")
}

// A process may end between the weights of best/ or last/ and their README.md, which is then missing
// or that of the model before.
func TestResumeMendsTheReadme(t *testing.T) {
	data, home := opinionsFolder(t), t.TempDir()
	whole, broken := filepath.Join(home, "whole"), filepath.Join(home, "broken")
	settings := []string{"epochs=1", "eval_steps=1", "max_steps=2", "learning_rate=0"} // the first evaluation stays the best
	must(t, finetuneArgs(data, whole, settings...)...)
	interrupted(t, finetuneArgs(data, broken, settings...)...)
	if err := errors.Join(os.Remove(filepath.Join(broken, "best/README.md")), os.WriteFile(filepath.Join(broken, "last/README.md"), []byte("another"), 0o644)); err != nil {
		t.Fatal(err)
	}
	must(t, "resume", broken)
	for _, name := range []string{"best/README.md", "last/README.md"} {
		if got, want := read(t, filepath.Join(broken, name)), read(t, filepath.Join(whole, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// The help of resume names every setting that may change.
func TestResumeNamesFreeSettings(t *testing.T) {
	help := must(t, "resume", "--help").stdout
	for _, key := range append([]string{"image_cache", "workers"}, train.Free...) {
		contains(t, help, key)
	}
}

// --resume needs neither data nor settings; what would make another run is refused with a way out.
func TestResumeTakesTheRunsSettings(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	interrupted(t, finetuneArgs(data, out, "epochs=6")...)
	r := call(t, "", "finetune", "sst-2", "--out", out, "--resume", "--set", "learning_rate=1", "--set", "log_steps=3")
	if r.code != exitFailed || strings.Contains(r.stderr, "log_steps") || strings.Contains(r.stderr, "hidden_size") {
		t.Errorf("%d: %s", r.code, r.stderr)
	}
	contains(t, r.stderr, "learning_rate was 0.005 and is 1", "or go on from its weights: --init RUN")
	r = call(t, "", "finetune", "sst-2", "--out", out, "--resume", "--preset", "base")
	if r.code != exitFailed {
		t.Errorf("%d: %s", r.code, r.stderr)
	}
	contains(t, r.stderr, "has the preset mini")
	must(t, "finetune", "sst-2", "--out", out, "--resume")
}

func TestResumeOfOlderVersions(t *testing.T) {
	home := t.TempDir()
	t.Chdir(home)
	if err := os.Rename(opinionsFolder(t), filepath.Join(home, "data")); err != nil {
		t.Fatal(err)
	}
	interrupted(t, finetuneArgs("data", "run", "epochs=6")...)
	var info map[string]any
	if err := json.Unmarshal([]byte(read(t, "run/run.json")), &info); err != nil {
		t.Fatal(err)
	}
	delete(info, "from")
	raw, _ := json.Marshal(info)
	writeFile(t, "run/run.json", string(raw))
	t.Chdir(t.TempDir())
	r := call(t, "", "resume", filepath.Join(home, "run"))
	if r.code != exitFailed {
		t.Errorf("%d: %s", r.code, r.stderr)
	}
	contains(t, r.stderr, "--data as the relative path data, which is not here", "go on from the folder where the run was begun")
	t.Chdir(home)
	must(t, "resume", "run")
}

func TestResumeGrid(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "grid")
	interrupted(t, append(finetuneArgs(data, out, "epochs=2"), "--grid", "seed=1,2")...)
	t.Chdir(t.TempDir())
	r := must(t, "resume", out)
	contains(t, r.stdout, "seed-1", "seed-2", "best", "model   "+filepath.Join(out, "best"), "report  "+filepath.Join(out, "report.html"), "unimo predict --model ")
	contains(t, read(t, filepath.Join(out, "report.html")), `<a href="grid/seed-1/report.html">`)
	if r := call(t, "", "resume", "nowhere"); r.code != exitFailed || !strings.Contains(r.stderr, "nowhere: does not exist; check the path") {
		t.Errorf("%d: %s", r.code, r.stderr)
	}
	if r := call(t, "", "resume", t.TempDir()); r.code != exitFailed || !strings.Contains(r.stderr, "holds no run") {
		t.Errorf("%d: %s", r.code, r.stderr)
	}
}

func TestResumePretraining(t *testing.T) {
	home := t.TempDir()
	t.Chdir(home)
	if err := os.Rename(collections(t), filepath.Join(home, "data")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &trigger{on: "on what is held out", call: cancel}
	if code := runArgs(ctx, pretrainArgs("data", "run", "max_steps=40", "eval_steps=10"), strings.NewReader(""), &bytes.Buffer{}, w); code != exitInterrupted {
		t.Fatalf("exit code %d, %s", code, w.text.String())
	}
	t.Chdir(t.TempDir())
	must(t, "resume", filepath.Join(home, "run"))
}

// A run that is not done has a report, which says so.
func TestReportOfAnUnfinishedRun(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	interrupted(t, finetuneArgs(data, out, "epochs=50", "eval_steps=10")...)
	contains(t, read(t, filepath.Join(out, "report.html")), "unfinished", "interrupted after step", "This run is not done", "at step 10", "accuracy")
	must(t, "resume", out)
	if page := read(t, filepath.Join(out, "report.html")); strings.Contains(page, "unfinished") || !strings.Contains(page, "Confusion matrix") {
		t.Error("the report of a run that is done is not whole")
	}
}

// Every setting that may change when a run goes on is a flag of resume, and no other one is.
func TestResumeFlags(t *testing.T) {
	c := newApp(nil, nil, io.Discard, io.Discard).goOnCommand()
	for _, name := range []string{"max-minutes", "workers", "image-cache", "decode-memory", "device", "precision", "devices"} {
		if c.Flags().Lookup(name) == nil {
			t.Errorf("resume has no flag --%s", name)
		}
	}
	for _, name := range []string{"epochs", "data", "text", "features"} {
		if c.Flags().Lookup(name) != nil {
			t.Errorf("resume has a flag --%s", name)
		}
	}
}
