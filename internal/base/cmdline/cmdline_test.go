package cmdline

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// program is a tree of commands that says what was run.
type program struct {
	root *Command
	ran  string
	args []string

	verbose bool
	threads int
	rate    float64
	out     string
	set     []string
}

func newProgram() *program {
	p := &program{root: &Command{Use: "prog"}}
	run := func(c *Command, args []string) error {
		p.ran, p.args = c.CommandPath(), args
		return nil
	}
	flags := p.root.PersistentFlags()
	flags.BoolP("help", "h", false, "show this help")
	flags.BoolVarP(&p.verbose, "verbose", "v", false, "say more")
	flags.IntVar(&p.threads, "threads", 0, "number of `N`")
	p.root.SetHelpFunc(func(c *Command) { p.ran = "help of " + c.CommandPath() })
	data := &Command{Use: "data"}
	prepare := &Command{Use: "prepare SRC [flags]", Aliases: []string{"prep"}, Short: "write it", RunE: run}
	prepare.Flags().StringVarP(&p.out, "out-dir", "o", "", "`DIR` to write")
	prepare.Flags().StringArrayVar(&p.set, "set", []string{"a"}, "`KEY=VALUE`")
	prepare.Flags().Float64Var(&p.rate, "rate", 0.5, "a number")
	prepare.MarkFlagRequired("out-dir")
	prepare.RegisterFlagCompletionFunc("set", func(*Command, []string, string) ([]string, Directive) {
		return []string{"size=\thow large", "seed="}, NoFiles | NoSpace
	})
	prepare.ValidArgsFunction = func(_ *Command, args []string, _ string) ([]string, Directive) {
		return []string{"after" + strings.Join(args, "")}, Files
	}
	data.AddCommand(prepare, &Command{Use: "secret", Hidden: true, RunE: run})
	p.root.AddCommand(data, &Command{Use: "any", RunE: run, AnyFlags: true})
	return p
}

func TestExecute(t *testing.T) {
	for _, c := range []struct {
		line string
		ran  string // or the error
		args []string
		ok   func(p *program) bool
	}{
		{line: "", ran: "help of prog"},
		{line: "data", ran: "help of prog data"},
		{line: "data prepare -h", ran: "help of prog data prepare"},
		{line: "data prepare x y", ran: "prog data prepare", args: []string{"x", "y"}},
		{line: "data prep x -o y z", ran: "prog data prepare", args: []string{"x", "z"}, ok: func(p *program) bool { return p.out == "y" }},
		{line: "--threads 2 data -v prepare", ran: "prog data prepare", ok: func(p *program) bool { return p.threads == 2 && p.verbose }},
		{line: "--threads data prepare", ran: `--threads cannot be "data": `},
		{line: "data prepare --out_dir=a=b --threads=0x10", ran: "prog data prepare", ok: func(p *program) bool { return p.out == "a=b" && p.threads == 16 }},
		{line: "data prepare -vob", ran: "prog data prepare", ok: func(p *program) bool { return p.verbose && p.out == "b" }},
		{line: "data prepare -o=b -v=false", ran: "prog data prepare", ok: func(p *program) bool { return !p.verbose && p.out == "b" }},
		{line: "data prepare --set b --set c", ran: "prog data prepare", ok: func(p *program) bool { return slices.Equal(p.set, []string{"b", "c"}) }},
		{line: "data prepare", ran: "prog data prepare", ok: func(p *program) bool { return slices.Equal(p.set, []string{"a"}) && p.rate == 0.5 }},
		{line: "data prepare -- -v --x", ran: "prog data prepare", args: []string{"-v", "--x"}, ok: func(p *program) bool { return !p.verbose }},
		{line: "data prepare -", ran: "prog data prepare", args: []string{"-"}},
		{line: "data prepare -v prepare", ran: "prog data prepare", args: []string{"prepare"}},
		{line: "data -- prepare", ran: "help of prog data"},
		{line: "data prepare --nope", ran: "unknown flag --nope"},
		{line: "data prepare -vx", ran: "unknown flag -x"},
		{line: "data prepare -o", ran: "-o needs a value"},
		{line: "data prepare --rate", ran: "--rate needs a value"},
		{line: "data prepare --rate=fast", ran: `--rate cannot be "fast"`},
		{line: "data prepare -v=maybe", ran: `-v cannot be "maybe"`},
		{line: "data prepare ---x", ran: "---x is no flag"},
		{line: "data prepare --=x", ran: "--=x is no flag"},
		{line: "any --x y --z=1 w -q r -v s", ran: "prog any", args: []string{"w", "s"}, ok: func(p *program) bool { return p.verbose }},
	} {
		p := newProgram()
		err := p.root.ExecuteContext(context.Background(), strings.Fields(c.line))
		if err != nil {
			if !strings.HasPrefix(err.Error(), c.ran) {
				t.Errorf("%q: %v, want %s", c.line, err, c.ran)
			}
			continue
		}
		if p.ran != c.ran || !slices.Equal(p.args, c.args) || c.ok != nil && !c.ok(p) {
			t.Errorf("%q ran %q with %q, %+v", c.line, p.ran, p.args, p)
		}
	}
}

func TestHooks(t *testing.T) {
	p := newProgram()
	wrong := errors.New("wrong")
	p.root.SetFlagErrorFunc(func(c *Command, err *FlagError) error { return errors.New(c.Name() + err.Word) })
	if err := p.root.ExecuteContext(context.Background(), []string{"any", "--threads=x"}); err == nil || err.Error() != "any--threads" {
		t.Error(err)
	}
	p.root.PersistentPreRunE = func(*Command, []string) error { return wrong }
	if err := p.root.ExecuteContext(context.Background(), []string{"any"}); err != wrong || p.ran != "" {
		t.Error(err, p.ran)
	}
	p.root.Commands()[1].Args = func(*Command, []string) error { return errors.New("arguments") }
	if err := p.root.ExecuteContext(context.Background(), []string{"any"}); err == nil || err == wrong {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("two flags of one name")
		}
	}()
	p.root.Commands()[1].Flags().Bool("verbose", false, "")
}

func TestFlagSets(t *testing.T) {
	p := newProgram()
	prepare := p.root.Commands()[0].Commands()[0]
	names := func(s *FlagSet) string {
		var list []string
		s.VisitAll(func(f *Flag) { list = append(list, f.Name) })
		return strings.Join(list, " ")
	}
	if got := names(prepare.Flags()); got != "help out-dir rate set threads verbose" {
		t.Error(got)
	}
	if got := names(prepare.LocalFlags()); got != "out-dir rate set" {
		t.Error(got)
	}
	if got := names(prepare.InheritedFlags()); got != "help threads verbose" {
		t.Error(got)
	}
	if prepare.UseLine() != "prog data prepare SRC [flags]" || p.root.UseLine() != "prog [flags]" {
		t.Error(prepare.UseLine(), p.root.UseLine())
	}
}

func TestComplete(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "data\tany\t:4"},
		{"d", "data\t:4"},
		{"data ", "prepare\twrite it:4"},
		{"data prepare x ", "--out-dir\tDIR to write;afterx:0"},
		{"data prepare -o y a", "after:0"},
		{"data prepare --se", "--set\tKEY=VALUE:4"},
		{"data prepare --set s", "size=\thow large;seed=:6"},
		{"data prepare --set=si", "--set=size=\thow large:6"},
		{"data prepare -o ", ":0"},
		{"data prepare --nope ", ":0"},
		{"nosuch ", ":4"},
	} {
		words := append([]string{completeCommand}, strings.Split(c.line, " ")...)
		got, asked := newProgram().root.Complete(words)
		got = strings.ReplaceAll(strings.TrimSuffix(strings.ReplaceAll(got, "\n:", ":"), "\n"), "\n", ";")
		if want := strings.Replace(c.want, "data\tany", "data\t;any", 1); got != want || !asked {
			t.Errorf("%q: got %q, want %q", c.line, got, want)
		}
	}
	if _, asked := newProgram().root.Complete([]string{"data"}); asked {
		t.Error("a line that asks for nothing is completed")
	}
}

// The scripts are run where their shells are: the program's answer is a file here.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := Script(shell, "prog")
		if strings.Contains(script, "PROGRAM") || !strings.Contains(script, completeCommand) {
			t.Errorf("%s: %s", shell, script)
		}
		write(shell, script, 0o600)
	}
	if Script("tcsh", "prog") != "" {
		t.Error("a script for tcsh")
	}
	write("prog", "#!/bin/sh\nprintf 'key=\\tof the set\\nkeys=\\n:6\\n'; for w; do printf '%s\\n' \"$w\"; done > "+filepath.Join(dir, "asked")+"\n", 0o700)
	for _, c := range []struct{ shell, code, want string }{
		{"bash", `source ./bash; compopt() { echo "$@"; }; COMP_LINE="./prog a --set=k"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; _prog; printf '%s\n' "${COMPREPLY[@]}"`, "-o nospace\nkey=\nkeys=\n"},
		{"fish", `source ./fish; complete -C 'prog a --set=k'`, ""},
	} {
		path, err := exec.LookPath(c.shell)
		if err != nil || runtime.GOOS == "windows" {
			t.Logf("not run: no %s here", c.shell)
			continue
		}
		run := exec.Command(path, "-c", c.code)
		run.Dir, run.Env = dir, append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := run.CombinedOutput()
		if err != nil || c.want != "" && string(out) != c.want {
			t.Errorf("%s: %v: %q, want %q", c.shell, err, out, c.want)
		}
		if asked, err := os.ReadFile(filepath.Join(dir, "asked")); err != nil || string(asked) != "__complete\na\n--set=k\n" {
			t.Errorf("%s asked %q, %v", c.shell, asked, err)
		}
		os.Remove(filepath.Join(dir, "asked"))
	}
}
