#!/usr/bin/env bash
# Pillow 13.0.0: Image.resize gives other bytes than Pillow 12 for the same picture, size and filter. It scales rows before
# columns where the height shrinks by more than twice what the width does (to be faster); between the two passes values are
# rounded to bytes, so the order shows. Up to version 12 columns always came first.
# Who meets it: whoever prepares pictures for ViT, SigLIP or DeiT (scaled to a square, whatever their sides) and compares
# features, embeddings or hashes of upright photographs across versions. Scaling in proportion keeps its bytes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for version in 12.0.0 13.0.0; do
  python3 -m venv "$dir/$version"
  "$dir/$version/bin/pip" install -q pillow==$version
  "$dir/$version/bin/python" - "$dir/$version.bytes" <<'PY'
import random
import sys

from PIL import Image, __version__

random.seed(1)
width, height = 333, 500  # of a photograph
noise = Image.frombytes("RGB", (width, height), random.randbytes(3 * width * height))
square, part = noise.resize((224, 224), Image.Resampling.BILINEAR), noise.resize((224, 336), Image.Resampling.BILINEAR)
print("Pillow", __version__)
open(sys.argv[1], "wb").write(square.tobytes() + part.tobytes())
PY
done
python3 - "$dir/12.0.0.bytes" "$dir/13.0.0.bytes" <<'PY'
import sys

old, new = (open(name, "rb").read() for name in sys.argv[1:])
n = 3 * 224 * 224
differ = sum(a != b for a, b in zip(old[:n], new[:n]))
print(f"333 x 500 to 224 x 224: {differ} of {n} bytes differ; to 224 x 336: {sum(a != b for a, b in zip(old[n:], new[n:]))}")
assert differ > n // 100, "the versions agree"
assert max(abs(a - b) for a, b in zip(old[:n], new[:n])) == 1
assert old[n:] == new[n:]
PY
