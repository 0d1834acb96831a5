"""Writes chroma.json: JPEGs of blocks in one colour, with colour at parts of the resolution, WebPs of any, and what Pillow reads.

python3 make_chroma.py > chroma.json
"""
import base64
import hashlib
import io
import json

import numpy as np
import PIL
from PIL import Image, features

random = np.random.default_rng(1)
cases = []
for w, h in [(48, 48), (45, 37), (33, 50), (17, 16), (5, 20), (3, 3), (2, 9), (1, 1)]:
    for subsampling in (0, 1, 2):
        # Blocks in one colour have one coefficient, of which every decoder makes the same bytes.
        blocks = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(blocks.repeat(16, 0).repeat(16, 1)[:h, :w])
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=60, subsampling=subsampling)
        read = Image.open(io.BytesIO(file.getvalue())).convert("RGB")
        cases.append({"size": [w, h], "subsampling": subsampling, "sha256": hashlib.sha256(read.tobytes()).hexdigest(),
                      "file": base64.b64encode(file.getvalue()).decode()})
for w, h in [(32, 24), (31, 23), (5, 8), (2, 2), (1, 1), (1, 7), (16, 1)]:
    pixels = random.integers(0, 256, (h, w, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((w, h)).save(file, "WebP", quality=50)
    read = Image.open(io.BytesIO(file.getvalue())).convert("RGB")
    cases.append({"size": [w, h], "subsampling": 2, "sha256": hashlib.sha256(read.tobytes()).hexdigest(),
                  "file": base64.b64encode(file.getvalue()).decode()})
lines = ",\n    ".join(json.dumps(c) for c in cases)
print('{\n  "made with": "Pillow %s, libjpeg-turbo %s, libwebp %s",\n  "cases": [\n    %s\n  ]\n}' % (PIL.__version__, features.version("libjpeg_turbo"), features.version("webp"), lines))
