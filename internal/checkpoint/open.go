package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
)

// singleFile is the name of an unsharded checkpoint in a model's folder.
const singleFile = "model.safetensors"

// Open opens the checkpoint at path, a file or a folder, and recognises its
// format by content; the name only serves error messages.
func Open(path string) (Reader, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return OpenSafetensors(filepath.Join(path, singleFile))
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is neither a file nor a folder", path)
	}
	return OpenSafetensors(path)
}
