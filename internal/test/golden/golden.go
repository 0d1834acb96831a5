// Package golden finds the reference's numbers and the real data for tests.
//
// Both lie outside the repository. The environment variables UNIMO_GOLDENS and
// UNIMO_DATA name their folders; the defaults are ../shared/goldens and
// ../shared/data beside the checkout. A test whose material is absent is skipped
// with a line that begins "not run": it never passes silently.
package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Root returns the folder of golden cases, or skips the test.
func Root(tb testing.TB) string {
	tb.Helper()
	return require(tb, "UNIMO_GOLDENS", "goldens", "")
}

// Data returns the path of a file or folder of the real data, or skips the test.
func Data(tb testing.TB, name string) string {
	tb.Helper()
	return require(tb, "UNIMO_DATA", "data", name)
}

func require(tb testing.TB, variable, folder, name string) string {
	tb.Helper()
	root := os.Getenv(variable)
	if root == "" {
		root = filepath.Join(moduleRoot(tb), "..", "shared", folder)
	} else if !filepath.IsAbs(root) {
		// go test runs in the package's folder; the user meant the one of the command.
		root = filepath.Join(moduleRoot(tb), root)
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(root); err != nil && os.Getenv(variable) != "" {
		tb.Fatalf("%s: %v", variable, err) // somebody named it: a slip must not pass
	}
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("not run: %v (set %s)", err, variable)
	}
	return path
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
		t.Skipf("not run: no golden case of kind %q in %s", kind, root)
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
