"""ONNX Runtime behind a bare server: POST /v1/embeddings, of a sentence-transformers folder with mean pooling.

One thread takes whatever waits, up to --batch sentences, through the model: padded to the longest of them, sorted by length within a large
request. The pooling and the length of 1 are part of the graph. Nothing stands between uvicorn and the handler.
"""

import argparse
import asyncio
import base64
import collections
import os
import threading

import numpy
import onnxruntime
import orjson
import tokenizers
import uvicorn


def export(folder, path):
    """Writes the model with pooling and normalisation as a graph, and what the transformer optimiser makes of it."""
    import torch
    import transformers
    from onnxruntime.transformers import optimizer

    class Embedder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = transformers.AutoModel.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask):
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)

    ids = torch.ones(2, 8, dtype=torch.int64)
    sizes = {0: "batch", 1: "tokens"}
    plain = path + ".plain"
    with torch.inference_mode():
        torch.onnx.export(
            Embedder(), (ids, torch.ones_like(ids)), plain, input_names=["input_ids", "attention_mask"], output_names=["vectors"],
            dynamic_axes={"input_ids": sizes, "attention_mask": sizes, "vectors": {0: "batch"}}, opset_version=17, dynamo=False,
        )
    with open(os.path.join(folder, "config.json"), "rb") as f:
        config = orjson.loads(f.read())
    optimized = optimizer.optimize_model(plain, model_type="bert", num_heads=config["num_attention_heads"], hidden_size=config["hidden_size"])
    optimized.save_model_to_file(path + ".new")
    os.replace(path + ".new", path)
    os.remove(plain)


class Model:
    def __init__(self, folder, path, threads, most):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.tokenizer = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        with open(os.path.join(folder, "sentence_bert_config.json"), "rb") as f:
            self.tokenizer.enable_truncation(orjson.loads(f.read())["max_seq_length"])
        self.tokenizer.no_padding()
        self.most = most
        self.waiting = collections.deque()  # (ids, where the vector goes, its place, what is told when all are there)
        self.some = threading.Condition()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            with self.some:
                while not self.waiting:
                    self.some.wait()
                batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), self.most))]
            batch.sort(key=lambda item: len(item[0]))
            longest = len(batch[-1][0])
            ids = numpy.zeros((len(batch), longest), dtype=numpy.int64)
            mask = numpy.zeros_like(ids)
            for i, item in enumerate(batch):
                ids[i, : len(item[0])] = item[0]
                mask[i, : len(item[0])] = 1
            vectors = self.session.run(["vectors"], {"input_ids": ids, "attention_mask": mask})[0]
            for vector, (_, out, place, done) in zip(vectors, batch):
                out[place] = vector
                done()

    async def embed(self, texts):
        loop, left = asyncio.get_running_loop(), [len(texts)]
        answered = loop.create_future()

        def done():  # called by the one thread that serves
            left[0] -= 1
            if left[0] == 0:
                loop.call_soon_threadsafe(lambda: answered.done() or answered.set_result(None))

        encoded = self.tokenizer.encode_batch(texts)
        out = [None] * len(texts)
        with self.some:
            self.waiting.extend((e.ids, out, i, done) for i, e in enumerate(encoded))
            self.some.notify()
        await answered
        return out, sum(len(e.ids) for e in encoded)


def app(model):
    async def answer(send, status, value):
        body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def handle(scope, receive, send):
        if scope["type"] != "http":
            return
        if scope["path"] != "/v1/embeddings":
            return await answer(send, 404, {"error": "no such route"})
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        asked = orjson.loads(body)
        texts = asked["input"]
        vectors, tokens = await model.embed([texts] if isinstance(texts, str) else texts)
        if asked.get("encoding_format") == "base64":
            vectors = [base64.b64encode(v.tobytes()).decode() for v in vectors]
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
        await answer(send, 200, {"object": "list", "model": "minilm", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})

    return handle


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--graph", required=True)
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--batch", type=int, default=32)
    a = p.parse_args()
    if not os.path.exists(a.graph):
        export(a.model, a.graph)
    uvicorn.run(app(Model(a.model, a.graph, a.threads, a.batch)), host="127.0.0.1", port=a.port, log_level="warning", access_log=False, lifespan="off")
