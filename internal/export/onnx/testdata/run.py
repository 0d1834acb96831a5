"""Runs graphs in ONNX Runtime: reads a list of questions as JSON, and writes the list of their answers.

A question is about a file. It has feeds, whose outputs are the answer; or a source, behind which the likeliest tokens are written;
or it is the README of a folder, whose example is run there.
"""

import contextlib
import io
import json
import os
import re
import sys

import numpy
import onnx
import onnxruntime

sessions = {}


def session(path):
    if path not in sessions:
        onnx.checker.check_model(path, full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 2
        sessions[path] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return sessions[path]


def arrays(feeds):
    return {
        name: numpy.array(a["ints"], numpy.int64).reshape(a["shape"]) if a.get("ints") is not None
        else numpy.array(a["floats"] or [], numpy.float32).reshape(a["shape"])
        for name, a in feeds.items()
    }


def run(question):
    s = session(question["graph"])
    values = s.run(None, arrays(question["feeds"]))
    return {o.name: {"shape": list(v.shape), "floats": v.ravel().tolist()} for o, v in zip(s.get_outputs(), values)}


def write(question):
    """Greedy decoding with a cache, of a batch of sources that are padded."""
    s = session(question["graph"])
    caches = [i for i in s.get_inputs() if i.name.startswith("past_key_values")]
    named = [i.name for i in s.get_inputs()]
    presents = [c.name.replace("past_key_values", "present") for c in caches]
    feeds = arrays(question["feeds"])
    n = len(feeds["input_ids"])
    past = [numpy.zeros((n, c.shape[1], 0, c.shape[3]), numpy.float32) for c in caches]
    past = s.run(presents, {**feeds, **{c.name: v for c, v in zip(caches, past)}})
    mask = feeds["attention_mask"]
    tokens = numpy.full((n, 1), question["cls"], numpy.int64)
    written, ended = [[] for _ in range(n)], [False] * n
    for t in range(question["most"]):
        mask = numpy.concatenate([mask, numpy.ones((n, 1), numpy.int64)], 1)
        step = {"input_ids": tokens, "attention_mask": mask, "position_ids": numpy.array(question["first"], numpy.int64)[:, None] + t}
        for name, value in ("token_type_ids", 1), ("role_ids", 0), ("turn_ids", 0):
            if name in named:
                step[name] = numpy.full((n, 1), value, numpy.int64)
        for name in "image_features", "image_locations":
            if name in named:
                step[name] = feeds[name][:, :0]
        logits, *past = s.run(["logits"] + presents, {**step, **{c.name: v for c, v in zip(caches, past)}})
        logits[:, question["never"]] = -1e9
        if t < question["least"]:
            logits[:, question["end"]] = -1e9
        tokens = logits.argmax(-1)[:, None]
        for i, token in enumerate(tokens[:, 0].tolist()):
            ended[i] = ended[i] or token == question["end"]
            if not ended[i]:
                written[i].append(token)
    return {"written": written}


def readme(question):
    os.chdir(question["readme"])
    text = open("README.md").read()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(re.search(r"```python\n(.*?)```", text, re.S).group(1), {})
    return {"said": said.getvalue()}


answers = []
for q in json.load(sys.stdin):
    try:
        answers.append(readme(q) if "readme" in q else write(q) if "most" in q else run(q))
    except Exception as e:
        answers.append({"error": f"{type(e).__name__}: {e}"})
json.dump({"version": onnxruntime.__version__, "answers": answers}, sys.stdout)
