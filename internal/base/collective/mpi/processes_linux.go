package mpi

import (
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// ancestors are the processes that started this one, the nearest first.
func ancestors(proc string) iter.Seq[string] {
	return func(yield func(string) bool) {
		pid := "self"
		for range 8 {
			if pid = parent(proc, pid); pid == "" || pid == "0" || !yield(pid) {
				return
			}
		}
	}
}

// parent is the process that started another; "" where that is not known.
func parent(proc, pid string) string {
	stat, err := infile.Read(filepath.Join(proc, pid, "stat"), 1<<16)
	if err != nil {
		return ""
	}
	// "pid (name) state ppid ...", where the name may have anything in it
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return ""
	}
	return fields[1]
}

// FirstRuns says whether the first process that the launcher started on this host is still there.
func FirstRuns(l Launch) bool { return firstRuns("/proc", l.Follows) }

// firstRuns looks for a process whose variable is 0, under the nearest ancestor that does not have the variable: the launcher.
func firstRuns(proc, variable string) bool {
	value := func(pid string) (string, bool) {
		environment, _ := infile.Read(filepath.Join(proc, pid, "environ"), 1<<22) // nothing of a process that has ended, or is another user's
		for pair := range strings.SplitSeq(string(environment), "\x00") {
			if v, ok := strings.CutPrefix(pair, variable+"="); ok {
				return v, true
			}
		}
		return "", false
	}
	for launcher := range ancestors(proc) {
		if _, rank := value(launcher); rank {
			continue // a script between the launcher and this process
		}
		processes, _ := os.ReadDir(proc)
		for _, p := range processes {
			if v, _ := value(p.Name()); v == "0" && parent(proc, p.Name()) == launcher {
				return true
			}
		}
		return false
	}
	return false
}
