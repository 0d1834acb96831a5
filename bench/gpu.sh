#!/usr/bin/env bash
# bench/gpu.sh: unimo against PyTorch on the NVIDIA GPU of this machine, in at most 8 minutes (after what is installed the first time): training
# steps of the base model with bfloat16, of batches as trainers make them and of equal lengths. The table goes to standard output, all numbers to
# runs/gpu.json. Where there is no GPU it says so.
#
#   bench/gpu.sh            the comparison
#   bench/gpu.sh --try      the same with a tiny model, on the processor: PLUGIN is a plugin for it, PYTHON has torch and transformers
#
# UNIMO_XLA names a built unimo-xla, PYTHON a Python that has what bench/peers/gpu.txt lists.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p runs
device=cuda size=base rounds=3 limit=480 workloads=19,20,21,22
if [ "${1:-}" = --try ]; then
	[ -n "${PLUGIN:-}" ] && [ -n "${PYTHON:-}" ] || { echo "gpu.sh --try: PLUGIN and PYTHON are not set" >&2; exit 2; }
	device=pjrt:$PLUGIN size=tiny rounds=1 workloads=19,22
elif [ $# -gt 0 ]; then
	echo "gpu.sh: only --try is known" >&2; exit 2
elif ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
	echo "gpu.sh: not run: no GPU"; exit 0
else
	nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >&2
fi
if [ -z "${PYTHON:-}" ]; then
	PYTHON=$PWD/runs/gpu/bin/python
	if [ ! -f runs/gpu/ready ]; then
		rm -rf runs/gpu && python3 -m venv runs/gpu
		"$PYTHON" -m pip install -q --disable-pip-version-check -r bench/peers/gpu.txt && touch runs/gpu/ready
	fi
fi
export CGO_ENABLED=0 UNIMO_XLA=${UNIMO_XLA:-$PWD/unimo-xla}
[ -x "$UNIMO_XLA" ] || (cd cmd/unimo-xla && go build -trimpath -ldflags='-s -w' -o ../../unimo-xla .)
go build -trimpath -o runs/bench ./bench
# The plugin is looked for in the environment that is active.
VIRTUAL_ENV=$("$PYTHON" -c 'import sys; print(sys.prefix)')
export VIRTUAL_ENV
timeout -s INT "$limit" runs/bench -workloads "$workloads" -device "$device" -precision bf16 -size "$size" -rounds "$rounds" -threads "$(nproc)" \
	-python "$PYTHON" -json runs/gpu.json -log runs/gpu.log
