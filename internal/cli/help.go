package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Columns of the help where the terminal's are not known, and the bounds to those that are.
const (
	defaultColumns = 80
	fewestColumns  = 40
	mostColumns    = 120
)

// columns is the width to print results for.
func (a *app) columns() int {
	if width := terminalColumns(a.stdout.w); width > 0 {
		return min(max(width, fewestColumns), mostColumns)
	}
	return defaultColumns
}

// allFlag is the flag that makes help show all settings.
const allFlag = "all"

func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Annotations: map[string]string{sharesAnnotation: "true"},
		Use:         "help [COMMAND]...",
		Hidden:      true,
		Short:       "Show what a command does",
		Long:        "Show what a command does, how it is called, and examples: the same as COMMAND --help.",
		Example:     "  unimo help finetune\n  unimo help data prepare",
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, _, err := c.Root().Find(args)
			if err != nil {
				at = c.Root()
			}
			var list []string
			for _, sub := range at.Commands() {
				if sub.IsAvailableCommand() {
					list = append(list, sub.Name()+"\t"+sub.Short)
				}
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			at, rest, err := c.Root().Find(args)
			if err != nil {
				return usageError{err}
			}
			if len(rest) > 0 && at.HasAvailableSubCommands() {
				return unknownCommand(at, rest[0])
			}
			if len(rest) > 0 {
				return noArgs(c, rest)
			}
			at.InitDefaultHelpFlag()
			return at.Help()
		},
	}
}

// printHelp prints the help of a command: what it does, usage and examples, then the rest.
func (a *app) printHelp(c *cobra.Command, _ []string) {
	all, _ := c.Flags().GetBool(allFlag)
	fmt.Fprint(a.stdout, a.helpText(c, a.columns(), all))
}

// helpText is the help of a command for a terminal of so many columns; with all it has every
// setting of a task.
func (a *app) helpText(c *cobra.Command, columns int, all bool) string {
	var b strings.Builder
	summary := wrapped(c.Short, "", columns)
	fmt.Fprintf(&b, "%s\n\nUsage:\n%s\n", summary, wrapCommand("  "+usageLine(c), columns))
	if len(c.Aliases) > 0 {
		fmt.Fprintf(&b, "\nAlso: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.Example != "" {
		b.WriteString("\nExamples:\n")
		for line := range strings.SplitSeq(c.Example, "\n") {
			b.WriteString(wrapCommand(line, columns) + "\n")
		}
	}
	if c.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", reflow(c.Long, columns))
	}
	var commands [][2]string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			commands = append(commands, [2]string{sub.Name(), sub.Short})
		}
	}
	section(&b, "Commands", commands, columns)
	section(&b, "Flags", flagRows(c.LocalFlags()), columns)
	section(&b, "Flags of every command", flagRows(c.InheritedFlags()), columns)
	if p := a.trains(c); p != nil {
		b.WriteString(settingsHelp(p, columns, all))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s\n", wrapped(fmt.Sprintf("'%s COMMAND --help' says more about a command.", c.CommandPath()), "", columns))
	}
	return b.String()
}

func usageLine(c *cobra.Command) string {
	line := c.UseLine()
	if c.HasAvailableSubCommands() && !strings.Contains(c.Use, "TASK") { // those commands are the tasks
		line = strings.TrimSuffix(line, " [flags]") + " COMMAND"
	}
	return line
}

func section(b *strings.Builder, title string, rows [][2]string, columns int) {
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n%s:\n%s", title, table(rows, columns))
	}
}

// flagRows lists flags with what they are for.
func flagRows(flags *pflag.FlagSet) (rows [][2]string) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		if value := valueName(f); value != "" {
			name += " " + value
		}
		usage := strings.ReplaceAll(f.Usage, "`", "")
		switch {
		case required(f):
			usage += " (needed)"
		case !slices.Contains([]string{"", "false", "0", "[]"}, f.DefValue):
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		rows = append(rows, [2]string{name, usage})
	})
	return rows
}

// valueName is what stands for a flag's value.
func valueName(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return ""
	case "int", "int64", "uint64":
		return "N"
	case "float64":
		return "X"
	}
	if name, _ := pflag.UnquoteUsage(f); strings.ToUpper(name) == name {
		return name
	}
	return "VALUE"
}

// nameColumns is the widest first column of a table; what is wider has a line of its own.
const nameColumns = 24

// table lays out names and what they mean in two columns, indented by two.
func table(rows [][2]string, columns int) string {
	width := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r[0]); n <= nameColumns {
			width = max(width, n)
		}
	}
	var b strings.Builder
	indent := strings.Repeat(" ", 2+width+2)
	for _, r := range rows {
		text := wrapped(r[1], indent, columns)
		if n := utf8.RuneCountInString(r[0]); n <= width {
			fmt.Fprintf(&b, "  %s%s%s\n", r[0], strings.Repeat(" ", width-n+2), strings.TrimLeft(text, " "))
		} else {
			fmt.Fprintf(&b, "  %s\n%s\n", r[0], text)
		}
	}
	return b.String()
}

// wrapped breaks text into lines of at most so many columns, each behind the indent.
func wrapped(text, indent string, columns int) string {
	var b strings.Builder
	b.WriteString(indent)
	at := utf8.RuneCountInString(indent)
	start := at
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		if at > start && at+1+n > columns {
			b.WriteString("\n" + indent)
			at = start
		}
		if at > start {
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// reflow breaks the paragraphs of text anew. Indented lines stay apart: a list's go on below
// their own text, which begins behind two spaces.
func reflow(text string, columns int) string {
	var out, paragraph []string
	flush := func() {
		if paragraph != nil {
			out = append(out, wrapped(strings.Join(paragraph, " "), "", columns))
			paragraph = nil
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.ReplaceAll(line, "\t", "    ")
		switch {
		case line == "":
			flush()
			out = append(out, "")
		case line[0] != ' ':
			paragraph = append(paragraph, line)
		default:
			flush()
			if utf8.RuneCountInString(line) <= columns {
				out = append(out, line)
				continue
			}
			body := strings.TrimLeft(line, " ")
			indent := len(line) - len(body)
			if i := strings.Index(body, "  "); i > 0 {
				indent = len(line) - len(strings.TrimLeft(body[i:], " "))
			}
			text := wrapped(line[indent:], strings.Repeat(" ", indent), columns)
			out = append(out, line[:indent]+text[indent:])
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// wrapCommand breaks a command that is too long for the columns as a shell takes it: before a
// word, with a backslash.
func wrapCommand(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	var lines []string
	at := indent
	for _, word := range shellWords(strings.TrimSpace(line)) {
		switch {
		case strings.TrimSpace(at) == "":
			at += word
		case utf8.RuneCountInString(at)+1+utf8.RuneCountInString(word) > columns-2:
			lines = append(lines, at+` \`)
			at = indent + "    " + word
		default:
			at += " " + word
		}
	}
	return strings.Join(append(lines, at), "\n")
}

// shellWords splits a command at spaces outside quotes. A flag and its value stay together.
func shellWords(line string) []string {
	var words []string
	quote := rune(0)
	begin := true
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		}
		if r == ' ' && quote == 0 {
			begin = true
			continue
		}
		if begin {
			words = append(words, "")
			begin = false
		}
		words[len(words)-1] += string(r)
	}
	var joined []string
	for _, w := range words {
		if n := len(joined); n > 0 && strings.HasPrefix(joined[n-1], "-") && len(joined[n-1]) > 1 && !strings.ContainsAny(joined[n-1], " =") && !strings.HasPrefix(w, "-") {
			joined[n-1] += " " + w
			continue
		}
		joined = append(joined, w)
	}
	return joined
}
