"""PyTorch: models of transformers, of the base model's shape: a RoBERTa classifier, and RoBERTa
with a language head, which is UNIMO's."""

import sys

from protocol import PAD, main, over_batches, pad, pad_left, repeat, rounds, say


shape = {}  # instead of the base size


def config(attention="sdpa", **more):
    from transformers import RobertaConfig

    base = dict(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, num_labels=2, attn_implementation=attention)
    return RobertaConfig(**{**base, **shape, **more})


def about():
    import torch
    import transformers

    return f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads), transformers {transformers.__version__}"


def tensors(batch):
    import torch

    ids, mask, padded = pad(batch["sequences"])
    inputs = {"input_ids": torch.tensor(ids)}
    if padded:
        inputs["attention_mask"] = torch.tensor(mask)
    return inputs


def train(a):
    import torch
    from transformers import RobertaForSequenceClassification

    model = RobertaForSequenceClassification(config()).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)
    forward = torch.compile(model, dynamic=True) if a.variant == "compile" else model

    def prepare(batch):
        return {**tensors(batch), "labels": torch.tensor(batch["labels"])}

    def step(inputs):
        forward(**inputs).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return over_batches(a.file, prepare, step)


def train_text(a):
    """The source sees itself, the target the source and its own past; the vocabulary is compared with target places only."""
    import torch
    from transformers import RobertaForCausalLM

    model = RobertaForCausalLM(config()).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)

    def loss(ids, positions, mask, rows, labels):
        hidden = model.roberta(ids, attention_mask=mask, position_ids=positions).last_hidden_state
        logits = model.lm_head(hidden.flatten(0, 1)[rows])
        return torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)

    forward = torch.compile(loss, dynamic=True) if a.variant == "compile" else loss

    def prepare(batch):
        sources, targets = batch["sequences"], batch["targets"]
        whole = [s + s[:1] + t[:-1] for s, t in zip(sources, targets)]  # behind [CLS], without the end
        ids, _, _ = pad(whole)
        width = len(ids[0])
        mask = torch.zeros(len(ids), 1, width, width, dtype=torch.bool)
        positions, rows = torch.ones(len(ids), width, dtype=torch.long), []
        for i, (s, t) in enumerate(zip(sources, targets)):
            n, end = len(s), len(s) + len(t)
            mask[i, 0, :, :n] = True  # rows of padding too: nothing reads them
            mask[i, 0, n:end, n:end] = torch.ones(len(t), len(t), dtype=torch.bool).tril()
            positions[i, :n] = torch.arange(2, 2 + n)
            positions[i, n:end] = torch.arange(2, 2 + len(t))
            rows.extend(range(i * width + n, i * width + end))
        return torch.tensor(ids), positions, mask, torch.tensor(rows), torch.tensor(sum(targets, []))

    def step(inputs):
        forward(*inputs).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return over_batches(a.file, prepare, step)


def write(a):
    """generate() repeats every source for each of its beams before reading it. The variant "once" reads the
    sources first, all but their last tokens, and hands their keys and values over, repeated."""
    import torch
    from transformers import DynamicCache, RobertaForCausalLM

    model = RobertaForCausalLM(config(is_decoder=True)).eval()

    def prepare(batch):
        ids, mask, _ = pad_left(batch["sequences"])
        return torch.tensor(ids), torch.tensor(mask), batch["beams"], batch["length"]

    @torch.inference_mode()
    def step(inputs):
        ids, mask, beams, length = inputs
        more = {}
        if a.variant == "once":
            cache = DynamicCache(config=model.config)
            positions = (mask.cumsum(1) - 1).clamp(min=0)  # those generate() counts
            model.roberta(
                ids[:, :-1], attention_mask=mask[:, :-1], position_ids=positions[:, :-1], past_key_values=cache, use_cache=True,
            )
            cache.batch_repeat_interleave(beams)
            more["past_key_values"] = cache
        out = model.generate(
            ids, attention_mask=mask, num_beams=beams, do_sample=False, use_cache=True,
            min_new_tokens=length, max_new_tokens=length, **more,
        )
        if out.shape[1] != ids.shape[1] + length:
            raise RuntimeError(f"{out.shape[1] - ids.shape[1]} tokens written, want {length}")

    return over_batches(a.file, prepare, step)


def reader(head):
    """Every pair is a sequence of its own: the image's regions, then the text. head makes the layers behind the
    pooled image and the pooled text."""
    import torch
    from transformers import RobertaModel

    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.roberta = RobertaModel(config(), add_pooling_layer=False)
            width = self.roberta.config.hidden_size
            self.feature, self.location = torch.nn.Linear(2048, width), torch.nn.Linear(5, width)
            self.norm, self.dropout = torch.nn.LayerNorm(width), torch.nn.Dropout(0.1)
            self.image, self.text = torch.nn.Linear(width, width), torch.nn.Linear(width, width)
            self.head = head(width)

        def forward(self, features, locations, ids, mask, change=None):
            """change is added to the sum of the text's embeddings, before their norm."""
            regions = self.dropout(self.norm(self.feature(features) + self.location(locations)))
            words = self.roberta.embeddings.word_embeddings(ids)
            if change is not None:
                words = words + change
            x = torch.cat([regions, self.roberta.embeddings(inputs_embeds=words)], 1)
            x = self.roberta.encoder(x, attention_mask=mask).last_hidden_state
            return self.head(self.image(x[:, 0]).relu(), self.text(x[:, features.shape[1]]).relu())

    return Reader()


def match():
    import torch

    class Match(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.score, self.dropout = torch.nn.Linear(width, 1), torch.nn.Dropout(0.1)

        def forward(self, image, text):
            return self.score(self.dropout(image * text))

    return reader(Match)


def classifier(labels):
    import torch

    class Classes(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.inner, self.outer, self.dropout = torch.nn.Linear(width, 2048), torch.nn.Linear(2048, labels), torch.nn.Dropout(0.1)

        def forward(self, image, text):
            return self.outer(self.inner(self.dropout(image + text)))

    return reader(Classes)


def images(batch):
    """Features of the images, which are random, and locations of their regions."""
    import torch

    n, regions, generator = batch["images"], batch["regions"], torch.Generator().manual_seed(1)
    return torch.randn(n, regions, 2048, generator=generator), torch.rand(n, regions, 5, generator=generator)


def pair_tensors(batch, pairs):
    """Features of the images and texts, one of each for every pair."""
    import torch

    features, locations = (x[[image for image, _ in pairs]] for x in images(batch))
    regions = batch["regions"]
    ids, mask, padded = pad([batch["sequences"][text] for _, text in pairs])
    if padded:
        real = torch.cat([torch.ones(len(pairs), regions), torch.tensor(mask)], 1).bool()
        mask = real[:, None, None, :].expand(-1, 1, real.shape[1], -1)
    return features, locations, torch.tensor(ids), mask if padded else None


def circle_loss(scores, margin=0.2, scale=1.0):
    """A row: the pair that fits, pairs with other images, as many with other captions."""
    import torch

    positive, others = scores[:, :1], scores[:, 1:]

    def side(negative):
        p = (-scale * (1 + margin - positive).relu().detach() * (positive - (1 - margin))).double().exp().sum(1)
        n = (scale * (negative + margin).relu().detach() * (negative - margin)).double().exp().sum(1)
        return torch.log(1 + p * n).float().mean()

    half = others.shape[1] // 2
    return (side(others[:, :half]) + side(others[:, half:])) / 2


def train_pairs(a):
    import torch

    model = match().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)

    def prepare(batch):
        return pair_tensors(batch, batch["pairs"]), batch["group"]

    def step(ready):
        inputs, group = ready
        circle_loss(model(*inputs).view(-1, group)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return over_batches(a.file, prepare, step)


def score(a):
    """Pairs in the order of the captions, as they come, in batches of 48."""
    import torch

    model = match().eval()

    def prepare(batch):
        pairs = batch["pairs"]
        return [pair_tensors(batch, pairs[i : i + 48]) for i in range(0, len(pairs), 48)]

    @torch.inference_mode()
    def step(ready):
        for inputs in ready:
            model(*inputs)

    return over_batches(a.file, prepare, step)


def drawn(like, mask, magnitude):
    """A change of the real positions, uniform and small for the number of its values."""
    import torch

    values = mask.sum((1, 2), keepdim=True) * like.shape[2]
    change = torch.empty_like(like).uniform_(-1, 1) * mask * magnitude / values.sqrt()
    return change.requires_grad_()


def moved(change, rate=0.05, limit=0.4):
    """The change after a step up its gradient, by the reference's rule: what is compared with the limit is the
    norm of the gradient."""
    import torch

    with torch.no_grad():
        norm = change.grad.flatten(1).norm(dim=1)[:, None, None]
        change = change + rate * change.grad / norm.clamp(min=1e-8)
        return torch.where(norm > limit, change * limit / norm, change).requires_grad_()


def train_adversarial(a):
    """Steps of VILLA: in each the batch is read clean, with changed words and with changed regions. The variant
    "once" reads it clean once, and goes back through that pass at the end."""
    import torch
    from torch.nn import functional

    model = classifier(3).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)

    def apart(x, y):
        x, y = x.log_softmax(1), y.log_softmax(1)
        return sum(functional.kl_div(p, q, reduction="batchmean", log_target=True) for p, q in ((x, y), (y, x)))

    def prepare(batch):
        features, locations, ids, mask = pair_tensors(batch, batch["pairs"])
        real = (ids != PAD).float()[:, :, None]
        return (features, locations, ids, mask), real, torch.tensor(batch["labels"]), batch["steps"]

    def adversarial(inputs, real, labels, steps):
        features, locations, ids, mask = inputs
        words = drawn(model.roberta.embeddings.word_embeddings(ids).detach(), real, 0.4)
        regions = drawn(features, torch.ones_like(features[:, :, :1]), 0.4)

        def loss(logits):
            return functional.cross_entropy(logits, labels) / steps

        if a.variant == "once":
            clean = model(*inputs)
            seen = clean.detach().requires_grad_()
        for _ in range(steps):
            if a.variant == "once":
                for changed in ({"features": features, "change": words}, {"features": features + regions}):
                    logits = model(locations=locations, ids=ids, mask=mask, **changed)
                    (loss(logits) + apart(seen, logits)).backward()
            else:
                clean = model(*inputs)
                text, image = model(*inputs, change=words), model(features + regions, locations, ids, mask)
                (loss(clean) + loss(text) + loss(image) + apart(clean, text) + apart(clean, image)).backward()
            words, regions = moved(words), moved(regions)
        if a.variant == "once":
            (steps * loss(seen)).backward()
            clean.backward(seen.grad)

    def step(ready):
        adversarial(*ready)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return over_batches(a.file, prepare, step)


def ask(a):
    """Scores of 3,129 answers."""
    import torch

    model = classifier(3129).eval()
    forward = torch.compile(model, dynamic=True) if a.variant == "compile" else model

    @torch.inference_mode()
    def step(inputs):
        forward(*inputs)

    return over_batches(a.file, lambda batch: pair_tensors(batch, batch["pairs"]), step)


def caption(a):
    """As write(), with the embedded regions and the embedding of [CLS] for a source."""
    import torch
    from transformers import DynamicCache, RobertaForCausalLM

    model = RobertaForCausalLM(config(is_decoder=True)).eval()
    width = model.config.hidden_size
    feature, location, norm = torch.nn.Linear(2048, width), torch.nn.Linear(5, width), torch.nn.LayerNorm(width)

    def prepare(batch):
        features, locations = images(batch)
        return features, locations, batch["beams"], batch["length"]

    @torch.inference_mode()
    def step(inputs):
        features, locations, beams, length = inputs
        regions = norm(feature(features) + location(locations))
        first = model.roberta.embeddings.word_embeddings(torch.zeros(len(regions), 1, dtype=torch.long))
        prefix, more = torch.cat([regions, first], 1), {}
        if a.variant == "once":
            cache = DynamicCache(config=model.config)
            model.roberta(inputs_embeds=regions, past_key_values=cache, use_cache=True)
            cache.batch_repeat_interleave(beams)
            more["past_key_values"] = cache
        out = model.generate(
            inputs_embeds=prefix, attention_mask=torch.ones(prefix.shape[:2], dtype=torch.long), num_beams=beams,
            do_sample=False, use_cache=True, min_new_tokens=length, max_new_tokens=length, **more,
        )
        if out.shape[1] != length:
            raise RuntimeError(f"{out.shape[1]} tokens written, want {length}")

    return over_batches(a.file, prepare, step)


def infer(a):
    import torch
    from transformers import RobertaForSequenceClassification

    model = RobertaForSequenceClassification.from_pretrained(a.model + "/torch", attn_implementation="sdpa").eval()
    if a.workload == "encode":
        model = model.roberta
    forward = torch.compile(model, dynamic=True) if a.variant == "compile" else model

    @torch.inference_mode()
    def step(inputs):
        forward(**inputs)

    return over_batches(a.file, tensors, step)


def products(a):
    import torch

    cases = rounds(a.file)  # [rows, columns, inner] of the forward product

    def run(_):
        values = {}
        for threads in sorted({1, a.threads}):
            torch.set_num_threads(threads)
            for m, n, k in cases:
                x, w, dy = torch.randn(m, k), torch.randn(k, n), torch.randn(m, n)
                y, dx, dw = torch.empty(m, n), torch.empty(m, k), torch.empty(k, n)
                for form, call in (
                    ("NN", lambda: torch.mm(x, w, out=y)),
                    ("NT", lambda: torch.mm(dy, w.t(), out=dx)),
                    ("TN", lambda: torch.mm(x.t(), dy, out=dw)),
                ):
                    call()
                    values[f"{threads}/{m}x{n}x{k}/{form}"] = 2e-9 * m * n * k / repeat(call)
        return {"values": values}

    return run


def start(a):
    import torch

    torch.set_num_threads(a.threads)
    workloads = {
        "products": products, "train": train, "train-text": train_text, "train-pairs": train_pairs, "train-adversarial": train_adversarial,
        "score": score, "ask": ask, "write": write, "caption": caption, "predict": infer, "encode": infer,
    }
    return about(), workloads[a.workload](a)


def first(a):
    """A whole process from its start to the first prediction."""
    import torch
    from transformers import RobertaForSequenceClassification

    torch.set_num_threads(a.threads)
    model = RobertaForSequenceClassification.from_pretrained(a.model + "/torch").eval()
    with torch.inference_mode():
        logits = model(**tensors(rounds(a.file)[0][0])).logits
    say(about=about(), logits=logits.tolist())


def export(a):
    """Writes the model for PyTorch, and for ONNX Runtime where that works."""
    import torch
    from transformers import RobertaForSequenceClassification

    # ONNX Runtime's optimiser recognises attention only as eager code writes it.
    model = RobertaForSequenceClassification(config("eager")).eval()
    model.save_pretrained(a.model + "/torch")
    say(about=about())
    try:
        import onnx
        import onnxruntime
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.transformers import optimizer
    except ImportError as e:
        print(e, file=sys.stderr)
        return

    class Outputs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            hidden = self.model.roberta(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return self.model.classifier(hidden), hidden

    ids, plain = torch.randint(5, 50000, (2, 7)), a.model + "/plain.onnx"
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask", "hidden")}
    with torch.inference_mode():
        torch.onnx.export(
            Outputs(), (ids, torch.ones_like(ids)), plain, dynamo=False, opset_version=17,
            input_names=["input_ids", "attention_mask"], output_names=["logits", "hidden"],
            dynamic_axes={**axes, "logits": {0: "batch"}},
        )
    fused = optimizer.optimize_model(plain, model_type="bert", num_heads=12, hidden_size=768)
    fused.save_model_to_file(a.model + "/fused.onnx")
    for form in "plain", "fused":  # each weight's range by column, activations' at run time; types of fused operators are not inferred
        quantize_dynamic(
            f"{a.model}/{form}.onnx", f"{a.model}/{form}-int8.onnx", weight_type=QuantType.QInt8, per_channel=True,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    say(about=f"onnx {onnx.__version__}, fused {fused.get_fused_operator_statistics()}")


if __name__ == "__main__":
    main(start, first, export)
