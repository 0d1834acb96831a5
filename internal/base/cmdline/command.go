// Package cmdline is a tree of commands with flags, as "git remote add --fetch" has: which command a line
// means, its flags, and what the tab key completes. The words of help and of errors are the
// program's own.
//
// The names are those of github.com/spf13/cobra, of which this is the part that unimo needs. Cobra itself imports
// package net, for flags that hold addresses; with it, go build links the C library where it finds a C
// compiler, and the binary is not static.
//
//	command.go   Command: the tree, and running a line
//	flag.go      FlagSet: flags and their values
//	complete.go  completion, and the scripts of the shells
package cmdline

import (
	"context"
	"slices"
	"strings"
)

// Command is a command, or a group of commands.
type Command struct {
	Use     string // how it is called: its name, then its arguments
	Aliases []string
	Short   string // one line
	Long    string
	Example string
	Hidden  bool // help does not list it

	Annotations map[string]string // the program's own

	// Args checks the arguments. PersistentPreRunE of the root runs after it, then RunE.
	Args              func(c *Command, args []string) error
	PersistentPreRunE func(c *Command, args []string) error
	RunE              func(c *Command, args []string) error

	// ValidArgs and ValidArgsFunction complete arguments. An entry may have a tab and a description.
	ValidArgs         []string
	ValidArgsFunction Completion

	// AnyFlags lets flags pass that the command does not have.
	AnyFlags bool

	parent     *Command
	commands   []*Command
	flags      FlagSet // of this command
	persistent FlagSet // of this command and all below it
	linked     bool
	ctx        context.Context
	help       func(c *Command)
	flagError  func(c *Command, err *FlagError) error
}

// AddCommand makes commands sub-commands of c.
func (c *Command) AddCommand(commands ...*Command) {
	for _, sub := range commands {
		sub.parent = c
	}
	c.commands = append(c.commands, commands...)
}

// Commands lists the sub-commands in the order in which they were added.
func (c *Command) Commands() []*Command { return c.commands }

// Parent returns the group that c belongs to, or nil.
func (c *Command) Parent() *Command { return c.parent }

// HasParent says whether c is no root.
func (c *Command) HasParent() bool { return c.parent != nil }

// Root returns the command at the top.
func (c *Command) Root() *Command {
	for c.parent != nil {
		c = c.parent
	}
	return c
}

// Name is the first word of Use.
func (c *Command) Name() string {
	name, _, _ := strings.Cut(c.Use, " ")
	return name
}

// HasAlias says whether name is one of the aliases.
func (c *Command) HasAlias(name string) bool { return slices.Contains(c.Aliases, name) }

// CommandPath is the command with those above it: "unimo data prepare".
func (c *Command) CommandPath() string {
	if c.parent == nil {
		return c.Name()
	}
	return c.parent.CommandPath() + " " + c.Name()
}

// UseLine is how the command is called, with those above it.
func (c *Command) UseLine() string {
	line := c.Use
	if c.parent != nil {
		line = c.parent.CommandPath() + " " + line
	}
	if !strings.Contains(line, "[flags]") {
		line += " [flags]"
	}
	return line
}

// IsAvailableCommand says whether help lists c.
func (c *Command) IsAvailableCommand() bool {
	return !c.Hidden && (c.RunE != nil || c.HasAvailableSubCommands())
}

// HasSubCommands says whether c is a group.
func (c *Command) HasSubCommands() bool { return len(c.commands) > 0 }

// HasAvailableSubCommands says whether help lists a sub-command of c.
func (c *Command) HasAvailableSubCommands() bool {
	return slices.ContainsFunc(c.commands, (*Command).IsAvailableCommand)
}

// Context returns the context that c runs in.
func (c *Command) Context() context.Context { return c.ctx }

// SetHelpFunc says what shows the help of a command. It is set at the root.
func (c *Command) SetHelpFunc(f func(c *Command)) { c.help = f }

// Help shows the help.
func (c *Command) Help() error {
	c.Root().help(c)
	return nil
}

// SetFlagErrorFunc says what makes an error of what is wrong with a flag. It is set at the root.
func (c *Command) SetFlagErrorFunc(f func(c *Command, err *FlagError) error) { c.flagError = f }

// ExecuteContext runs the command that args mean. The root has a persistent flag "help".
func (c *Command) ExecuteContext(ctx context.Context, args []string) error {
	at, rest := c.Find(args)
	at.ctx = ctx
	if err := at.ParseFlags(rest); err != nil {
		if e, ok := err.(*FlagError); ok && c.flagError != nil {
			return c.flagError(at, e)
		}
		return err
	}
	if f := at.Flags().Lookup("help"); f != nil && f.Value.String() == "true" || at.RunE == nil {
		return at.Help()
	}
	args = at.Flags().Args()
	if at.Args != nil {
		if err := at.Args(at, args); err != nil {
			return err
		}
	}
	if c.PersistentPreRunE != nil {
		if err := c.PersistentPreRunE(at, args); err != nil {
			return err
		}
	}
	return at.RunE(at, args)
}

// Find returns the command that args mean, and args without the words that name it.
func (c *Command) Find(args []string) (*Command, []string) {
	for i := 0; i < len(args); i++ {
		switch word := args[i]; {
		case word == "--":
			return c, args
		case len(word) > 1 && word[0] == '-':
			if c.Flags().takesNext(word) {
				i++
			}
		case word != "":
			sub := slices.IndexFunc(c.commands, func(s *Command) bool { return s.Name() == word || s.HasAlias(word) })
			if sub < 0 {
				return c, args
			}
			return c.commands[sub].Find(slices.Concat(args[:i], args[i+1:]))
		}
	}
	return c, args
}

// ParseFlags sets the flags from args; what is left is c.Flags().Args().
func (c *Command) ParseFlags(args []string) error { return c.Flags().parse(args, c.AnyFlags) }

// Flags returns the flags that c may be given: its own, and the persistent ones of those above it.
func (c *Command) Flags() *FlagSet {
	if !c.linked {
		c.flags.outer, c.linked = &c.persistent, true
	}
	if c.parent != nil {
		c.persistent.outer = c.parent.PersistentFlags()
	}
	return &c.flags
}

// PersistentFlags returns the flags of c that all commands below it have, too.
func (c *Command) PersistentFlags() *FlagSet {
	if c.parent != nil {
		c.persistent.outer = c.parent.PersistentFlags()
	}
	return &c.persistent
}

// LocalFlags returns the flags that c does not have from those above it.
func (c *Command) LocalFlags() *FlagSet {
	return &FlagSet{own: slices.Concat(c.flags.own, c.persistent.own)}
}

// InheritedFlags returns the flags that c has from those above it.
func (c *Command) InheritedFlags() *FlagSet {
	if c.parent == nil {
		return &FlagSet{}
	}
	return &FlagSet{outer: c.parent.PersistentFlags()}
}

// MarkFlagRequired marks a flag as one that must be given.
func (c *Command) MarkFlagRequired(name string) { c.Flags().Lookup(name).Required = true }
