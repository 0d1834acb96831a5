package textfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// listedEntries bounds how many names of a folder a message shows.
const listedEntries = 20

// Endings are those of files of labelled texts, in the order in which they are looked for.
var Endings = []string{".tsv", ".csv", ".jsonl", ".json", ".ndjson", ".txt"}

// Resolve finds the file of a split ("train", "dev", ...). If path is a file, it
// is the answer. If it is a folder, the first of names that exists in it is, with one of Endings
// where it has none; a name may contain slashes ("m/dev"). The error lists what was looked for
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
		endings := Endings
		if slices.Contains(Endings, filepath.Ext(name)) {
			endings = []string{""}
		}
		for _, ending := range endings {
			candidate := filepath.Join(path, filepath.FromSlash(name)+ending)
			if info, err := os.Stat(candidate); err == nil && !info.IsDir() {
				return candidate, nil
			}
		}
	}
	problem := fmt.Sprintf("has no %s file: looked for %s, found %s", split, strings.Join(names, ", "), folderContent(path))
	remedy := fmt.Sprintf("give the %s file one of these names and keep its ending (known are %s), or name it directly", split, strings.Join(Endings, " "))
	if strings.Contains(strings.ToLower(problem), ".parquet") {
		remedy = "save it as JSON lines, as Parquet is not read; with Python: pandas.read_parquet(FILE).to_json('" + names[0] + ".jsonl', orient='records', lines=True)"
	}
	return "", &FileError{File: path, Problem: problem, Remedy: remedy, Err: fs.ErrNotExist}
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
