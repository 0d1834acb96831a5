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
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Options{
			Backend: backend.Options{Models: []backend.Source{
				{Name: "shapes", Dir: "../../testdata/shapes.model"}, {Name: "films", Dir: "../../testdata/films.model"}, {Name: "headlines", Dir: "../../testdata/headlines.model"},
			}},
			Listen: "127.0.0.1:0", Ready: func(url string) { ready <- url },
		})
	}()
	var url string
	select {
	case url = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for _, script := range []string{"openai_client.py", "cohere_client.py", "huggingface_client.py"} {
		t.Run(script, func(t *testing.T) {
			c := exec.CommandContext(ctx, python, filepath.Join("testdata", "clients", script), url, "../../testdata/shapes/images")
			c.Env = append(os.Environ(), "HF_HUB_DISABLE_TELEMETRY=1", "NO_PROXY=*")
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Log(strings.TrimSpace(string(out)))
		})
	}
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
