//go:build unix

package pull

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
	"github.com/unimo-go/unimo/internal/test/hubs"
)

// killedChunk is the size of chunks here, so that there are many in a small file.
const killedChunk = 1 << 20

// kills is how often a pull is killed: UNIMO_KILLS, which "make kills" sets to 100, or a few.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("UNIMO_KILLS"))
	if err != nil {
		n = 4
	}
	return n
}

// A pull that is killed at any point leaves no bad model, whatever the server does, and the next goes on: what a kill costs is at most
// one chunk.
func TestKilledPulls(t *testing.T) {
	if os.Getenv("UNIMO_TEST_PULL") != "" { // the process that is killed
		n, err := hub.Parse("hf:team/model")
		if err != nil {
			t.Fatal(err)
		}
		_, err = Pull(t.Context(), n, Options{Cache: hub.FromEnv(os.Getenv), Getenv: os.Getenv, Fetcher: fetch.Fetcher{
			Patience: fetch.Patience{Stall: 200 * time.Millisecond, Attempts: 5, First: time.Millisecond}, Chunk: killedChunk}})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	passing := []hubs.Fault{nil, nil, nil, hubs.Truncate(100_000), hubs.Status(503), hubs.Stall(300_000)}
	lying := []hubs.Fault{nil, nil, nil, nil, nil, nil, hubs.Wrong, hubs.Shifted, hubs.Longer, hubs.NoRanges, hubs.Truncate(100_000)}
	for name, faults := range map[string][]hubs.Fault{"faults that pass": passing, "lies": lying} {
		t.Run(name, func(t *testing.T) {
			h := hubs.NewHub(t)
			h.CDN.Slow = 4 * time.Millisecond
			s := sample()
			s.Files["model.safetensors"] = noise(12*killedChunk+12345, 7)
			model := h.AddModel("team/model", s)
			m := newMachine(t, h)
			whole := int64(len(s.Files["model.safetensors"]))
			worst, done := int64(0), 0
			left := kills(t)
			for try := 0; left > 0; try++ {
				if try > 20*kills(t) {
					t.Fatalf("%d kills are left after %d tries", left, try)
				}
				h.CDN.Well()
				for range 40 {
					h.CDN.Next(faults[rand.IntN(len(faults))])
				}
				before := h.CDN.Sent.Load() - had(m, model)
				killed := killOne(t, m, h)
				if killed {
					left--
				}
				n, _ := hub.Parse("hf:team/model")
				if where, err := m.Cache.Locate(n); err == nil {
					holds(t, where, *model, needed...)
					if _, err := Remove(t.Context(), m.Cache, n, nil); err != nil {
						t.Fatal(err)
					}
					done++
					continue
				}
				if name != "lies" && killed {
					worst = max(worst, h.CDN.Sent.Load()-had(m, model)-before)
				}
			}
			h.CDN.Well()
			m.Fetcher.Chunk = killedChunk
			r, err := m.pull(t, "hf:team/model")
			if err != nil {
				t.Fatal(err)
			}
			holds(t, r.Path, *model, needed...)
			if worst > killedChunk {
				t.Errorf("a kill cost %d bytes, more than the chunk of %d", worst, killedChunk)
			}
			t.Logf("%d kills, %d pulls came to their end before; a kill cost at most %d of %d bytes", kills(t), done, worst, whole)
		})
	}
}

// had is how many bytes of the weights a machine has for good: what the next process will not ask for.
func had(m *machine, model *hubs.Model) int64 {
	n, _ := hub.Parse("hf:team/model")
	blob := filepath.Join(m.Cache.Dir(n), hub.Blobs, hubs.SHA256(model.Files["model.safetensors"]))
	if info, err := os.Stat(blob); err == nil {
		return info.Size()
	}
	root, err := os.OpenRoot(filepath.Dir(blob))
	if err != nil {
		return 0
	}
	defer root.Close()
	return fetch.Had(root, filepath.Base(blob))
}

// killOne starts a pull, kills it some time after the first bytes of weights, or any time, and says whether it was still at work.
func killOne(t *testing.T, m *machine, h *hubs.Hub) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledPulls$")
	cmd.Env = append(os.Environ(), "UNIMO_TEST_PULL=1", "HF_ENDPOINT="+h.URL, "HF_HUB_CACHE=", "HF_HOME="+m.env["HF_HOME"], "UNIMO_CACHE="+m.env["UNIMO_CACHE"])
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	before, ended := h.CDN.Sent.Load(), make(chan struct{})
	go func() {
		for anyTime := rand.IntN(5) == 0; !anyTime && h.CDN.Sent.Load() == before; {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
		select {
		case <-ended:
		case <-time.After(time.Duration(rand.IntN(150)) * time.Millisecond):
			cmd.Process.Kill()
		}
	}()
	err := cmd.Wait()
	close(ended)
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return err != nil && ok && status.Signaled()
}
