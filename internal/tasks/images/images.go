// Package images is what kinds of task with pictures share: where their images come from, the
// settings about that, captions as tokens, and recall.
//
//	images.go    images of a data set: pictures that are cut up, or region features
//	settings.go  what can be set about them
//	eyes.go      trained networks that see the pictures: theirs, the model's, and what they computed once
//	control.go   other pictures, or none, to see what a model takes from them
//	reader.go    pictures as a finished model sees them
//	captioned.go what is in files of pictures with captions
//	gallery.go   what of many answers a page shows
//	fit.go       a checkpoint for regions of another size
//	recall.go    captions as tokens; recall as metrics
package images

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

// Options say where the images of a task come from.
type Options struct {
	Features   string         // region features, file or folder; "" reads the data's pictures
	Order      string         // of width and height in lines of features: width, height, or "" to go by the boxes
	MaxRegions int            // of an image of features; 0: 100
	Classes    bool           // read the probabilities of classes that lines of features have
	SkipBad    bool           // leave out images that cannot be read, with a count; else they are an error
	Pictures   string         // "" as they are, Shuffled or Hidden
	Seed       uint64         // of Shuffled
	Within     regions.Source // the images that the data bring with them; nil: they have none
	Model      Trained        // the model that reads the images
	Log        *slog.Logger
	Limit      parallel.Limit // of the threads that read pictures
}

// List is the images that a split needs.
type List struct {
	Split string
	File  string   // that names them
	Dir   string   // of the pictures
	Names []string // each once
	Line  func(i int) int
}

// Open opens the images of sets, region features or pictures that x cuts up, and returns
// with them the sets less what SkipBad left out. The spec is nil for features from elsewhere.
func Open(o Options, x func() (regions.Extractor, error), l picture.Limits, cache int64, sets ...*captions.Set) (regions.Source, *regions.Spec, []*captions.Set, error) {
	lists := make([]List, len(sets))
	for i, set := range sets {
		lists[i] = List{
			Split: set.Name, File: filepath.Join(set.Dir, set.Name+".txt"), Dir: captions.ImageDir(set.Dir), Names: set.Images, Line: func(i int) int { return i + 1 },
		}
	}
	source, spec, bad, err := OpenLists(o, x, l, cache, lists...)
	if err != nil {
		return nil, nil, nil, err
	}
	kept := make([]*captions.Set, len(sets))
	for i, set := range sets {
		kept[i] = without(set, bad[i])
	}
	return source, spec, kept, nil
}

// OpenLists is Open for lists of images. bad are the names in each list of those that SkipBad leaves out.
func OpenLists(o Options, x func() (regions.Extractor, error), l picture.Limits, cache int64, lists ...List) (source regions.Source, spec *regions.Spec, bad []map[string]bool, err error) {
	if source, spec, err = o.source(x, l, cache, lists); err != nil {
		return nil, nil, nil, err
	}
	left := make([]List, len(lists))
	for i, list := range lists {
		names, err := o.check(source, list)
		if err != nil {
			source.Close()
			return nil, nil, nil, err
		}
		bad, left[i] = append(bad, names), list
		left[i].Names = slices.DeleteFunc(slices.Clone(list.Names), func(name string) bool { return names[name] })
	}
	if source, err = o.control(source, left); err != nil {
		return nil, nil, nil, err
	}
	return source, spec, bad, nil
}

func (o Options) source(open func() (regions.Extractor, error), l picture.Limits, cache int64, lists []List) (regions.Source, *regions.Spec, error) {
	if o.Within != nil && o.Features != "" {
		return nil, nil, fmt.Errorf("%s has the features of its images in it; leave out the others, %s", lists[0].File, o.Features)
	}
	if o.Within != nil {
		return o.Within, nil, nil
	}
	if o.Features != "" {
		source, info, err := regions.Open(o.Features, regions.Options{SkipBad: o.SkipBad, Order: o.Order, MaxRegions: o.MaxRegions, Classes: o.Classes})
		if err != nil {
			return nil, nil, err
		}
		about := fmt.Sprintf("region features of %d images, %d values each (%s)", info.Images, info.Dim, info.Format)
		if info.Bad > 0 {
			about += fmt.Sprintf("; %d images were left out", info.Bad)
		}
		if info.Order != "" {
			about += fmt.Sprintf("; %s comes first (%s)", info.Order, info.Evidence)
		}
		o.Log.Info(about)
		if err := o.Model.Check(o.Features, source.Dim(), info.Extractor); err != nil {
			source.Close()
			return nil, nil, err
		}
		return source, info.Extractor, nil
	}
	x, err := open()
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, list := range lists {
		names = append(names, list.Names...)
	}
	extractor.Tell(o.Log, x)
	spec := x.Spec()
	if err := o.Model.Check(lists[0].Dir, x.Dim(), &spec); err != nil {
		return nil, nil, err
	}
	return regions.NewPictures(lists[0].Dir, names, x, l, cache), &spec, nil
}

// check returns the images of a list that the source cannot give. Without SkipBad one
// without features, or without a file, is an error; whether pictures can be read shows when they are.
func (o Options) check(source regions.Source, list List) (map[string]bool, error) {
	problems, err := o.problems(source, list)
	if err != nil || len(problems) == 0 {
		return nil, err
	}
	bad := map[string]bool{}
	for i, problem := range problems {
		o.Log.Debug(fmt.Sprintf("left out: %v", problem))
		bad[list.Names[i]] = true
	}
	o.Log.Warn(fmt.Sprintf("%d of %d images of %s were left out: they cannot be read or have no features (--verbose names them)", len(bad), len(list.Names), list.Split))
	if len(bad) == len(list.Names) {
		return nil, fmt.Errorf("%s: no image of %s can be read; give the right folder of pictures or file of features (--verbose says what is wrong with each image)", list.File, list.Split)
	}
	return bad, nil
}

// problems says what is wrong with which images of a list; without SkipBad the first is an error.
func (o Options) problems(source regions.Source, list List) (map[int]error, error) {
	problems := map[int]error{}
	note := func(i int, err error) error {
		if !o.SkipBad {
			return err
		}
		problems[i] = err
		return nil
	}
	if o.Features != "" || o.Within != nil {
		have := map[string]bool{}
		for _, id := range source.IDs() {
			have[picture.Key(id)] = true
		}
		for i, name := range list.Names {
			key := picture.Key(name)
			if have[key] || have[strings.TrimSuffix(key, filepath.Ext(key))] {
				continue
			}
			err := fmt.Errorf("%s: line %d: %q has no features in %s; extract them, remove it from the list, or leave such images out with skip_bad (--skip-bad)", list.File, list.Line(i), name, o.Features)
			if err := note(i, err); err != nil {
				return nil, err
			}
		}
		return problems, nil
	}
	if o.SkipBad {
		check := func(name string) error { return source.Image(name, new(regions.Image)) }
		if pictures, ok := source.(*regions.Pictures); ok {
			check = pictures.Check
		}
		found := make([]error, len(list.Names))
		o.Limit.For(len(found), func(i int) { found[i] = check(list.Names[i]) })
		for i, err := range found {
			if err != nil {
				problems[i] = err
			}
		}
		return problems, nil
	}
	for i, name := range list.Names {
		file, err := picture.Find(list.Dir, name)
		if err == nil {
			_, err = os.Stat(file)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = &textfile.FileError{File: list.File, Line: list.Line(i), Problem: fmt.Sprintf("there is no picture %s in %s", textfile.Quote(name), list.Dir),
				Remedy: "put it there, name its folder where the task has images_dir, or leave such images out with skip_bad (--skip-bad)", Err: err}
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// without returns a set less the images of some names.
func without(set *captions.Set, bad map[string]bool) *captions.Set {
	if len(bad) == 0 {
		return set
	}
	kept := &captions.Set{Name: set.Name, Dir: set.Dir}
	place := make([]int, len(set.Images))
	for i, name := range set.Images {
		if !bad[name] {
			place[i] = len(kept.Images)
			kept.Images = append(kept.Images, name)
		}
	}
	for _, c := range set.Captions {
		if !bad[set.Images[c.Image]] {
			c.Image = place[c.Image]
			kept.Captions = append(kept.Captions, c)
		}
	}
	return kept
}

// Digest returns a digest over captions and over what shows that images have changed: see [DigestLists].
func Digest(o Options, sets ...*captions.Set) (string, error) {
	h := sha256.New()
	for _, set := range sets {
		o.digest(h, captions.ImageDir(set.Dir), set.Images)
		for _, c := range set.Captions {
			fmt.Fprintf(h, "%d %q %v\n", c.Image, c.Text, c.Tokens)
		}
	}
	return o.sum(h)
}

// DigestLists returns a digest over what shows that images have changed: the content of pictures, or the names and
// sizes of the files of features, of which there is too much to read.
func DigestLists(o Options, lists ...List) (string, error) {
	h := sha256.New()
	for _, list := range lists {
		o.digest(h, list.Dir, list.Names)
	}
	return o.sum(h)
}

func (o Options) digest(h io.Writer, dir string, names []string) {
	sums := make([][sha256.Size]byte, len(names))
	if o.Features == "" && o.Within == nil {
		o.Limit.For(len(sums), func(i int) {
			file, err := picture.Find(dir, names[i])
			if err != nil {
				return // which is said when it is needed
			}
			if raw, err := picture.ReadFile(file, picture.Limits{}); err == nil {
				sums[i] = sha256.Sum256(raw)
			}
		})
	}
	for i, name := range names {
		fmt.Fprintf(h, "%q %x\n", name, sums[i])
	}
}

func (o Options) sum(h hash.Hash) (string, error) {
	if w, ok := o.Within.(interface{ Digest() string }); ok {
		fmt.Fprintln(h, w.Digest())
	}
	if o.Features != "" {
		err := filepath.Walk(o.Features, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() {
				fmt.Fprintf(h, "%q %d\n", filepath.Base(path), info.Size())
			}
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read features: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
