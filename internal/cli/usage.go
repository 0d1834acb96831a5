package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/unimo-go/unimo/internal/base/names"
)

// usageError marks errors of the caller's making: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// WrongUse implements the method of [collective.IsWrongUse].
func (usageError) WrongUse() bool { return true }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// seeHelp is the end of an error about how a command is called.
func seeHelp(c *cobra.Command) string { return fmt.Sprintf(" (see '%s --help')", c.CommandPath()) }

// name is a command's name without the program's.
func commandName(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

// group makes c a command that holds others: alone it prints its help, and a word that is none of
// them is refused with the nearest.
func group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	c.AddCommand(commands...)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

func unknownCommand(c *cobra.Command, word string) error {
	var list []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			list = append(list, sub.Name())
		}
	}
	return usagef("%w%s", names.Unknown("command", word, list), seeHelp(c))
}

// needs accepts exactly the arguments of these names.
func needs(arguments ...string) func(c *cobra.Command, args []string) error {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(arguments) {
			given := ""
			if len(args) > 0 {
				given = fmt.Sprintf(", and %s only was given", and(arguments[:len(args)]))
			}
			return usagef("%s needs %s%s%s", commandName(c), and(arguments), given, seeHelp(c))
		}
		for i, name := range arguments {
			if args[i] == "" {
				return usagef("%s needs %s, which is empty%s", commandName(c), name, seeHelp(c))
			}
		}
		return noArgs(c, args[len(arguments):])
	}
}

// needsSome accepts one argument of the name or more.
func needsSome(argument string) func(c *cobra.Command, args []string) error {
	texts := needsTexts(argument)
	return func(c *cobra.Command, args []string) error {
		if err := texts(c, args); err != nil {
			return err
		}
		if slices.Contains(args, "") {
			return usagef("%s needs %s, which is empty%s", commandName(c), argument, seeHelp(c))
		}
		return nil
	}
}

// needsTexts accepts one text or more, which may be empty.
func needsTexts(argument string) func(c *cobra.Command, args []string) error {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s needs %s%s", commandName(c), argument, seeHelp(c))
		}
		return nil
	}
}

// noArgs refuses arguments, naming the first.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case args[0] == "true" || args[0] == "false":
		return usagef("unexpected argument %q: the value of such a flag follows an equals sign, --FLAG=%s%s", args[0], args[0], seeHelp(c))
	}
	hint := ""
	if data := c.Flags().Lookup("data"); data != nil && !data.Changed && !absent(args[0]) {
		hint = "; --data names files"
	}
	return usagef("unexpected argument %q%s%s", args[0], hint, seeHelp(c))
}

// and joins words as people do.
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// checkRequired refuses a call without the flags that c needs.
func checkRequired(c *cobra.Command) error {
	var missing []string
	resume := c.Flags().Changed("resume") // a run knows its data
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if required(f) && (!f.Changed || f.Value.String() == "") && !(resume && f.Name == "data") {
			missing = append(missing, "--"+f.Name)
		}
		optional(f) // cobra would say it again, in its own words
	})
	if len(missing) == 0 {
		return nil
	}
	return usagef("%s needs %s%s", commandName(c), and(missing), seeHelp(c))
}

func required(f *pflag.Flag) bool {
	return slices.Equal(f.Annotations[cobra.BashCompOneRequiredFlag], []string{"true"})
}

// optional undoes that a flag is required.
func optional(f *pflag.Flag) { delete(f.Annotations, cobra.BashCompOneRequiredFlag) }

// exclusive says that at most one of these flags of c may be given.
func exclusive(c *cobra.Command, flags ...string) {
	c.Annotations = map[string]string{"exclusive": strings.Join(flags, " ")}
}

// checkExclusive refuses a call with more than one of the exclusive flags.
func checkExclusive(c *cobra.Command) error {
	var given []string
	for name := range strings.FieldsSeq(c.Annotations["exclusive"]) {
		if c.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) > 1 {
		return usagef("%s exclude each other; give one of them", and(given))
	}
	return nil
}

// choice refuses a value that is not in list; flag is what was given it.
func choice(flag, value string, list ...string) error {
	if slices.Contains(list, value) {
		return nil
	}
	return usagef("%w", names.Unknown(flag, value, list))
}

// flagError says in plain words what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	var bare *pflag.ValueRequiredError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		if args := c.Flags().Args(); c.HasAvailableSubCommands() && len(args) > 0 {
			return unknownCommand(c, args[0]) // whose flag it may be
		}
		if name := unknown.GetSpecifiedName(); unknown.GetSpecifiedShortnames() == "" {
			if text := useless(c, name); text != "" {
				return usagef("%s%s", text, seeHelp(c))
			}
			slip := c.Flags().Lookup(strings.TrimSuffix(name, "s")) != nil || c.Flags().Lookup(name+"s") != nil // --texts of one with --text
			if hint := elsewhere(c, name); hint != "" && !slip {
				return usagef("%s%s", hint, seeHelp(c))
			}
			return usagef("%w%s", unknownFlag(c, name), seeHelp(c))
		}
		return usagef("unknown flag %q%s", "-"+unknown.GetSpecifiedName(), seeHelp(c))
	case errors.As(err, &value):
		return usagef("--%s is %q, want %s%s", value.GetFlag().Name, value.GetValue(), wants(value.GetFlag()), seeHelp(c))
	case errors.As(err, &bare):
		return usagef("--%s needs a value%s", bare.GetFlag().Name, seeHelp(c))
	case errors.As(err, &syntax):
		return usagef("%q is no flag%s", syntax.GetSpecifiedFlag(), seeHelp(c))
	}
	return usagef("%w%s", err, seeHelp(c))
}

func unknownFlag(c *cobra.Command, name string) error {
	var list []string
	c.Flags().VisitAll(func(f *pflag.Flag) { list = append(list, "--"+f.Name) })
	err := names.Unknown("flag", "--"+name, list)
	err.List = nil // help has them, with what they are
	return err
}

// wants says what a flag's value is.
func wants(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int", "int64":
		return "a whole number"
	case "uint64":
		return "a whole number from 0 on"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	}
	return "another value"
}
