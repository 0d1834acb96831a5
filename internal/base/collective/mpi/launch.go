package mpi

import "strconv"

// Launch is what the environment says about who started this process as one of several.
type Launch struct {
	Launcher   string // "mpirun of Open MPI"; "" where nobody did
	Variable   string // that says how many there are; "" where none does
	Rank, Size int    // Size is 0 where the launcher does not say it
	Follows    string // the variable that numbers the processes of a host, where this one is not the first; else, or where there is none, ""
	Unbind     string // option of the launcher that leaves ranks all processors; "" where it is not known
	family     family // of the libraries that understand the launcher
}

// family is which libraries belong together: each understands its own launcher, and takes another's for none at all.
type family string

const (
	anyFamily family = ""
	openMPI   family = "Open MPI"
	mpich     family = "MPICH" // and Intel MPI, MVAPICH
)

// launchers are the forms of environment there are. The first that fits counts: in a job of Slurm, mpirun starts ranks with variables of both.
var launchers = []struct {
	Launch
	rank, local string // variables: the rank among all, and among those of the host
	mark        string // a variable that only this launcher sets; "" where rank is one
}{
	{Launch{Launcher: "mpirun of Open MPI", Variable: "OMPI_COMM_WORLD_SIZE", Unbind: "--bind-to none", family: openMPI}, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", ""},
	{Launch{Launcher: "mpirun of MPICH or Intel MPI", Variable: "PMI_SIZE", Unbind: "-bind-to none (Intel MPI: -genv I_MPI_PIN=off)", family: mpich}, "PMI_RANK", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
	// Not SLURM_NTASKS: a batch script, which is one process, has it too, beside SLURM_PROCID=0.
	{Launch{Launcher: "srun", Variable: "SLURM_STEP_NUM_TASKS", Unbind: "--cpus-per-task=N"}, "SLURM_PROCID", "SLURM_LOCALID", ""},
	{Launch{Launcher: "a launcher with PMI", Variable: "PMI_SIZE"}, "PMI_RANK", "", ""},
	{Launch{Launcher: "a launcher with PMIx"}, "PMIX_RANK", "", ""},
}

// Launched reads the environment.
func Launched(getenv func(string) string) Launch {
	number := func(name string, least int) (int, bool) {
		n, err := strconv.Atoi(getenv(name))
		return n, err == nil && n >= least
	}
	for _, l := range launchers {
		rank, ok := number(l.rank, 0)
		if !ok || l.mark != "" && getenv(l.mark) == "" {
			continue
		}
		if l.Variable != "" {
			if l.Size, ok = number(l.Variable, 1); !ok {
				continue
			}
		}
		l.Rank = rank
		if _, ok := number(l.local, 1); ok {
			l.Follows = l.local
		}
		return l.Launch
	}
	return Launch{}
}

// Several says whether the launcher started more processes than this one, or may have.
func (l Launch) Several() bool { return l.Launcher != "" && l.Size != 1 }
