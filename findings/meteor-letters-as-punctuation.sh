#!/usr/bin/env bash
# METEOR 1.5 with -norm, as pycocoevalcap 1.2 calls it: letters beyond Latin Extended-A (Romanian s and t with
# comma, Vietnamese letters with two marks, pinyin's third tone, ligatures) are cut out as tokens of their own,
# like punctuation. A name that is right counts as several matched words, so two different sentences with the
# same Vietnamese name score twice what they score with its letters without marks.
# Who meets it: whoever scores captions or questions with names in other than Western European letters.
set -euo pipefail
command -v java >/dev/null || { echo "not run: needs Java"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q pycocoevalcap==1.2
"$dir/venv/bin/python" - "$dir" <<'PY'
import glob, subprocess, sys
from importlib.metadata import version

dir = sys.argv[1]
jar = glob.glob(dir + "/venv/lib/python3*/site-packages/pycocoevalcap/meteor/meteor-1.5.jar")[0]
pairs = [("Nguyen runs", "Nguyen walks"), ("Nguy\u1ec5n runs", "Nguy\u1ec5n walks"), ("Mures runs", "Mures walks"), ("Mure\u0219 runs", "Mure\u0219 walks")]
for name, column in (("hyp", 0), ("ref", 1)):
    with open(f"{dir}/{name}", "w", encoding="utf-8") as f:
        f.writelines(pair[column] + "\n" for pair in pairs)
out = subprocess.run(["java", "-Dfile.encoding=UTF-8", "-jar", jar, dir + "/hyp", dir + "/ref", "-l", "en", "-norm", "-m", "exact stem"],
                     check=True, capture_output=True, text=True).stdout
scores = [float(line.split("\t")[1]) for line in out.splitlines() if line.startswith("Segment ")]
print("pycocoevalcap", version("pycocoevalcap"), "with METEOR 1.5")
for (hyp, ref), score in zip(pairs, scores):
    print(f"{hyp} | {ref}: {score:.4f}")
plain, marked = scores[0], scores[1]
assert abs(plain - 0.2) < 1e-6 and marked > 1.9 * plain, "the marks no longer change the score"
assert scores[3] > 1.5 * scores[2], "the comma below no longer changes the score"
PY
