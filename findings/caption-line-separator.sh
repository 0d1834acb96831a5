#!/usr/bin/env bash
# pycocoevalcap 1.2: one caption with a carriage return, a form feed or U+2028 within shifts every caption behind
# it: the tokenizer's Java program takes these for ends of lines, and the wrapper, which replaces "\n" alone, pairs lines
# with captions by number. All later captions are scored against other images' references, without a warning.
# Who meets it: whoever scores captions of scraped text or of a model that writes such a character once.
set -euo pipefail
command -v java >/dev/null || { echo "not run: needs Java"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q pycocoevalcap==1.2 numpy==2.2.6
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

print("pycocoevalcap", version("pycocoevalcap"), "numpy", version("numpy"))
references = ["a dog runs on the wet grass", "two women ride brown horses", "a train leaves an old station", "children play football at school"]


def score(captions):
    pairs = [PTBTokenizer().tokenize({i: [{"caption": c}] for i, c in enumerate(texts)}) for texts in (references, captions)]
    return pairs[1], float(Bleu(4).compute_score(*pairs, verbose=0)[0][0])


plain, bleu = score(references)
print(f"as the references: BLEU-1 {bleu:.3f}")
assert bleu > 0.999
for name, c in [("space", " "), ("line feed", "\n"), ("carriage return", "\r"), ("form feed", "\f"), ("U+2028", "\u2028")]:
    words, bleu = score([references[0].replace("dog ", "dog" + c)] + references[1:])
    print(f"{name:15} in the first caption: BLEU-1 {bleu:.3f}, the last caption is {words[3][0]!r}")
    shifted = words[3][0] != plain[3][0]
    assert shifted == (name not in ("space", "line feed")), "the captions behind are no longer shifted"
    assert not shifted or bleu < 0.5
PY
