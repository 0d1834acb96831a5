package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/collective/mpi"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/settings"
)

// member is what a process of several that train together has, besides what every command has. All run the same command; the first one
// speaks for them.
type member struct {
	launch mpi.Launch
	one    bool       // of several, as far as this program cares
	group  *mpi.Group // nil: not joined
	left   bool       // the group
	apart  bool       // it does not join: it cannot, or no rank does
}

// silent says whether another rank says what all have to say.
func (m *member) silent() bool { return m.one && m.launch.Rank > 0 }

// sharesAnnotation is on commands that share their work among ranks, and on those that only say something: the first rank says it.
const sharesAnnotation = "ranks"

// isRank makes the process one of several: results and progress are the first one's, in plain lines, since a rank's standard output may be a terminal
// that nobody sees.
func (a *app) isRank() {
	a.rank.one = true
	a.stdin = strings.NewReader("")
	a.stderr.plain = true
	if a.rank.silent() {
		a.stdout = newOutput(io.Discard)
	}
	a.tell.rank = a.rank.launch.Rank
	signal.Ignore(syscall.SIGPIPE) // of a launcher that is gone: the rank saves
}

// checkRanks refuses a command that a launcher started several times, and that would do the same as often.
func (a *app) checkRanks(c *cobra.Command) error {
	if l := a.rank.launch; a.rank.one && c.HasParent() && c.Annotations[sharesAnnotation] == "" {
		a.rank.apart = true
		return usagef("%s does not share its work, and %s started it %d times; run it without, or once (-n 1)", commandName(c), l.Launcher, l.Size)
	}
	return nil
}

// join joins the group of the processes that were started together, if they were. set are settings as they were given.
func (a *app) join(set []string) (collective.Group, error) {
	if !a.rank.launch.Several() {
		return collective.Alone{}, nil
	}
	a.isRank()
	group, err := a.meet(meeting(set))
	if err != nil {
		return nil, err
	}
	return group, a.greet(group)
}

// usualMeeting is how long ranks may take to find each other. With two MPI libraries they never do.
const usualMeeting = time.Minute

// meeting is how long that may take with these settings, which are not checked yet: mpi_timeout, where it is given.
func meeting(set []string) time.Duration {
	limit := usualMeeting
	for _, s := range set {
		key, value, _ := strings.Cut(s, "=")
		if minutes, err := strconv.ParseFloat(value, 64); settings.Key(key) == "mpi_timeout" && err == nil && minutes >= 0 && minutes < 1e6 {
			limit = time.Duration(minutes * float64(time.Minute))
		}
	}
	return limit
}

// meet joins the group, once.
func (a *app) meet(within time.Duration) (*mpi.Group, error) {
	group, err := mpi.Join(mpi.Options{Launch: a.rank.launch, Library: os.Getenv(mpi.LibraryVariable), Meeting: within, Expired: a.expired})
	a.rank.apart = err != nil
	var use *mpi.UseError
	if errors.As(err, &use) {
		return nil, usageError{err}
	}
	if err != nil {
		return nil, err
	}
	a.rank.group = group
	a.ending.Store(&ranksSave) // from here on ranks end together
	go a.stopsOrphaned()
	return group, nil
}

// together tells all ranks of an error that this one has met before it joined them, such as of a file that its machine lacks. They would wait for it.
func (a *app) together(err error) error {
	if err == nil || !a.rank.one || a.rank.group != nil || a.rank.apart || errors.Is(err, context.Canceled) {
		return err
	}
	group, failed := a.meet(usualMeeting)
	if failed != nil {
		return err
	}
	_, err = collective.Gather(group, greeting{}, err) // in the place of greet
	return err
}

// greeting is what ranks tell each other before they begin.
type greeting struct {
	Host    string
	Version versionInfo
	Library string
	Threads int   // that it would take
	CPUs    []int // that it may run on; nil where that is not known
	Of      int   // those that its launcher may run on
	Chosen  bool  // Threads is the user's
}

// greet compares the ranks, shares the processors of each host among those on it, and says who they are.
func (a *app) greet(group *mpi.Group) error {
	host, err := os.Hostname()
	mine := greeting{Host: host, Version: currentVersion(), Library: group.Version(), Threads: min(parallel.Threads(), runtime.GOMAXPROCS(0)), Chosen: a.threads > 0}
	mine.CPUs, mine.Of = mpi.CPUs()
	all, err := collective.Gather(group, mine, err)
	if err == nil {
		err = collective.Agree(group, sameProgram(all))
	}
	if err != nil {
		return err
	}
	threads, warnings := shareThreads(all, a.rank.launch.Unbind)
	parallel.SetThreads(threads[group.Rank()])
	if group.Rank() == 0 {
		a.log.Info(fmt.Sprintf("ranks   %d on %s, %s; %s", len(all), count(hosts(all), "host"), group.Library(), threadsOf(threads)))
		a.log.Info(fmt.Sprintf("        to save and stop: kill -USR1 %d on %s", os.Getpid(), host))
		for _, w := range warnings {
			a.log.Warn(w)
		}
	}
	return nil
}

// sameProgram refuses ranks of which some would compute other numbers.
func sameProgram(all []greeting) error {
	first := all[0]
	for r, g := range all {
		switch {
		case g.Version.Version != first.Version.Version || g.Version.Commit != first.Version.Commit:
			return usagef("rank %d on %s is unimo %s, and rank 0 on %s %s; install the same on all", r, g.Host, name(g.Version), first.Host, name(first.Version))
		case g.Version.Kernels != first.Version.Kernels:
			return usagef("rank %d on %s computes with %s, and rank 0 on %s with %s, whose last bits differ; set UNIMO_CPU to the lower of them for all ranks",
				r, g.Host, g.Version.Kernels, first.Host, first.Version.Kernels)
		case g.Library != first.Library:
			return usagef("rank %d on %s has %s, and rank 0 on %s %s; install the same on all, or name it with %s", r, g.Host, g.Library, first.Host, first.Library, mpi.LibraryVariable)
		}
	}
	return nil
}

func name(v versionInfo) string { return strings.TrimSpace(v.Version + " " + v.Commit) }

// hosts counts them.
func hosts(all []greeting) int {
	names := map[string]bool{}
	for _, g := range all {
		names[g.Host] = true
	}
	return len(names)
}

// shareThreads returns how many threads each rank computes with. Ranks of a host that may run on the same processors get an equal share of
// them: more would wait for each other. Where a launcher has bound ranks to less than half of a host, a warning says so.
func shareThreads(all []greeting, unbind string) (threads []int, warnings []string) {
	threads = make([]int, len(all))
	warned := map[string]bool{}
	for r, g := range all {
		threads[r] = g.Threads
		if g.Chosen || len(g.CPUs) == 0 {
			continue
		}
		wanted, ranks, cpus := 0, 0, map[int]bool{}
		for _, other := range all {
			if other.Host != g.Host {
				continue
			}
			wanted += other.Threads
			ranks++
			for _, cpu := range other.CPUs {
				cpus[cpu] = true
			}
		}
		if wanted > len(cpus) {
			threads[r] = min(g.Threads, max(1, len(cpus)/ranks))
		}
		if 2*len(cpus) <= g.Of && unbind != "" && !warned[g.Host] {
			warned[g.Host] = true
			warnings = append(warnings, fmt.Sprintf("the launcher lets the %s on %s use %d of %d processors; start with %s to use all", count(ranks, "rank"), g.Host, len(cpus), g.Of, unbind))
		}
	}
	return threads, warnings
}

// threadsOf says "2 threads each", or "2 to 8 threads".
func threadsOf(threads []int) string {
	least, most := threads[0], threads[0]
	for _, n := range threads {
		least, most = min(least, n), max(most, n)
	}
	if least == most {
		return count(least, "thread") + " each"
	}
	return fmt.Sprintf("%d to %d threads", least, most)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// stopsOrphaned stops the run on all ranks once nobody would hear of this one.
func (a *app) stopsOrphaned() {
	mpi.Orphaned()
	a.log.Warn("the launcher's process on this host is gone; " + saves.first)
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Signal(mpi.Gentle[0])
	}
}

// sayingTakes is how long who reads what a rank says may take for a line, before the rank ends without.
const sayingTakes = 2 * time.Second

// expired ends the process: a rank waits for others that do not come, and nothing can be done about it from inside.
func (a *app) expired(err error) {
	code, _ := outcome(err)
	said := make(chan struct{})
	go func() {
		defer close(said)
		if !a.rank.silent() && a.json {
			a.printJSON(failure{err.Error(), code})
			a.stdout.close()
		}
		a.tell.failure(err.Error())
	}()
	select {
	case <-said:
	case <-time.After(sayingTakes):
	}
	mpi.EndLauncher()
	os.Exit(code)
}

// How long a rank waits for the first one to say the same, and for the others once it is interrupted.
const (
	firstSpeaks = 3 * time.Second
	othersEnd   = 10 * time.Second
)

// speaks says whether this rank is the one that says an error. What all have agreed on is the first one's to say. What ranks find before they have
// joined, as where there is no library, the first of the job says, and every other one only where by then neither the launcher has ended it nor the
// first of its host has ended, who found the same.
func (a *app) speaks(ctx context.Context, err error) bool {
	var agreed *collective.RankError
	switch {
	case !a.rank.silent():
		return true
	case errors.As(err, &agreed), errors.Is(err, context.Canceled):
		return false
	case a.rank.group != nil:
		return true
	}
	late := time.After(firstSpeaks)
	for a.rank.launch.Follows == "" || mpi.FirstRuns(a.rank.launch) {
		select {
		case <-ctx.Done():
			return false
		case <-late:
			return true
		case <-time.After(firstSpeaks / 20):
		}
	}
	return false
}

// leave ends the group. Where only this rank knows that there is nothing to go on with, it ends the others.
func (a *app) leave(err error, code int) {
	if a.rank.group == nil {
		return
	}
	var agreed *collective.RankError
	switch {
	case errors.Is(err, context.Canceled):
		a.rank.group.SetTimeout(othersEnd)
	case err != nil && !errors.As(err, &agreed):
		mpi.EndLauncher()
		a.rank.group.Abort(code)
		return
	}
	if err := a.rank.group.Close(); err != nil {
		a.log.Warn(err.Error())
		return
	}
	a.rank.left = true
}
