#!/usr/bin/env bash
# XLA takes "true" for an option in its environment variable, and refuses it in a program's compile options.
#
# XLA_FLAGS=--xla_cpu_enable_fast_math=true is taken, and so are =1 and =false. The same option handed over with a program, as JAX's
# compiler_options (and the option overrides of PJRT's compile options, which these become), may be a bool, or text: then "True" and "False"
# alone, with a capital letter. "true" and "1" are "not a valid bool value", and the program does not compile. So flags that people have in a
# script cannot be handed on as they stand.
#
# Who meets it: whoever moves flags from XLA_FLAGS, where they count for all of a process, to the programs that need them.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/show.py" <<'PY'
import os
import subprocess
import sys

import jax
import jax.numpy as jnp

option = "xla_cpu_enable_fast_math"
program = jax.jit(lambda x: x + 1).lower(jnp.ones(3))


def compiles(value):
    try:
        program.compile(compiler_options={option: value})
    except jax.errors.JaxRuntimeError as e:
        assert "is not a valid bool value" in str(e), e
        return False
    return True


def starts(value):
    code = "import jax; jax.jit(lambda x: x + 1)(1.0)"
    return subprocess.run([sys.executable, "-c", code], env={**os.environ, "XLA_FLAGS": f"--{option}={value}"}, capture_output=True).returncode == 0


handed = {repr(v): compiles(v) for v in (True, "True", "False", "true", "false", "1")}
variable = {v: starts(v) for v in ("true", "false", "1", "perhaps")}
print("jax", jax.__version__, "\n  compiler_options:", handed, "\n  XLA_FLAGS:", variable)
assert handed == {"True": True, "'True'": True, "'False'": True, "'true'": False, "'false'": False, "'1'": False}, "compile options have changed"
assert variable == {"true": True, "false": True, "1": True, "perhaps": False}, "the variable has changed"
PY
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2
"$dir/venv/bin/python" "$dir/show.py"
