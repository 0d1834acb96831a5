"""PyTorch fine-tunes a BERT of transformers on SST-2 or STS-B by the recipe of `unimo finetune sst-2 --init` or `sts-b`:

  python finetune_texts.py --task sst-2 --model BERT --data SST2 --learning-rate 3e-5 --epochs 1 --seed 1
  python finetune_texts.py --task sts-b --model BERT --data STSB --learning-rate 3e-5 --epochs 3 --seed 1

BERT has config.json, weights and tokenizer; SST2 has train.tsv and dev.tsv, STSB stsb-en-train.csv and stsb-en-dev.csv. A
line is printed at each evaluation and a JSON object with the scores at the end. Seeds give other draws than in unimo:
compare means over seeds.

What is the same: BERT's own pooler, tanh(affine(first token)), or with --pooler new relu(affine(first token)) from random
values; dropout, affine to two classes, or to a score with a squared error, weights from a truncated normal of 0.02; Adam with eps outside of the bias correction and decoupled decay, linear warm-up and decay from step 0, clipping at 1;
dropout, batches in a random order, text cut at max_seq_len. Without dropout, from one head and on one batch, the losses
of both are equal to six digits over a dozen steps. With --parts 4 a batch is run in four parts of like length, whose
gradients are added: the same step with less padding.
"""

import argparse
import csv
import json
import math
import statistics
import time


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--task", choices=["sst-2", "sts-b"], default="sst-2")
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
    p.add_argument("--pooler", choices=["own", "new"], default="own", help="the model's, or ReLU from random values")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--save", help="a folder for the model of the last step, as transformers writes it")
    p.add_argument("--parts", type=int, default=1, help="run a batch in so many parts of like length, their gradients added: less padding, the same step")
    return p.parse_args()


def read(a, split):
    """Tuples of one or two texts, and their labels or scores."""
    if a.task == "sst-2":
        with open(f"{a.data}/{split}.tsv", encoding="utf-8") as f:
            rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
        return [(r["sentence"],) for r in rows], [int(r["label"]) for r in rows]
    with open(f"{a.data}/stsb-en-{split}.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f))
    return [(r[0], r[1]) for r in rows], [float(r[2]) for r in rows]


def main(a):
    import torch
    from torch import nn
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            own = a.pooler == "own"
            self.encoder = AutoModel.from_pretrained(a.model, add_pooling_layer=own, hidden_dropout_prob=a.dropout, attention_probs_dropout_prob=a.dropout)
            width = self.encoder.config.hidden_size
            self.pool = None if own else nn.Linear(width, width)
            self.head, self.dropout = nn.Linear(width, outputs), nn.Dropout(a.dropout)
            for layer in [self.head] + ([] if own else [self.pool]):
                nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04)
                nn.init.zeros_(layer.bias)

        def forward(self, **inputs):
            said = self.encoder(**inputs)
            pooled = said.pooler_output if self.pool is None else self.pool(said.last_hidden_state[:, 0]).relu()
            return self.head(self.dropout(pooled))

    outputs = 2 if a.task == "sst-2" else 1
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    model = Classifier()
    if outputs == 2:
        model.encoder.embeddings.token_type_embeddings.weight.requires_grad_(False)  # in unimo the only one is part of the positions

    def save(model, tokenizer):
        if a.pooler != "own":
            raise SystemExit("--save: transformers has no classifier with the pooler of --pooler new")
        config = AutoConfig.from_pretrained(a.model, num_labels=outputs, problem_type="regression" if outputs == 1 else "single_label_classification")
        whole = AutoModelForSequenceClassification.from_config(config)
        whole.base_model.load_state_dict(model.encoder.state_dict())
        whole.classifier.load_state_dict(model.head.state_dict())
        whole.save_pretrained(a.save)
        tokenizer.save_pretrained(a.save)

    def encode(texts):
        return [tokenizer(*t, truncation=True, max_length=a.max_seq_len) for t in texts]

    def batch(encoded, labels, indices):
        inputs = tokenizer.pad([encoded[i] for i in indices], return_tensors="pt")
        return inputs, torch.tensor([labels[i] for i in indices])

    texts, labels = read(a, "train")
    ids = encode(texts)
    dev_texts, dev_labels = read(a, "dev")
    dev_ids = encode(dev_texts)

    def cost(logits, want):
        if outputs == 2:
            return nn.functional.cross_entropy(logits, want)
        return nn.functional.mse_loss(logits[:, 0], want)

    @torch.inference_mode()
    def score():
        """The accuracy, or Pearson's correlation, on dev."""
        model.eval()
        order = sorted(range(len(dev_ids)), key=lambda i: len(dev_ids[i]["input_ids"]))
        said = []
        for i in range(0, len(order), 64):
            inputs, _ = batch(dev_ids, dev_labels, order[i : i + 64])
            logits = model(**inputs)
            said += (logits.argmax(1) if outputs == 2 else logits[:, 0]).tolist()
        model.train()
        want = [dev_labels[i] for i in order]
        if outputs == 2:
            return sum(x == y for x, y in zip(said, want)) / len(order)
        return statistics.correlation(said, want)

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
        chosen = sorted(order[at : at + a.batch_size], key=lambda i: len(ids[i]["input_ids"]))
        rate = a.learning_rate * (step / warmup if step < warmup else 1 - step / total)
        for group in optimiser.param_groups:
            # Divided by the correction here, so that AdamW's (sqrt(v)/c + eps) becomes (sqrt(v) + 1e-6)/c.
            group["lr"], group["eps"] = rate, 1e-6 / math.sqrt(1 - 0.98 ** (step + 1))
        size, loss = math.ceil(len(chosen) / a.parts), 0.0
        for part in (chosen[i : i + size] for i in range(0, len(chosen), size)):
            inputs, want = batch(ids, labels, part)
            share = cost(model(**inputs), want) * (len(part) / len(chosen))
            share.backward()
            loss += share.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if (step + 1) % (a.eval_steps or per_epoch) == 0 or step + 1 == total:
            training += time.perf_counter() - start
            last = score()
            best = max(best, last)
            print(f"step {step + 1}/{total}: loss {loss:.4f}, dev score {last:.4f}, {training:.0f} s of training", flush=True)
            start = time.perf_counter()
    if a.save:
        save(model, tokenizer)
    print(json.dumps({
        "seed": a.seed, "pooler": a.pooler, "learning_rate": a.learning_rate, "parts": a.parts, "steps": total, "task": a.task, "score": last,
        "best_score": best,
        "training_seconds": round(training, 1), "seconds": round(time.perf_counter() - began, 1),
        "torch": torch.__version__, "threads": torch.get_num_threads(),
    }))


if __name__ == "__main__":
    main(arguments())
