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


def embedding(a):
    """From texts to vectors of length 1, the mean of the tokens, as sentence-transformers' folder says."""
    import numpy
    from tokenizers import Tokenizer

    s, tokenizer = session(a), Tokenizer.from_file(f"{a.model}/tokenizer.json")
    tokenizer.enable_padding()
    tokenizer.enable_truncation(256)
    names = {i.name for i in s.get_inputs()}
    output = s.get_outputs()[0]

    def vectors(texts):
        encoded = tokenizer.encode_batch(texts)
        inputs = {
            "input_ids": numpy.array([e.ids for e in encoded], dtype=numpy.int64),
            "attention_mask": numpy.array([e.attention_mask for e in encoded], dtype=numpy.int64),
            "token_type_ids": numpy.array([e.type_ids for e in encoded], dtype=numpy.int64),
        }
        said = s.run([output.name], {k: v for k, v in inputs.items() if k in names})[0]
        if said.ndim == 3:
            mask = inputs["attention_mask"][:, :, None]
            said = (said * mask).sum(1) / mask.sum(1)
        return said / numpy.linalg.norm(said, axis=1, keepdims=True)

    return about(a), over_batches(a.file, lambda batch: batch["texts"], vectors)


def start(a):
    if a.workload == "embed":
        return embedding(a)
    s = session(a)
    outputs = ["hidden"] if a.workload == "encode" else ["logits"]
    return about(a), over_batches(a.file, tensors, lambda inputs: s.run(outputs, inputs))


def first(a):
    logits = session(a).run(["logits"], tensors(rounds(a.file)[0][0]))[0]
    say(about=about(a), logits=logits.tolist())


if __name__ == "__main__":
    main(start, first)
