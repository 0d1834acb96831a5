package run

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// sharing is a model that was opened, for what it shares.
type sharing struct {
	*Shared
	leave func() error
}

func openIn(t *testing.T, f *Folders, dir string, on device.Choice, env Env) (o sharing) {
	t.Helper()
	var err error
	o.leave, err = f.Open(dir, on, env, func(env Env) error {
		o.Shared = env.Shared
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Models share what they are opened from if the folder, its files, the extractor and what computes are the same.
func TestWhoShares(t *testing.T) {
	with := func(change func(c *device.Choice)) device.Choice {
		c := device.Default
		change(&c)
		return c
	}
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), atomicfile.WriteBytes(path, []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string) (other string, on device.Choice, env Env)
		shares bool
	}{
		{"nothing is another", func(_ *testing.T, dir string) (string, device.Choice, Env) { return dir, device.Default, Env{} }, true},
		{"another task", func(_ *testing.T, dir string) (string, device.Choice, Env) {
			return dir, device.Default, Env{Task: "vqa"}
		}, true},
		{"another path", func(t *testing.T, dir string) (string, device.Choice, Env) {
			t.Chdir(dir)
			return ".", device.Default, Env{}
		}, true},
		{"a link", func(t *testing.T, dir string) (string, device.Choice, Env) {
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(dir, link); err != nil {
				t.Skip("not run: the system makes no links: ", err)
			}
			return link, device.Default, Env{}
		}, true},
		{"a hidden file", func(t *testing.T, dir string) (string, device.Choice, Env) {
			write(t, filepath.Join(dir, ".new"), "x")
			return dir, device.Default, Env{}
		}, true},
		{"a copy", func(t *testing.T, dir string) (string, device.Choice, Env) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			return copied, device.Default, Env{}
		}, false},
		{"threads", func(_ *testing.T, dir string) (string, device.Choice, Env) {
			return dir, device.Default, Env{Threads: 1}
		}, false},
		{"precision", func(_ *testing.T, dir string) (string, device.Choice, Env) {
			return dir, with(func(c *device.Choice) { c.Precision = device.BFloat16 }), Env{}
		}, false},
		{"extractor", func(_ *testing.T, dir string) (string, device.Choice, Env) {
			return dir, device.Default, Env{Extractor: "patches"}
		}, false},
		{"a file was replaced by the same", func(t *testing.T, dir string) (string, device.Choice, Env) {
			write(t, filepath.Join(dir, "weights"), "1")
			return dir, device.Default, Env{}
		}, false},
		{"a file grew", func(t *testing.T, dir string) (string, device.Choice, Env) {
			if err := os.WriteFile(filepath.Join(dir, "weights"), []byte("12"), 0o644); err != nil {
				t.Fatal(err)
			}
			return dir, device.Default, Env{}
		}, false},
		{"a file is new", func(t *testing.T, dir string) (string, device.Choice, Env) {
			write(t, filepath.Join(dir, "new"), "x")
			return dir, device.Default, Env{}
		}, false},
		{"a file is gone", func(t *testing.T, dir string) (string, device.Choice, Env) {
			if err := os.Remove(filepath.Join(dir, "weights")); err != nil {
				t.Fatal(err)
			}
			return dir, device.Default, Env{}
		}, false},
		{"a file of a folder in it", func(t *testing.T, dir string) (string, device.Choice, Env) {
			write(t, filepath.Join(dir, "0_Transformer", "weights"), "2")
			return dir, device.Default, Env{}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Folders
			dir := t.TempDir()
			write(t, filepath.Join(dir, "weights"), "1")
			write(t, filepath.Join(dir, "0_Transformer", "weights"), "1")
			first := openIn(t, &f, dir, device.Default, Env{})
			other, on, env := c.change(t, dir)
			second := openIn(t, &f, other, on, env)
			if shares := first.Shared == second.Shared; shares != c.shares {
				t.Errorf("shares: %v", shares)
			}
			again := openIn(t, &f, other, on, env)
			if again.Shared != second.Shared {
				t.Error("the next one does not share with the last")
			}
			if err := errors.Join(first.leave(), again.leave(), second.leave()); err != nil || len(f.open) > 0 {
				t.Errorf("%v, and %d places are left", err, len(f.open))
			}
		})
	}
}

// The network that is named is shared with those who name the same file, as long as it and what lies beside it are the same.
func TestNamedExtractorIsShared(t *testing.T) {
	var f Folders
	network, config := filepath.Join(t.TempDir(), "network.safetensors"), "config.json"
	if err := os.WriteFile(network, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	first, second := openIn(t, &f, "", device.Default, Env{Extractor: network}), openIn(t, &f, "", device.Default, Env{Extractor: network})
	if err := os.WriteFile(filepath.Join(filepath.Dir(network), config), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	third := openIn(t, &f, "", device.Default, Env{Extractor: network})
	if first.Shared != second.Shared || second.Shared == third.Shared {
		t.Error("the file of the network alone counts, or its folder does not")
	}
	for _, o := range []sharing{second, third, first} {
		if err := o.leave(); err != nil {
			t.Error(err)
		}
	}
}

// What models share is there while one of them is open, whatever order they are closed in, and is closed once.
func TestLastOneCloses(t *testing.T) {
	for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		var f Folders
		var all [3]sharing
		dir, closed := t.TempDir(), 0
		for i := range all {
			all[i] = openIn(t, &f, dir, device.Default, Env{})
		}
		all[0].close = append(all[0].close, func() error { closed++; return fs.ErrInvalid })
		for n, i := range order {
			err, last := all[i].leave(), n == len(order)-1
			if errors.Is(err, fs.ErrInvalid) != last || (closed == 1) != last {
				t.Errorf("in the order %v the %d. gives %v; closed %d times", order, n+1, err, closed)
			}
		}
	}
}

// Goroutines that open and close models of a folder at once share, and nothing of what is closed.
func TestOpeningAtOnce(t *testing.T) {
	var f Folders
	var mu sync.Mutex
	users := map[*Shared]int{}
	dir, wait := t.TempDir(), sync.WaitGroup{}
	for i := range 8 {
		wait.Go(func() {
			for range 50 {
				env := Env{Threads: 1 + i%2}
				var s *Shared
				leave, err := f.Open(dir, device.Default, env, func(env Env) error {
					s = env.Shared
					mu.Lock()
					defer mu.Unlock()
					if users[s] < 0 {
						t.Error("what was closed is shared")
					}
					if users[s]++; users[s] == 1 {
						s.close = append(s.close, func() error {
							mu.Lock()
							defer mu.Unlock()
							if users[s] > 0 {
								t.Error("closed before its users have left")
							}
							users[s] = -1
							return nil
						})
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				users[s]--
				mu.Unlock()
				if err := leave(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if len(f.open) > 0 {
		t.Errorf("%d places are left", len(f.open))
	}
}

// A model that cannot be opened, and a device that cannot, leave nothing, and keep nobody from trying again.
func TestNotOpened(t *testing.T) {
	var f Folders
	dir, broken := t.TempDir(), errors.New("broken")
	if _, err := f.Open(dir, device.Default, Env{}, func(Env) error { return broken }); !errors.Is(err, broken) || len(f.open) > 0 {
		t.Errorf("%v, %d places", err, len(f.open))
	}
	if _, err := f.Open(dir, device.Default, Env{}, func(Env) error { panic(engine.Failure{Err: broken}) }); !errors.Is(err, broken) || len(f.open) > 0 {
		t.Errorf("%v, %d places", err, len(f.open))
	}
	kept := openIn(t, &f, dir, device.Default, Env{})
	if _, err := f.Open(dir, device.Default, Env{}, func(Env) error { return broken }); !errors.Is(err, broken) || len(f.open) != 1 {
		t.Errorf("beside another one: %v, %d places", err, len(f.open))
	}
	if err := kept.leave(); err != nil || len(f.open) > 0 {
		t.Errorf("%v, %d places", err, len(f.open))
	}
	absent := device.Default
	absent.Device = "pjrt:" + filepath.Join(dir, "none")
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, err := f.Open(dir, absent, Env{}, func(Env) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(f.open) > 0 {
		t.Errorf("%d places are left", len(f.open))
	}
}

// blind sees nothing.
type blind struct {
	regions.Extractor
	_ int // each has an address of its own
}

// What sees pictures is opened when it is asked for, once for all who ask for the same, and again where that failed.
func TestExtractorIsOpenedOnce(t *testing.T) {
	s, opened := NewShared(nil), 0
	open := func(engine.Device) (regions.Extractor, error) {
		if opened++; opened == 1 {
			return nil, errors.New("attempt " + strconv.Itoa(opened))
		}
		return &blind{}, nil
	}
	one, two, other := s.Extractor("network", nil, open), s.Extractor("./network", nil, open), s.Extractor("another", nil, open)
	if _, err := one(); err == nil || !strings.Contains(err.Error(), "attempt 1") {
		t.Error(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			x, err := one()
			y, _ := two()
			if err != nil || x != y {
				t.Errorf("%v and %v, %v", x, y, err)
			}
		})
	}
	wait.Wait()
	if opened != 2 {
		t.Errorf("opened %d times, want 2", opened)
	}
	if _, err := other(); err != nil || opened != 3 {
		t.Errorf("another one: %v, opened %d times", err, opened)
	}
	var none *Shared
	if a, b := none.Extractor("network", nil, open), none.Extractor("network", nil, open); a == nil || b == nil {
		t.Error("nothing is opened where nothing is shared")
	} else if x, _ := a(); opened != 4 || x == nil {
		t.Errorf("opened %d times", opened)
	}
}
