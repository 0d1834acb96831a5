#!/usr/bin/env bash
# Where the same bits are asked for, XLA for GPUs sorts each number of the rows that a scatter adds or writes, not the rows' ids.
#
# xla_gpu_exclude_nondeterministic_ops=true is the option for the same bits each time. With it x.at[ids].add(rows) and x.at[ids].set(rows), n ids
# and n rows of 768, are compiled into a sort of n*768 elements with three operands, by the place of each number in the table. A
# scatter of 16 rows becomes 12 steps, one of 512 rows 48, most of them kernels, in the place of a copy and a kernel. Where the ids are
# declared unique there is no sort: the program has as few steps as without the option.
#
# Known of it: that a scatter is rewritten as a sort and a scan where this option is set (XLA's pull requests 17886, 19275 and 34917,
# in the place of a loop that was slower still). That rows are sorted number by number we found in none of these, nor in an issue.
#
# Who meets it: whoever trains an embedding with the same bits each time on a GPU, and programs with many scatters, which compile for minutes.
# What helps: sort the ids alone, add up the rows of neighbours with the same id, and write each sum once, with ids declared unique. The
# script does that, too.
#
# Needs Linux on x86-64 and Python 3.11 or later, no GPU: programs are compiled for one that is not there, and not run. Downloads 288 MB, and
# takes 1 GB of disk while it runs. jax 0.10.2, which Python 3.11 still has, writes the programs; the plugin, of 0.12.0.1, compiles them.
set -euo pipefail
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "not run: needs Linux on x86-64"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/show.py" <<'PY'
import importlib.metadata
import os
import pathlib
import re
import sys
import tempfile
import time

os.environ.update(JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3")
import jax
import jax.numpy as jnp
import jax_plugins.xla_cuda13
import numpy as np
from jax.experimental import topologies

TABLE, N, WIDTH = 1000, 16, 768

# The plugin has a description of each GPU that it compiles for.
plugin = (pathlib.Path(jax_plugins.xla_cuda13.__file__).parent / "xla_cuda_plugin.so").read_bytes()
name = plugin.index(b'device_description_str: "NVIDIA H100 80GB HBM3"')
target = plugin[plugin.rindex(b"gpu_device_info {", 0, name) : plugin.index(b"\0", name)].decode()
chip = topologies.get_topology_desc(platform="cuda", topology_name="one", topology="1x1x1", target_config=target).devices[0]


def operand(dtype, *shape):
    return jax.ShapeDtypeStruct(shape, dtype, sharding=jax.sharding.SingleDeviceSharding(chip))


def scatter(how, unique):
    return lambda table, ids, rows: getattr(table.at[ids], how)(rows, unique_indices=unique)


def once(table, ids, rows):
    order = jnp.argsort(ids, stable=True)
    ids, rows = ids[order], rows[order]
    starts = jnp.concatenate([jnp.ones(1, bool), ids[1:] != ids[:-1]])
    ends = jnp.concatenate([starts[1:], jnp.ones(1, bool)])

    def join(a, b):  # sums since the last start
        return a[0] | b[0], jnp.where(b[0], b[1], a[1] + b[1])

    _, sums = jax.lax.associative_scan(join, (starts[:, None], rows))
    ids = jnp.where(ends, ids, TABLE + jnp.arange(N))  # beyond the table: not written, and still unique
    return table.at[ids].add(sums, mode="drop", unique_indices=True)


def compiled(f, same):
    """The elements and operands of each sort in the compiled program, its steps, and the seconds of the CPU that it took without the assembler's."""
    with tempfile.TemporaryDirectory() as dump:
        begin = time.process_time()
        program = jax.jit(f).lower(operand(jnp.float32, TABLE, WIDTH), operand(jnp.int32, N), operand(jnp.float32, N, WIDTH)).compile(
            compiler_options={"xla_gpu_exclude_nondeterministic_ops": same, "xla_dump_to": dump}
        )
        spent = time.process_time() - begin
        steps = [len(p.read_text().splitlines()) for p in pathlib.Path(dump).glob("*.thunk_sequence.txt")]
    sorts = [re.findall(r"\[(\d+)\]", shapes) for shapes in re.findall(r"= (\(.*\)|\S+) sort\(", program.as_text())]
    return [(int(s[0]), len(s)) for s in sorts], *steps, spent


print("jax", jax.__version__, "jax-cuda13-pjrt", importlib.metadata.version("jax-cuda13-pjrt"), f"{N} rows of {WIDTH}", flush=True)
seen = {}
for title, f, same in (
    ("add", scatter("add", False), False),
    ("add, same bits", scatter("add", False), True),
    ("set, same bits", scatter("set", False), True),
    ("add, same bits, unique", scatter("add", True), True),
    ("set, same bits, unique", scatter("set", True), True),
    ("each id once, same bits", once, True),
):
    sorts, steps, spent = compiled(f, same)
    seen[title] = sorts, steps
    print(f"  {title}: sorts (elements, operands) {sorts}, {steps} steps, {spent:.1f} s of the CPU", flush=True)

r = np.random.default_rng(1)  # whole numbers: sums are the same in any order
ids, rows = jnp.array(r.integers(0, 5, N)), jnp.array(r.integers(0, 9, (N, WIDTH)), jnp.float32)
table = jnp.zeros((TABLE, WIDTH))
assert (once(table, ids, rows) == table.at[ids].add(rows)).all(), "the way round is wrong"
for how in "add", "set":
    sorts, steps = seen[how + ", same bits"]
    assert sorts == [(N * WIDTH, 3)] and steps > 8, "rows are no longer sorted number by number"
for title in "add", "add, same bits, unique", "set, same bits, unique":
    assert seen[title] == ([], 2), f"{title} has changed"
assert {n for n, _ in seen["each id once, same bits"][0]} <= {N}, "the way round sorts more than ids"
PY
python3 -m venv "$dir/venv"
# All that is needed of what these packages name; of nvidia-cuda-nvcc the plugin takes the assembler.
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps \
	jax==0.10.2 jaxlib==0.10.2 jax-cuda13-pjrt==0.12.0.1 nvidia-cuda-nvcc==13.5.37 ml_dtypes==0.6.0 numpy==2.4.6 opt_einsum==3.4.0
"$dir/venv/bin/python" "$dir/show.py"
# Seen on 30 November 2026 (Linux, AMD EPYC Zen 4, two cores, while busy with other work):
#   jax 0.10.2 jax-cuda13-pjrt 0.12.0.1 16 rows of 768
#     add: sorts (elements, operands) [], 2 steps, 0.2 s of the CPU
#     add, same bits: sorts (elements, operands) [(12288, 3)], 12 steps, 0.5 s of the CPU
#     set, same bits: sorts (elements, operands) [(12288, 3)], 12 steps, 0.6 s of the CPU
#     add, same bits, unique: sorts (elements, operands) [], 2 steps, 0.0 s of the CPU
#     set, same bits, unique: sorts (elements, operands) [], 2 steps, 0.0 s of the CPU
#     each id once, same bits: sorts (elements, operands) [(16, 2)], 5 steps, 0.4 s of the CPU
