"""Makes paddlenlp/: a tiny random UNIMO as PaddleNLP writes it, what it computes, and what it writes.

  python3 paddlenlp.py

Needs PaddleNLP 2.8.1, PaddlePaddle 3.3.1 and safetensors.
"""
import json
import os

import numpy as np
import paddle
from paddlenlp.transformers.unimo.configuration import UNIMOConfig
from paddlenlp.transformers.unimo.modeling import UNIMOLMHeadModel
from paddlenlp.transformers.unimo.tokenizer import UNIMOTokenizer
from safetensors.numpy import save_file

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "paddlenlp")
os.makedirs(out, exist_ok=True)

words = "[PAD] [CLS] [SEP] [MASK] , 。 的 一 人 有 是 在 中 为 和 以 北 京 大 学 生 天 地 水 火 ##i ##n phone 6 ##2 the cat ##s sat on mat !".split()
ids = {w: i for i, w in enumerate(words + ["[UNK]"])}
with open(os.path.join(out, "vocab.txt"), "w", encoding="utf-8") as f:
    f.writelines(f"{w}\t{i}\n" for w, i in ids.items())
unk = ids["[UNK]"]
config = UNIMOConfig(
    vocab_size=40, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, max_position_embeddings=33,
    unk_token_id=unk, initializer_range=0.3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)
paddle.seed(11)
model = UNIMOLMHeadModel(config)
for name, p in model.named_parameters():
    scale = 1.0 if "embeddings" in name else 0.1 if name.endswith("bias") or "norm" in name else 0.7
    p.set_value(paddle.randn(p.shape) * scale + (1 if "norm" in name and name.endswith("weight") else 0))
bias = model.lm_head.decoder_bias.numpy()
bias[len(ids):] = -30  # rows that fill the table: no token has them, and this program cuts them off
model.lm_head.decoder_bias.set_value(bias)
model.eval()
paddle.save(model.state_dict(), os.path.join(out, "model_state.pdparams"))
keys = {k: v for k, v in config.to_dict().items() if k in (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "normalize_before", "max_position_embeddings", "type_vocab_size", "initializer_range",
    "unk_token_id", "pad_token_id", "bos_token_id", "eos_token_id", "mask_token_id", "model_type")}
with open(os.path.join(out, "config.json"), "w") as f:
    json.dump(dict(keys, architectures=["UNIMOLMHeadModel"]), f, indent=1, sort_keys=True)
arguments = {k: v for k, v in keys.items() if k != "model_type"}
with open(os.path.join(out, "model_config.json"), "w") as f:  # as versions before 2.5 wrote it
    json.dump({"init_args": [dict(arguments, init_class="UNIMOModel")], "init_class": "UNIMOLMHeadModel"}, f, indent=1, sort_keys=True)

tok = UNIMOTokenizer(os.path.join(out, "vocab.txt"))
texts = ["北京大学的学生在水中。", "the cats sat on the mat!", "天地一人 phone62", "火", "大学生有的是水和火, the cat"]


def forced(source, target):
    """Logits of every token of a target, teacher-forced."""
    e = tok.gen_encode(source, target=target, max_seq_len=60, max_title_len=8, max_target_len=20, return_tensors=True)
    n = len(tok.gen_encode(source, max_seq_len=60, max_title_len=8, max_target_len=20)["input_ids"])
    with paddle.no_grad():
        logits = model(e["input_ids"], e["token_type_ids"], e["position_ids"], e["attention_mask"])
    return e["input_ids"].numpy()[0], n, logits.numpy()[0, n:]


tensors = {}
for i, (a, b) in enumerate([(texts[0], "人在水中"), (texts[1], "the cat"), (texts[3], texts[0])]):
    tokens, n, logits = forced(a, b)
    tensors |= {f"tokens{i}": tokens.astype(np.int64), f"source{i}": np.array([n]), f"logits{i}": np.ascontiguousarray(logits)}
save_file(tensors, os.path.join(out, "expected.safetensors"))


def merged(tokens):
    """As PaddleNLP's examples make a text of tokens, unknown ones left out."""
    return "".join(t for t in tok.merge_subword(tok.convert_ids_to_tokens(tokens)) if t != "[UNK]")


def greedy(text, least, most):
    e = tok.gen_encode(text, max_seq_len=60, max_title_len=8, max_target_len=20, add_start_token_for_decoding=True, return_tensors=True)
    with paddle.no_grad():
        written, _ = model.generate(**e, decode_strategy="greedy_search", min_length=least, max_length=most)
    written = written.numpy()[0].tolist()
    return written[: written.index(3)] if 3 in written else written


def beam(text, size, alpha, most):
    """The reference's beam search (a hypothesis that has ended stays among the others) over PaddleNLP's logits."""
    e = tok.gen_encode(text, max_seq_len=60, max_title_len=8, max_target_len=20, add_start_token_for_decoding=True)
    n = len(e["input_ids"]) - 1
    beams = [([1], 0.0, 0.0, False)]
    for t in range(most):
        offers = []
        for tokens, total, score, ended in beams:
            if ended:
                offers.append((score, tokens, total, True))
                continue
            row = e["input_ids"][:n] + tokens
            mask = np.full((len(row), len(row)), -1e4, "float32")
            mask[:, :n] = 0
            mask[n:, n:] = np.triu(mask[n:, n:], 1)
            with paddle.no_grad():
                logits = model(
                    paddle.to_tensor([row]), paddle.to_tensor([[0] * n + [1] * len(tokens)]),
                    paddle.to_tensor([list(range(n)) + list(range(len(tokens)))]), paddle.to_tensor(mask[None, None]))
            logits = model.adjust_logits_during_generation(logits[:, -1])
            p = paddle.nn.functional.log_softmax(logits.astype("float64"))[0].numpy()
            for v in np.argsort(-p, kind="stable")[:size]:
                s = total + p[v]
                offers.append((s / ((5 + len(tokens)) / 6) ** alpha, tokens + [int(v)], s, v == 3))
        offers.sort(key=lambda o: -o[0])
        beams = [(tokens, total, score, ended) for score, tokens, total, ended in offers[:size]]
        if all(b[3] for b in beams):
            break
    tokens, _, score, ended = beams[0]
    return (tokens[1:-1] if ended else tokens[1:]), score


cases = []
for text in texts:
    for least, most in ((1, 12), (4, 12)):
        g = greedy(text, least, most)
        cases.append({"text": text, "source": tok.gen_encode(text, max_seq_len=60, max_title_len=8, max_target_len=20)["input_ids"],
                      "min_length": least, "max_length": most, "beam": 1, "ids": g, "joined": merged(g)})
    ids_, score = beam(text, 4, 0.6, 10)
    cases.append({"text": text, "source": cases[-1]["source"], "max_length": 10, "beam": 4, "length_penalty": 0.6, "ids": ids_, "score": score, "joined": merged(ids_)})
with open(os.path.join(out, "generated.json"), "w", encoding="utf-8") as f:
    json.dump(cases, f, ensure_ascii=False, indent=0)
