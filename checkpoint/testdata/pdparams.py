"""Writes testdata/pdparams: files of paddle.save, and what they hold as safetensors.

Run with PaddlePaddle, NumPy and safetensors: python testdata/pdparams.py
Made with PaddlePaddle 3.3.1, NumPy 2.4.6 and safetensors 0.8.0.
"""

import os
import pickle

import numpy as np
import paddle
from safetensors.numpy import save_file
from safetensors.paddle import save_file as save_paddle

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pdparams")
os.makedirs(out, exist_ok=True)


def path(name):
    return os.path.join(out, name)


paddle.seed(1)
state = {
    "f32": paddle.randn([3, 5]),
    "f16": paddle.randn([7]).astype("float16"),
    "bf16": paddle.randn([2, 2]).astype("bfloat16"),
    "f64": paddle.randn([3]).astype("float64"),
    "i64": paddle.to_tensor([-(2**62), -1, 0, 2**40]),
    "i8": paddle.to_tensor([-128, 0, 127], dtype="int8"),
    "u8": paddle.to_tensor([0, 255], dtype="uint8"),
    "bool": paddle.to_tensor([True, False, True]),
    "scalar": paddle.to_tensor(2.5),
    "empty": paddle.zeros([0, 4]),
    "word 名": paddle.arange(3, dtype="float32"),
}
for protocol in (2, 3, 4):
    paddle.save(state, path(f"protocol{protocol}.pdparams"), protocol=protocol)
save_paddle(state, path("all.safetensors"))

# A layer's state, and the same in a dictionary, whose parameters then have their names beside them.
layer = paddle.nn.Linear(3, 2)
paddle.save(layer.state_dict(), path("layer.pdparams"))
save_paddle(layer.state_dict(), path("layer.safetensors"))
paddle.save({"model": layer.state_dict(), "step": 7}, path("training.pdparams"))
save_paddle({"model." + k: v for k, v in layer.state_dict().items()}, path("training.safetensors"))

# What NumPy pickles by itself: columns first, and values that are no tensors.
columns = np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
with open(path("odd.pdparams"), "wb") as f:
    odd = {"columns": columns, "c64": np.array([1 + 2j, -3j], np.complex64), "text": "x" * 70000, "names": np.array(["a"]), "pair": (1, 2), "number": np.float32(1)}
    pickle.dump(odd, f, protocol=2)
with open(path("big.pdparams"), "wb") as f:
    pickle.dump({"w": np.array([1.0], ">f4")}, f, protocol=4)
save_file({"columns": np.ascontiguousarray(columns), "c64": odd["c64"]}, path("odd.safetensors"))
