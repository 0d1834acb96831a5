package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Free returns how many bytes this process can still write into the folder dir, which need not
// be there yet. known is false where the system does not say.
func Free(dir string) (bytes int64, known bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return 0, false
	}
	for {
		if _, err := os.Stat(dir); err == nil {
			return free(dir)
		} else if parent := filepath.Dir(dir); !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return 0, false
		} else {
			dir = parent
		}
	}
}
