#!/usr/bin/env bash
# kserve 0.21.0: a model's output may be a list or a NumPy array. Over gRPC lists become typed contents, and arrays raw bytes, which have no
# name: the protocol tells them by their number among the outputs, and forbids both in one answer. The server refuses a request that mixes
# them, and answers with a mixture. So of outputs "a", a list, and "b", an array, the client finds b's numbers under the name a,
# without a word, and b is empty. With the array first nothing is wrong, nor with two of a kind.
# Who meets it: whoever answers labels as a list and probabilities as an array, in this order. tritonclient reads the answer as KServe's client does.
# The remedy: outputs of one kind.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile kserve==0.21.0 numpy==2.4.6
"$dir/venv/bin/python" - 2>/dev/null <<'PY'
import asyncio
from importlib.metadata import version

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

A, B = [1.0, 2.0], [3.0, 4.0]
KINDS = {"list": list, "array": lambda values: np.array(values, np.float32)}


class Two(Model):
    def __init__(self):
        super().__init__("two")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        kinds = [kind.decode() for kind in payload.inputs[0].data]
        outputs = [InferOutput(name, [2], "FP32", data=KINDS[kind](values)) for name, kind, values in zip("ab", kinds, (A, B))]
        return InferResponse(payload.id, self.name, outputs)


async def main():
    models = ModelRepository()
    models.update(Two())
    server = grpc.aio.server()
    add_GRPCInferenceServiceServicer_to_server(InferenceServicer(DataPlane(models), ModelRepositoryExtension(models)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = InferenceGRPCClient(url=f"127.0.0.1:{port}")

    async def ask(*kinds):
        answer = await client.infer(InferRequest("two", [InferInput("kinds", [2], "BYTES", data=list(kinds))]))
        got = {}
        for output in answer.outputs:
            try:
                got[output.name] = output.as_numpy().tolist()
            except ValueError as e:
                got[output.name] = str(e)
        print(f"a: {kinds[0]}, b: {kinds[1]} ->", got)
        return got

    print("kserve", version("kserve"), "numpy", np.__version__, "- the model answers", {"a": A, "b": B})
    right = {"a": A, "b": B}
    for kinds in (("list", "list"), ("array", "array"), ("array", "list")):
        assert await ask(*kinds) == right, "this was right"
    mixed = await ask("list", "array")
    assert mixed["a"] == B and mixed["b"] != B, "the outputs are no longer exchanged"
    raw = InferInput("raw", [2], "FP32")
    raw.set_data_from_numpy(np.array(A, np.float32), binary_data=True)
    try:
        await client.infer(InferRequest("two", [InferInput("kinds", [2], "BYTES", data=["list", "list"]), raw]))
        raise SystemExit("a request that mixes them is taken")
    except grpc.aio.AioRpcError as e:
        print("a request that mixes them is refused:", e.details())
    await client.close()
    await server.stop(None)


asyncio.run(main())
PY
