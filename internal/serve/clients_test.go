package serve_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve"
	"github.com/unimo-go/unimo/internal/serve/backend"
)

// TestClients runs the official clients, as they are, against real models.
func TestClients(t *testing.T) {
	python := pythonOfClients(t)
	keys := filepath.Join(t.TempDir(), "keys")
	const key = "the-key-of-these-clients"
	if err := os.WriteFile(keys, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	films := backend.Source{Name: "films", Dir: "../../testdata/films.model"}
	all := serve.Options{Backend: backend.Options{Models: []backend.Source{
		{Name: "shapes", Dir: "../../testdata/shapes.model"}, films, {Name: "headlines", Dir: "../../testdata/headlines.model"},
	}}}
	for script, o := range map[string]serve.Options{
		"openai_client.py": all, "cohere_client.py": all, "huggingface_client.py": all,
		"keys_client.py": {Backend: backend.Options{Models: []backend.Source{films}}, Keys: keys},
	} {
		t.Run(script, func(t *testing.T) {
			argument := "../../testdata/shapes/images"
			if o.Keys != "" {
				argument = key
			}
			ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, python, filepath.Join("testdata", "clients", script), serving(t, o), argument)
			c.Env = append(os.Environ(), "HF_HUB_DISABLE_TELEMETRY=1", "NO_PROXY=*")
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Log(strings.TrimSpace(string(out)))
		})
	}
}

// serving returns the address of a server that runs as long as the test.
func serving(t *testing.T, o serve.Options) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	o.Listen, o.Ready = "127.0.0.1:0", func(url string) { ready <- url }
	go func() { ended <- serve.Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case url := <-ready:
		return url
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return ""
}

// pythonOfClients is the Python that has the official clients, of the folder bin of a virtual environment.
func pythonOfClients(t *testing.T) string {
	bin := os.Getenv("UNIMO_CLIENTS")
	if bin == "" {
		t.Skip(`not run: needs the official clients; "make clients" installs them and runs this`)
	}
	name := "python"
	if runtime.GOOS == "windows" {
		name = "python.exe"
	}
	python := filepath.Join(bin, name)
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("UNIMO_CLIENTS: %v", err)
	}
	return python
}
