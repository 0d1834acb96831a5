#!/usr/bin/env python3
"""Makes bert/ and cases.json: a tiny random BERT, and the vectors that sentence-transformers and transformers make with it.

Made with the versions that cases.json names:

    pip install torch==2.15.0 transformers==5.23.0 sentence-transformers==6.2.0
    python make_goldens.py

Every case has the files of a folder of sentence-transformers but for the encoder's, which is bert/ for all, and what
`SentenceTransformer(folder).encode(texts)` gives. Some files are in the form of before version 5, which the library still reads.
"""
import base64
import json
import os
import shutil
import sys
import tempfile

import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer

HERE = os.path.dirname(os.path.abspath(__file__))
BERT = os.path.join(HERE, "bert")
WORDS = "a the dog cat man woman runs sits plays on in with beach ball chess two and red ##s ##ing play run query : . , ! é".split()
TEXTS = [
    "A dog runs on the beach.", "two men play chess", "", "the cat sits", "a red ball and a red dog and a red cat and a red man and the woman with the ball",
    "Élan unknown words", "running", "!",
]


def make_bert():
    shutil.rmtree(BERT, ignore_errors=True)
    os.makedirs(BERT)
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list("abcdefghijklmnopqrstuvwxyz") + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz"]
    vocab += [w for w in WORDS if w not in vocab]
    with open(os.path.join(BERT, "vocab.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(vocab) + "\n")
    tok = transformers.BertTokenizerFast(vocab=os.path.join(BERT, "vocab.txt"), do_lower_case=True, model_max_length=40)
    torch.manual_seed(7)
    config = transformers.BertConfig(vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                                     max_position_embeddings=40, initializer_range=0.3)
    model = transformers.BertModel(config)
    for name, p in model.named_parameters():
        if "bias" in name or "LayerNorm" in name:
            torch.nn.init.normal_(p, mean=1.0 if "LayerNorm.weight" in name else 0.0, std=0.2)
    model.save_pretrained(BERT)
    tok.save_pretrained(BERT)


def folder(files):
    out = tempfile.mkdtemp()
    for name in os.listdir(BERT):
        shutil.copy(os.path.join(BERT, name), out)
    for name, raw in files.items():
        os.makedirs(os.path.dirname(os.path.join(out, name)), exist_ok=True)
        with open(os.path.join(out, name), "wb") as f:
            f.write(raw)
    return out


def js(x):
    return json.dumps(x).encode()


def modules(*kinds):
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense", "Normalize": "3_Normalize", "Dropout": "4_Dropout"}
    return js([{"idx": i, "name": str(i), "path": paths[k], "type": "sentence_transformers.models." + k} for i, k in enumerate(kinds)])


def dense(inside, outside, activation, bias=True):
    from safetensors.torch import save
    torch.manual_seed(inside + outside)
    tensors = {"linear.weight": torch.randn(outside, inside)}
    if bias:
        tensors["linear.bias"] = torch.randn(outside)
    config = {"in_features": inside, "out_features": outside, "bias": bias, "activation_function": activation}
    return {"2_Dense/config.json": js(config), "2_Dense/model.safetensors": save(tensors)}


def old(**on):
    keys = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
    return js({"word_embedding_dimension": 16, **{"pooling_mode_" + k: on.get(k, False) for k in keys}})


def new(mode, **more):
    return js({"embedding_dimension": 16, "pooling_mode": mode, **more})


def main():
    make_bert()
    tp, tpn = modules("Transformer", "Pooling"), modules("Transformer", "Pooling", "Normalize")
    prompts = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    cases = []

    def add(name, files, encode={}, **options):
        vectors = SentenceTransformer(folder(files)).encode(TEXTS, **encode)
        cases.append({"name": name, "files": {k: base64.b64encode(v).decode() for k, v in files.items()}, **options,
                      "vectors": [[float(x) for x in v] for v in vectors]})

    for mode in ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]:
        add(mode, {"modules.json": tp, "1_Pooling/config.json": new(mode)})
    for key in ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]:
        add("before 5: " + key, {"modules.json": tpn, "1_Pooling/config.json": old(**{key: True})})
    add("before 5: several", {"modules.json": tp, "1_Pooling/config.json": old(mean_tokens=True, cls_token=True, max_tokens=True)})
    add("several", {"modules.json": tpn, "1_Pooling/config.json": new(["lasttoken", "cls"])})
    for activation in ["activation.Tanh", "linear.Identity", "activation.ReLU", "activation.GELU", "activation.Sigmoid"]:
        add("dense " + activation, {"modules.json": modules("Transformer", "Pooling", "Dropout", "Dense", "Normalize"), "1_Pooling/config.json": new("mean"),
                                    "4_Dropout/config.json": js({"dropout": 0.1}), **dense(16, 5, "torch.nn.modules." + activation, activation != "activation.ReLU")})
    add("max_seq_length", {"modules.json": tp, "1_Pooling/config.json": new("mean"), "sentence_bert_config.json": js({"max_seq_length": 6, "do_lower_case": False})})
    for include in [True, False]:
        for mode in ["mean", "cls", "max", "weightedmean", "lasttoken"]:
            add("prompt, pooled %s, %s" % (include, mode), {"modules.json": tp, "1_Pooling/config.json": new(mode, include_prompt=include),
                "config_sentence_transformers.json": js(prompts)}, {"prompt_name": "query"}, prompt="query")
    add("default prompt", {"modules.json": tp, "1_Pooling/config.json": new("mean"),
                           "config_sentence_transformers.json": js({**prompts, "default_prompt_name": "query"})})

    tok, model = transformers.AutoTokenizer.from_pretrained(BERT), transformers.AutoModel.from_pretrained(BERT).eval()
    with torch.no_grad():
        out = model(**tok(TEXTS, padding=True, return_tensors="pt", truncation=True))
    for pooling, vectors in [("pooled", out.pooler_output), ("cls", out.last_hidden_state[:, 0])]:
        cases.append({"name": "transformers, " + pooling, "files": {}, "pooling": pooling, "vectors": vectors.tolist()})

    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__,
                "sentence-transformers": sentence_transformers.__version__}
    with open(os.path.join(HERE, "cases.json"), "w", encoding="utf-8") as f:
        json.dump({"versions": versions, "texts": TEXTS, "cases": cases}, f, ensure_ascii=False)
        f.write("\n")


main()
