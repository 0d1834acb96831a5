"""Writes pixels.json: what transformers' and timm's own preparation makes of pictures that a generator of numbers paints.

python3 make_pixels.py > pixels.json
"""
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import PIL
import timm
import torch
import torchvision
import transformers
from PIL import Image
from transformers import AutoImageProcessor


def noise(w, h, seed):
    """The picture that noise of preprocess_test.go paints: smooth, with some grain."""
    state, out = seed, bytearray()
    for i in range(3 * w * h):
        state = (state * 1664525 + 1013904223) % 2**32
        x, y = i // 3 % w, i // 3 // w
        out.append((3 * x + 5 * y * (i % 3 + 1) + (state >> 27)) % 256)
    return Image.fromarray(np.frombuffer(bytes(out), np.uint8).reshape(h, w, 3))


CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
MODERN = {"do_rescale": True, "rescale_factor": 0.00392156862745098, "do_normalize": True, "do_resize": True}

# What versions of transformers wrote and write, with small sizes.
FILES = [
    {"feature_extractor_type": "ViTFeatureExtractor", "do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3,
     "image_std": [0.5] * 3, "resample": 2, "size": 24},
    {"image_processor_type": "ViTImageProcessor", **MODERN, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2,
     "size": {"height": 32, "width": 24}},
    {"image_processor_type": "ViTImageProcessorFast", **MODERN, **IMAGENET, "crop_size": None, "data_format": "channels_first",
     "default_to_square": True, "device": None, "do_center_crop": None, "do_convert_rgb": None, "resample": 3,
     "size": {"height": 24, "width": 24}},
    {"image_processor_type": "ViTImageProcessor", "do_resize": True, "do_rescale": True, "do_normalize": False, "size": [20, 28], "resample": 0},
    {"feature_extractor_type": "CLIPFeatureExtractor", "crop_size": 24, "do_center_crop": True, "do_normalize": True, "do_resize": True,
     **CLIP, "resample": 3, "size": 24},
    {"image_processor_type": "CLIPImageProcessor", **MODERN, **CLIP, "crop_size": {"height": 24, "width": 24}, "do_center_crop": True,
     "do_convert_rgb": True, "resample": 3, "size": {"shortest_edge": 24}},
    {"image_processor_type": "CLIPImageProcessor", **MODERN, **CLIP, "crop_size": {"height": 31, "width": 33}, "do_center_crop": True,
     "resample": 1, "size": {"shortest_edge": 24}},
    {"image_processor_type": "CLIPImageProcessor", "use_square_size": True, "size": 24, "crop_size": 24},
    {"image_processor_type": "CLIPImageProcessor", "do_resize": False, "crop_size": 40, **CLIP},
    {"image_processor_type": "SiglipImageProcessor", **MODERN, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3,
     "size": {"height": 24, "width": 24}, "processor_class": "SiglipProcessor"},
    {"image_processor_type": "BitImageProcessor", **MODERN, **IMAGENET, "crop_size": {"height": 24, "width": 24}, "do_center_crop": True,
     "do_convert_rgb": True, "resample": 3, "size": {"shortest_edge": 27}},
    {"image_processor_type": "EfficientNetImageProcessor", **MODERN, **IMAGENET, "crop_size": {"height": 20, "width": 20},
     "do_center_crop": False, "include_top": True, "rescale_offset": False, "resample": 0, "size": {"height": 24, "width": 24}},
    {"image_processor_type": "EfficientNetImageProcessor", **MODERN, "image_mean": 0.25, "image_std": [0.3, 0.4, 0.5],
     "rescale_factor": 1 / 127.5, "crop_size": {"height": 20, "width": 20}, "do_center_crop": True, "include_top": False,
     "rescale_offset": True, "resample": 4, "size": {"height": 24, "width": 24}},
    {"image_processor_type": "EfficientNetImageProcessor", "do_rescale": True, "do_normalize": False, "image_std": [0.3, 0.4, 0.5],
     "size": {"height": 24, "width": 24}, "resample": 5},
    {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "do_normalize": True, "do_resize": True, **IMAGENET,
     "resample": 3, "size": 24},
    {"image_processor_type": "ConvNextImageProcessor", **MODERN, **IMAGENET, "crop_pct": 0.95, "resample": 3, "size": {"shortest_edge": 25}},
    {"image_processor_type": "ConvNextImageProcessor", **MODERN, **IMAGENET, "crop_pct": 0.95, "resample": 3, "size": {"shortest_edge": 384}},
    {"image_processor_type": "DeiTImageProcessor", **MODERN, **IMAGENET, "crop_size": {"height": 22, "width": 22}, "do_center_crop": True,
     "resample": 3, "size": {"height": 26, "width": 26}},
    {"image_processor_type": "MobileNetV2ImageProcessor", **MODERN, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
     "crop_size": {"height": 24, "width": 24}, "do_center_crop": True, "resample": 2, "size": {"shortest_edge": 28}},
]

TIMM = [
    {"input_size": [3, 24, 24], "interpolation": "bicubic", "crop_pct": 0.875, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    {"input_size": [3, 25, 25], "interpolation": "bilinear", "crop_pct": 0.9, "crop_mode": "center", "mean": [0.5] * 3, "std": [0.5] * 3},
    {"input_size": [3, 24, 24], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash", "mean": [0.5] * 3, "std": [0.5] * 3},
    {"input_size": [3, 24, 32], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "border", "mean": [0.3, 0.5, 0.7], "std": [0.5] * 3},
    {"input_size": [3, 24, 32], "interpolation": "lanczos", "crop_pct": 0.95},
]

PICTURES = [(40, 30, 1), (30, 41, 2), (24, 24, 3), (17, 90, 4), (9, 7, 5), (64, 64, 6)]


def digest(values):
    values = np.ascontiguousarray(np.asarray(values, dtype=np.float32)[0].transpose(1, 2, 0))
    return {"size": [values.shape[1], values.shape[0]], "sha256": hashlib.sha256(values.tobytes()).hexdigest()}


def main():
    cases = []
    for content in FILES:
        with tempfile.TemporaryDirectory() as d:
            Path(d, "preprocessor_config.json").write_text(json.dumps(content))
            processor = AutoImageProcessor.from_pretrained(d, backend="pil")
        assert type(processor).__name__.endswith("Pil"), type(processor)
        cases.append({"file": content, "pixels": [digest(processor(noise(*p), return_tensors="np")["pixel_values"]) for p in PICTURES]})
    for content in TIMM:
        config = timm.data.resolve_data_config(pretrained_cfg=dict(content))
        transform = timm.data.create_transform(**config, is_training=False)
        cases.append({"file": {"architecture": "x", "pretrained_cfg": content},
                      "pixels": [digest(transform(noise(*p))[None].numpy()) for p in PICTURES]})
    lines = ",\n    ".join(json.dumps(c) for c in cases)
    made = f"transformers {transformers.__version__}, timm {timm.__version__}, torchvision {torchvision.__version__}, torch {torch.__version__}, Pillow {PIL.__version__}"
    print('{\n  "made with": %s,\n  "pictures": %s,\n  "cases": [\n    %s\n  ]\n}' % (json.dumps(made), json.dumps(PICTURES), lines))


main()
