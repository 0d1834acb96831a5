package embed

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// moduleFiles are what a module has in its folder.
var moduleFiles = []string{moduleConfig, "model.safetensors", "pytorch_model.bin"}

// CopyRecipe copies into the folder dst of a model what src, of which it was made, says about how vectors are made of texts: the files of
// sentence-transformers but for the encoder's own. A folder that says nothing is left alone.
func CopyRecipe(dst, src string) error {
	modules, err := readModules(filepath.Join(src, ModulesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	files := append(slices.Clone(transformerFiles), promptsFile)
	for _, m := range modules {
		if m.path == "" {
			continue
		}
		for _, name := range moduleFiles {
			files = append(files, filepath.Join(m.path, name))
		}
	}
	for _, name := range append(files, ModulesFile) {
		if err := copyThere(filepath.Join(dst, name), filepath.Join(src, name)); err != nil {
			return fmt.Errorf("copy from model %s: %w", src, err)
		}
	}
	return nil
}

// copyThere copies a file, if there is one.
func copyThere(dst, src string) error {
	f, err := infile.Open(src)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = atomicfile.Mkdir(filepath.Dir(dst))
	}
	if err == nil {
		err = atomicfile.Copy(dst, src)
	}
	return err
}
