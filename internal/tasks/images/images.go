// Package images is what kinds of task with pictures share: where their images come from, the
// settings about that, captions as tokens, and recall.
//
//	images.go    images of a data set: pictures that are cut up, or region features
//	settings.go  what can be set about them
//	reader.go    pictures as a finished model sees them
//	fit.go       a checkpoint for regions of another size
//	recall.go    captions as tokens; recall as metrics
package images

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Options say where the images of a task come from.
type Options struct {
	Features   string // region features, file or folder; "" reads the data's pictures
	Order      string // of width and height in lines of features: width, height, or "" to go by the boxes
	MaxRegions int    // of an image of features; 0: 100
	SkipBad    bool   // leave out images that cannot be read, with a count; else they are an error
	Log        *slog.Logger
	Limit      parallel.Limit // of the threads that read pictures
}

// Open opens the images of sets, region features or pictures that x cuts up, and returns
// with them the sets less what SkipBad left out. The spec is nil for features from elsewhere.
func Open(o Options, x func() (regions.Extractor, error), l picture.Limits, cache int64, sets ...*captions.Set) (regions.Source, *regions.Spec, []*captions.Set, error) {
	source, spec, err := o.source(x, l, cache, sets)
	if err != nil {
		return nil, nil, nil, err
	}
	kept := make([]*captions.Set, len(sets))
	for i, set := range sets {
		if kept[i], err = o.check(source, set); err != nil {
			source.Close()
			return nil, nil, nil, err
		}
	}
	return source, spec, kept, nil
}

func (o Options) source(x func() (regions.Extractor, error), l picture.Limits, cache int64, sets []*captions.Set) (regions.Source, *regions.Spec, error) {
	if o.Features != "" {
		source, info, err := regions.Open(o.Features, regions.Options{SkipBad: o.SkipBad, Order: o.Order, MaxRegions: o.MaxRegions})
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
		return source, info.Extractor, nil
	}
	extractor, err := x()
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, set := range sets {
		names = append(names, set.Images...)
	}
	spec := extractor.Spec()
	return regions.NewPictures(captions.ImageDir(sets[0].Dir), names, extractor, l, cache), &spec, nil
}

// check returns the set less the images that the source cannot give. Without SkipBad one
// without features is an error; whether pictures can be read shows when they are.
func (o Options) check(source regions.Source, set *captions.Set) (*captions.Set, error) {
	problems := map[int]error{}
	switch {
	case o.Features != "":
		have := map[string]bool{}
		for _, id := range source.IDs() {
			have[picture.Key(id)] = true
		}
		for i, name := range set.Images {
			if key := picture.Key(name); !have[key] && !have[strings.TrimSuffix(key, filepath.Ext(key))] {
				problems[i] = fmt.Errorf("%s: line %d: %q has no features in %s; extract them, remove it from the list, or leave such images out with skip_bad (--skip-bad)",
					filepath.Join(set.Dir, set.Name+".txt"), i+1, name, o.Features)
			}
		}
	case o.SkipBad:
		i := 0
		for _, err := range regions.Read(source, set.Images) {
			if err != nil {
				problems[i] = err
			}
			i++
		}
	}
	if len(problems) == 0 {
		return set, nil
	}
	kept := &captions.Set{Name: set.Name, Dir: set.Dir}
	place := make([]int, len(set.Images))
	for i, name := range set.Images {
		problem, bad := problems[i]
		switch {
		case bad && !o.SkipBad:
			return nil, problem
		case bad:
			o.Log.Debug(fmt.Sprintf("left out: %v", problem))
			continue
		}
		place[i] = len(kept.Images)
		kept.Images = append(kept.Images, name)
	}
	for _, c := range set.Captions {
		if _, bad := problems[c.Image]; !bad {
			c.Image = place[c.Image]
			kept.Captions = append(kept.Captions, c)
		}
	}
	o.Log.Warn(fmt.Sprintf("%d of %d images of %s were left out: they cannot be read or have no features (--verbose names them)", len(problems), len(set.Images), set.Name))
	if len(kept.Images) == 0 {
		return nil, fmt.Errorf("%s: no image of %s can be read", set.Dir, set.Name)
	}
	return kept, nil
}

// Digest returns a digest over captions and over what shows that images have changed: the
// content of pictures, or the names and sizes of the files of features, of which there is too much
// to read.
func Digest(o Options, sets ...*captions.Set) (string, error) {
	h := sha256.New()
	for _, set := range sets {
		sums := make([][sha256.Size]byte, len(set.Images))
		if o.Features == "" {
			o.Limit.For(len(sums), func(i int) {
				file, err := picture.Find(captions.ImageDir(set.Dir), set.Images[i])
				if err != nil {
					return // which is said when it is needed
				}
				if raw, err := picture.ReadFile(file, picture.Limits{}); err == nil {
					sums[i] = sha256.Sum256(raw)
				}
			})
		}
		for i, name := range set.Images {
			fmt.Fprintf(h, "%q %x\n", name, sums[i])
		}
		for _, c := range set.Captions {
			fmt.Fprintf(h, "%d %q %v\n", c.Image, c.Text, c.Tokens)
		}
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
