package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestManual(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	must(t, "man", dir)
	eachCommand(func(c *cobra.Command) {
		raw, err := os.ReadFile(filepath.Join(dir, manualName(c)+".1"))
		if c.Hidden {
			if err == nil {
				t.Errorf("%s is hidden and has a page", c.CommandPath())
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		page := string(raw)
		for _, want := range []string{".TH UNIMO", ".SH NAME\nunimo", ".SH SYNOPSIS\n.B unimo", ".SH EXAMPLES\n.nf\n", `.B \-\-json`} {
			if !strings.Contains(page, want) {
				t.Errorf("the page of %s has no %q:\n%s", c.CommandPath(), want, page)
			}
		}
		for line := range strings.Lines(page) {
			if line[0] == '.' && !strings.Contains(" .TH .SH .B .TP .PP .nf .fi ", " "+strings.Fields(line)[0]+" ") || line[0] == '\'' {
				t.Errorf("%s: the line %q is a command of man", c.CommandPath(), line)
			}
		}
	})
	raw, err := os.ReadFile(filepath.Join(dir, "unimo-finetune-sst-2.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`.B \-d, \-\-data DIR`, ".SH SETTINGS", `.B \-\-learning\-rate X`, ".SH SEE ALSO\nunimo\\-finetune(1)"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %q in\n%s", want, raw)
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{".x": `\&.x`, "'x'": `\&'x'`, `a\b`: `a\eb`, "--x": `\-\-x`, `"x"`: `\(dqx\(dq`} {
		if got := roff(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
