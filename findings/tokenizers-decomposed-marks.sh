#!/usr/bin/env bash
# tokenizers' normalizer Precompiled (XLM-RoBERTa, T5, mBART, CamemBERT: all fast tokenizers made from SentencePiece) loses marks of
# decomposed text. It looks up a letter with its marks together and takes what stands for the shortest beginning that has
# something, in place of the whole: "e" + circumflex + acute becomes "ê", and the tone is gone. SentencePiece itself takes the longest.
# So Vietnamese in NFD, as file names of macOS and some web pages have it, becomes other words: "tiếng Việt" is read as "tiêng Viẹt".
# Who meets it: whoever feeds such a model text that is not in NFC.
set -euo pipefail
command -v python3 >/dev/null || { echo "not run: needs Python"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q tokenizers==0.23.3 sentencepiece==0.2.3 protobuf
"$dir/venv/bin/python" - <<'PY'
import io, sys, unicodedata
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import normalizers

made = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(["tiếng Việt có dấu"] * 9), model_writer=made, vocab_size=40, hard_vocab_limit=False, minloglevel=2)
rules = sentencepiece_model_pb2.ModelProto.FromString(made.getvalue()).normalizer_spec
theirs, original = normalizers.Precompiled(rules.precompiled_charsmap), sentencepiece.SentencePieceProcessor(model_proto=made.getvalue())
text = unicodedata.normalize("NFD", "tiếng Việt")
a, b = theirs.normalize_str(text), original.normalize(text).replace("▁", " ").strip()
print(f"rules {rules.name}: tokenizers reads {a!r}, SentencePiece {b!r}")
if a != "tiêng Viẹt" or b != "tiếng Việt":
    print("the behaviour is no longer there")
    sys.exit(1)
PY
