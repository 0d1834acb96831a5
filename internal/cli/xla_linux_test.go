package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// losses are those in a run's log.
func losses(t *testing.T, run string) (list []float64) {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join(run, "log.jsonl"))) {
		var event struct {
			Event string
			Loss  float64
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event.Event == "step" {
			list = append(list, event.Loss)
		}
	}
	return list
}

// The whole chain on a plugin: a run has the losses of the processor's, its model answers on both, and a run that goes on is told
// where it does not end in the same bits.
func TestXLAChain(t *testing.T) {
	name, data, dir := accelerator.Name(t), opinionsFolder(t), t.TempDir()
	there, here := filepath.Join(dir, "there"), filepath.Join(dir, "here")
	settings := []string{"max_steps=20", "log_steps=1"}
	r := must(t, append(finetuneArgs(data, there, settings...), "--device", name)...)
	must(t, finetuneArgs(data, here, settings...)...)
	got, want := losses(t, there), losses(t, here)
	if len(got) != 20 || len(want) != 20 {
		t.Fatalf("%d and %d losses, want 20", len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-5*want[i] {
			t.Errorf("step %d: loss %g, want %g", i+1, got[i], want[i])
		}
	}
	for _, line := range []string{"device  cpu (cpu) through a plugin, precision float32\n", "memory  needs ", "; how much it has is not known", "device  programs: "} {
		if !strings.Contains(r.stderr, line) {
			t.Errorf("%q is not in %s", line, r.stderr)
		}
	}
	var info struct {
		Config struct {
			Device, Precision string
			Devices           int
		}
		Version map[string]string
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(there, "run.json"))), &info); err != nil {
		t.Fatal(err)
	}
	if c := info.Config; c.Device != name || c.Precision != "float32" || c.Devices != 1 || info.Version["device"] == "" {
		t.Errorf("run.json has %+v", info)
	}

	model := []string{"--model", filepath.Join(there, "best")}
	onDev := func(more ...string) map[string]float64 {
		return numbers(t, must(t, append(append([]string{"evaluate", "sst-2", "--data", data, "--json"}, model...), more...)...).stdout)
	}
	a, b := onDev("--device", name), onDev()
	if math.Abs(a["loss"]-b["loss"]) > 1e-5 || a["accuracy"] != b["accuracy"] {
		t.Errorf("dev there %v, here %v", a, b)
	}
	answer := func(more ...string) string {
		return must(t, append(append([]string{"predict"}, model...), append(more, "i think that the show was memorable")...)...).stdout
	}
	if a, b := answer("--device", name), answer(); a != b {
		t.Errorf("answered %q there and %q here", a, b)
	}

	// On another device it goes on, and says so.
	half := filepath.Join(dir, "half")
	args := append(finetuneArgs(data, half, settings...), "--device", name)
	if r := call(t, "", withSettings(args, "max_minutes=0.0001")...); r.code != exitInterrupted {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	r = must(t, "resume", half, "--device", "cpu", "--set", "max_minutes=0")
	if !strings.Contains(r.stderr, "the run was on device "+name+" with float32, and goes on with cpu and float32") {
		t.Error(r.stderr)
	}
}

// A helper that is killed ends the command with an error, leaves no process, and the run ends in the same bits when it goes on.
func TestXLAKilledHelper(t *testing.T) {
	name, data, dir := accelerator.Name(t), opinionsFolder(t), t.TempDir()
	settings := []string{"epochs=6", "eval_steps=40", "snapshot_steps=10"}
	whole, killed := filepath.Join(dir, "whole"), filepath.Join(dir, "killed")
	must(t, append(finetuneArgs(data, whole, settings...), "--device", name)...) // and all programs are in the cache

	c := command(t, append(finetuneArgs(data, killed, settings...), "--device", name)...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if snapshots, _ := filepath.Glob(filepath.Join(killed, "snapshots", "[^.]*")); len(snapshots) > 0 {
			break
		}
		if time.Now().After(deadline) {
			c.Process.Kill()
			t.Fatalf("no snapshot within a minute: %s", &stderr)
		}
	}
	children := accelerator.Children(t, c.Process.Pid)
	if len(children) != 1 {
		t.Fatalf("the command has the children %v, want its helper", children)
	}
	helper := children[0]
	if err := syscall.Kill(helper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		c.Process.Kill()
		t.Fatal("the command goes on without its helper")
	}
	if code := c.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(stderr.String(), "unimo-xla ended: signal: killed, after it was asked to ") || !strings.Contains(stderr.String(), "--resume") {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
	if err := syscall.Kill(helper, 0); err == nil {
		t.Error("the helper is still there")
	}
	if status := read(t, filepath.Join(killed, "run.json")); !strings.Contains(status, `"failed"`) {
		t.Errorf("run.json says %s", status)
	}
	r := must(t, "resume", killed)
	if !strings.Contains(r.stderr, "resuming after step") || strings.Contains(r.stderr, ", 0 from the cache") {
		t.Errorf("it went on otherwise: %s", r.stderr)
	}
	for _, file := range []string{"last/model.safetensors", "best/model.safetensors"} {
		if read(t, filepath.Join(killed, file)) != read(t, filepath.Join(whole, file)) {
			t.Errorf("%s differs after the helper was killed", file)
		}
	}
}

// Ctrl-C while a program is compiled ends the command and its helper, also one that is stopped and so compiles for ever. What was saved stays.
func TestXLAInterruptedCompilation(t *testing.T) {
	name, data, dir := accelerator.Name(t), opinionsFolder(t), t.TempDir()
	for _, commandLine := range [][]string{
		append(finetuneArgs(data, filepath.Join(dir, "run")), "--device", name, "-v"),
		{"predict", "--model", filepath.Join("..", "..", "testdata", "films.model"), "--device", name, "-v", "a dull film"},
	} {
		t.Setenv("UNIMO_CACHE", t.TempDir())
		c := command(t, commandLine...)
		stderr, err := c.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		helper, said := 0, new(strings.Builder)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(said, lines.Text())
			if helper == 0 && strings.Contains(lines.Text(), "rogram 1") { // it goes on to the second
				if children := accelerator.Children(t, c.Process.Pid); len(children) == 1 {
					helper = children[0]
					syscall.Kill(helper, syscall.SIGSTOP)
				}
				c.Process.Signal(os.Interrupt)
			}
		}
		c.Wait()
		if code := c.ProcessState.ExitCode(); helper == 0 || code != exitInterrupted {
			t.Errorf("%s: helper %d, exit code %d, %s", commandLine[0], helper, code, said)
		}
		if err := syscall.Kill(helper, 0); err == nil {
			t.Errorf("%s: the helper is still there", commandLine[0])
		}
		if commandLine[0] == "finetune" && (!strings.Contains(said.String(), "unimo-xla was ended; it was to compile ") || !strings.Contains(said.String(), "begin again with")) {
			t.Error(said)
		}
	}
}

// Too little memory is said before the first step, with a batch size that fits, and leaves nothing.
func TestXLATooLittleMemory(t *testing.T) {
	name, data, out := accelerator.Name(t), opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	t.Setenv("UNIMO_DEVICE_MEMORY", "600000")
	args := append(finetuneArgs(data, out, "batch_size=64"), "--device", name)
	refused(t, exitFailed, args, "the device has too little memory: this needs ", "of 600 kB", "a batch_size of about ", "it is 64", "recompute")
	if !absent(out) {
		t.Error("the run's folder is left")
	}
}

// The helper program is looked for, and is named where it is not there.
func TestXLAWithoutTheHelper(t *testing.T) {
	name := accelerator.Name(t)
	t.Setenv("UNIMO_XLA", "")
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("unimo-xla"); err == nil {
		t.Fatal("it is there")
	}
	out := filepath.Join(t.TempDir(), "run")
	refused(t, exitFailed, append(finetuneArgs(opinionsFolder(t), out), "--device", name), "unimo-xla", "was not found", "UNIMO_XLA")
	if !absent(out) {
		t.Error("a run's folder was made")
	}
}

// What a plugin answers to the least and the odd that can be asked is what the processor answers.
func TestXLAOddInputs(t *testing.T) {
	name := accelerator.Name(t)
	model := func(name string) string { return filepath.Join("..", "..", "testdata", name+".model") }
	picture := filepath.Join("..", "..", "testdata", "shapes", "images", "red-square.png")
	for _, c := range []struct {
		stdin string
		args  []string
	}{
		{"", []string{"predict", "--model", model("films"), "", " ", "[SEP] [CLS]", "[PAD]", "film", strings.Repeat("film ", 300)}},
		{strings.Repeat("film\n\n", 18) + "film", []string{"predict", "--model", model("films"), "-"}}, // the last batch is not full
		{"", []string{"generate", "--model", model("headlines"), "--max-length", "1", "--beam", "1", "rain"}},
		{"", []string{"generate", "--model", model("headlines"), "--max-length", "3", "--beam", "4", "[SEP]", "the city opens a new bridge"}},
		{"", []string{"caption", "--model", model("captions"), "--max-length", "1", picture}},
		{"", []string{"ask", "--model", model("questions"), picture, ""}},
		{"", []string{"match", "--model", model("shapes"), picture, "", "a red square"}},
	} {
		here, there := call(t, c.stdin, c.args...), call(t, c.stdin, append(slices.Clone(c.args), "--device", name)...)
		if here.code != exitDone || there.code != exitDone || there.stdout != here.stdout || here.stdout == "" {
			t.Errorf("%q: here %d %q, there %d %q\n%s", c.args, here.code, here.stdout, there.code, there.stdout, there.stderr)
		}
	}
}

// What a network sees on a plugin is what it sees on the processor but for rounding, in a store, alone and with a model: one that reads its features,
// and one that it was trained with. Its fingerprint is the same.
func TestXLAEyes(t *testing.T) {
	name, data, dir := accelerator.Name(t), scenesFolder(t), t.TempDir()
	network := filepath.Join("..", "vision", "vit", "testdata", "vit")
	in := func(elements ...string) string { return filepath.Join(append([]string{dir}, elements...)...) }
	extract := func(out string, more ...string) result {
		return must(t, append([]string{"features", "extract", shapesFolder, in(out), "--extractor", network}, more...)...)
	}
	extract("here")
	r := extract("there", "--device", name)
	if !strings.Contains(r.stderr, "precision float32") {
		t.Errorf("the device is not named: %s", r.stderr)
	}
	extract("rounded", "--device", name, "--precision", "bf16")
	if off := offBy(t, in("there"), in("here")); off > 1e-5 {
		t.Errorf("features differ by %g", off)
	}
	if off := offBy(t, in("rounded"), in("here")); off < 1e-5 || off > 0.05 {
		t.Errorf("in bfloat16 features differ by %g", off)
	}
	if r := extract("there"); !strings.Contains(r.stdout, "6 were there already") {
		t.Errorf("on the processor the store is gone on with: %s", r.stdout)
	}

	vector := func(more ...string) []float32 {
		var v struct{ Vector []float32 }
		r := must(t, append([]string{"embed", "--extractor", network, "--pictures", filepath.Join(shapesFolder, "red-bar.png"), "--json"}, more...)...)
		if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || len(v.Vector) == 0 {
			t.Fatalf("%v: %s", err, r.stdout)
		}
		return v.Vector
	}
	here := vector()
	for i, v := range vector("--device", name, "--precision", "bf16") { // which is the model's
		if math.Abs(float64(v-here[i])) > 1e-5 {
			t.Errorf("element %d of a vector is %g, on the processor %g", i, v, here[i])
		}
	}

	for _, train := range []string{"train_extractor=false", "train_extractor=true"} {
		run, index := in(train), in(train+" index")
		must(t, append(seenArgs(data, run, "max_steps=2", "eval_steps=2", "extractor="+network, train), "--device", name)...)
		picture := filepath.Join(data, "images", "test-00001.png")
		match := func(more ...string) map[string]float64 {
			return numbers(t, must(t, append(append([]string{"match", "--json", "--model", run}, more...), picture, "a dog")...).stdout)
		}
		if here, there := match(), match("--device", name); math.Abs(here["score"]-there["score"]) > 1e-5 || here["score"] == 0 {
			t.Errorf("%s: score %g, on the device %g", train, here["score"], there["score"])
		}
		must(t, "index", shapesFolder, "--model", run, "--out", index, "--device", name)
		if score, path := searched(t, index, filepath.Join(shapesFolder, "red-bar.png")); score < 0.9999 || filepath.Base(path) != "red-bar.png" {
			t.Errorf("%s: a picture of an index that was made on the device is found on the processor with %g, and %s", train, score, path)
		}
	}
}

// offBy is how far the features of a store are from those of another, as a share of the largest.
func offBy(t *testing.T, store, of string) float64 {
	t.Helper()
	open := func(dir string) (regions.Source, *regions.Spec) {
		s, info, err := regions.Open(dir, regions.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, info.Extractor
	}
	got, made := open(store)
	want, by := open(of)
	if !made.Equal(*by) {
		t.Errorf("%s and %s", made, by)
	}
	var most, size float64
	for _, id := range want.IDs() {
		var a, b regions.Image
		if err := errors.Join(got.Image(id, &a), want.Image(id, &b)); err != nil || len(a.Features) != len(b.Features) {
			t.Fatalf("%s: %d features, want %d (%v)", id, len(a.Features), len(b.Features), err)
		}
		for i, v := range b.Features {
			most, size = max(most, math.Abs(float64(a.Features[i]-v))), max(size, math.Abs(float64(v)))
		}
	}
	return most / size
}
