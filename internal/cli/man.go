package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages",
		Long:    "Write a manual page for every command into a folder, which is made: unimo.1, unimo-predict.1, ...",
		Example: "  unimo man ~/.local/share/man/man1 && man unimo-predict",
		Hidden:  true, // releases have the pages
		Args:    needs("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := atomicfile.Mkdir(args[0]); err != nil {
				return err
			}
			return writeManual(c.Root(), args[0])
		},
	}
}

func writeManual(c *cobra.Command, dir string) error {
	if err := atomicfile.WriteBytes(filepath.Join(dir, manualName(c)+".1"), []byte(manualPage(c))); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			if err := writeManual(sub, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// manualName is the name of a command's page: "unimo-data-prepare".
func manualName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manualPage is a command's help in the language of man(7).
func manualPage(c *cobra.Command) string {
	var b strings.Builder
	name := manualName(c)
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"unimo %s\" \"unimo\"\n", roff(strings.ToUpper(name)), roff(currentVersion().Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(usageLine(c)))
	if c.Long != "" {
		b.WriteString(".SH DESCRIPTION\n" + roffText(c.Long))
	}
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n" + roffLines(c.Example) + ".fi\n")
	}
	var commands [][2]string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			commands = append(commands, [2]string{manualName(sub) + "(1)", sub.Short})
		}
	}
	roffList(&b, "COMMANDS", commands)
	roffList(&b, "OPTIONS", flagRows(c.LocalFlags()))
	roffList(&b, "OPTIONS OF EVERY COMMAND", flagRows(c.InheritedFlags()))
	var settings [][2]string // of a task: flags that help shows as settings
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			settings = append(settings, [2]string{strings.TrimSpace("--" + f.Name + " " + valueName(f)), f.Usage})
		}
	})
	roffList(&b, "SETTINGS", settings)
	if c.HasParent() {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s(1)\n", roff(manualName(c.Parent())))
	}
	return b.String()
}

// roffText is paragraphs of a help; indented lines stay as they are.
func roffText(text string) string {
	var b strings.Builder
	asIs := false
	for line := range strings.SplitSeq(text, "\n") {
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if line != "" && indented != asIs {
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[indented])
			asIs = indented
		}
		if line == "" {
			line = ".PP"
		} else {
			line = roff(line)
		}
		b.WriteString(line + "\n")
	}
	if asIs {
		b.WriteString(".fi\n")
	}
	return b.String()
}

func roffLines(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(roff(line) + "\n")
	}
	return b.String()
}

// roffList is a section of names and what they mean.
func roffList(b *strings.Builder, title string, rows [][2]string) {
	for i, r := range rows {
		if i == 0 {
			b.WriteString(".SH " + title + "\n")
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(r[0])), roff(r[1]))
	}
}

// roff escapes what man(7) would take for its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\t", "    ", `"`, `\(dq`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
