//go:build mpi && linux

package mpi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// userLaunchers are what a user starts, and launcherDaemons what these start on each host.
var (
	userLaunchers   = []string{"orterun", "prterun", "mpirun", "mpiexec", "mpiexec.hydra"}
	launcherDaemons = []string{"orted", "prted", "prte", "hydra_pmi_proxy", "hydra_bstrap_proxy"}
)

// program is a process of a launcher.
type program struct {
	pid int
	exe string
}

func (p program) of(list []string) bool { return slices.Contains(list, filepath.Base(p.exe)) }

// startedBy returns the programs of the launcher that started this process, maybe through a shell or two, and each other: the nearest first.
func startedBy(proc string) (list []program) {
	for pid := range ancestors(proc) {
		var p program
		p.exe, _ = os.Readlink(filepath.Join(proc, pid, "exe"))
		p.pid, _ = strconv.Atoi(pid)
		if p.of(userLaunchers) || p.of(launcherDaemons) {
			list = append(list, p)
		} else if list != nil {
			break
		}
	}
	return list
}

// Orphaned returns when the launcher's process on this host is gone: nobody hears any more what becomes of this rank, and nobody would end it.
func Orphaned() {
	launcher := os.Getppid() // that of Slurm, say, whose program only its owner sees
	if list := startedBy("/proc"); list != nil {
		launcher = list[0].pid
	}
	if launcher == 0 { // in another namespace of processes
		select {}
	}
	for slices.Contains(slices.Collect(ancestors("/proc")), strconv.Itoa(launcher)) {
		time.Sleep(time.Second)
	}
}

// launcherPatience is how long a launcher has to end by itself once a rank has failed.
const launcherPatience = 10 * time.Second

// EndLauncher has the launcher that the user started on this host ended, if it is still there a while after this process. Where a host or a link is gone,
// Open MPI's waits for the other side until TCP gives up, and MPICH's for ever.
func EndLauncher() {
	list := startedBy("/proc")
	if list == nil || !list[len(list)-1].of(userLaunchers) {
		return
	}
	// The library's connections end with this process.
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if n, err := strconv.Atoi(fd.Name()); err == nil && n > 2 {
			syscall.CloseOnExec(n)
		}
	}
	launcher := list[len(list)-1]
	c := exec.Command("/bin/sh", "-c", `sleep "$1"; for s in TERM TERM KILL; do [ "$(readlink "/proc/$2/exe")" = "$3" ] && kill -$s "$2" || exit; sleep 1; done`,
		"sh", fmt.Sprint(launcherPatience.Seconds()), fmt.Sprint(launcher.pid), launcher.exe)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Start() // without it the launcher is as it was
}
