package unimo_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publicPackages are the packages that other modules may import, by folder.
var publicPackages = []string{".", "tokenizer", "checkpoint", "metrics", "vectorstore"}

// Every function and every type with methods that another module can use has an example with its
// output, so that what the documentation shows is run; and every name is explained.
func TestPublicNamesHaveExamples(t *testing.T) {
	for _, dir := range publicPackages {
		p := readPackage(t, dir)
		if !strings.Contains(p.Doc, "\n\t") {
			t.Errorf("the comment of package %s has no example", p.Name)
		}
		needs := func(name string, examples ...[]*doc.Example) {
			for _, list := range examples {
				for _, e := range list {
					if e.Output != "" || e.EmptyOutput {
						return
					}
				}
			}
			t.Errorf("%s.%s has no example with // Output:", p.Name, name)
		}
		explained := func(name, text string) {
			if !strings.Contains(text, " ") {
				t.Errorf("%s.%s has no comment", p.Name, name)
			}
		}
		for _, f := range p.Funcs {
			needs(f.Name, f.Examples)
			explained(f.Name, f.Doc)
		}
		for _, v := range slices.Concat(p.Consts, p.Vars) {
			explained(v.Names[0], v.Doc)
		}
		for _, x := range p.Types {
			explained(x.Name, x.Doc)
			for _, f := range x.Funcs {
				needs(f.Name, f.Examples)
				explained(f.Name, f.Doc)
			}
			examples := [][]*doc.Example{x.Examples}
			for _, m := range x.Methods {
				examples = append(examples, m.Examples)
				explained(x.Name+"."+m.Name, m.Doc)
			}
			if len(x.Methods) > 0 {
				needs(x.Name, examples...)
			}
		}
	}
}

// readPackage reads the package of a folder with its examples.
func readPackage(t *testing.T, dir string) *doc.Package {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(fset, path, source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(fset, files, module+"/"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
