package pull

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/hubs"
)

// python returns an interpreter with huggingface_hub, which "make clients" installs.
func python(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("UNIMO_CLIENTS")
	if bin == "" {
		t.Skip("not run: UNIMO_CLIENTS names no environment with huggingface_hub; 'make clients' makes one")
	}
	return filepath.Join(bin, "python")
}

// What Python's huggingface_hub fetched is found, and what was fetched here is found by it.
func TestHubClient(t *testing.T) {
	interpreter := python(t)
	h := hubs.NewHub(t)
	model := h.AddModel("team/model", sample())
	m := newMachine(t, h)
	script := func(m *machine, line string) string {
		cmd := exec.Command(interpreter, "-c", "from huggingface_hub import snapshot_download, scan_cache_dir\n"+line)
		cmd.Env = append(os.Environ(), "HF_ENDPOINT="+h.URL, "HF_HOME="+m.env["HF_HOME"], "HF_HUB_OFFLINE="+m.env["HF_HUB_OFFLINE"], "HF_HUB_DISABLE_TELEMETRY=1", "NO_PROXY=127.0.0.1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, err.(*exec.ExitError).Stderr)
		}
		return strings.TrimSpace(string(out))
	}
	path := script(m, `print(snapshot_download("team/model", ignore_patterns=["onnx/*", "*.h5", "*.bin", "copy/*", ".git*"]))`)
	before := h.Sent.Load() + h.CDN.Sent.Load()
	r, err := m.pull(t, "hf:team/model")
	if err != nil || r.Path != path || r.Fetched != 0 || h.Sent.Load()+h.CDN.Sent.Load() != before {
		t.Errorf("what Python fetched: %+v, %v, want %s", r, err, path)
	}
	holds(t, r.Path, *model, needed...)

	other := newMachine(t, h)
	if r, err = other.pull(t, "hf:team/model@v1.0"); err != nil {
		t.Fatal(err)
	}
	other.env["HF_HUB_OFFLINE"] = "1"
	for _, revision := range []string{"v1.0", model.Commit} {
		if path := script(other, `print(snapshot_download("team/model", revision="`+revision+`"))`); path != r.Path {
			t.Errorf("Python finds %s, want %s", path, r.Path)
		}
	}
	if scan := script(other, `i = scan_cache_dir(); print(len(i.warnings), [(r.repo_id, r.nb_files, sorted(v.refs)) for r in i.repos for v in r.revisions])`); scan != "0 [('team/model', 6, ['v1.0'])]" {
		t.Errorf("Python lists %s", scan)
	}
	// A file that is missing is fetched by Python beside ours.
	other.env["HF_HUB_OFFLINE"] = ""
	if got := script(other, `print(len(open(snapshot_download("team/model", revision="v1.0") + "/onnx/model.onnx", "rb").read()))`); got != "81920" {
		t.Errorf("Python reads %s bytes", got)
	}
}
