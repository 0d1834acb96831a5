package captions

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// ValidateOptions are the ways to look at data.
type ValidateOptions struct {
	Limits picture.Limits // of a picture
	// MaxProblems is how many messages are kept; all problems are counted.
	MaxProblems int
	// Stage, unless nil, is told what begins and how much it is (-1: unknown), Tick how far it has come.
	Stage func(what string, total int)
	Tick  func(done int)
}

// Validation is what a folder of data is like.
type Validation struct {
	Dir      string            `json:"dir"`
	File     string            `json:"file"` // of captions
	Splits   []SplitValidation `json:"splits"`
	Captions int               `json:"captions"`
	Words    *Words            `json:"words,omitempty"` // of the captions; nil if all are of tokens
	Repeated int               `json:"repeated"`        // captions that their image has already
	Unlisted int               `json:"unlisted"`        // images with captions on no list
	Pictures int               `json:"pictures"`        // in images/
	Unused   int               `json:"unused"`          // pictures in images/ without captions
	Same     int               `json:"same"`            // pictures of a split whose content another of it has
	Shared   []SharedImages    `json:"shared,omitempty"`

	ProblemCount int      `json:"problem_count"`
	Problems     []string `json:"problems"` // the first of them
}

// SplitValidation is what one split is like.
type SplitValidation struct {
	Split    string `json:"split"`
	Images   int    `json:"images"`
	Captions int    `json:"captions"`
	Missing  int    `json:"missing"` // images without picture
	Broken   int    `json:"broken"`  // pictures that cannot be read
}

// Words are the lengths of captions in words.
type Words struct {
	Min    int `json:"min"`
	Median int `json:"median"`
	Max    int `json:"max"`
}

// SharedImages counts the images that two splits have in common: a model should not be
// scored on what it was trained on.
type SharedImages struct {
	Splits   [2]string `json:"splits"`
	Names    int       `json:"names"`    // that both lists have
	Contents int       `json:"contents"` // pictures of the second that are in the first, byte by byte, under another name
}

// Validate reads a folder of data to its end, pictures included, and says what is in it and
// what is wrong. Its error is about the look itself: there is no folder of the layout, or
// the context is done.
func Validate(ctx context.Context, dir string, opt ValidateOptions) (Validation, error) {
	v := validator{ctx: ctx, dir: dir, opt: opt, out: Validation{Dir: dir, Problems: []string{}}, captions: map[string]int{}}
	splits, err := Splits(dir)
	if err != nil {
		return v.out, err
	}
	if v.out.File, err = captionFile(dir); err != nil {
		return v.out, err
	}
	if _, err := os.Stat(ImageDir(dir)); err == nil {
		v.stage("looking for pictures", -1)
		if v.pictures, err = findPictures(ImageDir(dir)); err != nil {
			return v.out, err
		}
		v.out.Pictures = len(v.pictures.names)
	}
	if err := v.readCaptions(); err != nil {
		return v.out, err
	}
	v.readLists(splits)
	if err := v.checkPictures(); err != nil {
		return v.out, err
	}
	v.compare()
	return v.out, ctx.Err()
}

type validator struct {
	ctx      context.Context
	dir      string
	opt      ValidateOptions
	out      Validation
	pictures *pictures      // nil: there is no images/
	captions map[string]int // by image: how many
	lists    [][]string     // of images, by split
	sum      map[string][sha256.Size]byte
}

func (v *validator) stage(what string, total int) {
	if v.opt.Stage != nil {
		v.opt.Stage(what, total)
	}
}

func (v *validator) problem(err error) {
	if v.out.ProblemCount++; len(v.out.Problems) < v.opt.MaxProblems {
		v.out.Problems = append(v.out.Problems, err.Error())
	}
}

func (v *validator) problemAt(file string, line int, format string, args ...any) {
	v.problem(&textfile.FileError{File: file, Line: line, Problem: fmt.Sprintf(format, args...)})
}

// has says whether the picture of an image is there.
func (v *validator) has(image string) bool {
	if v.pictures == nil {
		return true // its features are elsewhere
	}
	_, ok := v.pictures.path[image]
	return ok
}

func (v *validator) readCaptions() error {
	v.stage("reading "+v.out.File, -1)
	seen := map[string]bool{} // image and caption
	var words []int
	err := layoutReader(v.out.File).file(v.out.File, func(r row) error {
		if r.problem != "" {
			v.problem(r.fail(v.out.File))
			return v.ctx.Err()
		}
		if v.captions[r.image] == 0 && !v.has(r.image) {
			v.problemAt(v.out.File, r.line, "there is no picture %s", textfile.Quote(r.image))
		}
		v.captions[r.image]++
		if v.out.Captions++; v.out.Captions%tickEvery == 0 && v.opt.Tick != nil {
			v.opt.Tick(v.out.Captions)
		}
		key := fmt.Sprint(r.image, "\x00", r.text, r.tokens)
		if seen[key] {
			v.out.Repeated++
		}
		seen[key] = true
		if r.text != "" {
			words = append(words, len(strings.Fields(r.text)))
		}
		return v.ctx.Err()
	})
	if len(words) > 0 {
		slices.Sort(words)
		v.out.Words = &Words{words[0], words[len(words)/2], words[len(words)-1]}
	}
	return v.keep(err)
}

// keep makes a problem of an error about a file; others are returned.
func (v *validator) keep(err error) error {
	var known *textfile.FileError
	if errors.As(err, &known) {
		v.problem(err)
		return v.ctx.Err()
	}
	return err
}

func (v *validator) readLists(splits []string) {
	listed := map[string]bool{}
	for _, split := range splits {
		path := listFile(v.dir, split)
		names, lines, err := readList(path)
		if err != nil {
			v.problem(err)
		}
		s := SplitValidation{Split: split, Images: len(names)}
		for i, name := range names {
			listed[name] = true
			n := v.captions[name]
			s.Captions += n
			if n == 0 {
				v.problemAt(path, lines[i], "image %s has no caption", textfile.Quote(name))
			}
			if !v.has(name) {
				s.Missing++
				if n == 0 { // otherwise it was said of the caption
					v.problemAt(path, lines[i], "there is no picture %s", textfile.Quote(name))
				}
			}
		}
		v.out.Splits, v.lists = append(v.out.Splits, s), append(v.lists, names)
	}
	for image := range v.captions {
		if !listed[image] {
			v.out.Unlisted++
		}
	}
	if v.pictures != nil {
		for _, name := range v.pictures.names {
			if v.captions[name] == 0 && !listed[name] {
				v.out.Unused++
			}
		}
	}
}

// chunk is how many pictures are read between two signs of life.
const chunk = 64

// checkPictures decodes the pictures of all splits and sums up their bytes.
func (v *validator) checkPictures() error {
	if v.pictures == nil {
		return nil
	}
	var names []string
	splitOf := map[string]int{}
	for split, list := range v.lists {
		for _, name := range list {
			if _, known := splitOf[name]; !known && v.has(name) {
				names = append(names, name)
				splitOf[name] = split
			}
		}
	}
	v.stage("reading pictures", len(names))
	v.sum = make(map[string][sha256.Size]byte, len(names))
	var mu sync.Mutex
	for start := 0; start < len(names); start += chunk {
		part := names[start:min(start+chunk, len(names))]
		failed := make([]error, len(part))
		parallel.For(len(part), func(i int) {
			path := v.pictures.path[part[i]]
			if failed[i] = picture.VisitFile(path, v.opt.Limits, func(*picture.Picture) {}); failed[i] != nil {
				return
			}
			sum, err := hashFile(path)
			failed[i] = err
			mu.Lock()
			v.sum[part[i]] = sum
			mu.Unlock()
		})
		for i, err := range failed {
			if err != nil {
				v.problem(err)
				v.out.Splits[splitOf[part[i]]].Broken++
				delete(v.sum, part[i])
			}
		}
		if v.opt.Tick != nil {
			v.opt.Tick(start + len(part))
		}
		if err := v.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func hashFile(path string) (sum [sha256.Size]byte, err error) {
	f, err := infile.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	h.Sum(sum[:0])
	return sum, err
}

// compare finds what the splits have in common, by name and by content.
func (v *validator) compare() {
	type place struct {
		split int
		name  string
	}
	byName := map[string]int{}
	bySum := map[[sha256.Size]byte]place{}
	shared := map[[2]int]*SharedImages{}
	pair := func(a, b int) *SharedImages {
		key := [2]int{a, b}
		if shared[key] == nil {
			shared[key] = &SharedImages{Splits: [2]string{v.out.Splits[a].Split, v.out.Splits[b].Split}}
		}
		return shared[key]
	}
	for split, list := range v.lists {
		file := listFile(v.dir, v.out.Splits[split].Split)
		for _, name := range list {
			if first, twice := byName[name]; twice {
				pair(first, split).Names++
				v.problem(&textfile.FileError{File: file, Problem: fmt.Sprintf("image %s is of %s too", textfile.Quote(name), v.out.Splits[first].Split),
					Remedy: "remove it from one of the lists"})
				continue
			}
			byName[name] = split
			sum, ok := v.sum[name]
			if !ok {
				continue
			}
			switch first, twice := bySum[sum]; {
			case !twice:
				bySum[sum] = place{split, name}
			case first.split == split:
				v.out.Same++
			default:
				pair(first.split, split).Contents++
				v.problem(&textfile.FileError{File: file, Problem: fmt.Sprintf("picture %s is, byte by byte, %s of %s", textfile.Quote(name), textfile.Quote(first.name), v.out.Splits[first.split].Split),
					Remedy: "remove it from one of the lists"})
			}
		}
	}
	for a := range v.lists {
		for b := range v.lists {
			if s := shared[[2]int{a, b}]; s != nil {
				v.out.Shared = append(v.out.Shared, *s)
			}
		}
	}
}
