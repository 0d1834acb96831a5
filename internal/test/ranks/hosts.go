//go:build linux

package ranks

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

//go:embed hosts.sh
var hostsScript []byte

// addresses are those of the hosts.
const addresses = "10.231.77.1,10.231.77.2"

// Hosts are two hosts on this machine that a cable joins: network namespaces.
type Hosts struct {
	t      *testing.T
	script string
	env    []string
}

// TwoHosts makes them; where that is not allowed the test is not run.
func TwoHosts(t *testing.T) *Hosts {
	t.Helper()
	h := &Hosts{t: t, script: filepath.Join(t.TempDir(), "hosts.sh"), env: []string{fmt.Sprintf("UNIMO_HOSTS=unimo%d", os.Getpid())}}
	if err := os.WriteFile(h.script, hostsScript, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := h.command("up").CombinedOutput(); err != nil {
		t.Skipf("not run: two network namespaces cannot be made (root, and ip of iproute2): %v: %s", err, out)
	}
	t.Cleanup(func() {
		for _, pid := range h.Processes() {
			t.Errorf("process %s is left", pid)
			exec.Command("kill", "-KILL", pid).Run()
		}
		h.Do("down")
	})
	// TCP gives up after seconds instead of a quarter of an hour.
	for _, host := range []string{"a", "b"} {
		h.Do("on", host, "sysctl", "-q", "-w", "net.ipv4.tcp_retries2=3")
	}
	return h
}

func (h *Hosts) command(args ...string) *exec.Cmd {
	c := exec.Command(h.script, args...)
	c.Env = append(os.Environ(), h.env...)
	return c
}

// Do has the script do something.
func (h *Hosts) Do(args ...string) {
	h.t.Helper()
	if out, err := h.command(args...).CombinedOutput(); err != nil {
		h.t.Fatalf("hosts.sh %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Processes are the numbers of those on the hosts. Some that are about to end have ten seconds for it.
func (h *Hosts) Processes() (pids []string) {
	for range 100 {
		out, err := h.command("processes").Output()
		if err != nil {
			h.t.Fatal(err)
		}
		if pids = strings.Fields(string(out)); len(pids) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return pids
}
