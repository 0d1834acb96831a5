"""Writes resample.json: what Pillow's Image.resize makes of pictures that a generator of numbers paints.

python3 make_resample.py > resample.json
"""
import hashlib
import json

import numpy as np
import PIL
from PIL import Image


def noise(w, h, seed):
    """The picture that noiseLCG of resample_test.go paints."""
    state, out = seed, bytearray()
    for _ in range(3 * w * h):
        state = (state * 1664525 + 1013904223) % 2**32
        v = state >> 24
        out.append(v if seed % 2 else (255 if v > 127 else 0))  # even seeds: hard edges, which overshoot
    return Image.fromarray(np.frombuffer(bytes(out), np.uint8).reshape(h, w, 3))


SIZES = [(40, 30, 24, 24), (17, 23, 32, 48), (30, 40, 30, 20), (40, 30, 20, 30), (1, 1, 5, 7), (13, 9, 1, 1), (61, 47, 60, 46),
         (200, 3, 16, 16), (3, 400, 16, 16), (5, 700, 5, 20), (2, 350, 20, 400), (160, 107, 112, 75), (64, 64, 64, 64),
         (30, 41, 24, 24), (41, 52, 9, 9), (113, 49, 120, 28), (50, 60, 40, 40), (50, 61, 40, 40)]
cases = []
for number in range(6):
    for i, (w, h, to_w, to_h) in enumerate(SIZES):
        seed = 100 * number + i + 1
        out = noise(w, h, seed).resize((to_w, to_h), number)
        cases.append({"filter": number, "seed": seed, "size": [w, h], "to": [to_w, to_h], "sha256": hashlib.sha256(out.tobytes()).hexdigest()})
lines = ",\n    ".join(json.dumps(c) for c in cases)
print('{\n  "made with": "Pillow %s",\n  "cases": [\n    %s\n  ]\n}' % (PIL.__version__, lines))
