"""Writes testdata/unigram: small Unigram vocabularies as XLM-RoBERTa's, and what Hugging Face's tokenizers makes of texts.

Run with tokenizers and sentencepiece: python testdata/unigram.py
Made with tokenizers 0.23.3 and sentencepiece 0.2.3.
"""

import base64
import io
import json
import os
import random
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "unigram")
full = sys.argv[1:]  # a folder: there the whole of NFKC is used, and many texts are made
if full:
    out = full[0]
os.makedirs(out, exist_ok=True)

lines = [
    "the cat sat on the mat and the dog ran to the cats", "a dog, running; dogs run and sit!", "naïve café über straße", "北京大学的学生在水中 学生",
    "le chat est sur le tapis, les chats", "число слова и слово", "ﬁne ﬂow ½ ① ﾊﾝｶｸ ｶﾞ", "αβγ δε the thing 123 1234 12",
]
rules = os.path.join(out, "rules.tsv")
with open(rules, "w") as f:  # characters -> characters, in hexadecimal
    for a, b in [("FB01", "66 69"), ("FB02", "66 6C"), ("BD", "31 2F 32"), ("2460", "31"), ("3000", "20"), ("A0", "20"), ("9", "20"), ("A", "20"), ("D", "20"), ("200B", ""),
                 ("FF21", "41"), ("FF22", "42"), ("65 301", "E9"), ("438 306", "439"), ("FF76 FF9E", "30AC"), ("FF76", "30AB"), ("FF0C", "2C"), ("AD", ""), ("65 301 323", "45")]:
        f.write(f"{a}\t{b}\n")
buffer = io.BytesIO()
options = {"character_coverage": 0.98, "vocab_size": 110, "normalization_rule_tsv": rules}
if full:
    letters = [chr(c) for c in [*range(0x21, 0x3000), *range(0x3040, 0x3200), *range(0xF900, 0xFFEF)] if chr(c).isprintable()]
    lines += [" ".join(letters[i : i + 40]) for i in range(0, len(letters), 40)]
    options = {"character_coverage": 1.0, "vocab_size": 16000}
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(lines * 4), model_writer=buffer, hard_vocab_limit=False, model_type="unigram", **options)
os.remove(rules)
model = pb.ModelProto.FromString(buffer.getvalue())

pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(p.piece, p.score) for p in model.pieces[3:]]
for name, pre in {
    "words": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]),
    "spaces": pre_tokenizers.Metaspace(prepend_scheme="always"),
    "stripped": pre_tokenizers.Metaspace(prepend_scheme="always"),
}.items():
    tok = Tokenizer(models.Unigram(pieces, unk_id=3))
    chars = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    tok.normalizer = chars
    if name == "stripped":  # as transformers 4 converts SentencePiece's files
        tok.normalizer = normalizers.Sequence([chars, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    tok.pre_tokenizer = pre
    tok.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)])
    os.makedirs(os.path.join(out, name), exist_ok=True)
    tok.save(os.path.join(out, name, "tokenizer.json"))
    random.seed(5)
    texts = [
        "the cat sat", "  the   cats ", "北京 大学", "ﬁne ½ ①", "é e\u0301 e\u0301\u0323 é\u0301", "a\tb\nc\r\nd", "▁the ▁▁cat a▁b", "", " ", "<mask> the <s> cat</s>", "the<mask>",
        "\u00ad\u0301 the", "и\u0306 й ｶﾞ ｶ\u3099", "zzz qqq 漢字", "ＡＢ，the", "\u200bthe\u200bcat", "the\u3000cat\u00a0dog\u2003run", "e\u0301\u0301\u0301", "\u0600e\u0301", "1\ufe0f\u20e3", "a\U0001f3fb", "\x00the\x00",
        "straße ÜBER", "naïve" * 30,
    ]
    alphabet = "the cat dog. naïve\u0301\u0300 é 北京学 \t\n\r ½①ﬁｶﾞ ▁и\u0306\u0323\u3000\u200b\u200d\ufe0f\u00ad\u0600का\u093f한글한\u0e33\U0001f3fb\U0001f468 <mask>"
    if full:
        alphabet += "".join(chr(c) for c in range(0xA0, 0x3000) if chr(c).isprintable()) + "".join(map(chr, range(0xF900, 0xFFEF)))
    for _ in range(20000 if full else 60):
        texts.append("".join(random.choice(alphabet) for _ in range(random.randint(1, 30))))
    with open(os.path.join(out, name, "encode.json"), "w") as f:
        json.dump([{"text": t, "ids": tok.encode(t, add_special_tokens=False).ids} for t in texts], f, indent=0)
print("tokenizers", __import__("tokenizers").__version__, "sentencepiece", sentencepiece.__version__, "pieces", len(pieces))
