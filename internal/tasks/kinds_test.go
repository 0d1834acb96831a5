package tasks_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/tasks"
)

// root is the repository's, seen from this package.
const root = "../.."

// known are the names that nothing branches on outside the kinds' folders: those of tasks, kinds and problem types.
func known(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, task := range tasks.All {
		list = append(list, task.Name, task.Kind.Problem())
		if task.Data != "" {
			list = append(list, task.Data)
		}
	}
	folders, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() && !slices.Contains([]string{"classes", "images", "pairs", "texts"}, f.Name()) { // which kinds share
			list = append(list, f.Name())
		}
	}
	return list
}

// problemConstants are the constants of package model that are problem types.
func problemConstants(t *testing.T, names []string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "internal/model/config.go"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range regexp.MustCompile(`(?m)^\t(\w+) += "(\w+)"`).FindAllStringSubmatch(string(raw), -1) {
		if slices.Contains(names, c[2]) {
			list = append(list, c[1])
		}
	}
	if len(list) < 5 {
		t.Fatalf("problem types are %v", list)
	}
	return list
}

// branches finds where source asks for a kind of task: compares or switches on a name, has it as the key of a
// map, hands it to strings or slices, or asks for the type of a kind.
func branches(t *testing.T, path string, source any, names, constants []string) []string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{} // names of imported packages of kinds
	for _, i := range file.Imports {
		full, _ := strconv.Unquote(i.Path.Value)
		if _, kind, ok := strings.Cut(full, "/internal/tasks/"); ok {
			if i.Name != nil {
				kind = i.Name.Name
			}
			kinds[kind] = true
		}
	}
	var found []string
	report := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s", set.Position(n.Pos()), what))
	}
	name := func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(e.Value)
			return text, err == nil && e.Kind == token.STRING && slices.Contains(names, text)
		case *ast.SelectorExpr:
			x, ok := e.X.(*ast.Ident)
			return "model." + e.Sel.Name, ok && x.Name == "model" && slices.Contains(constants, e.Sel.Name)
		}
		return "", false
	}
	ofKind := func(e ast.Expr) bool {
		if star, ok := e.(*ast.StarExpr); ok {
			e = star.X
		}
		s, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		x, ok := s.X.(*ast.Ident)
		return ok && kinds[x.Name]
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			for _, e := range []ast.Expr{n.X, n.Y} {
				if name, ok := name(e); ok && (n.Op == token.EQL || n.Op == token.NEQ) {
					report(n, "compares with "+name)
				}
			}
		case *ast.CaseClause:
			for _, e := range n.List {
				if name, ok := name(e); ok {
					report(e, "switches on "+name)
				} else if ofKind(e) {
					report(e, "switches on the type of a kind")
				}
			}
		case *ast.TypeAssertExpr:
			if n.Type != nil && ofKind(n.Type) {
				report(n, "asks for the type of a kind")
			}
		case *ast.KeyValueExpr:
			if name, ok := name(n.Key); ok {
				report(n, "has a map with the key "+name)
			}
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				break
			}
			if x, ok := f.X.(*ast.Ident); !ok || x.Name != "strings" && x.Name != "slices" {
				break
			}
			for _, e := range n.Args {
				if list, ok := e.(*ast.CompositeLit); ok {
					for _, e := range list.Elts {
						if name, ok := name(e); ok {
							report(e, "looks for "+name)
						}
					}
				} else if name, ok := name(e); ok {
					report(e, "looks for "+name)
				}
			}
		}
		return true
	})
	return found
}

// A kind of task is known in its folder and in the list. Package model names heads by their problem types,
// which are in its files; programs of their own may have a task of their choice.
func TestNothingElseKnowsKinds(t *testing.T) {
	names := known(t)
	constants := problemConstants(t, names)
	apart := []string{
		"internal/tasks", "internal/model", "bench", "examples", "findings", "internal/test",
		"internal/dataset/textscore", // coqa is a metric there
		"internal/base/names",        // words that people type, and what they mean
		"internal/export/onnx",       // the graphs of package model's heads
	}
	files := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			if slices.Contains(apart, rel) || rel != "." && strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go") {
			files++
			for _, f := range branches(t, path, nil, names, constants) {
				t.Error(f + ": ask an interface of package run, which the kind implements")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 200 {
		t.Errorf("only %d files were looked at", files)
	}
}

// The test above finds every form of the sin, and nothing else.
func TestBranchesAreFound(t *testing.T) {
	const sins = `package p

import (
	"strings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/tasks/classify"
)

func f(name string, k any, cfg model.Config) {
	_ = name == "sst-2"
	_ = "flickr" != name
	_ = cfg.ProblemType == model.Regression
	switch name {
	case "coqa", model.Dialogue:
	}
	switch k.(type) {
	case *classify.Kind:
	}
	_, _ = k.(*classify.Predictor)
	_ = map[string]int{"retrieval": 1}
	_ = strings.HasPrefix(name, "mnli")
	_ = slices.Contains([]string{"cola"}, name)
}
`
	names := known(t)
	constants := problemConstants(t, names)
	if got := branches(t, "sins.go", sins, names, constants); len(got) != 10 {
		t.Errorf("%d are found:\n%s", len(got), strings.Join(got, "\n"))
	}
	const fine = `package p

import "github.com/unimo-go/unimo/internal/tasks/classify"

var c, err = classify.Open("sst-2")

func f(a, b string) bool { print("coqa", classify.Tasks); return a == b || a == "other" }
`
	if got := branches(t, "fine.go", fine, names, constants); got != nil {
		t.Errorf("found in what is fine:\n%s", strings.Join(got, "\n"))
	}
}
