package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"
)

// Where a place is at fault it is said what to do, once, and where nothing else than writing can be meant for permissions, too.
func TestExplain(t *testing.T) {
	const space, mounted, rights = "; free some space there, or choose another place", "; choose another place, or have this one mounted for writing", "; choose another place, or change who may write there"
	for _, c := range []struct {
		cause           error
		always, writing string
	}{
		{syscall.ENOSPC, space, space},
		{errQuota, space, space},
		{syscall.EROFS, mounted, mounted},
		{fs.ErrPermission, "", rights},
		{fs.ErrNotExist, "", ""},
		{io.ErrUnexpectedEOF, "", ""},
	} {
		err := fmt.Errorf("write out/a: %w", &fs.PathError{Op: "open", Path: "out/.tmp", Err: c.cause})
		for _, twice := range []bool{false, true} {
			always, write := Explain(err), writing(err)
			if twice {
				always, write = Explain(fmt.Errorf("%w", always)), writing(fmt.Errorf("%w", write))
			}
			if always.Error() != err.Error()+c.always || write.Error() != err.Error()+c.writing || !errors.Is(always, c.cause) || !errors.Is(write, c.cause) {
				t.Errorf("%v: %v, when writing %v", err, always, write)
			}
			if Place(always) != (c.always != "") || Place(write) != (c.writing != "") || Place(err) != (c.always != "") {
				t.Errorf("%v: the place is at fault: %v", err, Place(err))
			}
		}
	}
	if Explain(nil) != nil || writing(nil) != nil || Place(nil) {
		t.Error("of no error")
	}
}

// What content meets is explained, whatever it wrote into.
func TestWriteWithoutSpace(t *testing.T) {
	dir := t.TempDir()
	full := &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	for _, err := range []error{
		Write(dir+"/f", func(io.Writer) error { return full }),
		WriteDir(dir+"/d", func(string) error { return full }),
	} {
		if !errors.Is(err, full) || !Place(err) {
			t.Error(err)
		}
	}
	assertEntries(t, dir)
}
