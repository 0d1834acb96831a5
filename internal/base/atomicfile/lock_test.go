package atomicfile

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	first, err := Own(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Own(dir)
	var held *LockedError
	if !errors.As(err, &held) || held.Holder.PID != os.Getpid() || held.Dir != dir {
		t.Fatalf("a second owner got %v", err)
	}
	if host, _ := os.Hostname(); held.Holder.Host != host || held.Holder.Since.IsZero() {
		t.Errorf("the holder is %+v", held.Holder)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		assertEntries(t, dir) // nothing is left
	}
	second, err := Own(dir)
	if err != nil {
		t.Fatalf("after it was released: %v", err)
	}
	second.Release()
}

// What killed writers left is removed by the next owner, also in the folders inside.
func TestOwnCleans(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "in"), 0o755)
	os.Mkdir(filepath.Join(dir, "other"), 0o755)
	for _, d := range []string{"", "in", "other"} {
		os.WriteFile(filepath.Join(dir, d, TempMark+"1"), nil, 0o644)
	}
	l, err := Own(dir, "in", "absent")
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	assertEntries(t, dir, "in", "other")
	assertEntries(t, filepath.Join(dir, "in"))
	assertEntries(t, filepath.Join(dir, "other"), TempMark+"1")
}

// The kernel releases the lock of a process that dies without a word.
func TestLockOfAKilledProcess(t *testing.T) {
	if dir := os.Getenv("UNIMO_TEST_LOCK"); dir != "" {
		if _, err := Own(dir); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("locked\n")
		select {}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockOfAKilledProcess$")
	cmd.Env = append(os.Environ(), "UNIMO_TEST_LOCK="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	_, err = Own(dir)
	var held *LockedError
	if !errors.As(err, &held) || held.Holder.PID != cmd.Process.Pid {
		t.Errorf("while the other process lives: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	l, err := Own(dir)
	if err != nil {
		t.Fatalf("after the other process was killed: %v", err)
	}
	l.Release()
}

func TestLockFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, LockName), 0o755)
	if _, err := Own(dir); err == nil || !strings.Contains(err.Error(), LockName) {
		t.Errorf("got %v", err)
	}
}

func TestMkdir(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := Mkdir(filepath.Join(dir, "a", "b")); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "f")
	os.WriteFile(file, nil, 0o644)
	if err := Mkdir(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in the way: %v", err)
	}
	if err := Mkdir(filepath.Join(file, "below")); err == nil {
		t.Error("a folder below a file was made")
	}
}
