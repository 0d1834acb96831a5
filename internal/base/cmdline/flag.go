package cmdline

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Value is what a flag sets.
type Value interface {
	Set(text string) error
	String() string
	Type() string // "bool", "int", "string", ...
}

// Flag is a flag: "--name VALUE", "--name=VALUE", "-n VALUE", "-nVALUE".
type Flag struct {
	Name        string
	Shorthand   string // one letter, or none
	Usage       string // what it is for, with the name of its value in back quotes
	Value       Value
	DefValue    string // Value before it was set
	NoOptDefVal string // what the flag alone means; "" if it needs a value
	Changed     bool   // it was given
	Hidden      bool   // help does not list it
	Required    bool   // the program refuses a call without it

	complete Completion
}

// FlagSet is a set of flags. In a name "_" is "-".
type FlagSet struct {
	own   []*Flag
	outer *FlagSet // whose flags it has as well
	args  []string
}

// Var adds a flag.
func (s *FlagSet) Var(v Value, name, shorthand, usage string) *Flag {
	f := &Flag{Name: name, Shorthand: shorthand, Usage: usage, Value: v, DefValue: v.String()}
	if s.Lookup(name) != nil || shorthand != "" && s.ShorthandLookup(shorthand) != nil {
		panic("cmdline: two flags --" + name + " or -" + shorthand)
	}
	s.own = append(s.own, f)
	return f
}

// value is a Value of one of Go's types.
type value[T any] struct {
	at    *T
	kind  string
	parse func(string) (T, error)
}

func (v value[T]) Set(text string) error {
	x, err := v.parse(text)
	if err == nil {
		*v.at = x
	}
	return err
}

func (v value[T]) String() string { return fmt.Sprint(*v.at) }
func (v value[T]) Type() string   { return v.kind }

func (s *FlagSet) BoolVarP(at *bool, name, shorthand string, def bool, usage string) {
	*at = def
	s.Var(value[bool]{at, "bool", strconv.ParseBool}, name, shorthand, usage).NoOptDefVal = "true"
}

func (s *FlagSet) BoolVar(at *bool, name string, def bool, usage string) {
	s.BoolVarP(at, name, "", def, usage)
}

func (s *FlagSet) BoolP(name, shorthand string, def bool, usage string) *bool {
	at := new(bool)
	s.BoolVarP(at, name, shorthand, def, usage)
	return at
}

func (s *FlagSet) Bool(name string, def bool, usage string) *bool {
	return s.BoolP(name, "", def, usage)
}

func (s *FlagSet) IntVarP(at *int, name, shorthand string, def int, usage string) {
	*at = def
	parse := func(text string) (int, error) {
		n, err := strconv.ParseInt(text, 0, strconv.IntSize)
		return int(n), err
	}
	s.Var(value[int]{at, "int", parse}, name, shorthand, usage)
}

func (s *FlagSet) IntVar(at *int, name string, def int, usage string) {
	s.IntVarP(at, name, "", def, usage)
}

func (s *FlagSet) Int64Var(at *int64, name string, def int64, usage string) {
	*at = def
	s.Var(value[int64]{at, "int64", func(text string) (int64, error) { return strconv.ParseInt(text, 0, 64) }}, name, "", usage)
}

func (s *FlagSet) Uint64Var(at *uint64, name string, def uint64, usage string) {
	*at = def
	s.Var(value[uint64]{at, "uint64", func(text string) (uint64, error) { return strconv.ParseUint(text, 0, 64) }}, name, "", usage)
}

func (s *FlagSet) Float64Var(at *float64, name string, def float64, usage string) {
	*at = def
	s.Var(value[float64]{at, "float64", func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }}, name, "", usage)
}

func (s *FlagSet) StringVarP(at *string, name, shorthand, def, usage string) {
	*at = def
	s.Var(value[string]{at, "string", func(text string) (string, error) { return text, nil }}, name, shorthand, usage)
}

func (s *FlagSet) StringVar(at *string, name, def, usage string) {
	s.StringVarP(at, name, "", def, usage)
}

// StringArrayVar adds a flag that may be given several times.
func (s *FlagSet) StringArrayVar(at *[]string, name string, def []string, usage string) {
	s.StringArrayVarP(at, name, "", def, usage)
}

// StringArrayVarP is [FlagSet.StringArrayVar] for a flag with a shorthand.
func (s *FlagSet) StringArrayVarP(at *[]string, name, shorthand string, def []string, usage string) {
	*at = def
	s.Var(&list{at: at}, name, shorthand, usage)
}

// list is the value of a flag that may be given several times. The first time replaces the default.
type list struct {
	at    *[]string
	given bool
}

func (l *list) Set(text string) error {
	if !l.given {
		*l.at, l.given = nil, true
	}
	*l.at = append(*l.at, text)
	return nil
}

func (l *list) String() string     { return "[" + strings.Join(*l.at, ",") + "]" }
func (l *list) Type() string       { return "stringArray" }
func (l *list) GetSlice() []string { return *l.at }

// find returns the first flag that is, of the own ones before the outer.
func (s *FlagSet) find(is func(f *Flag) bool) *Flag {
	for ; s != nil; s = s.outer {
		if i := slices.IndexFunc(s.own, is); i >= 0 {
			return s.own[i]
		}
	}
	return nil
}

// Lookup returns the flag of that name, or nil.
func (s *FlagSet) Lookup(name string) *Flag {
	name = strings.ReplaceAll(name, "_", "-")
	return s.find(func(f *Flag) bool { return f.Name == name })
}

// ShorthandLookup returns the flag with that letter, or nil.
func (s *FlagSet) ShorthandLookup(letter string) *Flag {
	return s.find(func(f *Flag) bool { return f.Shorthand != "" && f.Shorthand == letter })
}

// Changed says whether a flag was given.
func (s *FlagSet) Changed(name string) bool {
	f := s.Lookup(name)
	return f != nil && f.Changed
}

// VisitAll calls visit for every flag, sorted by name.
func (s *FlagSet) VisitAll(visit func(f *Flag)) {
	var all []*Flag
	for ; s != nil; s = s.outer {
		all = append(all, s.own...)
	}
	slices.SortFunc(all, func(a, b *Flag) int { return cmp.Compare(a.Name, b.Name) })
	for _, f := range all {
		visit(f)
	}
}

// Visit calls visit for every flag that was given, sorted by name.
func (s *FlagSet) Visit(visit func(f *Flag)) {
	s.VisitAll(func(f *Flag) {
		if f.Changed {
			visit(f)
		}
	})
}

// Args are the words that are neither flags nor their values.
func (s *FlagSet) Args() []string { return s.args }

// Problem is what may be wrong with a flag.
type Problem int

const (
	Unknown  Problem = iota // there is no such flag
	BadValue                // it cannot have this value
	NoValue                 // it needs one
	NoFlag                  // such as "---x"
)

// FlagError is what is wrong with a flag of a command line.
type FlagError struct {
	Problem Problem
	Word    string // as it was given: "--name" or "-n"
	Flag    *Flag  // of BadValue and NoValue
	Value   string // of BadValue
	Err     error  // of BadValue
}

func (e *FlagError) Error() string {
	switch e.Problem {
	case BadValue:
		return fmt.Sprintf("%s cannot be %q: %v", e.Word, e.Value, e.Err)
	case NoValue:
		return e.Word + " needs a value"
	case NoFlag:
		return e.Word + " is no flag"
	}
	return "unknown flag " + e.Word
}

func (e *FlagError) Unwrap() error { return e.Err }

// takesNext says whether the word behind a flag is its value. Of an unknown flag it is taken for it.
func (s *FlagSet) takesNext(word string) bool {
	var f *Flag
	name, long := strings.CutPrefix(word, "--")
	switch {
	case strings.Contains(word, "="):
		return false
	case long:
		f = s.Lookup(name)
	case len(word) > 2: // several letters, or a letter and its value
		return false
	default:
		f = s.ShorthandLookup(word[1:])
	}
	return f == nil || f.NoOptDefVal == ""
}

// parse sets the flags that are in args, wherever they stand before "--".
func (s *FlagSet) parse(args []string, any bool) error {
	s.args = nil
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		var err error
		switch {
		case len(word) < 2 || word[0] != '-':
			s.args = append(s.args, word)
		case word == "--":
			s.args = append(s.args, args...)
			return nil
		case word[1] == '-':
			args, err = s.long(word, args, any)
		default:
			args, err = s.letters(word, args, any)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *FlagSet) long(word string, args []string, any bool) ([]string, error) {
	name, text, given := strings.Cut(word[2:], "=")
	if name == "" || name[0] == '-' {
		return nil, &FlagError{Problem: NoFlag, Word: word}
	}
	f := s.Lookup(name)
	if f == nil {
		return unknown("--"+name, args, any && !given, any)
	}
	return f.set("--"+name, text, given, args)
}

// letters sets the flags of "-v", "-vx", "-mRUN", "-m=RUN" or "-m".
func (s *FlagSet) letters(word string, args []string, any bool) ([]string, error) {
	for rest := word[1:]; rest != ""; {
		letter := rest[:1]
		rest = rest[1:]
		f := s.ShorthandLookup(letter)
		text, given := strings.CutPrefix(rest, "=")
		switch {
		case f == nil:
			return unknown("-"+letter, args, any && rest == "", any)
		case !given && f.NoOptDefVal != "":
			if _, err := f.set("-"+letter, "", false, nil); err != nil {
				return nil, err
			}
			continue
		}
		return f.set("-"+letter, text, given || rest != "", args)
	}
	return args, nil
}

// unknown passes over a flag that is not known, and with next over its value, if it may.
func unknown(word string, args []string, next, may bool) ([]string, error) {
	switch {
	case !may:
		return nil, &FlagError{Problem: Unknown, Word: word}
	case next && len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		return args[1:], nil
	}
	return args, nil
}

// set gives a flag the text, or what it means alone, or the next word.
func (f *Flag) set(word, text string, given bool, args []string) ([]string, error) {
	switch {
	case given:
	case f.NoOptDefVal != "":
		text = f.NoOptDefVal
	case len(args) > 0:
		text, args = args[0], args[1:]
	default:
		return nil, &FlagError{Problem: NoValue, Word: word, Flag: f}
	}
	if err := f.Value.Set(text); err != nil {
		return nil, &FlagError{Problem: BadValue, Word: word, Flag: f, Value: text, Err: err}
	}
	f.Changed = true
	return args, nil
}
