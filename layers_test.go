package unimo_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// layers lists the packages from the bottom to the top. A package may import those
// of lower layers only; docs/architecture.md says what each layer is for.
var layers = [][]string{
	{"internal/pytext", "internal/infile", "internal/names"},
	{"internal/printable", "internal/parallel", "internal/memory", "internal/atomicfile", "internal/columns", "internal/metrics", "internal/config"},
	{"internal/kernels", "internal/checkpoint", "internal/tokenizer", "internal/data", "internal/picture", "internal/report", "internal/synth", "internal/masking"},
	{"internal/engine", "internal/seq2seq", "internal/captions", "internal/regions", "internal/rewrite", "internal/related"},
	{"internal/engine/cpu", "internal/autograd", "internal/corpus"},
	{"internal/optim", "internal/model"},
	{"internal/modeldir", "internal/train", "internal/generate", "internal/retrieve", "internal/pretrain"},
	{"internal/task"},
	{""},             // the public package
	{"internal/cli"}, // the command
	{"cmd/unimo"},
}

// testOnly are packages that only tests import.
var testOnly = []string{"internal/golden"}

// allowedModules are the modules that the shipped program may link, by import path
// prefix; docs/dependencies.md says why each is there.
var allowedModules = []string{
	"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/jdkato/prose", "golang.org/x/image", "golang.org/x/sys", "golang.org/x/term", "golang.org/x/text", "github.com/blevesearch/snowballstem",
	"github.com/schollz/progressbar", "gonum.org/v1/gonum", "gonum.org/v1/plot", "google.golang.org/protobuf",
	"go.yaml.in/yaml", "github.com/edsrzf/mmap-go", "github.com/x448/float16",
}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) map[string]listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]listedPackage{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

const module = "github.com/unimo-go/unimo"

func TestDependenciesRunDownwards(t *testing.T) {
	layerOf := map[string]int{}
	for i, layer := range layers {
		for _, name := range layer {
			layerOf[strings.TrimSuffix(module+"/"+name, "/")] = i
		}
	}
	for _, name := range testOnly {
		layerOf[module+"/"+name] = len(layers)
	}
	for path, p := range listPackages(t) {
		if strings.HasPrefix(path+"/", module+"/bench/") {
			continue // programs of their own
		}
		own, ok := layerOf[path]
		if !ok {
			t.Errorf("%s is in no layer: add it to layers and to docs/architecture.md", path)
			continue
		}
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, module) {
				checkModule(t, path, imported)
				continue
			}
			if below, ok := layerOf[imported]; !ok || below >= own {
				t.Errorf("%s imports %s, which is not in a lower layer", path, imported)
			}
		}
	}
}

func checkModule(t *testing.T, path, imported string) {
	t.Helper()
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return // standard library
	}
	for _, allowed := range allowedModules {
		if imported == allowed || strings.HasPrefix(imported, allowed+"/") {
			return
		}
	}
	t.Errorf("%s imports %s, which is not in allowedModules", path, imported)
}

// Files from outside are opened in one place, which refuses pipes and devices and names what
// stands in a file's place. The exceptions do not read what others wrote.
func TestFilesAreOpenedByInfile(t *testing.T) {
	opens := regexp.MustCompile(`\bos\.(Open|ReadFile|DirFS)\(`)
	allowed := map[string]string{
		"internal/infile":     "the place itself",
		"internal/golden":     "for tests",
		"internal/atomicfile": "opens folders to flush them",
		"internal/corpus":     "walks folders only",
		"internal/regions":    "walks folders only",
		"internal/seq2seq":    "walks folders only",
	}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if !strings.HasPrefix(dir, "internal/") && dir != "." {
			return nil // programs of their own
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, call := range opens.FindAllString(string(source), -1) {
			if _, ok := allowed[dir]; !ok || call != "os.DirFS(" && dir != "internal/infile" && dir != "internal/golden" && dir != "internal/atomicfile" {
				t.Errorf("%s calls %s): open files with internal/infile", path, call)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
