package unimo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// An error says where, what is wrong, and what to do, as in
//
//	train.tsv:3: has 2 columns, not 3; add the label
//	epochs is 0, want 1 or more
//	unknown task "sst3"; did you mean sst-2?
//
// A colon stands behind a place or behind what was being done. What to do stands behind a semicolon:
// it is an order ("name", "give"), so an order never stands behind a colon.
var order = regexp.MustCompile(`[^\s:]: (add|ask|begin|call|check|choose|convert|copy|correct|cut|download|end|export|fetch|fine-tune|finish|free|give|keep|leave|lower|` +
	`make|move|name|pack|put|raise|remove|rename|repeat|save|score|set|shorten|split|start|take|unpack|use|wait|write) ([a-z]+)`)

// second are words behind a verb that is no order: "name is not UTF-8".
var second = map[string]bool{"is": true, "has": true, "and": true}

// TestErrorMessages reads the text of every error in the source.
func TestErrorMessages(t *testing.T) {
	count := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			list, whole := messages(n)
			for _, e := range list {
				message, ok := text(e)
				if !ok {
					continue
				}
				count++
				if problem := badMessage(message, whole); problem != "" {
					t.Errorf("%s: %q %s", files.Position(e.Pos()), message, problem)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if count < 900 {
		t.Errorf("only %d messages were found", count)
	}
}

// messages returns the texts in a node that are an error's, or may be a part of one.
func messages(n ast.Node) (list []ast.Expr, whole bool) {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
			if x, ok := f.X.(*ast.Ident); ok && x.Name == "errors" {
				name = "errors.New"
			}
		}
		switch name {
		case "Errorf", "errors.New", "usagef", "wrongTaskf":
			return n.Args[:1], true
		case "Sprintf":
			return n.Args[:1], false
		case "fail", "problem", "problemAt", "bad":
			return n.Args, true
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Problem" || key.Name == "Remedy") {
			return []ast.Expr{n.Value}, true
		}
	}
	return nil, false
}

// text returns a text of the source, with … for what only the running program knows.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		x, okX := text(e.X)
		y, okY := text(e.Y)
		if e.Op == token.ADD && (okX || okY) {
			return orDots(x, okX) + orDots(y, okY), true
		}
	}
	return "", false
}

func orDots(s string, ok bool) string {
	if !ok {
		return "…"
	}
	return s
}

// badMessage says what is wrong with a message, "" if nothing is.
func badMessage(s string, whole bool) string {
	first, _, _ := strings.Cut(s, " ")
	if r, n := utf8.DecodeRuneInString(first); whole && unicode.IsUpper(r) && first[n:] == strings.ToLower(first[n:]) && len(first) > 1 {
		return "begins with a capital letter, which only a name with more of them does"
	}
	if whole && (strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "...") || strings.HasSuffix(s, "!")) {
		return "ends like a sentence"
	}
	if m := order.FindStringSubmatch(s); m != nil && !second[m[2]] {
		return "has an order behind a colon; what to do stands behind a semicolon"
	}
	return ""
}

func TestBadMessage(t *testing.T) {
	for s, bad := range map[string]bool{
		"%s: has 2 columns, not 3; add the label": false, "JSON ends too early": false, "%s:%d: name is not UTF-8": false, "make a folder: %w": false,
		"%s: write %s: %w": false, "there is no token: give it one": true, "Cannot open": true, "cannot open.": true, "cannot open!": true, "": false, "A": false,
	} {
		if got := badMessage(s, true); (got != "") != bad {
			t.Errorf("%q: %q", s, got)
		}
	}
}
