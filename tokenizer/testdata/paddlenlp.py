"""Writes testdata/paddlenlp: what PaddleNLP's UNIMOTokenizer makes of texts.

Run with PaddleNLP 2.8.1 and PaddlePaddle 3.3.1: python testdata/paddlenlp.py
"""

import json
import os

from paddlenlp.transformers.unimo.tokenizer import UNIMOTokenizer

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "paddlenlp")
os.makedirs(out, exist_ok=True)

words = "[PAD] [CLS] [SEP] [MASK] , 的 、 一 人 有 是 在 中 为 和 以 i n 。 ， 北 京 大 学 ##i ##n phone iphone ##6 6 1 2 ##2 the cat ##s ' - ( ) ： “ ” e ##e 龍 ㍿ あ ##い 한 ! ? naive ½ ℃ ≈ ··· ##。 [UNK]".split()
ids = {w: i for i, w in enumerate(words)}
# The ids stand in another order than the lines, as in no released file, and one is missing.
order = sorted(words, key=lambda w: (ids[w] * 7) % 61)
with open(os.path.join(out, "vocab.txt"), "w", encoding="utf-8") as f:
    for w in order:
        if w != "≈":
            f.write(f"{w}\t{ids[w]}\n")

texts = [
    "北京大学的iPhone6在中国", "The CATs'  naïve, -(12)!", "[CLS] 人 [SEP] [MASK][UNK]", "ａＢ６，。“”：", "", " \t\n", "龍㍿あい한", "½ ℃ 12℃≈",
    "一人有\u3000是\u00a0在", "e\u0301é É", "北\u200b京", "x" * 101, "i" * 100, "22 n22", "\ufffd人\x00有", "。。。···", "的\n一\r人", "\U0002b820\U00020000人", "İi",
]
tok = UNIMOTokenizer(os.path.join(out, "vocab.txt"))
cases = [{"text": t, "ids": tok.gen_encode(t, max_seq_len=512)["input_ids"]} for t in texts]
with open(os.path.join(out, "encode.json"), "w", encoding="utf-8") as f:
    json.dump(cases, f, ensure_ascii=False, indent=0)
