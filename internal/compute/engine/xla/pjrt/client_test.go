//go:build linux || darwin

package pjrt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// data are n bytes that differ.
func data(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16) ^ seed
	}
	return b
}

// setShared has the memory of both programs be small.
func setShared(t *testing.T, size int) {
	before := sharedSize
	sharedSize = size
	t.Cleanup(func() { sharedSize = before })
}

// Another program than unimo-xla is told from it at once, or when it says nothing.
func TestAnotherProgram(t *testing.T) {
	before := greetingPatience
	greetingPatience = time.Second
	t.Cleanup(func() { greetingPatience = before })
	for script, want := range map[string]string{
		"echo this is said >&2; exit 3":              "exit status 3: this is said",
		"true":                                       "its connection is gone",
		"kill -SEGV $$":                              "signal: segmentation fault",
		"exec cat <&3":                               "it said nothing for 1s",
		"sleep 20 2>&-; :":                           "it said nothing for 1s", // a child has the socket, too
		`printf '\377\377\377\377\377' >&3`:          "a message of",
		`printf '\004\000\000\000unim' >&3`:          "it says something else",
		`printf '\012\000\000\000unimo-xla\003' >&3`: "it speaks version 3 of the protocol, and unimo version 4",
	} {
		path := filepath.Join(t.TempDir(), "unimo-xla")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		c, err := Start(Options{Helper: path, Plugin: "fake"})
		if err == nil {
			c.Close()
			t.Fatalf("%s: taken", script)
		}
		if text := err.Error(); !strings.Contains(text, want) || !strings.Contains(text, path) || !strings.Contains(text, "take both programs from one release") {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

// A signal that a fault of the plugin's raises ends the helper program as one of C: the error is what the plugin wrote, not what Go's runtime
// thinks of it.
func TestFaults(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: elsewhere Go's runtime has the signals")
	}
	for _, signal := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGABRT} {
		c := started(t)
		if err := c.helper.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		<-c.helper.ended
		_, err := c.Compile(program("copies"), CompileOptions{})
		if crash, ok := errors.AsType[*CrashError](err); !ok || !strings.HasPrefix(crash.Status, "signal: "+signal.String()) || crash.Stderr != "opened fake []" {
			t.Errorf("%v: %v", signal, err)
		}
	}
}

func TestClient(t *testing.T) {
	setShared(t, 1<<16)
	var log bytes.Buffer
	c, err := startFake(t, Options{Plugin: "fake", Log: &log, Client: map[string]any{"n": int64(3), "s": "x", "f": float32(0.5), "b": true, "l": []int64{1, -2}}})
	if err != nil {
		t.Fatal(err)
	}
	if info := c.Info(); info.Platform != "fake" || len(info.Devices) != 2 {
		t.Errorf("%+v", info)
	}
	e, err := c.Compile(program("copies"), CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	serialized, err := c.Serialize(e)
	if err != nil {
		t.Fatal(err)
	}
	if e, err = c.Deserialize(serialized, CompileOptions{}); err != nil {
		t.Fatal(err)
	}
	if plan, err := c.Memory(e); err != nil || plan != (Plan{Arguments: 1, Results: 2, Peak: 3}) {
		t.Errorf("%v %v", plan, err)
	}
	a, b, y, z := c.NewBuffer(), c.NewBuffer(), c.NewBuffer(), c.NewBuffer()
	if err := errors.Join(c.Upload(a, 0, F32, []int{2, 3}, data(24, 1)), c.Upload(b, 0, I32, []int{3000}, data(12000, 2)),
		c.Execute(e, [][]Buffer{{a, b}}, [][]Buffer{{y, z}})); err != nil {
		t.Fatal(err)
	}
	first, second := make([]byte, 24), make([]byte, 12000)
	if err := errors.Join(c.Download(y, first), c.Download(z, second)); err != nil || !slices.Equal(first, data(24, 1)) || !slices.Equal(second, data(12000, 2)) {
		t.Errorf("%v", err)
	}

	anywhere, err := c.Compile(program("copies"), CompileOptions{Device: AnyDevice})
	if err != nil {
		t.Fatal(err)
	}
	v, w := c.NewBuffer(), c.NewBuffer()
	if err := errors.Join(c.Upload(v, 1, F32, []int{2, 3}, data(24, 5)), c.Upload(w, 1, I32, []int{3000}, data(12000, 2))); err != nil {
		t.Fatal(err)
	}

	// The wrong use of it is an error at once, and changes nothing.
	other := c.NewBuffer()
	if err := c.Upload(other, 1, F32, []int{2, 3}, data(24, 3)); err != nil {
		t.Fatal(err)
	}
	wrong := map[string]error{
		"was given to a program before":                             c.Execute(e, [][]Buffer{{a, b}}, [][]Buffer{{c.NewBuffer(), c.NewBuffer()}}),
		"is a tensor<3000xi32>, want tensor<2x3xf32>":               c.Execute(e, [][]Buffer{{b, b}}, [][]Buffer{{c.NewBuffer(), c.NewBuffer()}}),
		"is on device 1, want 0":                                    c.Execute(e, [][]Buffer{{other, b}}, [][]Buffer{{c.NewBuffer(), c.NewBuffer()}}),
		"there is no buffer 0":                                      c.Execute(e, [][]Buffer{{0, b}}, [][]Buffer{{c.NewBuffer(), c.NewBuffer()}}),
		"1 arguments and 2 results of a program that has 2 and 2":   c.Execute(e, [][]Buffer{{y}}, [][]Buffer{{c.NewBuffer(), c.NewBuffer()}}),
		"is in use; free it first":                                  c.Execute(e, [][]Buffer{{y, b}}, [][]Buffer{{c.NewBuffer(), b}}),
		"of a program that runs on 1":                               c.Execute(e, [][]Buffer{{y, b}, {y, b}}, nil),
		"there is no executable 99":                                 c.Execute(99, nil, nil),
		"upload of 23 bytes as tensor<2x3xf32>":                     c.Upload(c.NewBuffer(), 0, F32, []int{2, 3}, data(23, 0)),
		"upload to device 2, and there are 2":                       c.Upload(c.NewBuffer(), 2, F32, nil, data(4, 0)),
		"has no name of NewBuffer's":                                c.Upload(1000, 0, F32, nil, data(4, 0)),
		"download: buffer " + fmt.Sprint(a) + " was given":          c.Download(a, first),
		"download of 23 bytes from tensor<2x3xf32>":                 c.Download(y, first[:23]),
		"free: there is no buffer 1000":                             c.Free(1000),
		"this is no executable that was serialized by this version": failure(c.Deserialize([]byte("other"), CompileOptions{})),
		"the program has no @main":                                  failure(c.Compile([]byte("module {}"), CompileOptions{})),
		"ExecuteOn for those that run on any":                       c.Execute(anywhere, [][]Buffer{{v, w}}, [][]Buffer{{c.NewBuffer(), c.NewBuffer()}}),
		"Execute is for programs that have their devices":           c.ExecuteOn(e, 0, []Buffer{y, b}, []Buffer{c.NewBuffer(), c.NewBuffer()}),
		"is on device 1, want":                                      c.ExecuteOn(anywhere, 0, []Buffer{v, w}, []Buffer{c.NewBuffer(), c.NewBuffer()}),
		"a program on device 2, and there are 2":                    c.ExecuteOn(anywhere, 2, []Buffer{v, w}, []Buffer{c.NewBuffer(), c.NewBuffer()}),
		"a program on 2 devices from device -1":                     failure(c.Compile(program("copies"), CompileOptions{Device: AnyDevice, Replicas: 2})),
		"a program on 2 devices from device 1, and there are 2":     failure(c.Compile(program("copies"), CompileOptions{Device: 1, Replicas: 2})),
	}
	for says, err := range wrong {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	r, s := c.NewBuffer(), c.NewBuffer()
	if err := errors.Join(c.ExecuteOn(anywhere, 1, []Buffer{v, w}, []Buffer{r, s}), c.Download(r, first)); err != nil || !slices.Equal(first, data(24, 5)) {
		t.Errorf("on the second device: %v", err)
	}
	if err := errors.Join(c.Free(a, b, z, other), c.FreeExecutable(e), c.Download(y, first)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := c.Download(y, first); err != errClosed {
		t.Error(err)
	}
	if want := "opened fake [{b true} {f 0.5} {l [1 -2]} {n 3} {s x}]\n"; log.String() != want {
		t.Errorf("the log is %q, want %q", log.String(), want)
	}
}

func failure[T any](_ T, err error) error { return err }

// Whatever the sizes, what comes back is what went there.
func TestSizes(t *testing.T) {
	setShared(t, 8<<10)
	c := started(t)
	rapid.Check(t, func(r *rapid.T) {
		var list []Buffer
		var sizes []int
		for i := range rapid.IntRange(1, 5).Draw(r, "buffers") {
			n := rapid.SampledFrom([]int{0, 1, 63, 4 << 10, 4<<10 + 1, 5000, 8 << 10, 8<<10 + 1, 30_000}).Draw(r, "size")
			b := c.NewBuffer()
			if err := c.Upload(b, 0, I8, []int{n}, data(n, byte(i))); err != nil {
				r.Fatal(err)
			}
			list, sizes = append(list, b), append(sizes, n)
		}
		for i, b := range list {
			got := make([]byte, sizes[i])
			if err := c.Download(b, got); err != nil || !slices.Equal(got, data(sizes[i], byte(i))) {
				r.Fatalf("%d bytes: %v", sizes[i], err)
			}
		}
		if err := c.Free(list...); err != nil {
			r.Fatal(err)
		}
	})
}

// What goes wrong with a request that was not waited for comes with the next download, once, and with all that depends on it.
func TestDeferredErrors(t *testing.T) {
	c := started(t)
	e, err := c.Compile(program("fails"), CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.NewBuffer(), c.NewBuffer()
	y := []Buffer{c.NewBuffer(), c.NewBuffer()}
	z := []Buffer{c.NewBuffer(), c.NewBuffer()}
	if err := errors.Join(c.Upload(a, 0, F32, []int{2, 3}, data(24, 1)), c.Upload(b, 0, I32, []int{3000}, data(12000, 2)),
		c.Execute(e, [][]Buffer{{a, b}}, [][]Buffer{y}), c.Execute(e, [][]Buffer{y}, [][]Buffer{z})); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 12000)
	for i, b := range []Buffer{b, b, z[1], z[1]} {
		err := c.Download(b, got)
		if e, ok := errors.AsType[*Error](err); i != 1 && (!ok || e.Code != 8) || i == 1 && err != nil {
			t.Errorf("download %d: %v", i, err)
		}
	}
}

func TestStart(t *testing.T) {
	_, err := startFake(t, Options{Plugin: "broken"})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != 9 || e.Message != "no visible device" {
		t.Errorf("%#v", err)
	}
	if _, err := startFake(t, Options{Plugin: "broken_cuda.so"}); err == nil || err.Error() != "no visible device; nvidia-smi says which chips the driver sees" {
		t.Error(err)
	}
	if _, err := startFake(t, Options{Plugin: "fake", Client: map[string]any{"x": 1.5}}); err == nil || !strings.Contains(err.Error(), "option x is float64, want") {
		t.Error(err)
	}
	if _, err := Start(Options{Helper: "/bin/true"}); err == nil || !strings.Contains(err.Error(), "unimo-xla ended: its connection is gone") {
		t.Error(err)
	}
	if _, err := Start(Options{Helper: "/nowhere/unimo-xla"}); !errors.Is(err, ErrNoHelper) {
		t.Error(err)
	}
	t.Setenv(HelperVariable, "")
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(Options{}); !errors.Is(err, ErrNoHelper) || !strings.Contains(err.Error(), "not in PATH; put it there, or name it with UNIMO_XLA") {
		t.Error(err)
	}
	text := filepath.Join(t.TempDir(), "unimo-xla")
	for mode, want := range map[os.FileMode]string{0o644: "permission denied; allow it with chmod +x", 0o755: "exec format error; take it from the release"} {
		os.Remove(text)
		if err := os.WriteFile(text, []byte("no program"), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(Options{Helper: text}); err == nil || !strings.Contains(err.Error(), text+", which loads plugins, cannot be executed: "+want) {
			t.Errorf("%v: %v, want %q", mode, err, want)
		}
	}
	if err := noProgram("x", &os.PathError{Op: "fork/exec", Path: "x", Err: syscall.EAGAIN}); !strings.HasPrefix(err.Error(), "start x: ") || !strings.Contains(err.Error(), "ulimit -u") {
		t.Error(err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(own), "unimo-xla")
	if err := os.WriteFile(beside, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(beside) })
	if _, _, err := FindHelper(""); err == nil || !strings.Contains(err.Error(), beside+", which loads plugins, cannot be executed: permission denied; allow it with chmod +x") {
		t.Error(err)
	}
	cmd := exec.Command(own) // by hand
	cmd.Env = append(os.Environ(), roleVariable+"=helper")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "unimo starts this program") {
		t.Errorf("%s %v", out, err)
	}
}

// begun returns a program that was begun, the first of its arguments and of its results.
func begun(t *testing.T, c *Client, does string) (e Executable, a, y Buffer) {
	t.Helper()
	e, err := c.Compile(program(does), CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, y = c.NewBuffer(), c.NewBuffer()
	b, z := c.NewBuffer(), c.NewBuffer()
	if err := errors.Join(c.Upload(a, 0, F32, []int{2, 3}, data(24, 1)), c.Upload(b, 0, I32, []int{3000}, data(12000, 2)),
		c.Execute(e, [][]Buffer{{a, b}}, [][]Buffer{{y, z}})); err != nil {
		t.Fatal(err)
	}
	return e, a, y
}

// A plugin that ends its process says why, and all that is asked afterwards is answered with that.
func TestAborts(t *testing.T) {
	c := started(t)
	e, a, y := begun(t, c, "aborts")
	err := c.Download(y, make([]byte, 24))
	crash, ok := errors.AsType[*CrashError](err)
	if !ok || !strings.HasPrefix(crash.Status, "signal: aborted") || !strings.HasSuffix(crash.Stderr, "Check failed: it is so") || !strings.HasSuffix(err.Error(), "Check failed: it is so") {
		t.Errorf("%#v", err)
	}
	for _, other := range []error{c.Upload(c.NewBuffer(), 0, F32, nil, data(4, 0)), c.Free(a), c.Execute(e, nil, nil), c.FreeExecutable(e),
		failure(c.Memory(e)), failure(c.Serialize(e)), failure(c.Compile(program("copies"), CompileOptions{}))} {
		if other != err {
			t.Errorf("%v", other)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// work uses the client until it fails.
func work(c *Client, r *rand.Rand) error {
	e, err := c.Compile(program("copies"), CompileOptions{})
	if err != nil {
		return err
	}
	large := make([]byte, 200_000)
	for {
		a, b, y, z, l := c.NewBuffer(), c.NewBuffer(), c.NewBuffer(), c.NewBuffer(), c.NewBuffer()
		err := errors.Join(c.Upload(a, 0, F32, []int{2, 3}, data(24, 1)), c.Upload(b, 0, I32, []int{3000}, large[:12000]), c.Execute(e, [][]Buffer{{a, b}}, [][]Buffer{{y, z}}))
		if err == nil && r.IntN(3) == 0 {
			err = c.Download(z, large[:12000])
		}
		if err == nil && r.IntN(3) == 0 {
			err = errors.Join(c.Upload(l, 1, I8, []int{len(large)}, large), c.Download(l, large), c.Free(l))
		}
		if err == nil && r.IntN(10) == 0 {
			e, err = c.Compile(program("copies"), CompileOptions{})
		}
		if err = errors.Join(err, c.Free(a, b, y, z)); err != nil {
			return err
		}
	}
}

// opened lists the files of this process; on Linux memory without a name is among them.
func opened(t *testing.T) []string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return nil
	}
	runtime.GC()
	var list []string
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && (strings.HasPrefix(to, "socket:") || strings.Contains(to, "memfd:")) {
			list = append(list, to)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "unimo-xla (deleted)") {
			list = append(list, line)
		}
	}
	return list
}

// gone says whether a process ends soon. Whoever has it then may be slow to notice.
func gone(pid int) bool {
	for range 500 {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if syscall.Kill(pid, 0) == syscall.ESRCH || bytes.Contains(stat, []byte(") Z ")) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// A helper program that is killed at any moment leaves an error, and nothing else.
func TestKilled(t *testing.T) {
	setShared(t, 1<<16)
	before := opened(t)
	r := rand.New(rand.NewPCG(21, 50))
	for i := range 50 {
		c, err := startFake(t, Options{Plugin: "fake"})
		if err != nil {
			t.Fatal(err)
		}
		pid := c.helper.cmd.Process.Pid
		var two sync.WaitGroup
		errs := make([]error, 2)
		for w := range errs {
			own := rand.New(rand.NewPCG(uint64(i), uint64(w)))
			two.Go(func() { errs[w] = work(c, own) })
		}
		time.Sleep(time.Duration(r.IntN(15_000)) * time.Microsecond)
		syscall.Kill(pid, syscall.SIGKILL)
		done := make(chan struct{})
		go func() { two.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("a request waits for a helper program that is gone")
		}
		for _, err := range errs {
			if crash, ok := errors.AsType[*CrashError](err); !ok || crash.Status != "signal: killed" {
				t.Errorf("%v", err)
			}
		}
		if err := c.Close(); err != nil || !gone(pid) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	if after := opened(t); !slices.Equal(after, before) {
		t.Errorf("open after 50 ends: %q, before: %q", after, before)
	}
}

// A request that waits is woken up by Close.
func TestCloseWakes(t *testing.T) {
	c := started(t)
	_, _, y := begun(t, c, "lasts")
	waits := make(chan error)
	go func() { waits <- c.Download(y, make([]byte, 24)) }()
	time.Sleep(10 * time.Millisecond)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waits; err != errClosed {
		t.Error(err)
	}
}

// stopProcess stops a child and waits until all of its threads stand still: one of them may answer meanwhile.
func stopProcess(t *testing.T, pid int) {
	t.Helper()
	var status syscall.WaitStatus
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("process %d: status %v, %v", pid, status, err)
	}
}

// With its context a client ends what it waits for: a compilation at once, anything else after the patience, also where the helper program is
// stopped. What is answered in time is none of that.
func TestContextEnds(t *testing.T) {
	const patience = 300 * time.Millisecond
	download := func(c *Client, y Buffer) error { return c.Download(y, make([]byte, 24)) }
	for name, test := range map[string]struct {
		does  string
		stop  bool // the helper program
		early bool // the context ends before the request
		ask   func(c *Client, y Buffer) error
		after time.Duration
		asked string
	}{
		"compilation": {does: "copies", ask: func(c *Client, _ Buffer) error {
			return failure(c.Compile(program("slow"), CompileOptions{Name: "program 3"}))
		}, asked: "compile program 3"},
		"compilation that is still begun": {does: "copies", early: true, ask: func(c *Client, _ Buffer) error {
			return failure(c.Compile(program("slow"), CompileOptions{}))
		}, after: patience, asked: "compile a program"},
		"computation": {does: "lasts", ask: download, after: patience, asked: "run a program"},
		"stopped":     {does: "copies", stop: true, ask: download, after: patience, asked: "run a program"},
		"stopped, before it was told all": {does: "copies", stop: true, early: true, ask: func(c *Client, _ Buffer) error {
			for {
				if err := c.Upload(c.NewBuffer(), 0, I32, []int{1000}, data(4000, 1)); err != nil {
					return err
				}
			}
		}, after: patience, asked: "run a program"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c, err := startFake(t, Options{Plugin: "fake", Context: ctx, Patience: patience})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			e, _, y := begun(t, c, test.does)
			if test.stop {
				stopProcess(t, c.helper.cmd.Process.Pid)
			}
			waits := make(chan error, 1)
			if test.early {
				cancel()
			} else { // long enough for the patience to be over, were it counted
				time.AfterFunc(2*patience, cancel)
			}
			go func() { waits <- test.ask(c, y) }()
			select {
			case err = <-waits:
			case <-time.After(20 * time.Second):
				t.Fatal("still waits")
			}
			ended, ok := errors.AsType[*EndedError](err)
			// On a busy machine an answer before may have taken so long that the patience is longer.
			if !ok || !errors.Is(err, context.Canceled) || ctx.Err() == nil || ended.After < test.after || ended.After > 0 && test.after == 0 || ended.Asked != test.asked {
				t.Fatalf("%v, want it to be asked to %s, and %v", err, test.asked, test.after)
			}
			if again := failure(c.Memory(e)); again != err {
				t.Errorf("the next request: %v", again)
			}
			<-c.helper.ended
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	c, err := startFake(t, Options{Plugin: "fake", Context: ctx, Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, y := begun(t, c, "copies")
	cancel()
	for range 3 {
		if err := errors.Join(download(c, y), failure(c.Compile(program("copies"), CompileOptions{}))); err != nil {
			t.Error(err)
		}
	}
	if _, err := startFake(t, Options{Plugin: "fake", Context: ctx}); !errors.Is(err, context.Canceled) {
		t.Errorf("started after the end: %v", err)
	}
}

// A device that has taken long to answer may take twice as long at the end.
func TestPatienceWithASlowDevice(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := startFake(t, Options{Plugin: "fake", Context: ctx, Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, does := range []string{"naps", "lasts"} {
		_, _, y := begun(t, c, does)
		if does == "lasts" {
			cancel()
		}
		err = c.Download(y, make([]byte, 24))
	}
	if ended, ok := errors.AsType[*EndedError](err); !ok || ended.After < 800*time.Millisecond || ended.After > maxPatience {
		t.Errorf("%v, want it to be after 0.8 s at least", err)
	}
}

// parent starts a helper program, says its process, and keeps it at work.
func parent() int {
	os.Setenv(roleVariable, "helper")
	own, err := os.Executable()
	if err != nil {
		return 1
	}
	c, err := Start(Options{Helper: own, Plugin: "fake"})
	if err != nil {
		return 1
	}
	fmt.Println(c.helper.cmd.Process.Pid)
	if os.Getenv("UNIMO_TEST_LASTS") != "" {
		e, _ := c.Compile([]byte("module @lasts { func.func @main() -> tensor<f32> {} }"), CompileOptions{})
		y := c.NewBuffer()
		c.Execute(e, [][]Buffer{{}}, [][]Buffer{{y}})
		c.Download(y, make([]byte, 4))
	}
	work(c, rand.New(rand.NewPCG(1, 1)))
	return 0
}

// Who starts a helper program takes it along when killed, also while the plugin computes, and on Linux where it is stopped.
func TestNoOrphan(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if i >= 4 && runtime.GOOS != "linux" {
			break
		}
		cmd := exec.Command(own)
		cmd.Env = append(os.Environ(), roleVariable+"=parent")
		if i%2 == 1 {
			cmd.Env = append(cmd.Env, "UNIMO_TEST_LASTS=1")
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		pid, _ := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || pid == 0 || syscall.Kill(pid, 0) != nil {
			t.Fatalf("%q: %v", line, err)
		}
		time.Sleep(20 * time.Millisecond)
		if i >= 4 {
			syscall.Kill(pid, syscall.SIGSTOP)
		}
		cmd.Process.Kill()
		cmd.Wait()
		if !gone(pid) {
			t.Errorf("the helper program %d goes on without its parent", pid)
		}
	}
}

// An end that comes late, when the client is closed, is none of the client that has the closed connection's number by then.
func TestLateEnd(t *testing.T) {
	old := started(t)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	c := started(t)
	if old.conn != c.conn {
		t.Fatalf("connection %v and then %v, want the same number", old.conn, c.conn)
	}
	old.end(&EndedError{})
	if _, _, y := begun(t, c, "copies"); c.Download(y, make([]byte, 24)) != nil {
		t.Error("the client was ended with another")
	}
}
