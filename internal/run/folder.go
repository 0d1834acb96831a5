package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// machine says where a rank is.
type machine struct {
	Host string
	Sees bool // the run's folder
}

// Everywhere returns where this process finds the folder dir in that of the run, which the first process has written. To machines that do not see the
// run's folder the first process sends the files, into a temporary folder that is there until the run ends. All processes call it.
func (e *Env) Everywhere(dir string) (string, error) {
	g := e.group()
	if g.Size() == 1 {
		return dir, nil
	}
	mark, err := "", error(nil)
	if e.leads() {
		mark, err = e.leaveMark()
		defer os.Remove(filepath.Join(e.Out, mark))
	}
	if mark, err = collective.Tell(g, mark, err); err != nil {
		return "", err
	}
	_, unseen := os.Stat(filepath.Join(e.Out, mark))
	host, err := os.Hostname()
	ranks, err := collective.Gather(g, machine{host, unseen == nil}, err)
	if err != nil {
		return "", err
	}
	all := true
	for _, m := range ranks {
		all = all && m.Sees
	}
	if all {
		return dir, nil
	}
	// The first rank of a host that does not see the folder writes what all such ranks of the host read.
	writer := 0
	for ranks[writer].Sees || ranks[writer].Host != host {
		if writer++; writer == len(ranks) {
			break
		}
	}
	copied := ""
	if writer == g.Rank() {
		if copied, err = os.MkdirTemp("", "unimo-run-"); err == nil {
			*e.temporary = append(*e.temporary, copied)
		}
	}
	places, err := collective.Gather(g, copied, e.send(dir, copied, err))
	if err != nil || ranks[g.Rank()].Sees {
		return dir, err
	}
	return places[writer], nil
}

// leaveMark makes a file in the run's folder with a name that is nowhere else, and returns it.
func (e *Env) leaveMark() (string, error) {
	f, err := os.CreateTemp(e.Out, atomicfile.TempMark+"*")
	if err != nil {
		return "", fmt.Errorf("find out who sees the run's folder: %w", err)
	}
	return filepath.Base(f.Name()), f.Close()
}

// entry is a file below a folder.
type entry struct {
	Name string
	Size int64
}

// send gives the files of the first process's folder dir to those that name a folder for them. An error of one does not keep it from its part: the
// others do not know of it yet.
func (e *Env) send(dir, into string, err error) error {
	g := e.group()
	var files []entry
	if e.leads() {
		var walked error
		files, walked = list(dir)
		err = errors.Join(err, walked)
	}
	files, err = collective.Tell(g, files, err)
	if err != nil {
		return err
	}
	buffer := make([]byte, 16<<20)
	for _, file := range files {
		var from, to *os.File
		if e.leads() {
			from, err = infile.Open(filepath.Join(dir, file.Name))
		}
		if into != "" && err == nil {
			path := filepath.Join(into, file.Name)
			if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
				to, err = os.Create(path)
			}
		}
		for left := file.Size; left > 0; {
			piece := buffer[:min(left, int64(len(buffer)))]
			if from != nil && err == nil {
				_, err = io.ReadFull(from, piece)
			}
			if failed := collective.BroadcastPieces(g, piece); failed != nil {
				return failed
			}
			if to != nil && err == nil {
				_, err = to.Write(piece)
			}
			left -= int64(len(piece))
		}
		if to != nil {
			err = errors.Join(err, to.Close())
		}
		if from != nil {
			from.Close()
		}
		if err := e.agree(err); err != nil {
			return fmt.Errorf("give %s to machines that do not see it (into the folder for temporary files, TMPDIR): %w", dir, err)
		}
	}
	return nil
}

// list returns the files below a folder; one that is not there has none.
func list(dir string) (files []entry, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, entry{name, info.Size()})
		return err
	})
	return files, err
}
