#!/usr/bin/env bash
# XLA's CPU is four devices when it is loaded as a plugin (the C interface PJRT), however many processors there are, and one when it is a part of
# JAX. The flag that says how many, XLA_FLAGS=--xla_force_host_platform_device_count, counts for the latter alone: a plugin takes it without a word
# and has four. It wants the option cpu_device_count where the client is made.
# Who meets it: whoever tries a program for accelerators on a CPU plugin, as one does from Go, Rust or Zig. What takes all devices divides its
# work by four on the same processors, and what ran on one device in JAX runs on several.
set -euo pipefail
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "not run: the plugin is for Linux on x86-64"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/show.py" <<'PY'
import sys

import jax
import lammps_jax_pjrt_cpu
import pypjrt


def plugin(options=None):
    client = pypjrt.Client.create(str(lammps_jax_pjrt_cpu.PLUGIN_PATH), options=options)
    with client, client.devices() as devices:
        return len(list(devices))


flag = int(sys.argv[1])
inside, loaded, asked = len(jax.devices("cpu")), plugin(), plugin({"cpu_device_count": 2})
print(f"the flag says {flag or 'nothing'}: in JAX {inside}, as a plugin {loaded}, as a plugin that was asked for 2: {asked}")
assert (inside, loaded, asked) == (flag or 1, 4, 2), "the behaviour has changed"
PY
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile lammps-jax-pjrt-cpu==0.11.2 pypjrt==0.1.1 jax==0.10.2 jaxlib==0.10.2
"$dir/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -E "^(jax|jaxlib|lammps-jax-pjrt-cpu|pypjrt) "
echo "processors: $(nproc)"
for flag in 0 1 3; do
	XLA_FLAGS=$([ $flag = 0 ] || echo --xla_force_host_platform_device_count=$flag) "$dir/venv/bin/python" "$dir/show.py" $flag 2>/dev/null
done
