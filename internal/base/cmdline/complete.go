package cmdline

import (
	"fmt"
	"strings"
)

// Directive says what a shell does beside offering the words.
type Directive int

const (
	NoSpace Directive = 2  // the word goes on, as "key=" does
	NoFiles Directive = 4  // no file is meant
	Folders Directive = 16 // a folder is meant
	Files   Directive = 0  // a file may be meant
)

// Completion returns what the word that is being typed behind args may become. An entry may have a
// tab and a description. Those that do not begin with the word are left out for it.
type Completion func(c *Command, args []string, word string) ([]string, Directive)

// RegisterFlagCompletionFunc says what completes the values of a flag.
func (c *Command) RegisterFlagCompletionFunc(name string, complete Completion) {
	c.Flags().Lookup(name).complete = complete
}

// completeCommand is the first word of a line that asks for completion.
const completeCommand = "__complete"

// Complete returns what the scripts ask for with "__complete WORD...", the last being what is typed:
// a line for each word, and one with a colon and the directive. It is false of any other line.
func (c *Command) Complete(line []string) (answer string, asked bool) {
	if len(line) < 2 || line[0] != completeCommand {
		return "", false
	}
	words, word := line[1:len(line)-1], line[len(line)-1]
	at, rest := c.Find(words)
	list, directive, prefix := at.complete(rest, word)
	var b strings.Builder
	for _, entry := range list {
		if strings.HasPrefix(entry, strings.TrimPrefix(word, prefix)) {
			fmt.Fprintf(&b, "%s%s\n", prefix, entry)
		}
	}
	fmt.Fprintf(&b, ":%d\n", directive)
	return b.String(), true
}

// complete returns what word may become behind rest. Of "--name=value" the prefix is not completed.
func (c *Command) complete(rest []string, word string) (list []string, directive Directive, prefix string) {
	flags := c.Flags()
	if n := len(rest); n > 0 && strings.HasPrefix(rest[n-1], "-") && len(rest[n-1]) > 1 && rest[n-1] != "--" && flags.takesNext(rest[n-1]) {
		f := flags.Lookup(strings.TrimPrefix(rest[n-1], "--"))
		if !strings.HasPrefix(rest[n-1], "--") {
			f = flags.ShorthandLookup(rest[n-1][1:])
		}
		list, directive = c.valuesOf(f, rest[:n-1], word)
		return list, directive, ""
	}
	if name, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(word, "--") {
		list, directive = c.valuesOf(flags.Lookup(name[2:]), rest, value)
		return list, directive, name + "="
	}
	c.ParseFlags(rest) // for its arguments; the line is not finished and may be wrong
	offer := func(when func(f *Flag) bool) {
		flags.VisitAll(func(f *Flag) {
			if when(f) {
				list = append(list, "--"+f.Name+"\t"+strings.ReplaceAll(f.Usage, "`", ""))
			}
		})
	}
	if strings.HasPrefix(word, "-") {
		offer(func(f *Flag) bool { return !f.Hidden })
		return list, NoFiles, ""
	}
	args := flags.Args()
	if len(args) == 0 {
		for _, sub := range c.commands {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				list = append(list, sub.Name()+"\t"+sub.Short)
			}
		}
		list = append(list, c.ValidArgs...)
	}
	if len(list) > 0 || c.HasSubCommands() {
		directive = NoFiles
	}
	offer(func(f *Flag) bool { return f.Required && !f.Changed })
	if c.ValidArgsFunction != nil {
		more, d := c.ValidArgsFunction(c, args, word)
		list, directive = append(list, more...), d
	}
	return list, directive, ""
}

func (c *Command) valuesOf(f *Flag, args []string, word string) ([]string, Directive) {
	switch {
	case f == nil || f.complete == nil:
		return nil, Files
	case c.ParseFlags(args) != nil: // the line is not finished
		return f.complete(c, nil, word)
	}
	return f.complete(c, c.Flags().Args(), word)
}

// Script returns the script that completes the program's commands in a shell: "bash", "zsh", "fish" or
// "powershell"; "" for another.
func Script(shell, program string) string {
	return strings.ReplaceAll(scripts[shell], "PROGRAM", program)
}

// The scripts ask the program. It answers with words, descriptions behind a tab, and a directive.
var scripts = map[string]string{
	// bash splits words at = and : and replaces what is behind the last of these.
	"bash": `# bash completion for PROGRAM
_PROGRAM() {
    local line word cut entry directive IFS=$'\n'
    local -a words answer
    line="${COMP_LINE:0:COMP_POINT}"
    IFS=$' \t' read -r -a words <<<"$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    word="${words[${#words[@]}-1]}"
    mapfile -t answer < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    (( ${#answer[@]} )) || return
    directive="${answer[${#answer[@]}-1]#:}"
    unset "answer[${#answer[@]}-1]"
    cut="${word%"${word##*[=:]}"}"
    for entry in "${answer[@]}"; do
        (( COMP_TYPE == 63 )) && entry="${entry/$'\t'/  -- }" # the list alone has descriptions
        entry="${entry%%$'\t'*}"
        COMPREPLY+=("${entry#"$cut"}")
    done
    (( directive & 2 )) && compopt -o nospace
    if (( ${#COMPREPLY[@]} == 0 && (directive & 16) )); then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "${word#"$cut"}")
    elif (( ${#COMPREPLY[@]} == 0 && !(directive & 4) )); then
        compopt -o default
    fi
}
complete -F _PROGRAM PROGRAM
`,
	"zsh": `#compdef PROGRAM
# zsh completion for PROGRAM
_PROGRAM() {
    local -a answer entries options
    local line directive
    answer=("${(@f)$(${words[1]} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    directive=${answer[-1]#:}
    for line in "${(@)answer[1,-2]}"; do
        entries+=("${${line%%$'\t'*}//:/\\:}${${(M)line%$'\t'*}:+:${line#*$'\t'}}")
    done
    (( directive & 2 )) && options=(-S '')
    if (( ${#entries} )); then
        _describe PROGRAM entries $options
    elif (( directive & 16 )); then
        _files -/
    elif (( ! (directive & 4) )); then
        _files
    fi
}
if [ "$funcstack[1]" = "_PROGRAM" ]; then
    _PROGRAM "$@"
else
    compdef _PROGRAM PROGRAM
fi
`,
	"fish": `# fish completion for PROGRAM
function __PROGRAM_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l answer ($words[1] __complete $words[2..-1] "$word" 2>/dev/null)
    test (count $answer) -gt 0; or return
    set -l directive (string replace : '' -- $answer[-1])
    set -e answer[-1]
    if test (count $answer) -gt 0
        printf '%s\n' $answer
    else if test (math "floor($directive / 16) % 2") -eq 1
        __fish_complete_directories "$word"
    else if test (math "floor($directive / 4) % 2") -eq 0
        __fish_complete_path "$word"
    end
end
complete -c PROGRAM -f -a '(__PROGRAM_complete)'
`,
	"powershell": `# powershell completion for PROGRAM
Register-ArgumentCompleter -Native -CommandName 'PROGRAM' -ScriptBlock {
    param($word, $line, $position)
    $words = @($line.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { $_.Extent.Text })
    if ($words.Count -eq 0) { return }
    $more = @($words | Select-Object -Skip 1)
    # An empty last argument is lost on the way to a program before PowerShell 7.3 unless it is quoted.
    $typed = if ($word -eq '' -and $PSVersionTable.PSVersion -lt [version]'7.3') { '""' } else { "$word" }
    $answer = @(& $words[0] __complete @more $typed 2>$null)
    if ($answer.Count -lt 2) { return } # nothing: PowerShell offers files
    $answer[0..($answer.Count - 2)] | ForEach-Object {
        $text, $tip = $_ -split [char]9, 2
        if (-not $tip) { $tip = $text }
        [System.Management.Automation.CompletionResult]::new($text, $text, 'ParameterValue', $tip)
    }
}
`,
}
