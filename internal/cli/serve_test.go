package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

var films = filepath.Join("..", "..", "testdata", "films.model")

// A server says where it is, answers, loads again at a hang-up, and ends with exit code 0 when it is told to.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not run: no such signals")
	}
	cmd := command(t, "serve", "--model", "m="+films, "--listen", "127.0.0.1:0", "--json", "--drain-delay", "0")
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	stdout := bufio.NewReader(out)
	line, err := stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var s served
	if err := json.Unmarshal([]byte(line), &s); err != nil || len(s.Models) != 1 || s.Models[0] != "m" {
		t.Fatalf("%s: %v", line, err)
	}
	ask := func() {
		t.Helper()
		a, err := http.Post(s.URL+"/predict", "application/json", strings.NewReader(`{"inputs": "a gripping and funny film"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if raw, _ := io.ReadAll(a.Body); a.StatusCode != 200 || !strings.Contains(string(raw), "positive") {
			t.Errorf("%d %s", a.StatusCode, raw)
		}
	}
	ask()
	cmd.Process.Signal(syscall.SIGHUP)
	for range 1000 {
		if strings.Contains(stderr.String(), "loaded again") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.Contains(stderr.String(), "loaded again") {
		t.Errorf("it does not load again: %s", stderr.String())
	}
	ask()
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	rest, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil || len(rest) > 0 {
		t.Errorf("%v, %s: %s", err, rest, stderr.String())
	}
}

func TestServeUsage(t *testing.T) {
	for says, c := range map[string]struct {
		args []string
		code int
	}{
		"needs --model":         {nil, exitUsage},
		"name a model with":     {[]string{"--model", films, films}, exitUsage},
		"go together":           {[]string{"--model", films, "--tls-cert", films + "/config.json"}, exitUsage},
		"--queue":               {[]string{"--model", films, "--queue", "0"}, exitUsage},
		"no form of a log":      {[]string{"--model", films, "--log", "xml"}, exitUsage},
		"no name of a model":    {[]string{"--model", "a b=" + films}, exitUsage},
		"two models are called": {[]string{"--model", films, "--model", films}, exitUsage},
		"does not exist":        {[]string{"--model", "x=" + films + "x"}, exitFailed},
		"no place to fetch":     {[]string{"--model", films, "--fetch", "example.com"}, exitUsage},
		"unknown flag":          {[]string{"--model", films, "--port", "80"}, exitUsage},
		"there is no key in it": {[]string{"--model", films, "--keys", ""}, exitFailed},
	} {
		if says == "there is no key in it" {
			c.args[len(c.args)-1] = filepath.Join(t.TempDir(), "keys")
			writeFile(t, c.args[len(c.args)-1], "\n")
		}
		r := call(t, "", append([]string{"serve"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, says) {
			t.Errorf("%v: exit code %d, %s; want %d and %q", c.args, r.code, r.stderr, c.code, says)
		}
	}
}
