"""What the peers share: the line protocol of the bench command and padded batches.

A worker prints {"ready": true, "about": TEXT} when it can work, or {"error": TEXT}.
It answers {"run": i} with the seconds and the real tokens of every batch of round
i, and {"quit": true} with its peak of memory in bytes.
"""

import argparse
import json
import os
import sys
import time
import traceback

PAD = 1  # RoBERTa's padding id; positions of real tokens count from 2, as in UNIMO


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--workload", required=True)
    p.add_argument("--variant", default="")
    p.add_argument("--file", default="")
    p.add_argument("--model", default="")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--size", default="base")
    return p.parse_args()


def say(**message):
    print(json.dumps(message), file=answers, flush=True)


peak_of = None  # a function that knows better


def peak_bytes():
    if peak_of:
        return peak_of()
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def rounds(path):
    """The rounds of a file: lists of batches with sequences and labels."""
    with open(path) as f:
        return json.load(f)["rounds"]


def pad(sequences):
    """Pads to the longest: ids, mask and whether anything was padded."""
    width = max(map(len, sequences))
    ids = [s + [PAD] * (width - len(s)) for s in sequences]
    mask = [[1] * len(s) + [0] * (width - len(s)) for s in sequences]
    return ids, mask, any(len(s) < width for s in sequences)


def pad_left(sequences):
    """As pad, with the padding in front, where what is written must follow the end."""
    ids, mask, padded = pad([s[::-1] for s in sequences])
    return [s[::-1] for s in ids], [m[::-1] for m in mask], padded


def size(batch):
    """Real tokens; sources where targets are searched for; groups, or pairs where they are scored; pictures."""
    if batch.get("network"):
        return len(batch["pictures"])
    if batch.get("beams"):
        return batch.get("images") or len(batch["sequences"])
    if batch.get("images"):
        return len(batch["pairs"]) // batch.get("group", 1)
    return sum(map(len, batch["sequences"] + batch.get("targets", [])))


def median(times):
    times = sorted(times)
    n = len(times)
    return (times[(n - 1) // 2] + times[n // 2]) / 2


def repeat(call, seconds=0.005, least=2):
    """Median time of a call: enough calls for the given time."""
    times = []
    while len(times) < least or sum(times) < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def over_batches(path, prepare, step):
    """A round's function: every batch is prepared outside of the time measured."""
    all_rounds = rounds(path)

    def run(i):
        seconds, tokens = [], []
        for batch in all_rounds[i % len(all_rounds)]:
            ready = prepare(batch)
            start = time.perf_counter()
            step(ready)
            seconds.append(time.perf_counter() - start)
            tokens.append(size(batch))
        return {"seconds": seconds, "tokens": tokens}

    return run


def serve(a, start):
    """Runs a worker: start(a) returns (about, run)."""
    about, run = start(a)
    say(ready=True, about=about)
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("quit"):
            say(peak_bytes=peak_bytes())
            return
        say(**run(request["run"]))


def main(start, first, export=None):
    """Runs a peer: a worker, its whole process up to the first prediction, or the writing of its model."""
    a = arguments()
    try:
        if a.workload == "first":
            first(a)
        elif a.workload == "export":
            export(a)
        else:
            serve(a, start)
    except Exception as e:
        traceback.print_exc()
        last = (str(e).strip().splitlines() or [""])[0]
        say(error=f"{type(e).__name__}: {last}"[:300])
        sys.exit(1)


# Libraries that print must not disturb the protocol.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
