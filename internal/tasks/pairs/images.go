package pairs

import (
	"path/filepath"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Images are the pictures of the examples of a file.
type Images struct {
	Split, File string
	Dir         string                               // of the pictures
	Count       int                                  // of examples
	Of          func(i int) (image string, line int) // of an example
}

// List names each image once.
func List(s Images) images.List {
	l := images.List{Split: s.Split, File: s.File, Dir: s.Dir}
	seen := map[string]bool{}
	var lines []int
	for i := range s.Count {
		if name, line := s.Of(i); !seen[name] {
			seen[name] = true
			l.Names, lines = append(l.Names, name), append(lines, line)
		}
	}
	l.Line = func(i int) int { return lines[i] }
	return l
}

// Open opens the pictures of files, as [images.Open] does. keep says which examples of a file remain: those whose
// picture is not left out.
func Open(o images.Options, x func() (regions.Extractor, error), l picture.Limits, cache int64, files ...Images) (source regions.Source, spec *regions.Spec, keep []func(i int) bool, err error) {
	lists := make([]images.List, len(files))
	for i, f := range files {
		lists[i] = List(f)
	}
	source, spec, bad, err := images.OpenLists(o, x, l, cache, lists...)
	if err != nil {
		return nil, nil, nil, err
	}
	for k, f := range files {
		keep = append(keep, func(i int) bool {
			name, _ := f.Of(i)
			return !bad[k][name]
		})
	}
	return source, spec, keep, nil
}

// Keep returns the examples of a list that remain.
func Keep[T any](list []T, keep func(i int) bool) []T {
	var kept []T
	for i, x := range list {
		if keep(i) {
			kept = append(kept, x)
		}
	}
	return kept
}

// Digest returns a digest over what shows that pictures have changed.
func Digest(o images.Options, files ...Images) (string, error) {
	lists := make([]images.List, len(files))
	for i, f := range files {
		lists[i] = List(f)
	}
	return images.DigestLists(o, lists...)
}

// Shared counts the images of a file that another has too.
func Shared(a, b Images) (shared, of int) {
	seen := map[string]bool{}
	for _, name := range List(a).Names {
		seen[picture.Key(name)] = true
	}
	names := List(b).Names
	for _, name := range names {
		if seen[picture.Key(name)] {
			shared++
		}
	}
	return shared, len(names)
}

// Folder says where the pictures of examples are. Settings of kinds, and of their evaluation, embed it.
type Folder struct {
	ImagesDir string `json:"images_dir" help:"folder of the pictures (default: images beside the file of examples)" run:"path"`
}

// Of returns the folder of the pictures that a file of examples names.
func (f Folder) Of(file string) string {
	if f.ImagesDir != "" {
		return f.ImagesDir
	}
	return captions.ImageDir(filepath.Dir(file))
}
