package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/test/doubles"
)

var films = filepath.Join("..", "..", "testdata", "films.model")

// A server says where it is, answers, loads again at a hang-up, and ends with exit code 0 when it is told to. A program can read its log, and
// people find a request in it.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not run: no such signals")
	}
	text := testServe(t, "text")
	for _, want := range []string{"time=20", "level=INFO msg=request method=POST path=/predict route=/predict status=200 ", " request_id=my-request\n", "stopping after the requests that have come\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	records := testServe(t, "json")
	for line := range strings.Lines(records) {
		var r struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Time == "" || r.Level == "" || r.Msg == "" {
			t.Errorf("%q is no record: %v", line, err)
		}
	}
	for _, want := range []string{`"status":200`, `"request_id":"my-request"`, `"msg":"stopping after the requests that have come"`} {
		if !strings.Contains(records, want) {
			t.Errorf("no %q in %s", want, records)
		}
	}
}

// serving starts a server of the model m, which is ended with the test. Its standard output has said s.
func serving(t *testing.T, flags ...string) (cmd *exec.Cmd, s served, stdout *bufio.Reader, stderr *doubles.Log) {
	t.Helper()
	cmd = command(t, append([]string{"serve", "--model", "m=" + films, "--listen", "127.0.0.1:0", "--json", "--drain-delay", "0"}, flags...)...)
	stderr = new(doubles.Log)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	stdout = bufio.NewReader(out)
	line, err := stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if err := json.Unmarshal([]byte(line), &s); err != nil || len(s.Models) != 1 || s.Models[0] != "m" {
		t.Fatalf("%s: %v", line, err)
	}
	return cmd, s, stdout, stderr
}

// testServe returns the log.
func testServe(t *testing.T, form string) string {
	t.Helper()
	cmd, s, stdout, stderr := serving(t, "--log", form)
	ask := func() {
		t.Helper()
		r, err := http.NewRequest("POST", s.URL+"/predict", strings.NewReader(`{"inputs": "a gripping and funny film"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Request-Id", "my-request")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if raw, _ := io.ReadAll(a.Body); a.StatusCode != 200 || !strings.Contains(string(raw), "positive") {
			t.Errorf("%d %s", a.StatusCode, raw)
		}
	}
	ask()
	must(t, "health", s.URL)
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
	return stderr.String()
}

// Where programs read the log, the last word is a record, too.
func TestServeFailsInTheLog(t *testing.T) {
	r := call(t, "", "serve", "--model", "x="+films+"x", "--log", "json")
	last := r.stderr[strings.LastIndex(strings.TrimSpace(r.stderr), "\n")+1:]
	var said struct{ Level, Msg string }
	if err := json.Unmarshal([]byte(last), &said); err != nil || r.code != exitFailed || said.Level != "ERROR" || !strings.Contains(said.Msg, "does not exist") {
		t.Errorf("exit code %d, %v, %s", r.code, err, r.stderr)
	}
}

func TestServeUsage(t *testing.T) {
	t.Setenv("UNIMO_KEYS", " ")
	if r := call(t, "", "serve", "--model", films); r.code != exitUsage || !strings.Contains(r.stderr, "UNIMO_KEYS is set and has no key") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	os.Unsetenv("UNIMO_KEYS")
	for says, c := range map[string]struct {
		args []string
		code int
	}{
		"needs --model":                  {nil, exitUsage},
		"name a model with":              {[]string{"--model", films, films}, exitUsage},
		"go together":                    {[]string{"--model", films, "--tls-cert", films + "/config.json"}, exitUsage},
		"--queue is 0; want 1":           {[]string{"--model", films, "--queue", "0"}, exitUsage},
		"--drain-delay is -1; want 0 to": {[]string{"--model", films, "--drain-delay", "-1"}, exitUsage},
		`--host "" is no name`:           {[]string{"--model", films, "--host", ""}, exitUsage},
		`--host "a:80" is no name`:       {[]string{"--model", films, "--host", "a:80"}, exitUsage},
		`listen on "8080": `:             {[]string{"--model", films, "--listen", "8080"}, exitUsage},
		`listen on ":99999": `:           {[]string{"--model", films, "--listen", ":99999"}, exitUsage},
		`listen on "foo": `:              {[]string{"--model", films, "--listen", "foo"}, exitUsage},
		"no-index":                       {[]string{"--model", films, "--listen", "127.0.0.1:0", "--index", "no-index"}, exitFailed},
		"no form of a log":               {[]string{"--model", films, "--log", "xml"}, exitUsage},
		"no name of a model":             {[]string{"--model", "a b=" + films}, exitUsage},
		"two models are called":          {[]string{"--model", films, "--model", films}, exitUsage},
		"does not exist":                 {[]string{"--model", "x=" + films + "x"}, exitFailed},
		"no place to fetch":              {[]string{"--model", films, "--fetch", "example.com"}, exitUsage},
		`unknown device "gpu"`:           {[]string{"--model", films, "--device", "gpu"}, exitUsage},
		"does not have":                  {[]string{"--model", films, "--precision", "tf32"}, exitUsage},
		`unknown warm-up "some"`:         {[]string{"--model", films, "--device", "cuda", "--warm-up", "some"}, exitUsage},
		"--warm-up is for an":            {[]string{"--model", films, "--warm-up", "all"}, exitUsage},
		"none.so":                        {[]string{"--model", films, "--listen", "127.0.0.1:0", "--device", "pjrt:none.so"}, exitFailed},
		"unknown flag":                   {[]string{"--model", films, "--port", "80"}, exitUsage},
		"there is no key in it":          {[]string{"--model", films, "--keys", ""}, exitFailed},
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
