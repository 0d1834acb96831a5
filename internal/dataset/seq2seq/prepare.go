package seq2seq

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// SplitFile is the file in a prepared folder that says what was split off.
const SplitFile = "split.json"

// PrepareOptions are the ways to prepare a folder.
type PrepareOptions struct {
	Fraction float64 // of the only file, or of the training file, to split off as dev; 0: none
	Seed     uint64  // of the split
	Coder    Coder   // write the reference's TSV of ids; nil: JSON lines
	Texts    Texts   // what texts of TSV files are
	// Problem is told of every bad example, which is left out.
	Problem func(error)
	// Stage, unless nil, is told what begins, Tick how many examples it has read.
	Stage func(what string)
	Tick  func(examples int)
}

// Prepared says what became of a split.
type Prepared struct {
	Split       string         `json:"split"`
	File        string         `json:"file"`        // inside the folder
	Source      string         `json:"source"`      // the file it was read from
	Kind        string         `json:"source_kind"` // as [Report.Form] gives it
	Examples    int            `json:"examples"`
	Skipped     map[string]int `json:"skipped,omitempty"`      // of the source, by reason
	InvalidUTF8 int            `json:"invalid_utf8,omitempty"` // of the source
}

// Reasons for skipping that only preparing has.
const (
	skipBad    = "bad examples"
	skipAbsent = "listed stories that are not there"
)

// splitNote is the content of SplitFile.
type splitNote struct {
	Source      string   `json:"source"`
	Fraction    float64  `json:"fraction"`
	Seed        uint64   `json:"seed"`
	Approximate bool     `json:"approximate"` // groups are runs of lines: see GroupRuns
	Dev         []string `json:"dev"`         // the groups of dev; all others are of train
}

// Prepare reads the files of a task, which src is or which lie in it, and writes a split
// each into the new folder dst, whole or not at all.
func Prepare(ctx context.Context, task Task, src, dst string, opt PrepareOptions) ([]Prepared, error) {
	if _, err := os.Lstat(dst); err == nil {
		return nil, fmt.Errorf("%s exists; choose a new folder or remove it", dst)
	}
	inputs, err := findInputs(task, src)
	if err != nil {
		return nil, err
	}
	divided := ""
	if opt.Fraction != 0 {
		if divided, err = inputs.divisible(); err != nil {
			return nil, err
		}
	}
	p := preparation{ctx: ctx, task: task, opt: opt}
	var failed error // in an input, which is not about writing
	err = atomicfile.WriteDir(dst, func(tmp string) error {
		for _, in := range inputs {
			if failed = p.prepare(tmp, in, in.split == divided); failed != nil {
				return failed
			}
		}
		return nil
	})
	if err = cmp.Or(failed, err); err != nil {
		return nil, err
	}
	return p.out, nil
}

// input is where the examples of a split are.
type input struct {
	split, path string
	listed      map[string]bool // of stories: the ids of the split; nil: all of them
}

type inputs []input

// findInputs lists the splits that src has: it is a file, or a folder with a file a
// split, or one with stories and lists of their addresses.
func findInputs(task Task, src string) (inputs, error) {
	info, err := os.Stat(src)
	if err != nil || !info.IsDir() {
		split := SplitOf(src)
		if split == "" {
			split = Splits[0]
		}
		return inputs{{split: split, path: src}}, nil // reading says what is wrong
	}
	if !task.Dialogue && holdsStories(src) {
		return storyInputs(src)
	}
	var out inputs
	for _, split := range Splits {
		path, err := Resolve(src, split)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, input{split: split, path: path})
	}
	if out == nil {
		return nil, &textfile.FileError{File: src, Problem: "has no file of a known kind with train, dev or test in its name", Remedy: acceptedFiles}
	}
	return out, nil
}

// storyInputs finds the lists of addresses that the corpus is split by.
func storyInputs(src string) (inputs, error) {
	var out inputs
	for _, split := range Splits {
		for _, word := range splitWords[split] {
			for _, name := range []string{"all_" + word + ".txt", filepath.Join("url_lists", "all_"+word+".txt")} {
				path := filepath.Join(src, name)
				if _, err := os.Stat(path); err != nil {
					continue
				}
				listed, err := readAddresses(path)
				if err != nil {
					return nil, err
				}
				out = append(out, input{split: split, path: src, listed: listed})
			}
		}
	}
	if out == nil {
		return inputs{{split: Splits[0], path: src}}, nil
	}
	return out, nil
}

// readAddresses returns the ids of the stories of a list of addresses.
func readAddresses(path string) (ids map[string]bool, err error) {
	ids = map[string]bool{}
	err = textfile.WithUnpacked(path, func(in io.Reader) error {
		for lines := textfile.NewLines(in, path); ; {
			line, err := lines.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			sum := sha1.Sum(line)
			ids[hex.EncodeToString(sum[:])] = true
		}
	})
	return ids, err
}

// divisible returns the split to divide into train and dev.
func (in inputs) divisible() (string, error) {
	var found []string
	for _, i := range in {
		if i.split != "test" {
			found = append(found, i.split)
		}
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("there is only a test file (%s), and a test set is not split; name the training file", in[0].path)
	case len(found) > 1:
		return "", fmt.Errorf("there are a training and a dev file already (%s, %s); leave --split out, or name the file to split", in[0].path, in[1].path)
	}
	return found[0], nil
}

// preparation is the state of preparing a folder.
type preparation struct {
	ctx  context.Context
	task Task
	opt  PrepareOptions
	out  []Prepared
}

// prepare reads one input and writes it into dir, divided or not.
func (p *preparation) prepare(dir string, in input, divide bool) error {
	if p.opt.Stage != nil {
		p.opt.Stage("reading " + in.path)
	}
	bad := 0
	opt := Options{Dialogue: p.task.Dialogue, Texts: p.opt.Texts, NeedTarget: in.split != "test",
		Problem: func(err error) error {
			if bad++; p.opt.Problem != nil {
				p.opt.Problem(err)
			}
			return p.ctx.Err()
		},
		Tick: func(n int) error {
			if p.opt.Tick != nil {
				p.opt.Tick(n)
			}
			return p.ctx.Err()
		}}
	found := 0
	if in.listed != nil {
		opt.keep = func(id string) bool {
			if in.listed[id] {
				found++
			}
			return in.listed[id]
		}
	}
	examples, report, err := ReadFile(in.path, opt)
	if err != nil {
		return err
	}
	if absent := len(in.listed) - found; absent > 0 {
		report.Skipped[skipAbsent] = absent
	}
	if bad > 0 {
		report.Skipped[skipBad] = bad
	}
	if len(examples) == 0 {
		return &textfile.FileError{File: in.path, Problem: fmt.Sprintf("has no good example: all %d are bad", bad), Remedy: "see what unimo data validate says"}
	}
	if !divide {
		return p.write(dir, in.split, in.path, examples, report)
	}
	return p.divide(dir, in.path, examples, report)
}

func (p *preparation) divide(dir, path string, examples []Example, report Report) error {
	approximate := p.task.Passages && report.Kind == KindPairs
	if approximate {
		GroupRuns(examples)
	}
	first, second, groups, err := Split(examples, p.opt.Fraction, p.opt.Seed)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := p.write(dir, "train", path, first, report); err != nil {
		return err
	}
	// What was skipped is told once.
	if err := p.write(dir, "dev", path, second, Report{Kind: report.Kind, IDs: report.IDs}); err != nil {
		return err
	}
	note := splitNote{Source: filepath.Base(path), Fraction: p.opt.Fraction, Seed: p.opt.Seed, Approximate: approximate, Dev: groups}
	return atomicfile.Write(filepath.Join(dir, SplitFile), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		return enc.Encode(note)
	})
}

func (p *preparation) write(dir, split, source string, examples []Example, report Report) error {
	name := split + ".jsonl"
	write := func(w io.Writer) error { return WriteJSONLines(w, examples, p.task.Dialogue) }
	if p.opt.Coder != nil {
		name = split + ".tsv"
		write = func(w io.Writer) error { return WriteTSV(w, examples, p.task.Dialogue, p.opt.Coder) }
	}
	if p.opt.Stage != nil {
		p.opt.Stage("writing " + name)
	}
	err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
		return write(&cancelled{p.ctx, w})
	})
	if err != nil {
		return err
	}
	p.out = append(p.out, Prepared{Split: split, File: name, Source: source, Kind: report.Form(),
		Examples: len(examples), Skipped: report.Skipped, InvalidUTF8: report.InvalidUTF8})
	return nil
}

// cancelled is a writer that fails once its context is done.
type cancelled struct {
	ctx context.Context
	w   io.Writer
}

func (c *cancelled) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
