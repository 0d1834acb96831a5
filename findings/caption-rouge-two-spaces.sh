#!/usr/bin/env bash
# pycocoevalcap 1.2: a sentence equal to its reference but for a doubled or trailing space keeps BLEU 1
# and loses a twentieth of ROUGE-L (more in short texts), because bleu_scorer.py splits at any white space and rouge.py at single
# spaces. A no-break space costs ROUGE-L a quarter.
# Who meets it: whoever scores captions or questions without the package's own tokenizer, which is common
# with generated text; two papers' ROUGE-L can differ by how their texts were joined.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q pycocoevalcap==1.2 numpy==2.2.6
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge

print("pycocoevalcap", version("pycocoevalcap"), "numpy", version("numpy"))
reference = "a red ball lies on the grass"
seen = {}
for name, text in [("as the reference", reference), ("a doubled space", "a red  ball lies on the grass"),
                   ("a trailing space", reference + " "), ("a no-break space", "a red\u00a0ball lies on the grass")]:
    bleu, _ = Bleu(4).compute_score({0: [reference]}, {0: [text]}, verbose=0)
    rouge, _ = Rouge().compute_score({0: [reference]}, {0: [text]})
    seen[name] = (round(float(bleu[3]), 4), round(float(rouge), 4))
    print(f"{name:18} BLEU-4 {seen[name][0]:.4f}  ROUGE-L {seen[name][1]:.4f}")
assert seen["as the reference"] == (1.0, 1.0)
assert all(bleu == 1.0 for bleu, _ in seen.values()), "BLEU no longer ignores the kind of white space"
assert seen["a doubled space"][1] < 0.96 and seen["a no-break space"][1] < 0.8, "ROUGE-L no longer depends on it"
PY
