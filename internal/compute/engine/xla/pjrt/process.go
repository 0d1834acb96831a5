package pjrt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// HelperVariable is the environment variable that names the helper program.
const HelperVariable = "UNIMO_XLA"

// ErrNoHelper says that the helper program was not found.
var ErrNoHelper = errors.New("the program unimo-xla, which loads plugins, was not found")

// FindHelper returns the helper program. named is what the user named; "" looks where HelperVariable says, beside this program, and in PATH.
func FindHelper(named string) (path string, looked []string, err error) {
	const name = "unimo-xla"
	if named == "" {
		named = os.Getenv(HelperVariable)
	}
	if named != "" {
		path, err := exec.LookPath(named)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound):
			err = fmt.Errorf("%w: %s is not there; name the program with %s, or leave that out", ErrNoHelper, named, HelperVariable)
		case err != nil:
			err = noProgram(named, err)
		}
		return path, []string{named}, err
	}
	var unusable error
	if own, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(own); err == nil {
			own = real
		}
		beside := filepath.Join(filepath.Dir(own), name)
		looked = append(looked, beside)
		path, err := exec.LookPath(beside)
		switch {
		case err == nil:
			return path, looked, nil
		case errors.Is(err, fs.ErrPermission):
			unusable = noProgram(beside, err)
		}
	}
	looked = append(looked, "PATH")
	if path, err := exec.LookPath(name); err == nil {
		return path, looked, nil
	}
	if unusable != nil {
		return "", looked, unusable
	}
	return "", looked, fmt.Errorf("%w: not %s; put it there, or name it with %s", ErrNoHelper, strings.Join(looked, ", not in "), HelperVariable)
}

// noProgram says that a file, which is there, cannot be executed.
func noProgram(path string, err error) error {
	if limited, ok := wire.Limited(err); ok {
		return fmt.Errorf("start %s: %w", path, limited)
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	how := "take it from the release that unimo is of"
	if errors.Is(err, fs.ErrPermission) {
		how = "allow it with chmod +x"
	}
	return fmt.Errorf("%s, which loads plugins, cannot be executed: %w; %s", path, err, how)
}

// CrashError says that the helper program ended by itself, or was ended.
type CrashError struct {
	Status string // how it ended, such as "signal: aborted (core dumped)"
	Stderr string // what it wrote last
	Asked  string // what it was asked for last: "compile program 3"; "": to start
}

func (e *CrashError) Error() string {
	text := "unimo-xla ended: " + e.Status
	if e.Asked != "" {
		text += ", after it was asked to " + e.Asked
	}
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}
	return text
}

// EndedError says that the helper program was killed because the context of [Options] had ended.
type EndedError struct {
	After time.Duration // that
	Asked string        // what it was asked for last; "": to start
	Err   error         // the context's
}

func (e *EndedError) Error() string { return fmt.Sprintf("%s: %v", e.Said(), e.Err) }

// Said is the error without the context's.
func (e *EndedError) Said() string {
	what := cmp.Or(e.Asked, "start")
	if e.After == 0 {
		return "unimo-xla was ended; it was to " + what
	}
	return fmt.Sprintf("unimo-xla did not answer for %v, and was ended; it was to %s", e.After.Round(time.Millisecond), what)
}

// Unwrap returns the context's error.
func (e *EndedError) Unwrap() error { return e.Err }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
	to   io.Writer
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if len(t.last) > 2*tailBytes {
		t.last = append(t.last[:0], t.last[len(t.last)-tailBytes:]...)
	}
	if t.to != nil {
		t.to.Write(p) // an error there is none of the plugin's
	}
	return len(p), nil
}

// String is the end, from the start of a line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.last
	if len(last) > tailBytes {
		last = last[len(last)-tailBytes:]
		if i := bytes.IndexByte(last, '\n'); i >= 0 {
			last = last[i+1:]
		}
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(last)), "?")
}

// process is a helper program that runs.
type process struct {
	cmd    *exec.Cmd
	stderr *tail
	ended  chan struct{} // closed when it has ended, and status is there
	status error
}

// start starts it. Its standard error is kept; of a process that it leaves behind nothing is waited for.
func start(cmd *exec.Cmd, log io.Writer) (*process, error) {
	p := &process{cmd: cmd, stderr: &tail{to: log}, ended: make(chan struct{})}
	cmd.Stderr = p.stderr
	cmd.WaitDelay = time.Second
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // it dies with this process alone; see dieTogether
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.status = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// patience is how long a helper program whose connection is gone may take to end by itself.
const patience = 2 * time.Second

// end waits until it has ended, and ends it if need be.
func (p *process) end() {
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// crashed is the error of a connection that ended by itself.
func (p *process) crashed(cause error, asked string) error {
	if p == nil {
		return cause
	}
	p.end()
	status := "its connection is gone (" + cause.Error() + ")"
	if state := p.cmd.ProcessState; state != nil && !state.Success() {
		status = state.String()
	}
	return &CrashError{Status: status, Stderr: p.stderr.String(), Asked: asked}
}
