"""Writes testdata/pytorch: files of torch.save, and what they hold as safetensors.

Run with PyTorch and safetensors: python testdata/pytorch.py
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import warnings
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
torch.manual_seed(1)
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch")
os.makedirs(out, exist_ok=True)


def path(*names):
    return os.path.join(out, *names)


def expect(name, tensors):
    """Copies, because safetensors does not share memory between tensors."""
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path(name + ".safetensors"))


base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 7
tensors = {
    "f32": torch.randn(3, 5),
    "f16": torch.randn(7).half(),
    "bf16": torch.randn(2, 2).bfloat16(),
    "f64": torch.randn(3, dtype=torch.float64),
    "i64": torch.tensor([-(2**62), -1, 0, 2**40]),
    "i32": torch.tensor([[-5], [6]], dtype=torch.int32),
    "i16": torch.tensor([-300, 300], dtype=torch.int16),
    "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "u8": torch.tensor([0, 255, 7], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.25),
    "empty": torch.zeros(0, 4),
    "shared.whole": base,
    "shared.part": base[1],
    "shared.row": base[1, 2],
    "shared.transposed": base.permute(2, 0, 1),
    "shared.columns": base[:, :, 1:3],
    "shared.steps": base.flatten()[1::5],
    "parameter": torch.nn.Parameter(torch.randn(4)),
}
expect("all", tensors)
torch.save(tensors, path("all.bin"))
torch.save(tensors, path("legacy.bin"), _use_new_zipfile_serialization=False)
torch.save(tensors, path("protocol5.bin"), pickle_protocol=5)
with zipfile.ZipFile(path("all.bin")) as src, zipfile.ZipFile(path("deflated.bin"), "w", zipfile.ZIP_DEFLATED) as dst:
    for entry in src.namelist():
        dst.writestr(zipfile.ZipInfo(entry), src.read(entry), zipfile.ZIP_DEFLATED)


class Tied(torch.nn.Module):
    """A module, whose state dict is an OrderedDict with attributes and with one tensor twice."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(6, 4)
        self.norm = torch.nn.LayerNorm(4)
        self.head = torch.nn.Linear(4, 6)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.norm(self.embedding(x)))


model = Tied()
state = model.state_dict()
expect("module", state)
torch.save(state, path("module.bin"))

# The form in which Hugging Face's transformers splits large models.
os.makedirs(path("shards"), exist_ok=True)
files = {"embedding.weight": 1, "norm.weight": 1, "norm.bias": 1, "head.weight": 2, "head.bias": 2}
index = {k: f"pytorch_model-0000{n}-of-00002.bin" for k, n in files.items()}
for file in set(index.values()):
    torch.save({k: state[k] for k in state if index[k] == file}, path("shards", file))
with open(path("shards", "pytorch_model.bin.index.json"), "w") as f:
    json.dump({"metadata": {"total_size": 0}, "weight_map": index}, f, indent=1)

# A training checkpoint: dictionaries in dictionaries, and values that are no tensors.
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
model(torch.tensor([1, 2])).sum().backward()
optimizer.step()
torch.save({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path("training.bin"))
names = {"model." + k: v for k, v in model.state_dict().items()}
for i, moments in optimizer.state_dict()["state"].items():
    names.update({f"optimizer.state.{i}.{k}": v for k, v in moments.items()})
expect("training", names)

# What is refused.
torch.jit.script(torch.nn.Linear(1, 1)).save(path("torchscript.bin"))
torch.save(model, path("whole_module.bin"))
torch.save({"w": torch.zeros(2, dtype=torch.complex64)}, path("complex.bin"))
torch.save({"w": torch.zeros(1).expand(1000)}, path("expanded.bin"))
torch.save([torch.zeros(2)], path("list.bin"))

# Values beside the tensors that are not built, and tensors of types that have no storage of their own.
odd = {
    "u16": torch.tensor([1, 60000], dtype=torch.uint16),
    "u32": torch.tensor([[1, 2], [3, 4_000_000_000]], dtype=torch.uint32).T,
    "u64": torch.tensor([7, 2**63], dtype=torch.uint64),
    "e4m3": torch.tensor([1.0, 2.5, -3]).to(torch.float8_e4m3fn)[1:],
    "e5m2": torch.tensor([1.0, 2.5]).to(torch.float8_e5m2),
    "c64": torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64),
    "f32": torch.ones(2, 3),
}
expect("odd", odd | {"inside.w": torch.arange(3), "attributes": torch.ones(2)})
with_attributes = torch.nn.Parameter(torch.ones(2))
with_attributes.note = "x"
odd |= {
    "inside": collections.defaultdict(list, {"w": torch.arange(3)}),
    "attributes": with_attributes,
    "args": argparse.Namespace(lr=0.1, nested=argparse.Namespace(path=pathlib.PurePosixPath("a/b"))),
    "scalar": np.float64(0.5),
    "array": np.arange(6).reshape(2, 3),
    "dtype": torch.float16,
    "uint": torch.uint16,
    "size": torch.Size([2, 3]),
    "device": torch.device("cpu"),
    "set": {1, 2},
    "frozen": frozenset({"a"}),
    "counter": collections.Counter("abca"),
    "path": pathlib.PurePosixPath("a/b"),
    "date": datetime.datetime(2020, 1, 2),
    "bytes": b"\x00\xff",
    "large": 2**100,
    "complex": 1 + 2j,
    "by number": {(1, 2): "pair", 0.5: "half"},
    "range": range(3),
    "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "sparse": torch.eye(3).to_sparse(),
}
torch.save(odd, path("odd.bin"))
torch.save(odd, path("odd4.bin"), pickle_protocol=4)
torch.save({k: v for k, v in odd.items() if k != "quantised"}, path("odd_legacy.bin"), _use_new_zipfile_serialization=False)
