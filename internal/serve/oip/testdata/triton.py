"""Asks a server with tritonclient, over HTTP and gRPC: triton.py ADDRESS PICTURE VECTOR.

PICTURE is a file in base64, VECTOR the embedding of "good" as JSON.
"""
import asyncio
import base64
import json
import queue
import sys

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from tritonclient.utils import InferenceServerException

address, png, vector = sys.argv[1], base64.b64decode(sys.argv[2]), np.array(json.loads(sys.argv[3]), np.float32)


def text(client, name, values, **how):
    data = np.array(values, dtype=np.object_)
    tensor = client.InferInput(name, list(data.shape), "BYTES")
    tensor.set_data_from_numpy(data, **how)
    return tensor


def numbers(client, name, rows, dtype, datatype, **how):
    data = np.array(rows, dtype=dtype)
    tensor = client.InferInput(name, list(data.shape), datatype)
    tensor.set_data_from_numpy(data, **how)
    return tensor


def refused(call, *says):
    try:
        call()
    except InferenceServerException as e:
        assert all(s in str(e) for s in says), str(e)
        return
    raise AssertionError("no error; want one with " + repr(says))


def same(client, c, binary):
    """What both protocols do alike; binary says how HTTP sends tensors."""
    assert c.is_server_live() and c.is_server_ready() and c.is_model_ready("fake") and c.is_model_ready("fake", "1")
    how = [{}] if binary is None else [{"binary_data": binary}]
    for h in how:
        wanted = lambda name, **more: client.InferRequestedOutput(name, **h, **more)
        # no outputs named
        r = c.infer("fake", [text(client, "text", ["a good film", "bad"], **h)], request_id="42")
        assert [str(x, "utf-8") if isinstance(x, bytes) else x for x in r.as_numpy("label")] == ["positive", "negative"]
        assert r.as_numpy("probabilities").tolist() == [[0.125, 0.875], [0.75, 0.25]]
        # outputs of two tasks, strings of one in a row, a version, parameters of Triton's own
        r = c.infer("fake", [text(client, "text", [["good"]], **h)], model_version="1", outputs=[wanted("embedding"), wanted("label")],
                    priority=1, timeout=10_000_000, sequence_id=3, sequence_start=True)
        got = r.as_numpy("embedding")
        assert got.dtype == np.float32 and got.shape == (1, 8) and (got[0] == vector).all(), got
        r = c.infer("fake", [text(client, "text", ["good"], **h)], outputs=[wanted("probabilities", class_count=2)])
        got = r.as_numpy("probabilities")
        assert got.shape == (1, 2) and got.ravel()[0] in (b"0.875000:1:positive", "0.875000:1:positive"), got
        for dtype, datatype in ((np.int64, "INT64"), (np.int32, "INT32")):
            r = c.infer("fake", [numbers(client, "input_ids", [[5, 6, 7], [5, 6, 0]], dtype, datatype, **h),
                                 numbers(client, "attention_mask", [[1, 1, 1], [1, 1, 0]], dtype, datatype, **h)], outputs=[wanted("embedding")])
            assert r.as_numpy("embedding").shape == (2, 8)
        r = c.infer("fake", [text(client, "text", ["one two"], **h)], outputs=[wanted("generated_text"), wanted("finished")], parameters={"max_length": 1, "length_penalty": 0.5})
        assert r.as_numpy("generated_text")[0] in (b"ONE", "ONE") and r.as_numpy("finished").tolist() == [False]
        refused(lambda: c.infer("fake", [text(client, "texts", ["a"], **h)]), "no input")
        refused(lambda: c.infer("fake", [text(client, "text", ["a"], **h)], outputs=[wanted("embeddings")]), "no output")
        refused(lambda: c.infer("fake", [numbers(client, "input_ids", [[1.5]], np.float16, "FP16", **h)]), "FP16")
    refused(lambda: c.infer("none", [text(client, "text", ["a"])]), "none")
    # pictures are files, as they are
    r = c.infer("fake", [text(client, "picture", [png, png])])
    assert r.as_numpy("generated_text")[1] == b"a picture of %d bytes" % len(png), r.as_numpy("generated_text")
    r = c.infer("fake", [text(client, "query", ["red"]), text(client, "picture", [png])], outputs=[client.InferRequestedOutput("score")])
    assert r.as_numpy("score").shape == (1,)
    r = c.infer("fake", [text(client, "text", ["is it red?"]), text(client, "picture", [png])], outputs=[client.InferRequestedOutput("answer")], parameters={"top_k": 2})
    assert r.as_numpy("answer").tolist() == [[b"yes", b"no"]]


http = triton_http.InferenceServerClient(address)
for binary in (True, False):
    same(triton_http, http, binary)
assert http.get_server_metadata()["name"] == "unimo"
metadata = http.get_model_metadata("fake")
assert {"name": "embedding", "datatype": "FP32", "shape": [-1, 8]} in metadata["outputs"], metadata
assert http.get_model_repository_index()[0] == {"name": "fake", "version": "1", "state": "READY"}
assert not http.is_model_ready("none")
for algorithm in ("gzip", "deflate"):
    r = http.infer("fake", [text(triton_http, "text", ["good"])], request_compression_algorithm=algorithm, response_compression_algorithm=algorithm)
    assert r.as_numpy("label").tolist() == [b"positive"]
assert http.async_infer("fake", [text(triton_http, "text", ["good"])]).get_result().as_numpy("label").tolist() == [b"positive"]
# a picture in JSON is a data URL
url = "data:image/png;base64," + sys.argv[2]
r = http.infer("fake", [text(triton_http, "picture", [url], binary_data=False)])
assert r.as_numpy("generated_text")[0] == b"a picture of %d bytes" % len(png)
http.close()

grpc = triton_grpc.InferenceServerClient(address)
same(triton_grpc, grpc, None)
assert grpc.get_server_metadata().name == "unimo"
metadata = grpc.get_model_metadata("fake")
assert [list(o.shape) for o in metadata.outputs if o.name == "embedding"] == [[-1, 8]], metadata
assert grpc.get_model_repository_index().models[0].name == "fake"
refused(lambda: grpc.is_model_ready("none"), "NOT_FOUND")
r = grpc.infer("fake", [text(triton_grpc, "text", ["good"])], compression_algorithm="gzip")
assert r.as_numpy("label").tolist() == [b"positive"]
got = queue.Queue()
grpc.async_infer("fake", [text(triton_grpc, "text", ["good"])], lambda result, error: got.put((result, error)))
result, error = got.get(timeout=20)
assert error is None and result.as_numpy("label").tolist() == [b"positive"]
grpc.start_stream(lambda result, error: got.put((result, error)))
grpc.async_stream_infer("fake", [text(triton_grpc, "text", ["a bc"])], outputs=[triton_grpc.InferRequestedOutput("generated_text")], enable_empty_final_response=True)
pieces = []
while True:
    result, error = got.get(timeout=20)
    assert error is None, error
    pieces.append(result.as_numpy("generated_text")[0])
    if "triton_final_response" in result.get_response().parameters:
        break
assert pieces == [b"A", b" BC", b"A BC"], pieces
grpc.async_stream_infer("none", [text(triton_grpc, "text", ["a"])])
result, error = got.get(timeout=20)
assert "none" in str(error), error
grpc.stop_stream()
grpc.close()


async def aio():
    async with triton_http_aio.InferenceServerClient(address) as c:
        r = await c.infer("fake", [text(triton_http, "text", ["good"])])
        assert r.as_numpy("label").tolist() == [b"positive"]
    async with triton_grpc_aio.InferenceServerClient(address) as c:
        r = await c.infer("fake", [text(triton_grpc, "text", ["good"])])
        assert r.as_numpy("label").tolist() == [b"positive"]


asyncio.run(aio())
