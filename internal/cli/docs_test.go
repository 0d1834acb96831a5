package cli

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// docs checks what documents name against the program. Example: a page with `unimo predict --modle RUN`
// gives "README.md:7: unimo predict has no flag --modle".
type docs struct {
	dir      string // the repository
	root     *cobra.Command
	flags    map[string]bool // of any command, by name
	short    map[string]bool // of any command, by letter
	settings map[string]bool
	words    map[string]bool     // names_with_underscores in the sources
	names    map[string]bool     // pkg.Name, pkg.Type.Member and TestName in the sources
	packages map[string]bool     // by name
	anchors  map[string][]string // of the pages read, by path
	about    map[string]string   // what the packages' documentation says first, by their folders
	targets  map[string]bool     // of the Makefile
	absent   []string            // pages that the sources name and that are not there
}

// docForeign are packages of others that documents name like Go's.
var docForeign = []string{"argparse", "torch", "paddle", "errors", "slog", "context", "fs", "datasets"}

var (
	docSnake     = regexp.MustCompile(`[a-z][a-z0-9]*(?:_[a-z0-9]+)+`)
	docWholeWord = regexp.MustCompile(`^[a-z][a-z0-9]*(?:_[a-z0-9]+)+$`)
	docAssigned  = regexp.MustCompile(`^([a-z][a-z0-9]*(?:_[a-z0-9]+)*)=\S+$`)
	docGoName    = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z]\w*(?:\.[A-Z]\w*)?)(?:\(.*)?$`)
	docGoTest    = regexp.MustCompile(`^(?:Test|Benchmark|Fuzz)[A-Z]\w*$`)
	docGoPage    = regexp.MustCompile(`docs/[A-Za-z0-9_./-]+\.md`)
	docSpan      = regexp.MustCompile("`([^`]+)`")
	docLink      = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	docLinkEnd   = regexp.MustCompile(`\]\(([^)\s]+)\)`) // also of one that began in the line before
	docVariable  = regexp.MustCompile(`\bUNIMO_[A-Z][A-Z0-9_]*`)
	docTarget    = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
	docYAMLList  = regexp.MustCompile(`^\s*(?:- )?(?:command|args): \[(.*)\]$`)
	docOwnPath   = regexp.MustCompile(`(?:^|[\s"'(=])(?:\./)?((?:internal|docs|cmd|bench|examples|findings|tokenizer|checkpoint|metrics)/[A-Za-z0-9_./*-]+)`)
	docWords     = regexp.MustCompile(`^(?:Package|Command) [\w-]+ |[\[\]]|:$`)
	docPublic    = regexp.MustCompile(`\b(?:unimo|tokenizer|checkpoint|metrics)\.[A-Z]\w*`)
	docUppercase = regexp.MustCompile(`^[A-Z][A-Z0-9_-]*$`)
)

// theDocs are those of the repository, read once for all tests.
var theDocs = sync.OnceValues(func() (*docs, error) { return readDocs(filepath.Join("..", "..")) })

func newDocs(t *testing.T) *docs {
	t.Helper()
	d, err := theDocs()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readDocs(dir string) (*docs, error) {
	d := &docs{dir: dir, root: newApp(nil, nil, nil, nil).rootCommand(), flags: map[string]bool{}, short: map[string]bool{}, settings: map[string]bool{},
		words: map[string]bool{}, names: map[string]bool{}, packages: map[string]bool{}, anchors: map[string][]string{}, about: map[string]string{}, targets: map[string]bool{}}
	d.addCommand(d.root)
	makefile, err := os.ReadFile(filepath.Join(dir, "Makefile"))
	if err != nil {
		return nil, err
	}
	for _, m := range docTarget.FindAllStringSubmatch(string(makefile), -1) {
		d.targets[m[1]] = true
	}
	err = filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && file != dir && (strings.HasPrefix(e.Name(), ".") || e.Name() == "runs"):
			return fs.SkipDir
		case e.IsDir() || !slices.Contains([]string{".go", ".yaml", ".py", ".sh"}, path.Ext(file)) || e.Name() == "docs_test.go":
			return nil
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, name := range docVariable.FindAllString(string(raw), -1) {
			d.words[name] = true
		}
		for _, w := range docSnake.FindAllString(string(raw), -1) {
			d.words[w] = true
		}
		if path.Ext(file) != ".go" {
			return nil
		}
		for _, page := range docGoPage.FindAllString(string(raw), -1) {
			if _, err := os.Stat(filepath.Join(dir, page)); err != nil {
				d.absent = append(d.absent, fmt.Sprintf("%s names %s, which does not exist", file, page))
			}
		}
		return d.addSource(file, raw)
	})
	return d, err
}

// addCommand adds the flags of c and of all commands below it. A hidden flag of a command that trains
// is a setting.
func (d *docs) addCommand(c *cobra.Command) {
	c.InheritedFlags() // merges those of the parents into c.Flags()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		d.flags[f.Name], d.short[f.Shorthand] = true, true
		if _, ok := f.Value.(*settingFlag); ok {
			d.settings[strings.ReplaceAll(f.Name, "-", "_")] = true
		}
	})
	for _, sub := range c.Commands() {
		d.addCommand(sub)
	}
}

func (d *docs) addSource(file string, raw []byte) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, raw, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return err
	}
	pkg := strings.TrimSuffix(parsed.Name.Name, "_test")
	d.packages[pkg] = true
	if folder, err := filepath.Rel(d.dir, filepath.Dir(file)); err == nil && parsed.Doc != nil && !strings.HasSuffix(file, "_test.go") {
		about, _, _ := strings.Cut(strings.TrimSuffix(new(doc.Package).Synopsis(parsed.Doc.Text()), "."), ": ")
		d.about[filepath.ToSlash(folder)] = docWords.ReplaceAllString(about, "")
	}
	add := func(name ...string) { d.names[pkg+"."+strings.Join(name, ".")] = true }
	for _, decl := range parsed.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			add(decl.Name.Name)
			if docGoTest.MatchString(decl.Name.Name) {
				d.names[decl.Name.Name] = true
			}
			if decl.Recv != nil {
				ast.Inspect(decl.Recv.List[0].Type, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						add(id.Name, decl.Name.Name)
					}
					return true
				})
			}
		case *ast.GenDecl:
			for _, s := range decl.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id.Name)
					}
				case *ast.TypeSpec:
					add(s.Name.Name)
					var members *ast.FieldList
					switch typ := s.Type.(type) {
					case *ast.StructType:
						members = typ.Fields
					case *ast.InterfaceType:
						members = typ.Methods
					}
					if members == nil {
						continue
					}
					for _, m := range members.List {
						for _, id := range m.Names {
							add(s.Name.Name, id.Name)
						}
					}
				}
			}
		}
	}
	return nil
}

// problems returns what a page names that does not exist. Of a record of the past (results, changes) only links
// are looked at: its commands and paths are those of its day.
func (d *docs) problems(page, text string, record bool) (found []string) {
	number := 0
	say := func(format string, args ...any) {
		found = append(found, fmt.Sprintf("%s:%d: ", page, number)+fmt.Sprintf(format, args...))
	}
	fence, inFence, settingsTable := "", false, false
	continued := ""
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "```") {
			inFence, fence = !inFence, strings.TrimPrefix(trimmed, "```")
			continue
		}
		if inFence {
			if !record && fence == "go" {
				for _, m := range docPublic.FindAllStringSubmatch(line, -1) {
					if !d.names[m[0]] {
						say("there is no %s", m[0])
					}
				}
			}
			if !record {
				d.variables(line, say)
			}
			if m := docYAMLList.FindStringSubmatch(line); m != nil && !record && fence == "yaml" {
				d.call(strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(`, "'`, r) }), true, say)
			}
			if record || fence != "" && fence != "sh" && fence != "console" {
				continue
			}
			if before, ok := strings.CutSuffix(line, `\`); ok {
				continued += before
				continue
			}
			d.code(continued+line, true, say)
			continued = ""
			continue
		}
		table := strings.HasPrefix(line, "|")
		if n := utf8.RuneCountInString(line); n > 160 && !table && !record {
			say("%d characters; break the line at 160", n)
		}
		if !table {
			settingsTable = false
		} else if first := strings.TrimSpace(strings.SplitN(line, "|", 3)[1]); first == "setting" {
			settingsTable = true
		} else if settingsTable && !record {
			for _, m := range docSpan.FindAllStringSubmatch(first, -1) {
				if !d.settings[m[1]] {
					say("no task has a setting %q", m[1])
				}
			}
		}
		if strings.Count(line, "`")%2 != 0 {
			say("a code span goes on in the next line")
		}
		if !record {
			d.variables(line, say)
			for _, m := range docSpan.FindAllStringSubmatch(line, -1) {
				d.span(strings.ReplaceAll(m[1], `\|`, "|"), say)
			}
			d.paths(docLink.ReplaceAllString(docSpan.ReplaceAllString(line, ""), ""), say)
		}
		for _, m := range docLinkEnd.FindAllStringSubmatch(docSpan.ReplaceAllString(line, "x"), -1) {
			d.link(page, m[1], say)
		}
	}
	return found
}

// code checks a line of a block of code, or a command in a line of text: there it need not be whole.
func (d *docs) code(line string, whole bool, say func(string, ...any)) {
	d.paths(line, say)
	for _, words := range docShell(line) {
		d.call(words, whole, say)
	}
}

// docStarters are what a command may stand behind, with words of their own between.
var docStarters = []string{"mpirun", "srun", "until", "while", "do", "if", "sudo", "time"}

// call checks a command of the shell.
func (d *docs) call(words []string, whole bool, say func(string, ...any)) {
	for len(words) > 0 && strings.Contains(words[0], "=") { // UNIMO_CPU=avx2
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	is := func(word string) bool {
		return slices.Contains([]string{"unimo", "./unimo", "unimo-mpi", "./unimo-mpi", "./cmd/unimo"}, word)
	}
	switch first := words[0]; {
	case first == "make":
		for _, target := range words[1:] {
			if docTarget.MatchString(target+":") && !d.targets[target] {
				say("the Makefile has no target %s", target)
			}
		}
	case first == "go" && len(words) > 2 && words[1] == "run" && is(words[2]):
		d.command(words[3:], whole, say)
	case first == "docker": // the image is unimo
		if at := slices.Index(words, "IMAGE"); at >= 0 && at+1 < len(words) {
			d.command(words[at+1:], whole, say)
		}
	case is(first):
		d.command(words[1:], whole, say)
	case slices.Contains(docStarters, first):
		if at := slices.IndexFunc(words, is); at > 0 {
			d.command(words[at+1:], whole, say)
		}
	}
}

// variables checks the names of our environment variables.
func (d *docs) variables(line string, say func(string, ...any)) {
	for _, name := range docVariable.FindAllString(line, -1) {
		if !d.words[name] {
			say("nothing reads the variable %s", name)
		}
	}
}

// docShell cuts a line of the shell into commands, and these into words.
func docShell(line string) (list [][]string) {
	var words []string
	word, in, quote := "", false, rune(0)
	end := func() {
		if in {
			words = append(words, word)
		}
		word, in = "", false
	}
	cut := func() {
		end()
		if len(words) > 0 {
			list = append(list, words)
		}
		words = nil
	}
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
scan:
	for i, r := range line {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word += string(r)
			}
		case r == '"' || r == '\'':
			quote, in = r, true
		case r == '#' && !in && i > 0:
			break scan
		case strings.ContainsRune("|;&<>", r):
			cut()
		case unicode.IsSpace(r):
			end()
		default:
			word, in = word+string(r), true
		}
	}
	cut()
	return list
}

// command checks the words behind "unimo". A word in capitals, such as TASK, stands for any. A whole one has the flags and arguments that it needs.
func (d *docs) command(words []string, whole bool, say func(string, ...any)) {
	at, placeholder := []*cobra.Command{d.root}, false
	given, arguments := map[string]bool{}, []string{}
	name := func() string {
		if placeholder {
			return at[0].Parent().CommandPath() + " X"
		}
		return at[0].CommandPath()
	}
	for i := 0; i < len(words); i++ {
		word := strings.Trim(words[i], "[]")
		switch {
		case strings.HasPrefix(word, "..."):
			return
		case strings.HasPrefix(word, "-") && word != "-":
			key, _, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
			flag := docLookup(at, key, strings.HasPrefix(word, "--"))
			if flag == nil {
				say("%s has no flag %s", name(), word)
				return
			}
			given[flag.Name] = true
			if hasValue || flag.NoOptDefVal != "" || i+1 == len(words) {
				continue
			}
			i++
			if flag.Name == "set" || flag.Name == "grid" {
				key, _, ok := strings.Cut(words[i], "=")
				_, own, many := strings.Cut(key, ".") // sst-2.max_seq_len, of one of many tasks
				if many && !d.settings[own] || ok && !many && docLookup(at, key, true) == nil {
					say("%s has no setting %s", name(), key)
				}
			}
		case len(at) == 1 && at[0].HasSubCommands() && !slices.Contains(at[0].ValidArgs, word):
			sub := slices.IndexFunc(at[0].Commands(), func(c *cobra.Command) bool { return c.Name() == word || c.HasAlias(word) })
			switch {
			case sub >= 0:
				at = at[0].Commands()[sub : sub+1]
			case docUppercase.MatchString(strings.TrimRight(word, ".")):
				at, placeholder = at[0].Commands(), true
			default:
				say("%s has no command %q", name(), word)
				return
			}
		case len(at) == 1 && len(at[0].ValidArgs) > 0 && i > 0 && words[i-1] == at[0].Name() && !docUppercase.MatchString(strings.TrimRight(word, ".")):
			if !slices.ContainsFunc(at[0].ValidArgs, func(v string) bool { v, _, _ = strings.Cut(v, "\t"); return v == word }) {
				say("%s does not know %q", name(), word)
			}
			arguments = append(arguments, word)
		default:
			arguments = append(arguments, word)
		}
	}
	c := at[0]
	if !whole || placeholder || c.HasSubCommands() || given["help"] {
		return
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if required(f) && !given[f.Name] && !(given["resume"] && f.Name == "data") {
			say("%s needs --%s", name(), f.Name)
		}
	})
	least, most := docArguments(c.Use)
	if len(arguments) < least || len(arguments) > most {
		say("%s has %d arguments: %q", c.Use, len(arguments), arguments)
	}
}

// docArguments returns how many arguments a usage such as "convert SRC DST" or "ask --model DIR PICTURE QUESTION..." asks for.
func docArguments(usage string) (least, most int) {
	const any = 1 << 20
	if strings.Contains(usage, "|") {
		return 0, any
	}
	flag, optional := false, false
	for word := range strings.FieldsSeq(usage) {
		optional = optional || strings.HasPrefix(word, "[")
		switch isFlag := strings.HasPrefix(strings.TrimPrefix(word, "["), "--"); {
		case !isFlag && !flag && optional:
			most++
		case !isFlag && !flag:
			least, most = least+1, most+1
		}
		if !flag && strings.Contains(word, "...") {
			most = any
		}
		flag = strings.HasPrefix(strings.TrimPrefix(word, "["), "--")
		optional = optional && !strings.Contains(word, "]")
	}
	return least - 1, most - 1 // without the command's name
}

// docLookup returns the flag of that name of one of the commands, or of one below them.
func docLookup(list []*cobra.Command, name string, long bool) *pflag.Flag {
	for _, c := range list {
		c.InheritedFlags()
		f := c.Flags().Lookup(name)
		if !long && len(name) == 1 {
			f = c.Flags().ShorthandLookup(name)
		}
		if f != nil {
			return f
		}
	}
	for _, c := range list {
		if f := docLookup(c.Commands(), name, long); f != nil && c.HasParent() {
			return f
		}
	}
	return nil
}

// span checks code within a line of text: a command, flags, a setting with its value, a name of the sources.
func (d *docs) span(code string, say func(string, ...any)) {
	if strings.HasPrefix(code, "unimo ") || strings.HasPrefix(code, "make ") || strings.Contains(code, "cmd/unimo ") {
		d.code(code, false, say)
		return
	}
	d.paths(code, say)
	switch m := docAssigned.FindStringSubmatch(code); {
	case strings.HasPrefix(code, "--"):
		for _, word := range strings.Fields(code) {
			if name, _, _ := strings.Cut(word, "="); strings.HasPrefix(name, "--") && !d.flags[strings.Trim(name, "-")] {
				say("no command has a flag %s", name)
			}
		}
	case len(code) == 2 && code[0] == '-' && unicode.IsLetter(rune(code[1])):
		if !d.short[code[1:]] {
			say("no command has a flag %s", code)
		}
	case m != nil:
		if !d.settings[m[1]] {
			say("no task has a setting %q", m[1])
		}
	case docWholeWord.MatchString(code):
		if !d.settings[code] && !d.words[code] {
			say("%q is neither a setting nor a name in the sources", code)
		}
	case docGoTest.MatchString(code):
		if !d.names[code] {
			say("there is no test %s", code)
		}
	default:
		m := docGoName.FindStringSubmatch(code)
		if m == nil || slices.Contains(docForeign, m[1]) {
			return
		}
		if !d.packages[m[1]] || !d.names[m[1]+"."+m[2]] {
			say("the sources have no %s.%s", m[1], m[2])
		}
	}
}

// paths checks that the repository has the paths that code names.
func (d *docs) paths(code string, say func(string, ...any)) {
	for _, m := range docOwnPath.FindAllStringSubmatch(code, -1) {
		p := strings.TrimSuffix(strings.TrimRight(m[1], "./"), "/...")
		if files, err := filepath.Glob(filepath.Join(d.dir, p)); err != nil || len(files) == 0 {
			say("there is no %s", p)
		}
	}
}

// link checks that what a link leads to is there: a page, and its heading.
func (d *docs) link(page, target string, say func(string, ...any)) {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := page
	if file != "" {
		to = path.Join(path.Dir(page), file)
	}
	if _, err := os.Stat(filepath.Join(d.dir, filepath.FromSlash(to))); err != nil {
		say("the link to %s leads nowhere", target)
		return
	}
	if anchor != "" && !slices.Contains(d.headings(to), anchor) {
		say("%s has no heading #%s", to, anchor)
	}
}

// headings returns the anchors that a forge makes of a page's headings.
func (d *docs) headings(page string) []string {
	if list, ok := d.anchors[page]; ok {
		return list
	}
	raw, _ := os.ReadFile(filepath.Join(d.dir, filepath.FromSlash(page)))
	list, inFence := []string{}, false
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "```") {
			inFence = !inFence
		}
		if title := strings.TrimLeft(line, "#"); !inFence && len(title) < len(line) {
			list = append(list, strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
					return unicode.ToLower(r)
				}
				return -1
			}, strings.TrimSpace(title)))
		}
	}
	d.anchors[page] = list
	return list
}

// docRecord says whether a page tells of the past.
func docRecord(page string) bool {
	return strings.HasPrefix(page, "docs/results/") || page == "CHANGELOG.md"
}

// TestDocuments checks every page: commands with their flags and arguments, settings, variables, make's targets, paths, names of the sources, links,
// the length of lines.
func TestDocuments(t *testing.T) {
	d := newDocs(t)
	dir := d.dir
	for _, p := range d.absent {
		t.Error(p)
	}
	pages, linked := map[string]string{}, map[string]bool{"README.md": true}
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && file != dir && (strings.HasPrefix(e.Name(), ".") || e.Name() == "runs") {
			return fs.SkipDir
		}
		if path.Ext(file) != ".md" {
			return nil
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		pages[filepath.ToSlash(rel)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for page, text := range pages {
		for _, p := range d.problems(page, text, docRecord(page)) {
			t.Error(p)
		}
		for _, m := range docLink.FindAllStringSubmatch(text, -1) {
			file, _, _ := strings.Cut(m[1], "#")
			linked[path.Join(path.Dir(page), file)] = true
		}
	}
	for page := range pages {
		if strings.HasPrefix(page, "docs/") && !linked[page] {
			t.Errorf("%s: no page links to it", page)
		}
	}
	lines := 0
	for s := bufio.NewScanner(strings.NewReader(pages["README.md"])); s.Scan(); lines++ {
	}
	if lines > 120 {
		t.Errorf("README.md has %d lines; 120 at most", lines)
	}
	if len(pages) < 10 || len(d.settings) < 50 || len(d.names) < 500 {
		t.Errorf("only %d pages, %d settings and %d names were found", len(pages), len(d.settings), len(d.names))
	}
}

// TestDocumentsOfHelp checks the examples that commands show.
func TestDocumentsOfHelp(t *testing.T) {
	d := newDocs(t)
	eachCommand(func(c *cobra.Command) {
		text := "```\n" + strings.ReplaceAll(c.Example, "\\\n", " ") + "\n```\n"
		for _, p := range d.problems(c.CommandPath(), text, false) {
			t.Error(p)
		}
	})
}

// TestDocumentsTable compares the table of packages in docs/architecture.md with what the packages say of themselves.
func TestDocumentsTable(t *testing.T) {
	d := newDocs(t)
	var table strings.Builder
	for _, folder := range slices.Sorted(maps.Keys(d.about)) {
		if folder != "." && !strings.Contains(folder, "testdata") {
			fmt.Fprintf(&table, "| `%s` | %s |\n", folder, d.about[folder])
		}
	}
	page := filepath.Join(d.dir, "docs", "architecture.md")
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, got, ok := strings.Cut(string(raw), "| package | what it is |\n|---|---|\n")
	switch {
	case !ok:
		t.Fatalf("%s has no table of packages", page)
	case got != table.String() && os.Getenv("UNIMO_UPDATE") == "1":
		if err := os.WriteFile(page, []byte(head+"| package | what it is |\n|---|---|\n"+table.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	case got != table.String():
		t.Errorf("the table of packages in %s is not that of today; UNIMO_UPDATE=1 go test ./internal/cli -run Documents writes it", page)
	}
}

// TestDocumentsChecker shows the checker wrong names, and right ones beside them.
func TestDocumentsChecker(t *testing.T) {
	d := newDocs(t)
	fenced := func(line string) string { return "```\n" + line + "\n```\n" }
	for _, c := range []struct{ text, want string }{
		{fenced(`unimo predict --modle RUN "a text"`), "has no flag --modle"},
		{fenced(`unimo predikt --model RUN`), `has no command "predikt"`},
		{fenced(`cat texts.txt | unimo predict --modle RUN -`), "has no flag --modle"},
		{fenced(`UNIMO_CPU=avx2 unimo finetune sst-2 --learning-speed 1`), "has no flag --learning-speed"},
		{fenced(`unimo finetune sst-2 --set learning_speed=1`), "has no setting learning_speed"},
		{fenced(`unimo finetune sst-2 --data DATA --grid learning_speed=1,2`), "has no setting learning_speed"},
		{fenced(`unimo demo opinion`), `does not know "opinion"`},
		{fenced(`go run ./cmd/unimo demos`), `has no command "demos"`},
		{fenced("unimo predict --model RUN \\\n  --modle RUN"), "has no flag --modle"},
		{"Run `unimo finetune TASK --outt RUN`.", "has no flag --outt"},
		{"Run `unimo data prepar flickr`.", `has no command "prepar"`},
		{"Give `--modle`.", "no command has a flag --modle"},
		{"Give `-q`.", "no command has a flag -q"},
		{"Set `max_epochs=3`.", `no task has a setting "max_epochs"`},
		{"The setting `learning_speed` is", "neither a setting"},
		{"| setting | meaning |\n|---|---|\n| `epoch` | how many |", `no task has a setting "epoch"`},
		{"It is in `internal/nowhere`.", "there is no internal/nowhere"},
		{fenced(`go test ./internal/nowhere -run X`), "there is no internal/nowhere"},
		{"`TestNothingAtAll` shows it.", "there is no test"},
		{"`train.Nothing` is it.", "the sources have no train.Nothing"},
		{"`nopackage.Nothing` is it.", "the sources have no nopackage.Nothing"},
		{"It is in docs/nowhere.md.", "there is no docs/nowhere.md"},
		{"```go\nm, err := unimo.Opens(path)\n```", "there is no unimo.Opens"},
		{fenced(`mpirun -n 2 --bind-to none ./unimo-mpi finetune sst-2 --dta DATA`), "has no flag --dta"},
		{fenced(`docker run --rm -v "$PWD:/data" IMAGE predikt --model RUN "a film"`), `has no command "predikt"`},
		{"```yaml\n  command: [mpirun, -n, \"4\", unimo-mpi, pretrian, --out, RUN]\n```", `has no command "pretrian"`},
		{fenced(`unimo index PHOTOS --model RUN`), "needs --out"},
		{fenced(`unimo convert SRC`), "has 1 arguments"},
		{fenced(`unimo resume RUN OTHER`), "has 2 arguments"},
		{fenced(`unimo match --model RUN dog.jpg`), "has 1 arguments"},
		{fenced(`make chek`), "no target chek"},
		{"`make chek` does it.", "no target chek"},
		{"Set `UNIMO_NOTHING=1`.", "nothing reads the variable UNIMO_NOTHING"},
		{"See [the\npage](docs/nowhere.md).", "leads nowhere"},
		{"See [it](docs/nowhere.md).", "leads nowhere"},
		{"See [it](README.md#no-such-heading).", "no heading"},
		{"A `span\nthat goes on`", "goes on in the next line"},
		{strings.Repeat("long ", 40), "break the line"},
	} {
		found := strings.Join(d.problems("page.md", c.text, false), "\n")
		if !strings.Contains(found, c.want) {
			t.Errorf("%q: found %q, want %q", c.text, found, c.want)
		}
	}
	for _, text := range []string{
		fenced(`printf 'a\tb\n' | unimo predict --model RUN --pair - > out.txt   # tabs between --modle`),
		fenced(`unimo finetune sst-2 --data DATA --out RUN --grid reference --epochs 3 --set seed=2`),
		fenced(`$ unimo demo opinions --open`),
		fenced(`unimo finetune sst-2 --out RUN --resume`),
		fenced(`unimo finetune sst-2 --data DATA ... --out RUN`),
		fenced(`until mpirun -n 2 unimo-mpi finetune sst-2 --data DATA --out RUN --resume`),
		fenced(`UNIMO_CPU=avx2 make check unimo-xla OUT=x`),
		fenced(`unimo: an error of unimo predikt`),
		"`unimo COMMAND --help`, `unimo finetune TASK --preset mini --epochs 3 ...`, `unimo score METRIC --hyp FILE`",
		"`--data DIR --out`, `-m`, `epochs=3`, `learning_rate`, `internal/cli`, `TestHangUp`, `train.Task`, `argparse.Namespace`",
		"[readme](README.md), [outside](https://example.org/x#y)",
	} {
		if found := d.problems("page.md", text, false); found != nil {
			t.Errorf("%q: %q", text, found)
		}
	}
	if found := d.problems("docs/results/page.md", "`unimo predikt`, `internal/nowhere`, [it](nowhere.md)", true); len(found) != 1 {
		t.Errorf("a record: %q", found)
	}
}
