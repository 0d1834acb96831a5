"""Picture encoders with random weights: PyTorch (transformers' ViT, timm's EfficientNet-Lite) and ONNX Runtime.

A variant is the engine (torch, compile, onnx), then how pictures go in: "each", a thread for each picture; a number, that many
at once on all threads; "last" behind it: with the channels last in memory.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from protocol import main, rounds, say, size


def network(name):
    """The model with random weights, and its folder's files but for the weights."""
    import timm
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(1)
    if name == "vit-b16":
        model = ViTModel(ViTConfig(), add_pooling_layer=True).eval()
        return model, {"preprocessor_config.json": {"image_processor_type": "ViTImageProcessor", "size": 224, "resample": 2}}
    model = timm.create_model("efficientnet_lite0", num_classes=10).eval()
    keys = ("input_size", "interpolation", "crop_pct", "mean", "std")
    return model, {"config.json": {"architecture": "efficientnet_lite0", "pretrained_cfg": {k: model.pretrained_cfg[k] for k in keys}}}


def folder(a, name):
    return os.path.join(a.model, name)


def transform(name):
    """From a picture of Pillow to a tensor, with Pillow's scaling."""
    from torchvision import transforms as t

    if name == "vit-b16":
        return t.Compose([t.Resize((224, 224), t.InterpolationMode.BILINEAR), t.ToTensor(), t.Normalize([0.5] * 3, [0.5] * 3)])
    return t.Compose([t.Resize(256, t.InterpolationMode.BICUBIC), t.CenterCrop(224), t.ToTensor(),
                      t.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])


def torch_step(a, name, engine, last):
    """A function from pixels to the last layer's regions."""
    import torch
    model, _ = network(name)  # with the same random weights as those in the file
    forward = model.forward_features if hasattr(model, "forward_features") else lambda x: model(x).last_hidden_state
    if last:
        model.to(memory_format=torch.channels_last)
    if engine == "compile":
        forward = torch.compile(forward)

    def step(pixels):
        with torch.inference_mode():
            return forward(pixels.contiguous(memory_format=torch.channels_last) if last else pixels)

    return step


def onnx_step(a, name, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder(a, name) + ".onnx", options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels.numpy()})


def start(a):
    import torch
    from PIL import Image

    engine, many, *last = a.variant.split("-")
    work = rounds(a.file)
    name = work[0][0]["network"]
    each = many == "each"
    torch.set_num_threads(1 if each else a.threads)
    step = onnx_step(a, name, 1 if each else a.threads) if engine == "onnx" else torch_step(a, name, engine, bool(last))
    prepare, pool, known = transform(name), ThreadPoolExecutor(a.threads), {}

    def load(path):
        return prepare(Image.open(path).convert("RGB"))

    def batch_step(batch):
        paths = batch["pictures"]
        get = load if batch.get("decode") else known.__getitem__
        if each:
            outputs = list(pool.map(lambda path: step(get(path)[None]), paths))
        else:
            n = int(many)
            outputs = [step(torch.stack(list(pool.map(get, paths[i:i + n])))) for i in range(0, len(paths), n)]
        assert outputs

    for batch in (b for r in work for b in r if not b.get("decode")):
        for path in batch["pictures"]:
            if path not in known:
                known[path] = load(path)
    import time

    def run(i):
        seconds, sizes = [], []
        for batch in work[i % len(work)]:
            began = time.perf_counter()
            batch_step(batch)
            seconds.append(time.perf_counter() - began)
            sizes.append(size(batch))
        return {"seconds": seconds, "tokens": sizes}

    return about(engine, a), run


def about(engine, a):
    if engine == "onnx":
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__} ({a.threads} threads, all graph optimisations)"
    import timm
    import torch
    import transformers

    return f"PyTorch {torch.__version__} ({a.threads} threads), transformers {transformers.__version__}, timm {timm.__version__}"


def export(a):
    """Writes the folder of each network, and its graph for ONNX Runtime where that works."""
    import torch
    from safetensors.torch import save_file

    for name in ("vit-b16", "efficientnet-lite0"):
        model, files = network(name)
        os.makedirs(folder(a, name), exist_ok=True)
        if hasattr(model, "save_pretrained"):
            model.save_pretrained(folder(a, name))
        else:
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, os.path.join(folder(a, name), "model.safetensors"))
        for file, content in files.items():
            with open(os.path.join(folder(a, name), file), "w") as f:
                json.dump(content, f)
        try:
            class Regions(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.model = model

                def forward(self, pixels):
                    return model.forward_features(pixels) if hasattr(model, "forward_features") else model(pixels).last_hidden_state

            with torch.inference_mode():
                torch.onnx.export(Regions(), (torch.zeros(2, 3, 224, 224),), folder(a, name) + ".onnx", input_names=["pixels"], output_names=["regions"],
                                  dynamic_axes={"pixels": {0: "batch"}, "regions": {0: "batch"}}, dynamo=False, opset_version=17)
        except Exception as e:  # then ONNX Runtime finds no graph and says so
            print(name, e, file=sys.stderr)
    say(about=about("torch", a))


if __name__ == "__main__":
    main(start, None, export)
