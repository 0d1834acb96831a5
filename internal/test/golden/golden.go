// Package golden finds the reference's numbers and the real data for tests.
//
// The whole set of numbers and the data lie outside the repository. The environment variables
// UNIMO_GOLDENS and UNIMO_DATA name their folders; the defaults are ../shared/goldens and
// ../shared/data beside the checkout. Without the whole set, testdata is taken: one case of
// most kinds, with the smaller gradients. UNIMO_WEIGHTS names a folder with weights of other
// libraries' models, and has no default. A test whose material is absent is skipped
// with a line that begins "not run": it never passes silently.
package golden

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Root returns the folder of golden cases: the whole set, or the subset in the repository.
func Root(tb testing.TB) string {
	tb.Helper()
	if root, err := find(tb, "UNIMO_GOLDENS", "goldens", ""); err == nil {
		return root
	}
	return subsetRoot(tb)
}

func subsetRoot(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(moduleRoot(tb), "internal", "test", "golden", "testdata")
}

// BPE returns the folder with the pieces that the tiny vocabulary's words are, or skips the test.
func BPE(tb testing.TB) string {
	tb.Helper()
	if dir := filepath.Join(Root(tb), "bpe"); exists(dir) {
		return dir
	}
	return Data(tb, "unimo-dict")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Data returns the path of a file or folder of the real data, or skips the test.
func Data(tb testing.TB, name string) string {
	tb.Helper()
	path, err := find(tb, "UNIMO_DATA", "data", name)
	if err != nil {
		tb.Skipf("not run: %v (set UNIMO_DATA)", err)
	}
	return path
}

// Weights returns the path of the file of that name below the folder that UNIMO_WEIGHTS names, or skips the test.
func Weights(tb testing.TB, name string) string {
	tb.Helper()
	root := os.Getenv("UNIMO_WEIGHTS")
	if root == "" {
		tb.Skipf("not run: %s is not at hand (set UNIMO_WEIGHTS to a folder that has it)", name)
	}
	var found string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == name {
			found = path
			return fs.SkipAll
		}
		return err
	})
	if err != nil {
		tb.Fatalf("UNIMO_WEIGHTS: %v", err)
	}
	if found == "" {
		tb.Skipf("not run: %s is not below %s", name, root)
	}
	return found
}

// find returns the path of name in the folder that the variable names, or in the default one. A folder
// that somebody named must be there: a slip must not pass.
func find(tb testing.TB, variable, folder, name string) (string, error) {
	tb.Helper()
	root := os.Getenv(variable)
	if root == "" {
		root = filepath.Join(moduleRoot(tb), "..", "shared", folder)
	} else if !filepath.IsAbs(root) {
		// go test runs in the package's folder; the user meant the one of the command.
		root = filepath.Join(moduleRoot(tb), root)
	}
	if _, err := os.Stat(root); err != nil && os.Getenv(variable) != "" {
		tb.Fatalf("%s: %v", variable, err)
	}
	path := filepath.Join(root, name)
	_, err := os.Stat(path)
	return path, err
}

func moduleRoot(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Fatal("no go.mod above the test's folder")
		}
		dir = parent
	}
}

// Case is one folder of goldens.
type Case struct {
	Name string // the folder's name
	Dir  string // its path
}

// Run calls test once, as a subtest, for every case of the given kind (the
// "case" field of case.json), and skips if there is none.
func Run(t *testing.T, kind string, test func(t *testing.T, c Case)) {
	t.Helper()
	root := Root(t)
	files, err := filepath.Glob(filepath.Join(root, "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, file := range files {
		var head struct {
			Case string `json:"case"`
		}
		c := Case{Dir: filepath.Dir(file), Name: filepath.Base(filepath.Dir(file))}
		c.JSON(t, "case.json", &head)
		if head.Case != kind {
			continue
		}
		found = true
		t.Run(c.Name, func(t *testing.T) { test(t, c) })
	}
	if !found {
		t.Skipf("not run: no golden case of kind %q in %s (the whole set: UNIMO_GOLDENS)", kind, root)
	}
}

// Path returns the path of one of the case's files.
func (c Case) Path(name string) string { return filepath.Join(c.Dir, name) }

// Has says whether the case has a file of that name.
func (c Case) Has(name string) bool {
	_, err := os.Stat(c.Path(name))
	return err == nil
}

// JSON reads one of the case's JSON files into v.
func (c Case) JSON(tb testing.TB, name string, v any) {
	tb.Helper()
	raw, err := os.ReadFile(c.Path(name))
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		tb.Fatalf("%s: %v", c.Path(name), err)
	}
}
