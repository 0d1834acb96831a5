package cli

import (
	"fmt"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestMain lets this test binary stand for the unimo command, so that tests can
// kill it.
func TestMain(m *testing.M) {
	if os.Getenv("UNIMO_TEST_COMMAND") == "1" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// command returns a process that runs "unimo args".
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), "UNIMO_TEST_COMMAND=1")
	return c
}

// A run that is killed again and again at random instants, and resumed each time,
// ends in the same bytes as one that was left alone. UNIMO_KILLS says how often to
// kill (the default keeps CI short).
func TestKilledRunEndsInTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: -short")
	}
	kills := 6
	if n, err := strconv.Atoi(os.Getenv("UNIMO_KILLS")); err == nil {
		kills = n
	}
	t.Run("classification", func(t *testing.T) { killRun(t, kills, opinionsFolder(t), finetuneArgs) })
	t.Run("own labels", func(t *testing.T) {
		killRun(t, kills, filepath.Join(ticketsFolder(t), "train.csv"), func(data, out string, settings ...string) []string {
			return classifyArgs(data, out, append(settings, "dev_share=0.2", "batch_size=4")...)
		})
	})
	t.Run("generation", func(t *testing.T) { killRun(t, kills, storiesFolder(t), coqaArgs) })
	t.Run("retrieval", func(t *testing.T) { killRun(t, kills, scenesFolder(t), flickrArgs) })
	t.Run("pretraining", func(t *testing.T) {
		killRun(t, kills, collections(t), func(data, out string, settings ...string) []string {
			return pretrainArgs(data, out, append(settings, fmt.Sprintf("max_steps=%d", 12*kills))...)
		})
	})
}

func killRun(t *testing.T, kills int, data string, arguments func(data, out string, settings ...string) []string) {
	// Long enough that the last kill still finds the run at work.
	settings := []string{"epochs=" + strconv.Itoa(4*kills), "eval_steps=7", "snapshot_steps=5", "gradient_accumulation=2"}
	whole := filepath.Join(t.TempDir(), "whole")
	start := time.Now()
	if out, err := command(t, arguments(data, whole, settings...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	duration := time.Since(start)

	// The delays need not repeat, but a failure must say what they were.
	seed := uint64(start.UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	killed := filepath.Join(t.TempDir(), "killed")
	args := append(arguments(data, killed, settings...), "--resume")
	landed := 0
	for range kills {
		c := command(t, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// Twice a kill's share of the run: part of each life is spent on reading
		// data and training the vocabulary again.
		delay := time.Duration(rng.Float64() * 2 * float64(duration) / float64(kills))
		timer := time.AfterFunc(delay, func() { c.Process.Kill() })
		if c.Wait() != nil {
			landed++
		}
		timer.Stop()
	}
	if landed == 0 {
		t.Errorf("seed %d: no kill hit the run", seed)
	}
	if out, err := command(t, args...).CombinedOutput(); err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, out)
	}
	for _, name := range []string{"last/model.safetensors", "best/model.safetensors", "best/README.md"} {
		if read(t, filepath.Join(killed, name)) != read(t, filepath.Join(whole, name)) {
			t.Errorf("seed %d: %s differs after %d kills", seed, name, landed)
		}
	}
	t.Logf("%d of %d kills hit the run of %v", landed, kills, duration.Round(time.Millisecond))
}
