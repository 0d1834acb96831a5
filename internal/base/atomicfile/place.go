package atomicfile

import (
	"errors"
	"io/fs"
	"syscall"
)

// placeError is that something cannot be written where it was to be, with what to do about it.
type placeError struct {
	err    error
	remedy string
}

func (e *placeError) Error() string { return e.err.Error() + "; " + e.remedy }
func (e *placeError) Unwrap() error { return e.err }

// causes are what keeps a process from writing into a place, whatever it writes, and what to do.
var causes = []struct {
	cause  error
	remedy string
}{
	{syscall.ENOSPC, "free some space there, or choose another place"},
	{errQuota, "free some space there, or choose another place"},
	{syscall.EROFS, "choose another place, or have this one mounted for writing"},
}

// Explain says what to do about an error of writing, where its place is at fault: no space, or nothing may be written there at all. What was explained
// already, and other errors, stay as they are.
func Explain(err error) error {
	if err == nil || errors.As(err, new(*placeError)) {
		return err
	}
	for _, c := range causes {
		if errors.Is(err, c.cause) {
			return &placeError{err, c.remedy}
		}
	}
	return err
}

// Place says whether the place is at fault, so that what was to be written can be written elsewhere, or there later.
func Place(err error) bool { return errors.As(Explain(err), new(*placeError)) }

// writing is [Explain] where it is known that something was to be written: permission that is denied is of the place, too.
func writing(err error) error {
	if err = Explain(err); errors.Is(err, fs.ErrPermission) && !errors.As(err, new(*placeError)) {
		return &placeError{err, "choose another place, or change who may write there"}
	}
	return err
}
