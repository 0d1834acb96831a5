"""PyTorch fine-tunes a BERT of transformers on SST-2 by the recipe of `unimo finetune sst-2 --init`:

  python sst2_minilm.py --model MINILM --data SST2 --learning-rate 3e-5 --epochs 1 --seed 1

MINILM has config.json, weights and tokenizer; SST2 has train.tsv and dev.tsv. A line is printed at each evaluation and a
JSON object with the accuracies at the end. Seeds give other draws than in unimo: compare means over seeds.

What is the same: pooled = relu(affine(first token)), dropout, affine to two classes, weights from a truncated normal of 0.02;
Adam with eps outside of the bias correction and decoupled decay, linear warm-up and decay from step 0, clipping at 1;
dropout, batches in a random order, text cut at max_seq_len. Without dropout, from one head and on one batch, the losses
of both are equal to six digits over a dozen steps.
"""

import argparse
import csv
import json
import math
import time


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--learning-rate", type=float, default=3e-5)
    p.add_argument("--epochs", type=int, default=1)
    p.add_argument("--max-steps", type=int, default=0, help="stop and decay to zero after so many (0: by epochs)")
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--max-seq-len", type=int, default=128)
    p.add_argument("--warmup-proportion", type=float, default=0.06)
    p.add_argument("--weight-decay", type=float, default=0.0)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--eval-steps", type=int, default=0, help="evaluate every so many steps (0: after each epoch)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    return p.parse_args()


def read(path):
    with open(path, encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [r["sentence"] for r in rows], [int(r["label"]) for r in rows]


def main(a):
    import torch
    from torch import nn
    from transformers import AutoModel, AutoTokenizer

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = AutoModel.from_pretrained(a.model, add_pooling_layer=False, hidden_dropout_prob=a.dropout, attention_probs_dropout_prob=a.dropout)
            width = self.encoder.config.hidden_size
            self.pool, self.head, self.dropout = nn.Linear(width, width), nn.Linear(width, 2), nn.Dropout(a.dropout)
            for layer in (self.pool, self.head):
                nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04)
                nn.init.zeros_(layer.bias)

        def forward(self, **inputs):
            return self.head(self.dropout(self.pool(self.encoder(**inputs).last_hidden_state[:, 0]).relu()))

    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    model = Classifier()
    model.encoder.embeddings.token_type_embeddings.weight.requires_grad_(False)  # in unimo they are part of the positions

    def encode(texts):
        return tokenizer(texts, truncation=True, max_length=a.max_seq_len, return_token_type_ids=False)["input_ids"]

    def batch(ids, labels, indices):
        inputs = tokenizer.pad({"input_ids": [ids[i] for i in indices]}, return_tensors="pt")
        return inputs, torch.tensor([labels[i] for i in indices])

    texts, labels = read(a.data + "/train.tsv")
    ids = encode(texts)
    dev_texts, dev_labels = read(a.data + "/dev.tsv")
    dev_ids = encode(dev_texts)

    @torch.inference_mode()
    def accuracy():
        model.eval()
        order = sorted(range(len(dev_ids)), key=lambda i: len(dev_ids[i]))
        right = 0
        for i in range(0, len(order), 64):
            inputs, want = batch(dev_ids, dev_labels, order[i : i + 64])
            right += (model(**inputs).argmax(1) == want).sum().item()
        model.train()
        return right / len(order)

    decayed = [p for name, p in model.named_parameters() if not (name.endswith("bias") or "LayerNorm" in name)]
    rest = [p for name, p in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": a.weight_decay}, {"params": rest, "weight_decay": 0.0}], betas=(0.9, 0.98), fused=True,
    )
    per_epoch = math.ceil(len(ids) / a.batch_size)
    total = a.max_steps or per_epoch * a.epochs
    warmup = int(total * a.warmup_proportion)
    best, start, began = 0.0, time.perf_counter(), time.perf_counter()
    training = 0.0
    model.train()
    for step in range(total):
        if step % per_epoch == 0:
            order = torch.randperm(len(ids)).tolist()
        at = step % per_epoch * a.batch_size
        inputs, want = batch(ids, labels, order[at : at + a.batch_size])
        rate = a.learning_rate * (step / warmup if step < warmup else 1 - step / total)
        for group in optimiser.param_groups:
            # Divided by the correction here, so that AdamW's (sqrt(v)/c + eps) becomes (sqrt(v) + 1e-6)/c.
            group["lr"], group["eps"] = rate, 1e-6 / math.sqrt(1 - 0.98 ** (step + 1))
        loss = nn.functional.cross_entropy(model(**inputs), want)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if (step + 1) % (a.eval_steps or per_epoch) == 0 or step + 1 == total:
            training += time.perf_counter() - start
            last = accuracy()
            best = max(best, last)
            print(f"step {step + 1}/{total}: loss {loss.item():.4f}, dev accuracy {last:.4f}, {training:.0f} s of training", flush=True)
            start = time.perf_counter()
    print(json.dumps({
        "seed": a.seed, "learning_rate": a.learning_rate, "steps": total, "accuracy": last, "best_accuracy": best,
        "training_seconds": round(training, 1), "seconds": round(time.perf_counter() - began, 1),
        "torch": torch.__version__, "threads": torch.get_num_threads(),
    }))


if __name__ == "__main__":
    main(arguments())
