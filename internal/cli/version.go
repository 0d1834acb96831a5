package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/collective/mpi"
	"github.com/unimo-go/unimo/internal/base/licences"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// commands lists the commands in the order of the help.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.demoCommand(),
		a.pretrainCommand(),
		a.finetuneCommand(),
		a.goOnCommand(),
		a.runsCommand(),
		a.compareCommand(),
		a.evaluateCommand(),
		a.predictCommand(),
		a.generateCommand(),
		a.chatCommand(),
		a.askCommand(),
		a.captionCommand(),
		a.embedCommand(),
		a.matchCommand(),
		a.indexCommand(),
		a.searchCommand(),
		a.serveCommand(),
		a.healthCommand(),
		a.pullCommand(),
		a.pushCommand(),
		a.listCommand(),
		a.removeCommand(),
		a.featuresCommand(),
		a.rewriteCommand(),
		a.dataCommand(),
		a.scoreCommand(),
		a.convertCommand(),
		a.exportCommand(),
		a.quantizeCommand(),
		a.inspectCommand(),
		a.tokenizerCommand(),
		a.settingsCommand(),
		a.devicesCommand(),
		a.completionCommand(),
		a.manCommand(),
		a.versionCommand(),
	}
}

// versionInfo is what "unimo version --json" prints.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Kernels string `json:"kernels"` // instruction set in use
	Threads int    `json:"threads"`
	Static  bool   `json:"static"` // it loads no library of the system
	MPI     bool   `json:"mpi"`    // it trains over several machines
}

// currentVersion takes the version from what go build stamps: the tag of the commit, or a version made of the newest
// tag and the commit; "+dirty" behind it says that files had been changed.
func currentVersion() versionInfo {
	v := versionInfo{
		Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Kernels: kernels.Active().String(), Threads: parallel.Threads(), Static: runtime.GOOS == "linux" && !mpi.Built, MPI: mpi.Built,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				v.Commit = s.Value
			case s.Key == "CGO_ENABLED" && s.Value == "1": // of the system it is net, and os/user, that use C then
				v.Static = false
			}
		}
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	show := false
	c := &cobra.Command{
		Annotations: map[string]string{sharesAnnotation: "true"},
		Use:         "version",
		Short:       "Print the version and the instruction set in use",
		Example:     "  unimo version\n  unimo version --json\n  unimo version --licences | less",
		Args:        noArgs,
		RunE: func(*cobra.Command, []string) error {
			if show {
				return a.printLicences()
			}
			return a.printVersion()
		},
	}
	c.Flags().BoolVar(&show, "licences", false, "the licences of the program and of all that it links")
	c.Flags().BoolVar(&show, "licenses", false, "")
	c.Flags().MarkHidden("licenses")
	return c
}

// printLicences prints what whoever hands on the binary must hand on with it.
func (a *app) printLicences() error {
	list, err := licences.All()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"licences": list})
	}
	return licences.Write(a.stdout, list)
}

func (a *app) printVersion() error {
	v := currentVersion()
	if a.json {
		return a.printJSON(v)
	}
	note := ""
	switch {
	case v.MPI:
		note = "with MPI, for training over several machines; it loads the system's C library\n"
	case v.OS == "linux" && !v.Static:
		note = "this binary loads the system's C library; \"CGO_ENABLED=0 go build ./cmd/unimo\", or \"make build\", gives a static one\n"
	}
	_, err := fmt.Fprintf(a.stdout, "unimo %s %s (%s, %s/%s, kernels %s, %s)\n%s",
		v.Version, v.Commit, v.Go, v.OS, v.Arch, v.Kernels, count(v.Threads, "thread"), note)
	return err
}
