#!/usr/bin/env bash
# ONNX Runtime 1.32 multiplies bytes where a graph says to multiply numbers.
#
# A graph makes float32 numbers of int8 weights (DequantizeLinear) and multiplies float32 activations by them (MatMul). Version 1.20.1
# does that. Version 1.32.0 takes both for one operation, which by default rounds the activations to 8 bits, too: results are off by some
# thousandths of the largest one, where float32 leaves some ten millionths. The session's option session.qdq_matmulnbits_accuracy_level
# has to be set to "1" for what the graph says. Cast and Mul in the place of DequantizeLinear are computed as written by both.
#
# Who meets it: whoever ships weights as bytes to make files smaller, and compares with what the numbers give.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/show.py" <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

K = 64
r = np.random.default_rng(1)
x = r.standard_normal((4, K), dtype=np.float32)
w = r.integers(-127, 128, (K, K)).astype(np.int8)
scales = (r.random(K) * 0.01 + 0.001).astype(np.float32)
want = x.astype(np.float64) @ (w * scales.astype(np.float64))
dequantize = [helper.make_node("DequantizeLinear", ["w", "s"], ["f"], axis=1)]
cast = [helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT), helper.make_node("Mul", ["c", "s"], ["f"])]


def error(nodes, level=None):
    graph = helper.make_graph(
        nodes + [helper.make_node("MatMul", ["x", "f"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", K])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", K])],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(scales, "s")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    if level:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", level)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.abs(session.run(None, {"x": x})[0] - want).max() / np.abs(want).max()


errors = {"as it is": error(dequantize), "accuracy level 1": error(dequantize, "1"), "Cast and Mul": error(cast)}
print("onnxruntime", onnxruntime.__version__, {name: f"{e:.1e}" for name, e in errors.items()})
rounds = onnxruntime.__version__ == "1.32.0"
assert (errors["as it is"] > 1e-3) == rounds, "the behaviour has changed"
assert errors["accuracy level 1"] < 1e-6 and errors["Cast and Mul"] < 1e-6, "the way round has changed"
PY
for version in 1.20.1 1.32.0; do
	python3 -m venv "$dir/$version"
	"$dir/$version/bin/pip" install -q --disable-pip-version-check "onnxruntime==$version" onnx==1.23.2 numpy==2.4.6
	"$dir/$version/bin/python" "$dir/show.py"
done
# Seen on 29 November 2026 (Linux, AMD EPYC Zen 4):
#   onnxruntime 1.20.1 {'as it is': '2.2e-07', 'accuracy level 1': '2.2e-07', 'Cast and Mul': '2.2e-07'}
#   onnxruntime 1.32.0 {'as it is': '6.4e-03', 'accuracy level 1': '2.2e-07', 'Cast and Mul': '2.2e-07'}
