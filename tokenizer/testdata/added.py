"""Makes added.json: vocabularies with added tokens, texts, and the ids that transformers gives them.

    python added.py        # needs transformers 5, and wordpiece/ beside it

Each entry of "folders" has the files of a vocabulary (of WordPiece without vocab.txt, which is that of
wordpiece/uncased) and the ids of each of the texts, without special tokens around them.
"""

import json
import os
import random
import tempfile

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertTokenizer, RobertaTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = """a man dogs Dogs [MASK] [SEP] [UNK] <mask> </s> <s> x-ray X-RAY xx-rays New York NEW YORK _x É 日本 日 本
 <pic> <PIC> [ENC] children unbelievable covid COVID covid19 ##s - _ . \u00a0 e\u0301 İ \u200d क्""".split(" ")
FLAGS = [
    {}, {"lstrip": True}, {"rstrip": True}, {"single_word": True}, {"normalized": False}, {"normalized": False, "single_word": True},
    {"special": True}, {"special": True, "lstrip": True, "rstrip": True}, {"special": True, "normalized": True},
]
ADDED = ["x-ray", "New York", "É", "日本", "<pic>", "covid", "[ENC]", " dogs", "man", "ma"]


def texts(r):
    for _ in range(80):
        words = [w.strip("\n") for w in r.choices(WORDS + ADDED, k=r.randint(1, 8))]
        yield r.choice([" ", "", "  "]).join(words)


def ids(tokenizer, texts):
    return [tokenizer(text, add_special_tokens=False).input_ids for text in texts]


def main():
    r = random.Random(11)
    lines = list(texts(r))
    folders = []

    def folder(name, cls, files, vocab=None):
        with tempfile.TemporaryDirectory() as d:
            for file, content in (files | ({"vocab.txt": vocab} if vocab else {})).items():
                with open(os.path.join(d, file), "w", encoding="utf-8") as f:
                    f.write(content if isinstance(content, str) else json.dumps(content))
            folders.append({"name": name, "files": {k: v if isinstance(v, str) else json.dumps(v) for k, v in files.items()}, "ids": ids(cls.from_pretrained(d), lines)})

    vocab = open(os.path.join(HERE, "wordpiece/uncased/vocab.txt"), encoding="utf-8").read()
    n = vocab.count("\n")
    bert = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    added = {token: n + i for i, token in enumerate(ADDED)}
    decoder = {str(n + i): {"content": token, "lstrip": False, "rstrip": False, "single_word": False, "special": False, "normalized": True} | FLAGS[i % len(FLAGS)] for i, token in enumerate(ADDED)}
    folder("vocab.txt", BertTokenizer, {"tokenizer_config.json": bert}, vocab)
    folder("added_tokens.json", BertTokenizer, {"tokenizer_config.json": bert, "added_tokens.json": added}, vocab)
    folder("special_tokens_map.json", BertTokenizer, {"tokenizer_config.json": bert, "added_tokens.json": added, "special_tokens_map.json": {
        "bos_token": "[ENC]", "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}, "additional_special_tokens": ["New York"]}}, vocab)
    folder("added_tokens_decoder", BertTokenizer, {"tokenizer_config.json": bert | {"added_tokens_decoder": decoder}}, vocab)
    folder("split_special_tokens", BertTokenizer, {"tokenizer_config.json": bert | {"added_tokens_decoder": decoder, "split_special_tokens": True}}, vocab)
    folder("a blank line and a token twice", BertTokenizer, {"vocab.txt": vocab + "\ndogs\n", "tokenizer_config.json": bert})

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    bpe.train_from_iterator([" ".join(WORDS)] * 3, trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    model = json.loads(bpe.to_str())["model"]
    merges = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in model["merges"])
    n = len(model["vocab"])
    roberta = {"tokenizer_class": "RobertaTokenizer", "do_lower_case": False}
    plain = {"vocab.json": model["vocab"], "merges.txt": merges}
    folder("vocab.json", RobertaTokenizer, plain | {"tokenizer_config.json": roberta})
    folder("vocab.json, added_tokens.json", RobertaTokenizer, plain | {"added_tokens.json": {token: n + i for i, token in enumerate(a for a in ADDED if a not in model["vocab"])}, "tokenizer_config.json": roberta | {
        "mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": True, "single_word": False}}})

    for kind, name in (("wordpiece", "vocab.txt"), ("bpe", "vocab.json")):
        files = next(f for f in folders if f["name"] == name)["files"] | ({"vocab.txt": vocab} if kind == "wordpiece" else {})
        with tempfile.TemporaryDirectory() as d:
            for file, content in files.items():
                open(os.path.join(d, file), "w", encoding="utf-8").write(content)
            t = AutoTokenizer.from_pretrained(d)
            for i, token in enumerate(ADDED):
                flags = dict(FLAGS[(i + 4) % len(FLAGS)])
                special = flags.pop("special", False)
                t.add_tokens(AddedToken(token, special=special, **flags), special_tokens=special)
            with tempfile.TemporaryDirectory() as saved:
                t.save_pretrained(saved)
                folder("tokenizer.json, " + kind, AutoTokenizer, {f: open(os.path.join(saved, f), encoding="utf-8").read() for f in ("tokenizer.json", "tokenizer_config.json")})

    with open(os.path.join(HERE, "added.json"), "w", encoding="utf-8", newline="\n") as f:
        json.dump({"texts": lines, "folders": folders}, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
