package seq2seq

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Kind is a form of file.
type Kind uint8

// The kinds. docs/reference/text.md describes them.
const (
	KindAuto      Kind = iota // by the file's name and content
	KindTSV                   // the reference's: columns src, tgt, knowledge and what others call them; text or ids
	KindCSV                   // columns source, target, knowledge, id
	KindJSONLines             // an object a line, or a list of objects
	KindCoQA                  // CoQA's JSON
	KindSQuAD                 // SQuAD's JSON, for question generation
	KindPairs                 // two files, sources and targets, line by line
	KindStories               // CNN/DailyMail's .story, or a folder of them
)

func (k Kind) String() string {
	return [...]string{"automatic", "TSV with src and tgt", "CSV with source and target", "JSON lines", "CoQA's JSON", "SQuAD's JSON",
		"a pair of line-aligned files", "CNN/DailyMail's stories"}[k]
}

// Texts says what the texts of a TSV file are.
type Texts uint8

// What texts can be.
const (
	TextsAuto  Texts = iota // ids if every text of the file is a list of decimal numbers
	TextsPlain              // text, whatever it looks like
	TextsIDs                // BPE ids in decimal, a space between two
)

// Options are the ways to read a file.
type Options struct {
	Kind     Kind
	Dialogue bool // the examples are turns of conversations
	Texts    Texts
	// NeedTarget makes an example without target a problem: training and scoring need it.
	NeedTarget bool
	// Problem is told of every bad example, which is then left out; reading stops if it
	// returns an error. nil: the first problem ends the reading. What makes the rest of a
	// file unreadable ends the reading in any case.
	Problem func(error) error
	// Tick, unless nil, is told now and then how many examples there are so far; reading
	// stops if it returns an error.
	Tick func(examples int) error

	keep func(id string) bool // which stories to read; nil: all
}

// Report is what reading a file found besides its examples.
type Report struct {
	Kind        Kind
	Skipped     map[string]int // examples left out as they should be, by reason
	InvalidUTF8 int            // examples with bytes that are not UTF-8; the tokenizer takes them as they are
	IDs         bool           // the examples are ids of tokens
	Passed      []string       // columns or keys that were passed over and may mean something
}

// Form says in words what the file is.
func (r Report) Form() string {
	form := r.Kind.String()
	if r.IDs {
		form += " of ids"
	}
	if len(r.Passed) > 0 {
		form += "; passed over: " + strings.Join(r.Passed, ", ")
	}
	return form
}

// maxPassed bounds the columns that are named as passed over.
const maxPassed = 8

// passOver notes columns that were not used.
func (r *reader) passOver(names []string) {
	for _, name := range names {
		if name = textfile.Quote(name); len(r.report.Passed) < maxPassed && !slices.Contains(r.report.Passed, name) {
			r.report.Passed = append(r.report.Passed, name)
		}
	}
}

// Reasons for skipping.
const (
	skipImpossible = "questions without answer"
	skipNoArticle  = "stories without article"
)

// MaxDocument bounds a JSON file that is one value, in bytes: five times the largest of
// the official ones.
const MaxDocument = 256 << 20

// ReadFile reads all examples of a file or, of stories, a folder. Errors are
// [*data.FileError]: the file is missing, empty, of no known kind or of one that does
// not fit the options; a line or an item is malformed; an example has no source or,
// where needed, no target. A file ending in .gz is decompressed.
func ReadFile(path string, opt Options) ([]Example, Report, error) {
	if opt.Kind == KindAuto {
		kind, err := Recognise(path)
		if err != nil {
			return nil, Report{}, err
		}
		opt.Kind = kind
	}
	r := newReader(path, opt)
	if err := r.readFile(path); err != nil {
		return nil, r.report, err
	}
	if len(r.out) == 0 && r.problems == 0 {
		return nil, r.report, &textfile.FileError{File: path, Problem: "has no examples", Remedy: "name a file with examples"}
	}
	return r.out, r.report, nil
}

// reader is the state of reading one file.
type reader struct {
	file     string
	opt      Options
	out      []Example
	report   Report
	problems int
	known    map[string]objectKeys // by the keys of an object
}

func newReader(file string, opt Options) *reader {
	return &reader{file: file, opt: opt, report: Report{Kind: opt.Kind, Skipped: map[string]int{}}, known: map[string]objectKeys{}}
}

func (r *reader) readFile(path string) error {
	if err := r.fits(); err != nil {
		return err
	}
	switch r.opt.Kind {
	case KindStories:
		return r.stories(path)
	case KindPairs:
		target, err := targetFile(path)
		if err != nil {
			return err
		}
		return textfile.WithUnpacked(path, func(src io.Reader) error {
			return textfile.WithUnpacked(target, func(tgt io.Reader) error { return r.pairs(src, tgt, target) })
		})
	}
	return textfile.WithUnpacked(path, r.read)
}

// fits refuses a kind that has no dialogues in it for a task of dialogues, and the other way round.
func (r *reader) fits() error {
	switch r.opt.Kind {
	case KindCoQA:
		if r.opt.Dialogue {
			return nil
		}
	case KindSQuAD, KindPairs, KindStories:
		if !r.opt.Dialogue {
			return nil
		}
	default:
		return nil
	}
	want := "a task of dialogues (coqa)"
	if r.opt.Dialogue {
		want = "a task without dialogues (squad-qg, cnn-dailymail, gigaword)"
	}
	return &textfile.FileError{File: r.file, Problem: fmt.Sprintf("is %v", r.opt.Kind), Remedy: "use it for " + want}
}

// read reads the content of a single file.
func (r *reader) read(in io.Reader) error {
	switch r.opt.Kind {
	case KindTSV:
		return r.rows(in, textfile.FormatTSV)
	case KindCSV:
		return r.rows(in, textfile.FormatCSV)
	case KindJSONLines:
		return r.objects(in)
	}
	var buffer bytes.Buffer
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			buffer.Grow(int(min(info.Size(), MaxDocument)) + bytes.MinRead + 1) // once, not in steps
		}
	}
	if _, err := buffer.ReadFrom(io.LimitReader(in, MaxDocument+1)); err != nil {
		return r.unreadable(err)
	}
	content := buffer.Bytes()
	if len(content) > MaxDocument {
		return &textfile.FileError{File: r.file, Problem: fmt.Sprintf("is longer than %d MiB", MaxDocument>>20), Remedy: "split it, or write its examples as JSON lines"}
	}
	if r.opt.Kind == KindCoQA {
		return r.document(content, r.conversation)
	}
	return r.document(content, r.article)
}

func (r *reader) unreadable(err error) error {
	var known *textfile.FileError
	if errors.As(err, &known) {
		return err
	}
	return &textfile.FileError{File: r.file, Problem: fmt.Sprintf("cannot be read on: %v", err), Err: err}
}

// add takes an example or reports what is wrong with it.
func (r *reader) add(x Example) error {
	x.File = r.file
	if x.HasTarget = strings.TrimSpace(x.Target) != ""; !x.HasTarget {
		x.Target = ""
	}
	var missing string
	switch {
	case !x.hasSource():
		missing = "source"
	case !x.HasTarget && r.opt.NeedTarget:
		missing = "target"
	}
	if missing != "" {
		return r.problem(x.Line, fmt.Sprintf("%shas no %s text", x.label(), missing), "complete it or remove it")
	}
	if len(x.References) == 1 && x.References[0] == x.Target {
		x.References = nil
	}
	if !x.validUTF8() {
		r.report.InvalidUTF8++
	}
	r.report.IDs = r.report.IDs || x.IDs
	r.out = append(r.out, x)
	if r.opt.Tick != nil && len(r.out)%tickEvery == 0 {
		return r.opt.Tick(len(r.out))
	}
	return nil
}

// label names an example within its line, where it has a name.
func (x *Example) label() string {
	switch {
	case x.ID != "" && x.Turn > 0:
		return fmt.Sprintf("conversation %s, turn %d: ", textfile.Quote(x.ID), x.Turn)
	case x.ID != "":
		return fmt.Sprintf("example %s: ", textfile.Quote(x.ID))
	}
	return ""
}

func (x *Example) validUTF8() bool {
	for _, s := range x.Sources {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return utf8.ValidString(x.Knowledge) && utf8.ValidString(x.Target)
}

func (r *reader) problem(line int, problem, remedy string) error {
	return r.tell(&textfile.FileError{File: r.file, Line: line, Problem: problem, Remedy: remedy})
}

func (r *reader) tell(err error) error {
	r.problems++
	if r.opt.Problem == nil {
		return err
	}
	return r.opt.Problem(err)
}

// plainName is a file's name in lower case and without .gz.
func plainName(path string) string {
	return strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".gz")
}

// acceptedFiles is the remedy for a file of no known kind.
const acceptedFiles = `name a .jsonl or .csv file with source and target, a .tsv file with src and tgt, CoQA's or SQuAD's .json, the source side of a pair (src-dev.txt beside tgt-dev.txt, train.article.txt beside train.title.txt, train.src beside train.tgt), or CNN/DailyMail's stories`

// Recognise says of what kind a file or folder is: by its ending, the name of a file of
// a pair, or the keys of its JSON.
func Recognise(path string) (Kind, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if holdsStories(path) {
			return KindStories, nil
		}
		return 0, &textfile.FileError{File: path, Problem: "is a folder without .story files", Remedy: "name a file in it"}
	}
	name := plainName(path)
	switch filepath.Ext(name) {
	case ".tsv":
		return KindTSV, nil
	case ".csv":
		return KindCSV, nil
	case ".jsonl", ".ndjson":
		return KindJSONLines, nil
	case ".story":
		return KindStories, nil
	}
	if other, ok := otherSide(name, 1, 0); ok {
		return 0, &textfile.FileError{File: path, Problem: "is the target side of a pair", Remedy: "name the source side, " + other}
	}
	if _, ok := otherSide(name, 0, 1); ok {
		return KindPairs, nil
	}
	var kind Kind
	err := textfile.WithUnpacked(path, func(in io.Reader) (err error) {
		kind, err = recogniseJSON(path, in)
		return err
	})
	return kind, err
}

// skipMark drops a byte order mark.
func skipMark(content []byte) []byte { return bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) }
