package seq2seq

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// ValidateOptions are the ways to look at data.
type ValidateOptions struct {
	// Encoder counts tokens and truncations if it has a Tokenizer.
	Encoder Encoder
	Texts   Texts // what texts of TSV files are
	// MaxProblems is how many messages are kept; all problems are counted.
	MaxProblems int
	// Stage, unless nil, is told what begins, Tick how many examples it has read.
	Stage func(what string)
	Tick  func(examples int)
}

// Validation is what the files of a task are like.
type Validation struct {
	Task         string           `json:"task"`
	Files        []FileValidation `json:"files"`
	Shared       []SharedExamples `json:"shared,omitempty"`
	ProblemCount int              `json:"problem_count"`
	Problems     []string         `json:"problems"` // the first of them
}

// FileValidation is what one file is like.
type FileValidation struct {
	Split       string         `json:"split"`
	File        string         `json:"file"`
	Kind        string         `json:"kind,omitempty"` // "" of no known kind
	Examples    int            `json:"examples"`
	Groups      int            `json:"groups,omitempty"`
	Skipped     map[string]int `json:"skipped,omitempty"`
	InvalidUTF8 int            `json:"invalid_utf8"`
	Problems    int            `json:"problems"`
	Source      TextLengths    `json:"source"`
	Target      TextLengths    `json:"target"`
	Truncated   *Truncated     `json:"truncated,omitempty"` // at the task's limits; nil without vocabulary
}

// SharedExamples counts what two splits have in common: a model should not be scored on
// what it was trained on.
type SharedExamples struct {
	Splits   [2]string `json:"splits"`
	Examples int       `json:"examples"` // of the second that the first has too: same sources, passage and target
	Groups   int       `json:"groups"`   // that both have
}

// TextLengths are the lengths of texts in three units. Of ids there are only tokens.
type TextLengths struct {
	Characters *Distribution `json:"characters,omitempty"`
	Words      *Distribution `json:"words,omitempty"`  // parts between white space
	Tokens     *Distribution `json:"tokens,omitempty"` // before they are cut, special tokens included; of a dialogue without the turns that are dropped
}

// Distribution describes a list of numbers.
type Distribution struct {
	Min    int `json:"min"`
	Median int `json:"median"`
	P95    int `json:"p95"` // 95 % are not larger
	Max    int `json:"max"`
}

func distribution(values []int) *Distribution {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	last := len(values) - 1
	return &Distribution{Min: values[0], Median: values[last/2], P95: values[last*95/100], Max: values[last]}
}

// Validate reads all files of a task, which path is or which lie in it, to the end and
// says what is in them and what is wrong. Its error is about the look itself: the
// path does not exist, or the context is done.
func Validate(ctx context.Context, task Task, path string, opt ValidateOptions) (Validation, error) {
	v := validator{ctx: ctx, opt: opt, out: Validation{Task: task.Name, Problems: []string{}}, seed: maphash.MakeSeed()}
	files, err := findInputs(task, path)
	if err != nil {
		return v.out, err
	}
	for _, in := range files {
		if err := v.file(task, in); err != nil {
			return v.out, err
		}
	}
	v.compare()
	return v.out, nil
}

type validator struct {
	ctx    context.Context
	opt    ValidateOptions
	out    Validation
	seed   maphash.Seed
	splits []content
}

// content is what is compared between splits.
type content struct {
	name             string
	examples, groups map[uint64]bool
}

func (v *validator) problem(f *FileValidation, err error) error {
	f.Problems++
	v.out.ProblemCount++
	if len(v.out.Problems) < v.opt.MaxProblems {
		v.out.Problems = append(v.out.Problems, err.Error())
	}
	return v.ctx.Err()
}

func (v *validator) file(task Task, in input) error {
	if v.opt.Stage != nil {
		v.opt.Stage("reading " + in.path)
	}
	f := FileValidation{Split: in.split, File: in.path}
	opt := Options{Dialogue: task.Dialogue, Texts: v.opt.Texts, NeedTarget: in.split != "test",
		Problem: func(err error) error { return v.problem(&f, err) },
		Tick: func(n int) error {
			if v.opt.Tick != nil {
				v.opt.Tick(n)
			}
			return v.ctx.Err()
		}}
	if in.listed != nil {
		opt.keep = func(id string) bool { return in.listed[id] }
	}
	examples, report, err := ReadFile(in.path, opt)
	var known *textfile.FileError
	switch {
	case errors.As(err, &known):
		v.problem(&f, err)
	case err != nil:
		return err
	}
	if report.Kind != KindAuto {
		f.Kind = report.Form()
	}
	f.Examples, f.Skipped, f.InvalidUTF8 = len(examples), report.Skipped, report.InvalidUTF8
	if err := v.measure(&f, examples); err != nil {
		return err
	}
	v.out.Files = append(v.out.Files, f)
	return v.ctx.Err()
}

// measure counts lengths, groups and truncations.
func (v *validator) measure(f *FileValidation, examples []Example) error {
	c := content{name: f.Split, examples: map[uint64]bool{}, groups: map[uint64]bool{}}
	var source, target lengths
	counting := v.opt.Encoder
	counting.Count = true
	work := encoding{Encoder: &counting}
	if v.opt.Encoder.Tokenizer != nil {
		f.Truncated = &Truncated{}
	}
	for i := range examples {
		x := &examples[i]
		c.examples[maphash.String(v.seed, fmt.Sprintf("%q %q %q", x.Sources, x.Knowledge, x.Target))] = true
		if x.Group != "" {
			c.groups[maphash.String(v.seed, x.Group)] = true
		}
		source.text(x, append([]string{x.Knowledge}, x.Sources...)...)
		if x.HasTarget {
			target.text(x, x.Target)
		}
		if f.Truncated != nil {
			r, cut, err := work.encode(*x, x.HasTarget)
			if err != nil {
				if err := v.problem(f, err); err != nil {
					return err
				}
				continue
			}
			source.tokens = append(source.tokens, r.Source+cut.Source)
			if x.HasTarget {
				target.tokens = append(target.tokens, len(r.Labels)+cut.Target)
			}
			f.Truncated.add(cut)
		}
		if i%tickEvery == 0 {
			if err := v.ctx.Err(); err != nil {
				return err
			}
		}
	}
	f.Groups = len(c.groups)
	f.Source, f.Target = source.describe(), target.describe()
	v.splits = append(v.splits, c)
	return nil
}

// lengths are those of one side of all examples.
type lengths struct{ characters, words, tokens []int }

func (l *lengths) text(x *Example, texts ...string) {
	if x.IDs {
		return
	}
	characters, words := 0, 0
	for _, s := range texts {
		characters += utf8.RuneCountInString(s)
		for range strings.FieldsSeq(s) {
			words++
		}
	}
	l.characters, l.words = append(l.characters, characters), append(l.words, words)
}

func (l *lengths) describe() TextLengths {
	return TextLengths{distribution(l.characters), distribution(l.words), distribution(l.tokens)}
}

// compare counts what the splits have in common.
func (v *validator) compare() {
	common := func(a, b map[uint64]bool) int {
		n := 0
		for key := range b {
			if a[key] {
				n++
			}
		}
		return n
	}
	for i, a := range v.splits {
		for _, b := range v.splits[i+1:] {
			s := SharedExamples{Splits: [2]string{a.name, b.name}, Examples: common(a.examples, b.examples), Groups: common(a.groups, b.groups)}
			if s.Examples > 0 || s.Groups > 0 {
				v.out.Shared = append(v.out.Shared, s)
			}
		}
	}
}
