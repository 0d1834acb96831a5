"""PaddlePaddle: a BERT-like classifier from paddle.nn, and PaddleNLP's UNIMO, of the base model's shape."""

import os
import sys

from protocol import arguments, main, over_batches, pad, pad_left, rounds, say

arguments_given = arguments()
os.environ.setdefault("FLAGS_paddle_num_threads", str(arguments_given.threads))  # Paddle's default is one thread

try:
    import numpy
    import paddle  # after its environment
    from paddle import nn
except ImportError as e:
    say(error=f"ImportError: {e}")
    sys.exit(1)


class Classifier(nn.Layer):
    def __init__(self, hidden=768, layers=12, heads=12, vocabulary=50265, positions=514, labels=2):
        super().__init__()
        self.words = nn.Embedding(vocabulary, hidden)
        self.positions = nn.Embedding(positions, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(hidden, heads, 4 * hidden, dropout=0.1, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.pool = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, labels)

    def forward(self, ids, positions, mask):
        """mask is added to the scores, B x 1 x 1 x T."""
        x = self.dropout(self.norm(self.words(ids) + self.positions(positions)))
        x = self.encoder(x, mask)
        return self.head(self.dropout(paddle.tanh(self.pool(x[:, 0])))), x


def arrays(batch):
    """Ids, positions and what is added to the scores."""
    ids, mask, _ = pad(batch["sequences"])
    width = len(ids[0])
    positions = [list(range(2, 2 + width))] * len(ids)
    added = (numpy.array(mask, dtype="float32") - 1) * 1e4
    return numpy.array(ids, dtype="int64"), numpy.array(positions, dtype="int64"), added.reshape(len(ids), 1, 1, width)


def train(a):
    """Compiled to a static graph, which is faster than dynamic mode."""
    model = Classifier()
    model.train()
    forward = paddle.jit.to_static(model)
    loss = nn.CrossEntropyLoss()
    optimiser = paddle.optimizer.Adam(
        learning_rate=1e-5, parameters=model.parameters(), grad_clip=nn.ClipGradByGlobalNorm(1.0),
    )

    def prepare(batch):
        inputs = [paddle.to_tensor(x) for x in arrays(batch)]
        return inputs, paddle.to_tensor(batch["labels"], dtype="int64")

    def step(ready):
        inputs, labels = ready
        loss(forward(*inputs)[0], labels).backward()
        optimiser.step()
        optimiser.clear_grad()

    return over_batches(a.file, prepare, step)


def predictor(a, output):
    """Paddle's inference engine with oneDNN; the function that runs it returns an output."""
    from paddle import inference

    config = inference.Config(a.model + "/paddle.json", a.model + "/paddle.pdiparams")
    config.disable_gpu()
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(a.threads)
    engine = inference.create_predictor(config)
    inputs = [engine.get_input_handle(name) for name in engine.get_input_names()]
    result = engine.get_output_handle(engine.get_output_names()[output])

    def step(values):
        for handle, value in zip(inputs, values):
            handle.copy_from_cpu(value)
        engine.run()
        return result.copy_to_cpu()

    return step


def infer(a):
    return over_batches(a.file, arrays, predictor(a, 0 if a.workload == "predict" else 1))


def write(a):
    """PaddleNLP does not go with the libraries of the other peers: $UNIMO_BENCH_PADDLENLP is a folder of its own."""
    sys.path.insert(0, os.environ.get("UNIMO_BENCH_PADDLENLP", ""))
    from paddlenlp.transformers import UNIMOConfig, UNIMOLMHeadModel

    model = UNIMOLMHeadModel(UNIMOConfig(
        vocab_size=50265, max_position_embeddings=514, hidden_act="gelu",
        bos_token_id=0, pad_token_id=1, eos_token_id=50264, mask_token_id=50264, unk_token_id=3,
    ))
    model.eval()

    def prepare(batch):
        ids, mask, _ = pad_left(batch["sequences"])
        seen = numpy.array(mask)
        positions = numpy.maximum(seen.cumsum(1) + 1, 1) * seen + 1 - seen  # from 2, 1 for padding
        added = (seen[:, None, None].astype("float32") - 1) * 1e4
        inputs = {"input_ids": numpy.array(ids), "position_ids": positions, "token_type_ids": 0 * seen}
        return {name: paddle.to_tensor(x, dtype="int64") for name, x in inputs.items()}, paddle.to_tensor(added), batch

    @paddle.no_grad()
    def step(ready):
        inputs, mask, batch = ready
        length = batch["length"]
        ids, _ = model.generate(
            **inputs, attention_mask=mask, decode_strategy="beam_search", num_beams=batch["beams"],
            min_length=length, max_length=length, use_cache=True,
        )
        if ids.shape[1] != length:
            raise RuntimeError(f"{ids.shape[1]} tokens written, want {length}")

    return over_batches(a.file, prepare, step)


def about(a):
    return f"PaddlePaddle {paddle.__version__} ({a.threads} threads)"


def start(a):
    paddle.set_device("cpu")
    return about(a), {"train": train, "write": write, "predict": infer, "encode": infer}[a.workload](a)


def first(a):
    logits = predictor(a, 0)(arrays(rounds(a.file)[0][0]))
    say(about=about(a), logits=logits.tolist())


def export(a):
    paddle.set_device("cpu")
    model = Classifier()
    model.eval()
    inputs = [
        paddle.static.InputSpec([None, None], "int64", "ids"),
        paddle.static.InputSpec([None, None], "int64", "positions"),
        paddle.static.InputSpec([None, 1, 1, None], "float32", "mask"),
    ]
    paddle.jit.save(paddle.jit.to_static(model, input_spec=inputs), a.model + "/paddle")
    say(about=about(a))


if __name__ == "__main__":
    main(start, first, export)
