package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/infile"
)

// listedEntries bounds how many names of a folder a message shows.
const listedEntries = 20

// Resolve finds the file of a split ("train", "dev", ...). If path is a file, it
// is the answer. If it is a folder, the first of names that exists in it is; a
// name may contain slashes ("m/dev.tsv"). The error lists what was looked for
// and what is there.
func Resolve(path, split string, names []string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &FileError{File: path, Problem: "does not exist",
			Remedy: fmt.Sprintf("name the %s file, or the folder that holds it as %s", split, strings.Join(names, " or ")), Err: err}
	}
	if err != nil {
		return "", &FileError{File: path, Problem: fmt.Sprintf("cannot be looked at: %v", err), Err: err}
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range names {
		candidate := filepath.Join(path, filepath.FromSlash(name))
		if info, err := os.Stat(candidate); err == nil && !info.IsDir() {
			return candidate, nil
		}
	}
	return "", &FileError{File: path,
		Problem: fmt.Sprintf("has no %s file: looked for %s, found %s", split, strings.Join(names, ", "), folderContent(path)),
		Remedy:  "rename the file to one of these names, or name it directly", Err: fs.ErrNotExist}
}

func folderContent(path string) string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err.Error()
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return infile.Hidden(e.Name()) })
	if len(entries) == 0 {
		return "nothing"
	}
	var list []string
	for i, e := range entries {
		if i == listedEntries {
			list = append(list, fmt.Sprintf("and %d more", len(entries)-i))
			break
		}
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}
