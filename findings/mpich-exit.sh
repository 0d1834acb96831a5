#!/usr/bin/env bash
# MPICH 5.0.2: after MPI_Finalize a process is not done with its launcher. It says so in an exit handler of the C library. A process that ends
# without these, as by _exit in Python and C or by os.Exit in Go, counts as crashed: of four ranks mpirun kills those that are still there and returns 9,
# though every call had succeeded. MPI's standard asks for nothing after MPI_Finalize.
# Who meets it: programs in languages whose runtime ends with exit_group (Go), and those that end by _exit after a fork or to skip destructors.
# The remedy: end by the C library's exit.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q mpich==5.0.2
cat > "$dir/ends.py" <<'PY'
import ctypes, os, sys, time

mpi = ctypes.CDLL(sys.argv[1])
assert mpi.MPI_Init(None, None) == 0
assert mpi.MPI_Finalize() == 0
if sys.argv[2] == "_exit":
    time.sleep(0.3 * int(os.environ["PMI_RANK"]))  # one after the other, so that it shows every time
    os._exit(0)
time.sleep(0.3 * int(os.environ["PMI_RANK"]))
PY
for way in exit _exit; do
	code=0
	timeout 60 "$dir/venv/bin/mpirun" -n 4 python3 "$dir/ends.py" "$dir/venv/lib/libmpi.so.12" $way >/dev/null 2>&1 || code=$?
	echo "ends by $way: mpirun returns $code"
	case $way in
	exit) [ $code = 0 ] ;;
	_exit) [ $code = 9 ] ;;
	esac
done
