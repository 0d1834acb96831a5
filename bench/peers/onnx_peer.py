"""ONNX Runtime: inference with the model exported from PyTorch."""

from protocol import main, over_batches, pad, rounds, say


def about(a):
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__} ({a.threads} threads, all graph optimisations)"


def session(a):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = a.threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(f"{a.model}/{a.variant}.onnx", options, providers=["CPUExecutionProvider"])


def tensors(batch):
    import numpy

    ids, mask, _ = pad(batch["sequences"])
    return {"input_ids": numpy.array(ids, dtype=numpy.int64), "attention_mask": numpy.array(mask, dtype=numpy.int64)}


def start(a):
    s = session(a)
    outputs = ["hidden"] if a.workload == "encode" else ["logits"]
    return about(a), over_batches(a.file, tensors, lambda inputs: s.run(outputs, inputs))


def first(a):
    logits = session(a).run(["logits"], tensors(rounds(a.file)[0][0]))[0]
    say(about=about(a), logits=logits.tolist())


if __name__ == "__main__":
    main(start, first)
