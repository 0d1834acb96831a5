// Package extractor makes extractors of regions from the picture encoders that people have, and keeps them in folders.
//
//	Open    what --extractor names: patches, statistics, or the file or folder of a trained network
//	In      the extractor that a folder has: a store of features, a model
//	Encoder a trained network as a regions.Extractor
//
// A folder has two files of a trained network: image_processor.json, which says what it is (regions.Spec), and
// image_encoder.safetensors, the tensors under their library's names. Each feature store and each model has both, so
// that nothing else is needed to give it pictures.
package extractor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// untrained are the names of the extractors without a network.
var untrained = []string{regions.Patches, regions.Statistics}

// Untrained says whether a name is that of an extractor without a network.
func Untrained(name string) bool { return slices.Contains(untrained, name) }

// configFile is a library's configuration beside the weights.
const configFile = "config.json"

// maxConfig bounds config.json: some name 21,000 classes.
const maxConfig = 4 << 20

// maxGraph bounds a model.json of TensorFlow.js, which has all of its operations.
const maxGraph = 64 << 20

// Open makes the extractor that s.Extractor names: regions.Patches or regions.Statistics, of the sizes in s, or a
// trained network, which has its own: a file or folder of a library, or a folder that [In] opens.
func Open(s regions.Spec) (regions.Extractor, error) {
	path := s.Extractor
	_, err := os.Stat(path)
	switch {
	case Untrained(path):
		x, err := regions.NewExtractor(s)
		if err != nil {
			err = useError{err}
		}
		return x, err
	case err != nil && !strings.ContainsAny(path, `/\.`): // a name rather than a path
		return nil, useError{fmt.Errorf("%w, or the file or folder of a trained network", names.Unknown("extractor", path, untrained))}
	case s.ImageSize != 0 || s.PatchSize != 0 || s.Grid != 0:
		return nil, useError{fmt.Errorf("%s: image size, patch size and grid are those of patches and statistics; a trained network has its own; leave them out", path)}
	}
	if filepath.Base(path) == regions.WeightsFile {
		path = filepath.Dir(path)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if x, err := In(path); !errors.Is(err, fs.ErrNotExist) {
			return x, err
		}
	}
	return openLibrary(path)
}

// useError is an error about what [Open] was given.
type useError struct{ error }

func (e useError) Unwrap() error { return e.error }

// WrongUse says whether an error of [Open] is about what it was given, a name or sizes, rather than about a file that it
// read.
func WrongUse(err error) bool { return errors.As(err, new(useError)) }

// Tell warns, once, of what people should know of an extractor: what was taken that no file says, and what of a file is not
// read.
func Tell(log *slog.Logger, x regions.Extractor) {
	if l, ok := x.(*Learning); ok {
		x = l.Encoder
	}
	if e, ok := x.(*Encoder); ok && e.told.CompareAndSwap(false, true) {
		for _, note := range e.notes {
			log.Warn(note)
		}
	}
}

// In opens the extractor that a folder has: of a feature store or a model. If it has none, the error wraps
// fs.ErrNotExist.
func In(dir string) (regions.Extractor, error) {
	spec, err := regions.ReadSpec(dir)
	if err != nil {
		return nil, err
	}
	return Of(spec)
}

// Of opens the extractor of a spec that a folder has.
func Of(spec regions.Spec) (regions.Extractor, error) {
	if !spec.Trained() {
		return regions.NewExtractor(spec)
	}
	return openSaved(spec)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// openLibrary opens a network as its library keeps it.
func openLibrary(path string) (_ *Encoder, err error) {
	dir := path
	if isFile(path) {
		dir = filepath.Dir(path)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("extractor: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	config, err := configOf(dir, r)
	if err != nil {
		return nil, err
	}
	m := made{path: path}
	for _, f := range families {
		if !f.recognised(config, r) {
			continue
		}
		if err := m.open(f, config, r); err != nil {
			return nil, err
		}
		p, source, err := preprocess.Find(dir, m.info.Preprocessing, m.info.Side)
		if err != nil {
			return nil, fmt.Errorf("extractor %s: %w", path, err)
		}
		e, err := m.encoder(p, cmp.Or(source, path), r)
		if err != nil {
			return nil, err
		}
		if n := len(m.info.Unread); n > 0 {
			e.notes = append(e.notes, fmt.Sprintf("%s: %d tensors are not read, as %s: config.json says that it is %s", path, n, m.info.Unread[0], m.info.Architecture))
		}
		if source == "" {
			e.notes = append(e.notes, fmt.Sprintf("%s: no preprocessor_config.json says how pictures are prepared for it; taken is what is usual for %s: %s; if it was trained otherwise, write one beside it",
				path, m.info.Architecture, p))
		}
		return e, nil
	}
	return nil, &checkpoint.FileError{File: path, Problem: "holds " + describe(config, r) + ", which is no picture encoder that is known", Remedy: "supported are " + supported() + " (docs/reference/features.md lists them)"}
}

// configOf returns the configuration of a model in dir; nil if there is none.
func configOf(dir string, r checkpoint.Reader) ([]byte, error) {
	if r.Format() == checkpoint.FormatTensorFlowJS { // the file that names the weights says what is computed with them, too
		return infile.Read(r.Path(), maxGraph)
	}
	config, err := infile.Read(filepath.Join(dir, configFile), maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return config, err
}

// openSaved opens a network that [Encoder.Save] wrote.
func openSaved(spec regions.Spec) (_ *Encoder, err error) {
	if spec.Weights == "" {
		return nil, fmt.Errorf("the network %s is not there: only what it computed is; name its file or folder with --extractor", spec)
	}
	path := spec.Weights
	beside := filepath.Join(filepath.Dir(path), regions.SpecFile)
	r, err := checkpoint.OpenSafetensors(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s names the network %s, but %s is not beside it; copy it from where the folder comes from, or name the network's own file or folder with --extractor", beside, spec, regions.WeightsFile)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var p preprocess.Config
	if err := infile.DecodeJSON(beside, spec.Preprocessing, &p); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("%s: preprocessing: %w", beside, err)
	}
	for _, f := range families {
		if f.name != spec.Extractor {
			continue
		}
		var config []byte
		if text := r.Metadata()[metadataConfig]; text != "" {
			config = []byte(text)
		}
		m := made{path: path}
		if err := m.open(f, config, r); err != nil {
			return nil, err
		}
		e, err := m.encoder(p, beside, r)
		if err != nil {
			return nil, err
		}
		if !e.spec.Equal(spec) {
			return nil, fmt.Errorf("%s and %s do not belong together: fingerprint %.12s in the first, %.12s of the second; copy both from where the folder comes from", beside, path, spec.Fingerprint, e.spec.Fingerprint)
		}
		e.spec.Weights = path
		return e, nil
	}
	var known []string
	for _, f := range families {
		known = append(known, f.name)
	}
	return nil, fmt.Errorf("%s: %w", beside, names.Unknown("family of networks", spec.Extractor, known))
}
