#!/usr/bin/env bash
# pycocoevalcap 1.2: its tokenizer means to remove brackets as it does commas (its list of punctuation has -LRB-, -RRB-,
# -LCB- and -RCB-), but runs Java with -lowerCase, which prints -lrb- and so on. So brackets stay: "a dog (brown)" has
# five words where "a dog, brown" has three, and each bracket counts in BLEU, METEOR, ROUGE-L and CIDEr: captions with
# brackets lose against references without, and match others with brackets that have no word in common.
# Who meets it: whoever scores captions or references with brackets, or compares with code that removes all punctuation.
set -euo pipefail
command -v java >/dev/null || { echo "not run: needs Java"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q pycocoevalcap==1.2 numpy==2.2.6
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, PTBTokenizer

print("pycocoevalcap", version("pycocoevalcap"), "numpy", version("numpy"))
print("to be removed:", *PUNCTUATIONS)
assert "-LRB-" in PUNCTUATIONS and "," in PUNCTUATIONS
pairs = [("a dog, brown, runs", "a dog brown runs"), ("a dog (brown) runs", "a dog brown runs"), ("a train {old}", "two boys {young}")]  # no word in common
hyps, refs = [PTBTokenizer().tokenize({i: [{"caption": pair[k]}] for i, pair in enumerate(pairs)}) for k in (0, 1)]
bleu = []
for i in range(len(pairs)):
    one = {i: refs[i]}, {i: hyps[i]}
    bleu.append(float(Bleu(1).compute_score(*one, verbose=0)[0][0]))
    print(f"{hyps[i][0]} | {refs[i][0]}: BLEU-1 {bleu[-1]:.3f}  ROUGE-L {Rouge().compute_score(*one)[0]:.3f}")
assert hyps[0] == ["a dog brown runs"] and bleu[0] > 0.999
assert hyps[1] == ["a dog -lrb- brown -rrb- runs"] and bleu[1] < 0.67, "brackets are removed"
assert bleu[2] > 0.3, "brackets no longer match each other"
PY
