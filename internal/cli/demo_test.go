package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/demo"
)

// smallParts makes the demo's parts small, for a test.
func smallParts(t *testing.T) {
	whole := demoParts
	t.Cleanup(func() { demoParts = whole })
	demoParts = demo.Parts()
	for i := range demoParts {
		p := &demoParts[i]
		p.Sizes = demo.Sizes{Train: 400, Dev: 20, HeldOut: 20}
		p.Settings = append(slices.Clone(p.Settings), "vocab_size=400", "num_hidden_layers=1", "hidden_size=32", "num_attention_heads=2", "max_steps=2")
	}
}

// Without a name the short part alone runs. It goes on to its last line, and again in the folder that
// it left.
func TestDemoIsShort(t *testing.T) {
	smallParts(t)
	out := filepath.Join(t.TempDir(), "demo")
	for range 2 {
		r := must(t, "demo", "--out", out)
		short := demoParts[1]
		page := filepath.Join(out, short.Name, "report.html")
		ready := filepath.Join(out, demoParts[0].Name)
		caption := "unimo caption --model " + filepath.Join(ready, "model") + " " + filepath.Join(ready, "data", "images", "test-00001.png")
		for _, want := range []string{caption, "recall@1", "0.0500  chance", "unimo finetune flickr8k", "unimo demo " + demoParts[2].Name, "questions answered right", "pretraining", "all of them"} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("the demo lacks %q:\n%s", want, r.stdout)
			}
		}
		if !strings.HasSuffix(r.stdout, page+"\n") {
			t.Errorf("the demo does not end with its page:\n%s", r.stdout)
		}
		if lines := strings.Split(strings.TrimSpace(r.stderr), "\n"); !strings.HasPrefix(lines[len(lines)-1], "done in ") {
			t.Errorf("the last line is %q", lines[len(lines)-1])
		}
		raw, err := os.ReadFile(page)
		if err != nil || !bytes.Contains(raw, []byte("Synthetic data")) || bytes.Count(raw, []byte("<img")) < 10 || !bytes.Contains(raw, []byte("recall@1 by chance")) {
			t.Errorf("the page: %v, %d bytes, %d pictures", err, len(raw), bytes.Count(raw, []byte("<img")))
		}
	}
	if parts, err := os.ReadDir(out); err != nil || len(parts) != 2 {
		t.Errorf("the folder holds %v, %v", parts, err)
	}
}

// A named part runs; the seed is that of training alone.
func TestDemoPart(t *testing.T) {
	smallParts(t)
	out := filepath.Join(t.TempDir(), "demo")
	r := must(t, "demo", "opinions", "--out", out, "--seed", "3", "--json")
	if got := numbers(t, strings.TrimSuffix(strings.TrimPrefix(r.stdout, `{"opinions":`), "}\n")); got["examples"] != 20 {
		t.Errorf("the scores are %s", r.stdout)
	}
	raw, err := os.ReadFile(filepath.Join(out, "opinions", "run", "run.json"))
	if err != nil || !strings.Contains(string(raw), `"seed": 3`) {
		t.Errorf("run.json: %v\n%s", err, raw)
	}
	if r := call(t, "", "demo", "opinion"); r.code != exitUsage || !strings.Contains(r.stderr, "opinions") {
		t.Errorf("a part misspelt: exit code %d, %s", r.code, r.stderr)
	}
}

// urlWriter passes on the line that it is written.
type urlWriter chan string

func (w urlWriter) Write(p []byte) (int, error) {
	w <- strings.TrimSpace(string(p))
	return len(p), nil
}

// The demo serves its page until it is interrupted, and takes away what it made.
func TestDemoServes(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	url, ended := make(urlWriter, 1), make(chan int, 1)
	var stderr bytes.Buffer
	go func() { ended <- runArgs(ctx, []string{"demo", "--serve"}, strings.NewReader(""), url, &stderr) }()
	select {
	case code := <-ended:
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	case address := <-url:
		for path, want := range map[string]string{"": "<title>unimo</title>", "page/setup.json": "not photographs", "models": `"pictures":200`} {
			answer, err := http.Get(address + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != 200 || !strings.Contains(string(body), want) {
				t.Errorf("%s: status %d, %v, without %q: %.200s", path, answer.StatusCode, err, want, body)
			}
		}
	}
	stop()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	for _, args := range [][]string{{"demo", "--listen", "127.0.0.1:0"}, {"demo", "--serve", "stories"}} {
		if r := call(t, "", args...); r.code != exitUsage {
			t.Errorf("%q: exit code %d\n%s", args, r.code, r.stderr)
		}
	}
}
