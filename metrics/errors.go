package metrics

import "github.com/unimo-go/unimo/internal/base/infile"

// FileError says what is wrong with a file. It has the fields File, Line (from 1; 0 where it is the
// file as a whole), Problem, Remedy (what to do) and Err (the cause, or nil). Every error of
// [OpenWordNet] and [OpenMETEOR] is one; that of an absent file wraps [io/fs.ErrNotExist].
//
//	var at *metrics.FileError
//	if errors.As(err, &at) {
//		fmt.Println(at.File, at.Line)
//	}
type FileError = infile.Error
