"""PaddlePaddle: a BERT-like classifier from paddle.nn, of the base model's shape."""

import os
import sys

from protocol import arguments, over_batches, pad, rounds, say, serve

arguments_given = arguments()
os.environ.setdefault("FLAGS_paddle_num_threads", str(arguments_given.threads))  # Paddle's default is one thread

try:
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
        """mask is added to the scores, B x 1 x 1 x T, or None."""
        x = self.dropout(self.norm(self.words(ids) + self.positions(positions)))
        x = self.encoder(x, mask)
        return self.head(self.dropout(paddle.tanh(self.pool(x[:, 0])))), x


def tensors(batch):
    ids, mask, padded = pad(batch["sequences"])
    width = len(ids[0])
    positions = paddle.to_tensor([list(range(2, 2 + width))] * len(ids), dtype="int64")
    added = None
    if padded:
        added = (paddle.to_tensor(mask, dtype="float32") - 1) * 1e4
        added = added.reshape([len(ids), 1, 1, width])
    return paddle.to_tensor(ids, dtype="int64"), positions, added


def train(a):
    model = Classifier()
    model.train()
    loss = nn.CrossEntropyLoss()
    optimiser = paddle.optimizer.Adam(
        learning_rate=1e-5, parameters=model.parameters(), grad_clip=nn.ClipGradByGlobalNorm(1.0),
    )

    def prepare(batch):
        return tensors(batch), paddle.to_tensor(batch["labels"], dtype="int64")

    def step(ready):
        inputs, labels = ready
        loss(model(*inputs)[0], labels).backward()
        optimiser.step()
        optimiser.clear_grad()

    return over_batches(a.file, prepare, step)


def load(a):
    model = Classifier()
    model.set_state_dict(paddle.load(a.model + "/paddle.pdparams"))
    model.eval()
    return model


def infer(a):
    model = load(a)

    @paddle.no_grad()
    def step(inputs):
        model(*inputs)[0 if a.workload == "predict" else 1].numpy()

    return over_batches(a.file, tensors, step)


def about(a):
    return f"PaddlePaddle {paddle.__version__} ({a.threads} threads)"


def start(a):
    paddle.set_device("cpu")
    return about(a), {"train": train, "predict": infer, "encode": infer}[a.workload](a)


def first():
    a = arguments_given
    with paddle.no_grad():
        logits = load(a)(*tensors(rounds(a.file)[0][0]))[0]
    say(about=about(a), logits=logits.tolist())


def export():
    a = arguments_given
    paddle.save(Classifier().state_dict(), a.model + "/paddle.pdparams")
    say(about=about(a))


if __name__ == "__main__":
    if "first" in sys.argv:
        first()
    elif "export" in sys.argv:
        export()
    else:
        serve(start)
