"""Makes the models and the numbers that the tests compare with: python make_goldens.py [--large DIR]

Small random models of every family are saved as transformers saves them, with what they make of random pixels. With
--large, models of published sizes go into DIR instead, for UNIMO_WEIGHTS.
"""

import json
import os
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection,
    Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel,
    SiglipConfig, SiglipModel, SiglipVisionConfig, SiglipVisionModel, ViTConfig, ViTForImageClassification, ViTModel,
)

small = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=12, patch_size=4)
square = {k: v for k, v in small.items() if k != "intermediate_size"}
text = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9,
            max_position_embeddings=4, bos_token_id=0, eos_token_id=1)

SMALL = {
    "vit": lambda: ViTModel(ViTConfig(**small)),
    "vit-classifier": lambda: ViTForImageClassification(ViTConfig(**small, qkv_bias=False)),
    "clip": lambda: CLIPModel(CLIPConfig(vision_config=small, text_config=text, projection_dim=8)),
    "clip-vision": lambda: CLIPVisionModel(CLIPVisionConfig(**small, hidden_act="gelu")),
    "clip-projection": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**small, projection_dim=8)),
    "siglip": lambda: SiglipModel(SiglipConfig(vision_config=small, text_config=text)),
    "siglip-vision": lambda: SiglipVisionModel(SiglipVisionConfig(**small)),
    "siglip-headless": lambda: SiglipVisionModel(SiglipVisionConfig(**small, vision_use_head=False)),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**square, mlp_ratio=2)),
    "dinov2-giant": lambda: Dinov2Model(Dinov2Config(**square, use_swiglu_ffn=True)),
    "dinov2-registers": lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**square, mlp_ratio=2, num_register_tokens=3)),
}
LARGE = {
    "vit-b16": lambda: ViTModel(ViTConfig()),
    "clip-b32": lambda: CLIPVisionModel(CLIPVisionConfig()),
    "siglip-b16": lambda: SiglipVisionModel(SiglipVisionConfig()),
    "dinov2-s14": lambda: Dinov2Model(Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518)),
    "dinov2-registers-s14": lambda: Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14)),
    "dinov2-giant-4-layers": lambda: Dinov2Model(
        Dinov2Config(hidden_size=1536, num_attention_heads=24, num_hidden_layers=4, image_size=518, use_swiglu_ffn=True)),
}


def randomise(model, small):
    """Weights that make every part matter: the initial ones are too small to."""
    for name, p in model.named_parameters():
        with torch.no_grad():
            if p.ndim < 2 and ("norm" in name or "lambda" in name) and name.endswith(("weight", "lambda1")):
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif p.ndim < 2 or small:
                p.copy_(0.3 * torch.randn_like(p))
            else:
                p.copy_(torch.randn_like(p) * (0.5 if "embed" in name else 1) / p[0].numel() ** 0.5)


def outputs(model, pixels):
    """Regions and the whole (None where there is none) of one picture."""
    tower = next((m for m in model.modules() if isinstance(m, (ViTModel, CLIPVisionModel, SiglipVisionModel, Dinov2Model, Dinov2WithRegistersModel))))
    config = tower.config
    ahead = 0 if "siglip" in config.model_type else 1 + getattr(config, "num_register_tokens", 0)
    options = {} if "dinov2" in config.model_type else {"interpolate_pos_encoding": True}
    out = tower(pixels, **options)
    whole = out.pooler_output
    if whole is None and ahead:
        whole = out.last_hidden_state[:, 0]
    return out.last_hidden_state[0, ahead:], None if whole is None else whole[0]


def numbers(model, sizes):
    """What the model makes of random pixels of several sizes (height, width)."""
    result = {}
    for height, width in sizes:
        pixels = torch.randn(1, 3, height, width)
        with torch.no_grad():
            regions, whole = outputs(model, pixels)
        size = f"{height}x{width}"
        result[f"{size}.pixels"] = pixels[0].permute(1, 2, 0).contiguous()
        result[f"{size}.regions"] = regions.contiguous()
        if whole is not None:
            result[f"{size}.global"] = whole.contiguous()
    return result


def gradients(model, numbers, sizes):
    """Of all parameters, as the file names them: of a loss over the rows (the whole, then the regions) of pictures of some sizes.
    Each value counts with the cosine of its number."""
    loss, n = 0, 0
    for height, width in sizes:
        regions, whole = outputs(model, numbers[f"{height}x{width}.pixels"].permute(2, 0, 1)[None])
        rows = torch.cat([regions.mean(0, keepdim=True) if whole is None else whole[None], regions])
        loss = loss + (rows.flatten() * torch.cos(torch.arange(n, n + rows.numel()).float())).sum()
        n += rows.numel()
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        all = load_file(os.path.join(folder, "model.safetensors"))
    return {name: g for name, g in all.items() if "text" not in name and "logit" not in name}


def main():
    print("torch", torch.__version__, "transformers", transformers.__version__)
    large = "--large" in sys.argv
    root = sys.argv[-1] if large else os.path.dirname(os.path.abspath(__file__))
    for i, (name, make) in enumerate((LARGE if large else SMALL).items()):
        torch.manual_seed(i)
        model = make().eval()
        randomise(model, not large)
        folder = os.path.join(root, name)
        shards = {"max_shard_size": "6KB"} if name == "dinov2" else {}
        model.save_pretrained(folder, **shards)
        path = os.path.join(folder, "config.json")
        config = json.load(open(path))
        json.dump(config, open(path, "w"), indent=1)
        if name == "siglip-vision":  # as PyTorch saves it
            path = os.path.join(folder, "model.safetensors")
            torch.save(load_file(path), os.path.join(folder, "pytorch_model.bin"))
            os.remove(path)
        if large:
            sizes = [(224, 224)]
        else:
            sizes = [(12, 12), (23, 16), (8, 8), (4, 6)]
        golden = numbers(model, sizes)
        save_file(golden, os.path.join(folder, "golden.safetensors"))
        if not large:
            save_file(gradients(model, golden, sizes[:2] + sizes[:1]), os.path.join(folder, "gradients.safetensors"))


main()
