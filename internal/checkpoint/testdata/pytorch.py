"""Writes testdata/pytorch: files of torch.save, and what they hold as safetensors.

Run with PyTorch and safetensors: python testdata/pytorch.py
"""

import json
import os
import warnings
import zipfile

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
