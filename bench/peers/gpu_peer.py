"""PyTorch on a GPU: torch_peer.py's models in bfloat16 by autocast, SDPA, fused AdamW, compiled for the shapes that come ("compile") or for
any ("compile-any"). Without a GPU it computes on the processor, which tries the script."""

import time

import protocol
import torch_peer
from protocol import main, rounds, size


def on_gpu(a):
    import torch

    if a.size == "tiny":
        torch_peer.shape.update(vocab_size=128, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    if gpu:
        torch.backends.cuda.matmul.allow_tf32 = True
        protocol.peak_of = torch.cuda.max_memory_allocated
    else:
        torch.set_num_threads(a.threads)
    return device, torch.cuda.synchronize if gpu else lambda: None


def moved(x, device):
    """A batch in the device's memory."""
    import torch

    if torch.is_tensor(x):
        return x.to(device)
    if isinstance(x, dict):
        return {k: moved(v, device) for k, v in x.items()}
    return tuple(moved(v, device) for v in x) if isinstance(x, tuple) else x


def learn(a, make, loss, prepare):
    """A round's function: its batches lie in the device's memory before the time starts, which ends when all is computed."""
    import torch

    device, settle = on_gpu(a)
    model = make().train().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)
    forward = model
    if a.variant:
        forward = torch.compile(model, dynamic=a.variant == "compile-any")
    all_rounds = rounds(a.file)

    def run(i):
        batches = all_rounds[i % len(all_rounds)]
        ready = [moved(prepare(batch), device) for batch in batches]
        settle()
        start = time.perf_counter()
        for inputs in ready:
            with torch.autocast(device.type, torch.bfloat16):
                value = loss(forward, inputs)
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
        settle()
        return {"seconds": [time.perf_counter() - start], "tokens": [sum(map(size, batches))]}

    return run


def train(a):
    import torch

    def make():
        from transformers import RobertaForSequenceClassification

        return RobertaForSequenceClassification(torch_peer.config())

    def prepare(batch):
        return {**torch_peer.tensors(batch), "labels": torch.tensor(batch["labels"])}

    return learn(a, make, lambda forward, inputs: forward(**inputs).loss, prepare)


def train_pairs(a):
    def prepare(batch):
        return torch_peer.pair_tensors(batch, batch["pairs"]), batch["group"]

    def loss(forward, inputs):
        tensors, group = inputs
        return torch_peer.circle_loss(forward(*tensors).float().view(-1, group))

    return learn(a, torch_peer.match, loss, prepare)


def start(a):
    import torch

    run = {"train": train, "train-pairs": train_pairs}[a.workload](a)
    where = torch.cuda.get_device_name() + f", CUDA {torch.version.cuda}" if torch.cuda.is_available() else "no GPU"
    return f"{torch_peer.about()}; {where}", run


if __name__ == "__main__":
    main(start, None)
