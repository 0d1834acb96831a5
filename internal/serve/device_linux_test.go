package serve

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/test/doubles"
)

func TestMain(m *testing.M) { accelerator.Main(m) }

// endless are more programs than are compiled.
const endless = 1 << 20

// onBlank changes options to serve a model on a device that computes nothing. It compiles so many programs, and hangs with the next one.
func onBlank(t *testing.T, o *Options, programs int, dir string) {
	c := device.Default
	c.Device = accelerator.Blank(t, programs)
	o.Backend = backend.Options{Device: c, Models: []backend.Source{{Name: "m", Dir: dir}}}
}

// killHelper ends the program that has the device.
func killHelper(t *testing.T) {
	t.Helper()
	helpers := accelerator.Children(t, os.Getpid())
	if len(helpers) != 1 {
		t.Fatalf("the helpers are %v, want one", helpers)
	}
	if err := syscall.Kill(helpers[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

const opensAgain = "SIGHUP opens it again"

// A device that is lost before the server is ready ends it, and nobody is told to send SIGHUP.
func TestDeviceLostBeforeReady(t *testing.T) {
	doubles.NoLeak(t)
	log := new(doubles.Log)
	o := Options{Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(log, nil))}
	onBlank(t, &o, 3, filepath.Join(tiny, "films.model"))
	o.Ready = func(string) { t.Error("it is ready") }
	ended := make(chan error, 1)
	go func() { ended <- Run(context.Background(), o) }()
	log.Wait(t, "warming up")
	killHelper(t)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "warm up model m") || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("the server ends with %v", err)
	}
	if log.Wait(t, "the device was lost while models were being loaded"); strings.Contains(log.String(), opensAgain) {
		t.Error(log)
	}
}

// A device that is lost while a model is warmed up that is to take the place of another is opened again with the next SIGHUP, as the log says.
func TestDeviceLostWhileReloading(t *testing.T) {
	dir, log := t.TempDir(), new(doubles.Log)
	put := func(from string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(from))); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(tiny, "films.model"))
	hangUp := make(chan os.Signal, 1)
	const programs = 21 // of the first model
	s := start(t, func(o *Options) {
		onBlank(t, o, programs, dir)
		o.Reload, o.Log = hangUp, slog.New(slog.NewTextHandler(log, nil))
	})
	put(filepath.Join("..", "embed", "testdata", "bert"))
	log.Reset()
	hangUp <- syscall.SIGHUP
	log.Wait(t, "warming up")
	killHelper(t)
	log.Wait(t, opensAgain)
	log.Wait(t, "those left do not answer without their device; SIGHUP tries again")
	if text := log.String(); strings.Contains(text, "stays as it was") {
		t.Error(text)
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/models": 503} {
		if status, body, _ := s.do(t, "GET", path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	accelerator.Blank(t, endless)
	hangUp <- syscall.SIGHUP
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if status, _, _ := s.do(t, "GET", "/readyz", ""); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the device is not opened again: %s", log)
		}
	}
	log.Wait(t, "loaded again")
}
