package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// checkPredictions refuses a folder that holds anything but the files that will be written: it
// could be that of the data.
func checkPredictions(kind Evaluator, dir string, files []File) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("folder of predictions: %w", err)
	}
	var own []string
	for _, f := range files {
		own = append(own, kind.PredictionFiles(f.Split)...)
	}
	there := 0
	for _, e := range entries {
		switch {
		case infile.Hidden(e.Name()):
		case e.Type().IsRegular() && slices.Contains(own, e.Name()):
			there++
		default:
			return fmt.Errorf("%s holds %s; name a new folder for the predictions, or an empty one", dir, e.Name())
		}
	}
	if there > 0 && there < len(own) {
		return fmt.Errorf("%s holds files that may be others' (%s are not all there); name a new folder for the predictions, or an empty one", dir, own)
	}
	return nil
}

// WriteLines writes n lines of JSON to a file in dir, which is made if need be.
func WriteLines(dir, name string, n int, line func(i int) any) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		for i := range n {
			if err := enc.Encode(line(i)); err != nil {
				return err
			}
		}
		return nil
	})
}
