package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/unimo-go/unimo/internal/test/doubles"
)

func TestSupervise(t *testing.T) {
	type sent struct {
		at time.Duration
		s  os.Signal
	}
	const step = 20 * time.Second // as long as the command goes on after it is called off
	for name, c := range map[string]struct {
		does  *ending
		sent  []sent
		ends  time.Duration // after the first signal
		want  string        // part of what is printed
		never string
	}{
		"one saves":                     {&saves, []sent{{0, os.Interrupt}}, step, "stopping after this step and saving", "without saving\nunimo"},
		"a compilation is broken off":   {&breaksOff, []sent{{0, os.Interrupt}}, step, "stopping without the step, whose program is being compiled; what was saved before stays", "saving"},
		"a hang-up saves":               {&saves, []sent{{0, syscall.SIGHUP}}, step, "stopping after this step and saving", "stopped"},
		"a second ends at once":         {&saves, []sent{{0, os.Interrupt}, {time.Second, os.Interrupt}}, time.Second + burst, "unimo: stopped without saving", "\x00"},
		"terminate ends at once too":    {&saves, []sent{{0, syscall.SIGTERM}, {time.Second, syscall.SIGTERM}}, time.Second + burst, "unimo: stopped without saving", "\x00"},
		"a group's signal counts once":  {&saves, []sent{{0, syscall.SIGTERM}, {time.Millisecond, syscall.SIGTERM}}, step, "saving", "stopped"},
		"a second hang-up is no answer": {&saves, []sent{{0, syscall.SIGHUP}, {time.Second, syscall.SIGHUP}}, step, "saving", "stopped"},
		"a key held down counts once": {&saves, []sent{{0, os.Interrupt}, {500 * time.Millisecond, os.Interrupt}, {530 * time.Millisecond, os.Interrupt},
			{560 * time.Millisecond, os.Interrupt}}, step, "saving", "stopped"},
		"nothing to save":            {nil, []sent{{0, os.Interrupt}}, patience + burst, "stopping; Ctrl-C again quits at once\nunimo: interrupted", "saving"},
		"a server answers":           {&drains, []sent{{0, syscall.SIGTERM}}, step, "stopping after the requests that have come\n", "unanswered"},
		"a person ends a server":     {&drains, []sent{{0, os.Interrupt}}, step, "have come; Ctrl-C again quits at once\n", "unanswered"},
		"a server loads again":       {&drains, []sent{{0, syscall.SIGHUP}, {time.Second, syscall.SIGTERM}}, time.Second + step, "stopping after the requests", "unanswered"},
		"a server ends at once":      {&drains, []sent{{0, syscall.SIGTERM}, {time.Second, syscall.SIGTERM}}, time.Second + burst, "unimo: stopped with requests unanswered", "\x00"},
		"nothing to save, impatient": {nil, []sent{{0, os.Interrupt}, {time.Second, os.Interrupt}}, time.Second + burst, "unimo: stopped without saving", "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal, 64)
				start := time.Now()
				for _, s := range c.sent {
					time.AfterFunc(s.at, func() { signals <- s.s })
				}
				var out doubles.Log
				code := supervise(&teller{stderr: &out}, signals, func() *ending { return c.does }, func(ctx context.Context) int {
					<-ctx.Done()
					time.Sleep(step)
					return exitInterrupted
				})
				if took := time.Since(start); code != exitInterrupted || took != c.ends {
					t.Errorf("exit code %d after %v, want %d after %v", code, took, exitInterrupted, c.ends)
				}
				if got := out.String(); !strings.Contains(got, c.want) || strings.Contains(got, c.never) {
					t.Errorf("printed %q, want %q", got, c.want)
				}
				time.Sleep(step) // lets the command end
			})
		})
	}
}

// A command that ends by itself is not spoken for.
func TestSuperviseIsSilentWhereTheCommandEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 1)
		signals <- os.Interrupt
		var out doubles.Log
		code := supervise(&teller{stderr: &out}, signals, func() *ending { return nil }, func(ctx context.Context) int { <-ctx.Done(); return 7 })
		if code != 7 || out.String() != "" {
			t.Errorf("%d, %q", code, out.String())
		}
	})
}

// A closed terminal saves as SIGTERM does, and a hang-up that was ignored at the start, as under
// nohup, stays ignored.
func TestHangUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not run: no such signals")
	}
	data := opinionsFolder(t)
	for _, c := range []struct {
		name    string
		ignored bool
		send    os.Signal
	}{{"hang-up", false, syscall.SIGHUP}, {"ignored", true, syscall.SIGTERM}} {
		t.Run(c.name, func(t *testing.T) {
			if !c.ignored {
				// Under nohup programs ignore it, but not those of who listens. (signal.Ignored does not tell after a test that listened.)
				heard := make(chan os.Signal, 1)
				signal.Notify(heard, syscall.SIGHUP)
				defer signal.Stop(heard)
			}
			out := filepath.Join(t.TempDir(), "run")
			cmd := command(t, finetuneArgs(data, out, "epochs=100000", "eval_steps=1000000")...)
			if c.ignored { // the shell's process becomes ours
				cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
				sh, err := exec.LookPath("sh")
				if err != nil {
					t.Skip("not run: no sh")
				}
				cmd.Path = sh
			}
			var stderr doubles.Log
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			steps := filepath.Join(out, "log.jsonl")
			for {
				if raw, err := os.ReadFile(steps); err == nil && bytes.Contains(raw, []byte(`"event":"step"`)) {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if c.ignored {
				cmd.Process.Signal(syscall.SIGHUP)
				before, _ := os.ReadFile(steps)
				for { // it goes on
					if raw, _ := os.ReadFile(steps); len(raw) > len(before) {
						break
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
			cmd.Process.Signal(c.send)
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stderr.String(), "and saving\n") {
				t.Errorf("exit code %d, %s", code, stderr.String())
			}
			if strings.Count(stderr.String(), "stopping") != 1 {
				t.Errorf("more than one signal was heard: %s", stderr.String())
			}
			if info := read(t, filepath.Join(out, "run.json")); !strings.Contains(info, `"interrupted"`) {
				t.Errorf("run.json says %s", info)
			}
			if found, _ := filepath.Glob(filepath.Join(out, "snapshots", "*")); len(found) == 0 {
				t.Error("no snapshot was saved")
			}
		})
	}
}
