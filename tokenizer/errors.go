package tokenizer

import (
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// ErrNoVocabulary is what the error of [Load] wraps if the folder has no file of a vocabulary, or too
// few to tell of which form.
var ErrNoVocabulary = errors.New("holds no vocabulary")

// FileError says what is wrong with a file. It has the fields File, Line (from 1; 0 where it is the
// file as a whole), Problem, Remedy (what to do) and Err (the cause, or nil). Errors of [Load] hold
// one; that of an absent folder wraps [io/fs.ErrNotExist].
//
//	var at *tokenizer.FileError
//	if errors.As(err, &at) {
//		fmt.Println(at.File, at.Line)
//	}
type FileError = infile.Error

// wrong returns an error about a line of a file, 0 for the file as a whole, with what to do.
func wrong(file string, line int, remedy, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &FileError{File: file, Line: line, Problem: err.Error(), Remedy: remedy, Err: errors.Unwrap(err)}
}
