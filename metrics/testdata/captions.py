"""Makes captions.json: captions written for the tests, and what the programs of COCO's evaluation say about them.

  python3 captions.py COCO CIDER > captions.json

COCO is the folder of the Python package pycocoevalcap 1.2 (needs Java and numpy), CIDER the path of cider_scorer.py in the
folder "cider" of github.com/vrama91/cider, which is Python 2: its names of three functions are changed.
"""
import contextlib
import gzip
import json
import os
import random
import re
import sys
import tempfile
import types

coco, plain = (os.path.abspath(p) for p in sys.argv[1:3])
sys.path.insert(0, os.path.dirname(coco))
from pycocoevalcap.bleu.bleu import Bleu  # noqa: E402
from pycocoevalcap.cider.cider import Cider  # noqa: E402
from pycocoevalcap.meteor import meteor as meteor_module  # noqa: E402
from pycocoevalcap.rouge.rouge import Rouge  # noqa: E402
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer  # noqa: E402

rng = random.Random(15)
whos = ["a man", "two women", "the little girl's brother", "a group of people", "an old couple", "A T-shirt seller", "Someone", "three dogs", "a black-and-white cat",
        "a U.S. soldier", "Mr. Jones", "the No. 7 player", "a boy (about 10)", "kids", "a zebra", "2 bicycles"]
doings = ["is riding", "are riding", "holds", "doesn't want", "can't see", "stands next to", "is looking at", "cannot reach", "sits on", "jumped over", "is eating"]
things = ["a red ball", "an orange frisbee", "a skateboard", "the colourful kite", "a \"stop\" sign", "a half-eaten pizza", "his/her phone", "a grey couch", "a $5 toy",
          "the woman's umbrella", "a wave", "a bench", "20 balloons", "a train"]
places = ["in a field", "on the beach", "at 10:30 a.m.", "in front of a building", "near the theatre", "under the bridge", "in St. Louis", "on a snowy day", "", "", "by the sea - at night"]
ends = [".", " .", "", "!", "...", " ", "?"]


def caption(who, thing):
    who = who if rng.random() < 0.7 else rng.choice(whos)
    thing = thing if rng.random() < 0.6 else rng.choice(things)
    text = " ".join(filter(None, [who, rng.choice(doings), thing, rng.choice(places)])) + rng.choice(ends)
    return text[0].upper() + text[1:] if rng.random() < 0.5 else text


hyps, refs = [], []
for i in range(60):
    who, thing = rng.choice(whos), rng.choice(things)
    hyps.append(caption(who, thing))
    refs.append([caption(who, thing) for _ in range(rng.randint(1, 5))])
hyps += ["", "man", "the the the the the the the the the the the the the the the", hyps[0]]
refs += [["a man", "a dog"], ["man", "a man"], ["the cat is on the mat", "a cat on the mat"], [hyps[0]]]

# Odd texts, for the tokenizer alone.
pieces = """U.S. a.m. i.e. Mr. St. Jan. etc. Inc. Ph.D. no. No. fig. vs. ca. Co. ltd cannot gonna 'tis 'em rock'n'roll y'all o'clock don't it's dogs' O'Neil
c'est AT&T R&amp;B &lt; &quot; &mdash; &eacute;t&eacute; 1,000.50 .5 -5 10:30 1/2 5-7/8 1st '90s 1990's 7-11 12-12-2012 555-1234 (555) +44 $5 US$ #1 50% 20-year-old
http://example.com/a?b=c www.test.org/x foo.com a@b.com @name #tag img.jpg C++ c# T-shirt state-of-the-art his/her w/ ( ) [ ] { } < > << <b> <br/> " ' ` ``
'' ... .... .. - -- --- ---- _ * ** / \\ | ~ ^ = + & @ ! ? ?! ; : , :) ;-( =) x_x ^_^ A The man and 5 7/8 limited""".split()
pieces += ["\u2019", "\u2018em", "\u201cyes\u201d", "\u2026", "\u2013", "\u2014", "\u00bd", "\u2153", "\u00a3", "\u20ac", "\u00a2", "\u00b0", "m\u00b2", "caf\u00e9", "\u4e2d\u6587", "\ud55c\uad6d",
           "\U0001f600", "\u2665", "so\u00adft", "\u200b", "\u00a0", "\u3000", "\uff11", "\u0663", "\t", "1\u20442", "\u00ab", "\u00bb", "\u2122", "x\u0301", "\ufeff"]
odd = [rng.choice(["", " "]).join(rng.choice(pieces) + rng.choice(["", "", " "]) for _ in range(rng.randint(1, 7))) for _ in range(400)]


def tokenized(texts):
    with contextlib.redirect_stdout(sys.stderr):
        return PTBTokenizer().tokenize({i: [{"caption": t} for t in list_] for i, list_ in enumerate(texts)})


res, gts = tokenized([[h] for h in hyps]), tokenized(refs)
with open(plain) as f:
    source = re.sub(r"\bxrange\b", "range", f.read().replace(".iteritems()", ".items()"))
scorer = types.ModuleType("plain")
exec(compile(source, plain, "exec"), scorer.__dict__)
cider = scorer.CiderScorer()
for i in res:
    cider += (res[i][0], gts[i])
out = {"hyps": hyps, "refs": refs, "hyp_tokens": [res[i][0] for i in res], "ref_tokens": [gts[i] for i in gts],
       "odd": odd, "odd_tokens": [t[0] for t in tokenized([[o] for o in odd]).values()]}
with contextlib.redirect_stdout(sys.stderr):
    out["bleu"] = [float(b) for b in Bleu(4).compute_score(gts, res)[0]]
    out["rouge_l"] = float(Rouge().compute_score(gts, res)[0])
    for name, (corpus, each) in {"cider_d": Cider().compute_score(gts, res), "cider": cider.compute_score("corpus")}.items():
        out[name] = {"corpus": float(corpus), "each": [float(s) for s in each]}
# METEOR with synonyms and paraphrases of our own, in the forms of its data.
out["synsets"] = "man\n1 2\nsoldier\n2\nsofa\n3\ncouch\n3\nkid\n4 5\nboy\n4\nchild\n5\ntheatre\n6\nfield\n7\nbeach\n8 7\nwoman\n1\n"
out["exceptions"] = "kid\nkids\nwoman\nwomen\n"
phrases = [("is riding", "rides on"), ("are riding", "is riding"), ("is looking at", "can see"), ("ca n't see", "can not see"), ("stands next to", "is riding"),
           ("a group of people", "two women"), ("in a field", "on the beach"), ("sits on", "jumped over"), ("on", "over"), ("a man", "someone"), ("someone", "mr jones"),
           ("a red ball", "a $ 5 toy"), ("is looking", "looks"), ("at night", "on a snowy day"), ("in front of a building", "under the bridge"), ("the", "a"), ("a", "an"),
           ("is", "are"), ("are", "is"), ("doesn't want", "can not reach"), ("does n't", "can not"), ("a wave", "a bench"), ("by the sea", "on the beach"), ("an", "the")]
out["paraphrases"] = "".join(f"0.5\n{a}\n{b}\n" for a, b in phrases)
with tempfile.TemporaryDirectory() as folder:
    for name in ("synsets", "exceptions"):
        with open(f"{folder}/english.{name}", "w") as f:
            f.write(out[name])
    open(f"{folder}/english.relations", "w").close()
    with gzip.open(f"{folder}/paraphrases.gz", "wt") as f:
        f.write(out["paraphrases"])
    popen = meteor_module.subprocess.Popen
    meteor_module.subprocess.Popen = lambda command, **k: popen(command + ["-d", folder, "-a", f"{folder}/paraphrases.gz"], **k)
    corpus, each = meteor_module.Meteor().compute_score(gts, res)
out["meteor"] = {"corpus": corpus, "each": each}
json.dump(out, sys.stdout, indent=0, ensure_ascii=True)
print()
