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
	"runtime"
	"slices"
	"strings"
	"testing"
)

// layers lists prefixes of import paths from the bottom to the top: the path of a package
// says what it may use. The longest prefix counts. A package may import what stands above it in the
// list; docs/architecture.md says what each is for.
var layers = []string{
	"internal/base/lex", "internal/base/pytext", "internal/base/infile", "internal/base/names", "internal/base/atomicfile", "internal/base/collective", "internal/base/collective/mpi", "internal/base", "internal/hub",
	"tokenizer", "checkpoint", "metrics",
	"internal/compute/kernels", "internal/compute/engine", "internal/compute/engine/cpu", "internal/compute/engine/xla/pjrt/wire", "internal/compute/engine/xla/pjrt/helper", "internal/compute/engine/xla/pjrt", "internal/compute/engine/xla/programs", "internal/compute/engine/xla", "internal/compute/device", "internal/compute/autograd", "internal/compute/nn", "internal/compute/optim",
	"internal/dataset/batches", "internal/dataset/picture", "internal/dataset/labelled", "internal/dataset/captions", "internal/dataset", "internal/dataset/textscore", "internal/dataset/entailment", "internal/dataset/coco",
	"internal/vision", "internal/vision/preprocess", "internal/vision/vit", "internal/vision/convnet", "internal/vision/detector", "internal/vision/extractor",
	"internal/model", "internal/model/modeldir", "internal/model/decode", "internal/model/rank", "internal/model/calibration",
	"internal/store/server", "internal/store/pgvector", "internal/store/weaviate", "internal/store", "vectorstore",
	"internal/report", "internal/train", "internal/train/adversarial",
	"internal/pretrain/masking", "internal/pretrain/rewrite", "internal/pretrain/related", "internal/pretrain/corpus", "internal/pretrain",
	"internal/run", "internal/answer", "internal/tasks/images", "internal/tasks/texts", "internal/tasks/classes", "internal/tasks/pairs", "internal/tasks/classify", "internal/tasks/write", "internal/tasks/retrieve", "internal/tasks/vqa", "internal/tasks/captioning", "internal/tasks/entail", "internal/tasks/pretrained", "internal/tasks/multi", "internal/tasks", "internal/embed",
	"", // the public package
	"internal/serve/backend", "internal/serve/web", "internal/serve/backend/backendtest",
	"internal/serve/openai", "internal/serve/cohere", "internal/serve/tei", "internal/serve/oip/inferencepb", "internal/serve/oip", "internal/serve/native", "internal/serve/page", "internal/serve/telemetry", "internal/serve/openapi", "internal/serve",
	"internal/demo/synth", "internal/demo", "internal/pull/fetch", "internal/pull", "internal/export/onnx", "internal/cli", "cmd/unimo",
}

// apart are prefixes that never import each other: what reads files knows nothing of what computes.
var apart = [][2]string{{"internal/compute", "internal/dataset"}, {"internal/dataset", "internal/compute"}}

// strangers are folders whose packages never import each other, but for those that they share: kinds of task, and protocols.
var strangers = map[string][]string{
	"internal/tasks": {"internal/tasks/images", "internal/tasks/texts", "internal/tasks/classes", "internal/tasks/pairs"},
	"internal/serve": {"internal/serve/backend", "internal/serve/backend/backendtest", "internal/serve/web"},
}

// testOnly are packages that only tests import.
const testOnly = "internal/test"

// allowedModules are the modules that the shipped program may link, by import path
// prefix; docs/dependencies.md says why each is there.
var allowedModules = []string{
	"github.com/spf13/cobra", "github.com/spf13/pflag",
	"github.com/jdkato/prose", "golang.org/x/image", "golang.org/x/sys", "golang.org/x/term", "golang.org/x/text", "github.com/blevesearch/snowballstem",
	"gonum.org/v1/gonum", "gonum.org/v1/plot", "google.golang.org/protobuf",
	"github.com/jackc/pgx/v5", "github.com/google/uuid", "github.com/cenkalti/backoff/v5", "github.com/google/go-containerregistry",
	"google.golang.org/grpc", "golang.org/x/sync", "github.com/prometheus/client_golang", "go.opentelemetry.io/otel", "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "github.com/felixge/httpsnoop", "go.yaml.in/yaml", "github.com/edsrzf/mmap-go", "github.com/x448/float16",
}

// taggedModules are linked only with a build tag, by one package each.
var taggedModules = []struct{ tag, module, by string }{{"mpi", "github.com/ebitengine/purego", "internal/base/collective/mpi"}}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T, tags string) map[string]listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-tags", tags, "-json=ImportPath,Imports", "./...").Output()
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

// within says whether a path is a prefix's or below it.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// layerOf is the place in layers of a package, -1 if it has none.
func layerOf(path string) int {
	best := -1
	for i, prefix := range layers {
		// The public package is a layer of its own, not the prefix of all.
		if (prefix == "" && path == "" || prefix != "" && within(path, prefix)) && (best < 0 || len(prefix) > len(layers[best])) {
			best = i
		}
	}
	return best
}

func TestDependenciesRunDownwards(t *testing.T) {
	for path, p := range listPackages(t, "") {
		path = strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if within(path, "bench") || within(path, "examples") || within(path, testOnly) {
			continue // programs of their own, and what tests use
		}
		own := layerOf(path)
		if own < 0 {
			t.Errorf("%s is in no layer: add it to layers and to docs/architecture.md", path)
			continue
		}
		for _, imported := range p.Imports {
			if !within(imported, module) {
				checkModule(t, path, imported)
				continue
			}
			imported = strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
			below := layerOf(imported)
			if below < 0 || below >= own {
				t.Errorf("%s imports %s, which is not in a lower layer", path, imported)
			}
			for folder, shared := range strangers {
				if within(path, folder) && path != folder && within(imported, folder) && !within(imported, path) && !slices.Contains(shared, imported) {
					t.Errorf("%s imports %s: of the packages in %s only %s may be shared", path, imported, folder, strings.Join(shared, ", "))
				}
			}
			for _, pair := range apart {
				if within(path, pair[0]) && within(imported, pair[1]) {
					t.Errorf("%s imports %s: they are to be apart", path, imported)
				}
			}
		}
	}
}

// What needs the system's loader is linked with its tag alone, and by the one package that is there for it.
func TestTaggedModules(t *testing.T) {
	for _, m := range taggedModules {
		for _, tag := range []string{"", m.tag} {
			var importers []string
			for path, p := range listPackages(t, tag) {
				if slices.ContainsFunc(p.Imports, func(imported string) bool { return within(imported, m.module) }) {
					importers = append(importers, strings.TrimPrefix(path, module+"/"))
				}
			}
			if tag == "" && importers != nil || tag != "" && runtime.GOOS == "linux" && !slices.Equal(importers, []string{m.by}) {
				t.Errorf("with the tag %q, %s is imported by %v, want by %s with the tag %s alone", tag, m.module, importers, m.by, m.tag)
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
		"internal/base/infile":             "the place itself",
		"internal/base/atomicfile":         "opens folders to flush them",
		"internal/pretrain/corpus":         "walks folders only",
		"internal/dataset/regions":         "walks folders only",
		"internal/dataset/seq2seq":         "walks folders only",
		"internal/compute/engine/xla/pjrt": "looks into folders only",
	}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if !strings.HasPrefix(dir, "internal/") && dir != "." || within(dir, testOnly) {
			return nil // programs of their own, and what tests use
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, call := range opens.FindAllString(string(source), -1) {
			if _, ok := allowed[dir]; !ok || call != "os.DirFS(" && dir != "internal/base/infile" && dir != "internal/base/atomicfile" {
				t.Errorf("%s calls %s): open files with internal/base/infile", path, call)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
