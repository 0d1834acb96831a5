package cli

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// The server on a device is warmed up, answers as the command does there, shows the device, is not ready once it is lost, opens it again when it is told to load
// again, and says at its end what became of it.
func TestServeOnADevice(t *testing.T) {
	name := accelerator.Name(t)
	cmd, s, stdout, stderr := serving(t, "--device", name)
	get := func(path, body string) (int, string) {
		t.Helper()
		method := "GET"
		if body != "" {
			method = "POST"
		}
		r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		raw, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(raw)
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not within a minute: %s", what, stderr.String())
			}
		}
	}
	ask := func() (probability float64) {
		t.Helper()
		code, raw := get("/classify", `{"inputs": [{"text": "a gripping and funny film"}]}`)
		var a struct {
			Predictions []struct{ Probability float64 }
		}
		if err := json.Unmarshal([]byte(raw), &a); err != nil || code != 200 || len(a.Predictions) != 1 {
			t.Fatalf("%d %s: %s", code, raw, stderr.String())
		}
		return a.Predictions[0].Probability
	}
	var want struct{ Probability float64 }
	if err := json.Unmarshal([]byte(must(t, "predict", "--model", films, "--device", name, "--json", "a gripping and funny film").stdout), &want); err != nil {
		t.Fatal(err)
	}
	compiled := func() string {
		t.Helper()
		_, metrics := get("/metrics", "")
		_, after, _ := strings.Cut(metrics, "\nunimo_device_programs_total{from=\"compiled\"} ")
		n, _, _ := strings.Cut(after, "\n")
		return n
	}
	before := compiled()
	if got := ask(); math.Abs(got-want.Probability) > 1e-6 {
		t.Errorf("the server says %v, the command %v", got, want.Probability)
	}
	if after := compiled(); before == "0" || after != before || !strings.Contains(stderr.String(), `msg="warmed up"`) {
		t.Errorf("%s programs before the first question, and %s after it: %s", before, after, stderr.String())
	}
	_, metrics := get("/metrics", "")
	for _, line := range []string{`unimo_device_up{device="` + name + `",precision="float32",version="cpu`, `unimo_device_programs_total{from="compiled"} `, "unimo_device_padding_ratio 0."} {
		if !strings.Contains(metrics, "\n"+line) {
			t.Errorf("no %q in %s", line, metrics)
		}
	}

	kill := func() {
		t.Helper()
		helpers := accelerator.Children(t, cmd.Process.Pid)
		if len(helpers) != 1 {
			t.Fatalf("the helpers are %v, want one", helpers)
		}
		if err := syscall.Kill(helpers[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until("not ready", func() bool { code, _ := get("/readyz", ""); return code == 503 })
	}
	kill()
	if code, raw := get("/classify", `{"inputs": [{"text": "x"}]}`); code != 503 || !strings.Contains(raw, "the device that computes was lost") {
		t.Errorf("without its device it answers %d %s", code, raw)
	}
	if code, _ := get("/livez", ""); code != 200 {
		t.Errorf("it is not live: %d", code)
	}
	_, metrics = get("/metrics", "")
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "unimo_device_up{") && !strings.HasSuffix(line, "} 0\n") {
			t.Errorf("the metrics show a device that was lost as %s", line)
		}
	}
	until("the log", func() bool {
		return strings.Contains(stderr.String(), "the device was lost") && strings.Contains(stderr.String(), "unimo-xla ended: signal: killed")
	})
	cmd.Process.Signal(syscall.SIGHUP)
	until("ready", func() bool { code, _ := get("/readyz", ""); return code == 200 })
	if got := ask(); math.Abs(got-want.Probability) > 1e-6 {
		t.Errorf("on the device that was opened again the server says %v, the command %v", got, want.Probability)
	}

	kill()
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	io.ReadAll(stdout)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(stderr.String(), "was lost while the server ran: unimo-xla ended") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if left := accelerator.Children(t, os.Getpid()); len(left) > 0 {
		t.Errorf("the processes %v are left", left)
	}
}
