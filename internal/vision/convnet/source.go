package convnet

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
)

// source is a file of weights: its tensors by the names that the library gives them.
type source struct {
	r      checkpoint.Reader
	prefix string           // what the file puts before each name
	shapes map[string][]int // by name, without the prefix
}

// prefixes are what files put before a library's names: models inside of others, and training's wrappers.
var prefixes = []string{
	"", "resnet.", "efficientnet.", "mobilenet_v2.", "timm_model.", "module.", "model.", "state_dict.", "state_dict.module.",
	"state_dict.model.", "model_state_dict.", "model.module.", "backbone.", "net.",
}

// sourceOf returns the file as a source, if it has the tensor behind one of the prefixes.
func sourceOf(r checkpoint.Reader, infos []checkpoint.Info, tensor string) (*source, bool) {
	names := make(map[string]bool, len(infos))
	for _, info := range infos {
		names[info.Name] = true
	}
	for _, prefix := range prefixes {
		if !names[prefix+tensor] {
			continue
		}
		s := &source{r: r, prefix: prefix, shapes: map[string][]int{}}
		for _, info := range infos {
			if name, ok := strings.CutPrefix(info.Name, prefix); ok {
				s.shapes[name] = info.Shape
			}
		}
		return s, true
	}
	return nil, false
}

func (s *source) has(name string) bool { return s.shapes[name] != nil }

// size returns the rows of a kernel; 0 if it is none.
func (s *source) size(kernel string) int {
	if shape := s.shapes[kernel]; len(shape) == 4 {
		return shape[2]
	}
	return 0
}

// out returns the channels that a kernel makes; 0 if it is none.
func (s *source) out(kernel string) int {
	if shape := s.shapes[kernel]; len(shape) == 4 {
		return shape[0]
	}
	return 0
}

// in returns the channels that a kernel reads; nil if it is none.
func (s *source) in(kernel string) *int {
	if shape := s.shapes[kernel]; len(shape) == 4 {
		return &shape[1]
	}
	return nil
}

// numbered returns how many numbers, from first on without a gap, stand in names behind start and before a dot.
func (s *source) numbered(start string, first int) (int, error) {
	found := map[int]string{}
	for name := range s.shapes {
		rest, ok := strings.CutPrefix(name, start)
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(number); err == nil && n >= first {
			found[n] = max(found[n], name)
		}
	}
	for i, n := range slices.Sorted(maps.Keys(found)) {
		if n != first+i {
			return 0, s.problem(fmt.Sprintf("has tensor %q, but none whose name begins with %q", s.prefix+found[n], s.prefix+start+strconv.Itoa(first+i)+"."), "")
		}
	}
	return len(found), nil
}

// problem returns an error about the file.
func (s *source) problem(problem, remedy string) error {
	return &checkpoint.FileError{File: s.r.Path(), Problem: problem, Remedy: remedy}
}
