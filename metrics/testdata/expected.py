"""Makes expected.json: texts, and what the official programs say about them.

  python3 expected.py COCO ROUGE COQA > expected.json

COCO is the folder of the Python package pycocoevalcap 1.2 (METEOR 1.5's jar is in it; needs Java and numpy),
ROUGE a folder with ROUGE-1.5.5.pl and its data (needs Perl with DB_File and XML::DOM, of which only
the name is used here), COQA the path of CoQA's evaluate-v1.0.py. wordnet/ beside this file is a dictionary of a few
words in the form of WordNet's database; METEOR and ROUGE get it in their own forms.
"""
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
coco, rouge_dir, coqa = (os.path.abspath(p) for p in sys.argv[1:4])
sys.path.insert(0, os.path.dirname(coco))
from pycocoevalcap.bleu.bleu import Bleu  # noqa: E402
from pycocoevalcap.rouge.rouge import Rouge  # noqa: E402

texts = [
    ("The cat sat on the mat.", ["The cat sat on the mat."]),
    ("a cat is sitting on the mat", ["The cat sat on the mat.", "There is a cat on the mat"]),
    ("", ["Nobody said anything."]),
    ("Something was said.", [""]),
    ("the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]),
    ("the dog the dog the cat the dog", ["the cat the dog the dog the cat", "dog the cat the dog the"]),
    ("Mr. Smith, of the U.S. Navy, paid $3,000.50 in 1990's money ...", ["mr smith of the US navy paid $ 3,000.50 in 1990 's money...", "No. 5 was paid by Dr. Smith (of the Navy)."]),
    ("It's a well-known state-of-the-art \u201cquestion\u201d \u2014 isn't it?", ["it is a well known \" question \" - is n't it ?", "They're asking a x,y,z question; aren't they, Prof. Jones?"]),
    ("caf\u00e9 na\u00efve \u4e2d\u6587 100 %", ["cafe naive \u4e2d \u6587 100%", "the caf\u00e9 is na\u00efve"]),
    ("who was the first president of the united states ?", ["who is the first president of america ?", "what president was first ?", "who was the president ?"]),
    ("The children were running to the departmental stores.\nOccasionally they bought candies.\nThen they went home.",
     ["Children ran to a store of the department.\nThey occasionally bought a candy.", "They went home.\nThe kid buys candy on occasion.\nRunning is fun."]),
    ("Elementary requirements are exceptional.\n\nEvents in the basement are educational.", ["An element is required.\nThe educated event was exceptionally basic."]),
    ("one\n...\ntwo", ["two one"]),
]
rng = random.Random(4)
lexicon = """car automobile cars truck dog dogs hound house home houses big large small little larger run runs ran running walk walked walks
buy bought purchase purchased man men person people child children kid kids the a an of in on to and is was were are not very quickly quick
happily happy glad city town cities dying tie ties lie lay lying sky skies controlling rolled falling hoping hopping sized generously
relational conditional rationally vietnamization differently analogousli sensitivity formalize electrical hopefulness goodness
replacement adjustment dependent adoption homologous communism activate effective bowdlerize cease rate controlled , . ? 's - 12 1990s""".split()
for _ in range(40):
    words = [rng.choice(lexicon) for _ in range(rng.randint(4, 14))]
    refs = []
    for _ in range(rng.randint(1, 3)):
        ref = [w for w in words if rng.random() < 0.7]
        for _ in range(rng.randint(1, 5)):
            ref.insert(rng.randint(0, len(ref)), rng.choice(lexicon))
        if rng.random() < 0.4:
            i = rng.randint(0, len(ref))
            ref = ref[i:] + ref[:i]
        refs.append(" ".join(ref))
    texts.append((" ".join(words), refs))
hyps, refs = [h for h, _ in texts], [r for _, r in texts]

# The caption evaluation, on texts that single spaces separate.
lines = [" ".join(h.split()) for h in hyps]
line_refs = [[" ".join(r.split()) for r in rs] for rs in refs]
gts, res = dict(enumerate(line_refs)), {i: [h] for i, h in enumerate(lines)}
bleu, _ = Bleu(4).compute_score(gts, res, verbose=0)
rouge_l, _ = Rouge().compute_score(gts, res)


def dictionary():
    """The small dictionary as word -> synsets, form -> bases. METEOR does not ask for the part of speech: it becomes part of a synset's number."""
    synsets, bases = {}, {}
    for digit, pos in enumerate(["adj", "adv", "noun", "verb"]):
        for line in open(f"{here}/wordnet/index.{pos}"):
            if not line.startswith(" "):
                f = line.split()
                synsets.setdefault(f[0], []).extend(str(digit) + s for s in f[-int(f[2]):])
        for line in open(f"{here}/wordnet/{pos}.exc"):
            form, *base = line.split()
            bases[form] = base + bases.get(form, [])
    return synsets, bases


def meteor(*options):
    jar = os.path.join(coco, "meteor", "meteor-1.5.jar")
    p = subprocess.Popen(["java", "-jar", jar, "-", "-", "-stdio", "-l", "en", "-norm", *options], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    ask = lambda line: (p.stdin.write(line + "\n"), p.stdin.flush())
    stats = []
    for h, rs in zip(lines, line_refs):
        ask(" ||| ".join(["SCORE", *rs, h]))
        stats.append(p.stdout.readline().strip())
    ask(" ||| ".join(["EVAL", *stats]))
    segments = [float(p.stdout.readline()) for _ in stats]
    total = float(p.stdout.readline())
    p.stdin.close()
    p.wait()
    return {"score": total, "segments": segments}


def rouge(data, *options):
    with tempfile.TemporaryDirectory() as tmp:
        os.makedirs(f"{tmp}/XML")
        open(f"{tmp}/XML/DOM.pm", "w").write("package XML::DOM::Parser; sub new { bless {} } package XML::DOM; "
                                             "sub import { *{caller().'::TEXT_NODE'} = sub () { 3 } } 1;")
        with open(f"{tmp}/list", "w") as listing:
            for i, (h, rs) in enumerate(zip(hyps, refs)):
                for name, text in [(f"h{i}", h)] + [(f"r{i}.{j}", r) for j, r in enumerate(rs)]:
                    open(f"{tmp}/{name}", "w").write(text + "\n")
                    listing.write(f"{tmp}/{name} ")
                listing.write("\n")
        out = subprocess.run(["perl", "-I", tmp, f"{rouge_dir}/ROUGE-1.5.5.pl", "-e", data, "-c", "95", "-r", "1000", "-n", "2", "-m",
                              *options, "-z", "SPL", f"{tmp}/list", "1"], text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    scores = {}
    for line in out.splitlines():
        if "Average_" in line:  # 1 ROUGE-1 Average_R: 0.3 (95%-conf.int. 0.2 - 0.4)
            f = line.replace("(", " ").replace(")", " ").split()
            scores[f[1] + "-" + f[2][8]] = [float(f[3]), float(f[5]), float(f[7])]
    return scores


def rouge_data(bases):
    """ROUGE's data folder with these irregular forms; without any, the stems alone."""
    folder = tempfile.mkdtemp()
    os.symlink(f"{rouge_dir}/data/smart_common_words.txt", f"{folder}/smart_common_words.txt")
    pairs = "".join(f"$d{{'{form}'}}='{base[0]}';" for form, base in bases.items())
    subprocess.run(["perl", "-MDB_File", "-e", f"tie %d,'DB_File','{folder}/WordNet-2.0.exc.db',O_CREAT|O_RDWR,0640,$DB_HASH;{pairs}untie %d"], check=True)
    return folder


def stems(words):
    """What ROUGE-1.5.5's own stemmer makes of words."""
    script = open(f"{rouge_dir}/ROUGE-1.5.5.pl", errors="replace").read()
    script = script[script.index("local %step2list"):]
    out = subprocess.run(["perl", "-e", script + "\ninitialise(); while(<STDIN>){chomp; print stem($_),qq(\\n)}"],
                         input="\n".join(words), text=True, check=True, stdout=subprocess.PIPE).stdout
    return dict(zip(words, out.split("\n")))


synsets, bases = dictionary()
with tempfile.TemporaryDirectory() as folder:
    open(f"{folder}/english.synsets", "w").write("".join(f"{w}\n{' '.join(s)}\n" for w, s in synsets.items()))
    forms = {}
    for form, base in bases.items():
        for b in base:
            forms.setdefault(b, []).append(form)
    open(f"{folder}/english.exceptions", "w").write("".join(f"{b}\n{' '.join(f)}\n" for b, f in forms.items()))
    open(f"{folder}/english.relations", "w").close()
    with_synonyms = meteor("-d", folder, "-m", "exact stem synonym", "-w", "1.0 0.6 0.8")

conversations = json.load(open(f"{here}/coqa.json"))
spec = importlib.util.spec_from_file_location("coqa", coqa)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
evaluator = module.CoQAEvaluator(f"{here}/coqa.json")
predictions = module.CoQAEvaluator.preds_to_dict(f"{here}/coqa_predictions.json")
em, f1 = evaluator.get_raw_scores(predictions)
turns = [[sid, turn, f1.get((sid, turn)), em.get((sid, turn))] for sid, turn in evaluator.gold_data]

vocabulary = sorted({w for h, rs in texts for t in [h, *rs] for w in t.lower().split() if w.isascii() and w.isalnum()} | set(
    """caresses ponies ties caress cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned falling hissing fizzed
    failing filing happy sky valenci hesitanci digitizer conformabli radicalli differentli vileli predication operator feudalism decisiveness
    hopefulness callousness formaliti sensitiviti sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival
    allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologou communism activate
    angulariti homologous effective bowdlerize probate rate cease controll roll yyyy yay saying toy enjoyment enjoying oed being sses ied ing eed
    element elements basement cement departmental environment environmental governmental occasional professional tensional agent event
    experimental argumentation 1990s 3d x86 iii abominable psychology geology""".split()))

json.dump({
    "hyps": hyps, "refs": refs, "bleu": bleu, "caption_rouge_l": rouge_l,
    "meteor": meteor("-m", "exact stem", "-w", "1.0 0.6"), "meteor_synonyms": with_synonyms, "meteor_paraphrases": meteor()["score"],
    "rouge": rouge(rouge_data({})), "rouge_best": rouge(rouge_data({}), "-f", "B"), "rouge_irregular": rouge(rouge_data(bases)),
    "stems": stems(vocabulary), "coqa": evaluator.model_performance(predictions), "coqa_turns": turns,
}, sys.stdout, indent=0, ensure_ascii=False)
