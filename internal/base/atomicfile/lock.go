package atomicfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// LockName is the file that says who owns a folder. It is there while the folder is
// owned, and may stay when its owner was killed; that does not keep anybody out.
const LockName = ".unimo-lock"

// Lock is a folder that belongs to this process until Release, or until the process
// ends in whatever way: the kernel holds it, not the file's existence.
type Lock struct {
	f    *os.File
	path string
}

// Holder is the process that owns a folder.
type Holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// LockedError says that a folder belongs to another process.
type LockedError struct {
	Dir    string
	Holder Holder // zero if it is not known
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.Holder.PID != 0 {
		who = fmt.Sprintf("process %d on %q since %s", e.Holder.PID, e.Holder.Host, e.Holder.Since.Local().Format("2006-01-02 15:04:05"))
	}
	return fmt.Sprintf("folder %s is being written by %s; wait for it, end it, or choose another folder", e.Dir, who)
}

// errHeld is what tryLock returns where another holds the lock.
var errHeld = errors.New("locked by another process")

// Own makes the folder dir where there is none, takes it for this process, and removes
// the files and folders that killed writers left in it and in the folders inside that
// are named, as far as these exist. If another process owns it, the error is a
// [*LockedError]. Every command that changes a folder in place owns it meanwhile.
//
// Where the system or the file system has no locks, every process gets the folder.
func Own(dir string, inside ...string) (*Lock, error) {
	if err := Mkdir(dir); err != nil {
		return nil, err
	}
	l, err := lock(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range append([]string{""}, inside...) {
		if err := Clean(filepath.Join(dir, d)); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.Release()
			return nil, err
		}
	}
	return l, nil
}

func lock(dir string) (*Lock, error) {
	path := filepath.Join(dir, LockName)
	for {
		if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("lock %s: it is no ordinary file; remove it", path)
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("lock folder %s: %w", dir, writing(err))
		}
		err = tryLock(f)
		if errors.Is(err, errors.ErrUnsupported) {
			f.Close()
			os.Remove(path)
			return &Lock{}, nil
		}
		if errors.Is(err, errHeld) {
			defer f.Close()
			return nil, &LockedError{dir, readHolder(f)}
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock folder %s: %w", dir, err)
		}
		// Its owner may have removed the file between our opening it and locking it: what we
		// hold then is nobody's lock any more.
		if now, err := os.Lstat(path); err == nil {
			if mine, err := f.Stat(); err == nil && os.SameFile(now, mine) {
				l := &Lock{f, path}
				return l, l.sign()
			}
		}
		f.Close()
	}
}

// sign notes the owner, for the message of those who come later.
func (l *Lock) sign() error {
	host, _ := os.Hostname()
	raw, err := json.Marshal(Holder{os.Getpid(), host, time.Now().UTC().Truncate(time.Second)})
	if err == nil {
		err = l.f.Truncate(0)
	}
	if err == nil {
		_, err = l.f.WriteAt(append(raw, '\n'), 0)
	}
	if err != nil {
		l.Release()
		return fmt.Errorf("lock %s: %w", l.path, err)
	}
	return nil
}

func readHolder(f *os.File) Holder {
	var h Holder
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, 4<<10))
	if err != nil || json.Unmarshal(raw, &h) != nil {
		return Holder{} // it has not signed yet
	}
	return h
}

// Release gives the folder back. A nil lock has nothing to give back.
func (l *Lock) Release() error {
	if l == nil || l.f == nil {
		return nil
	}
	os.Remove(l.path) // while it is held; Windows does not allow that, and needs not
	err := l.f.Close()
	l.f = nil
	return err
}

// Held says whether a process owns the folder dir. Where the system has no locks it is not known, and taken so.
func Held(dir string) bool {
	f, err := os.Open(filepath.Join(dir, LockName))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	defer f.Close() // and with it the lock
	return tryLock(f) != nil
}
