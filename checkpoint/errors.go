package checkpoint

import (
	"errors"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// ErrNoTensor is what the error of a [Reader] wraps that is asked for a tensor it does not have.
var ErrNoTensor = errors.New("no such tensor")

// FileError says what is wrong with a checkpoint. It has the fields File, Line (0 here), Problem,
// which names the tensor where it is about one, Remedy (what to do) and Err (the cause, or nil). The
// errors of [Open], [OpenSafetensors] and of a [Reader] are of this type; that of an absent file
// wraps [io/fs.ErrNotExist], that of a closed reader [os.ErrClosed].
//
//	var at *checkpoint.FileError
//	if errors.As(err, &at) {
//		fmt.Println(at.File, at.Problem)
//	}
type FileError = infile.Error

// inFile returns an error about a file, err itself if it names one already.
func inFile(path string, err error) error {
	if errors.As(err, new(*FileError)) {
		return err
	}
	return &FileError{File: path, Problem: err.Error(), Err: err}
}
