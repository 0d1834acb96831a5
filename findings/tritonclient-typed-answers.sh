#!/usr/bin/env bash
# tritonclient 2.73.0 over gRPC: as_numpy reads raw bytes (raw_output_contents) and no typed contents, the protocol's other form of an answer.
# Of numbers it makes an empty array, and fails to give that the output's shape. Of texts it makes an array with NumPy 1, and with NumPy 2,
# which it installs, an error about copying: the client asks NumPy for an array without a copy of a list. get_output has the values all along.
# Who meets it: whoever asks another server of the Open Inference Protocol than Triton. KServe's, for example, answers with typed contents where
# a model gives lists.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/show.py" <<'PY'
import concurrent.futures
import sys
from importlib.metadata import version

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

OUTPUTS = {
    "score": ("FP32", "fp32_contents", [0.25, 0.75]),
    "count": ("INT64", "int64_contents", [3, 4]),
    "label": ("BYTES", "bytes_contents", [b"no", b"yes"]),
}


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    def ModelInfer(self, request, context):
        answer = service_pb2.ModelInferResponse(model_name=request.model_name)
        for name, (datatype, field, values) in OUTPUTS.items():
            getattr(answer.outputs.add(name=name, datatype=datatype, shape=[2]).contents, field).extend(values)
        return answer


server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Server(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
client = triton.InferenceServerClient(f"127.0.0.1:{port}")
answer = client.infer("m", [triton.InferInput("x", [1], "INT32").set_data_from_numpy(np.zeros(1, np.int32))])
print("tritonclient", version("tritonclient"), "numpy", np.__version__)
read = {}
for name, (datatype, field, values) in OUTPUTS.items():
    assert list(getattr(answer.get_output(name).contents, field)) == values
    try:
        read[name] = answer.as_numpy(name).tolist()
    except ValueError as e:
        read[name] = None
        print(f"  {datatype} {values}: ValueError: {str(e).splitlines()[0]}")
    else:
        print(f"  {datatype} {values}: {read[name]}")
assert read["score"] is None and read["count"] is None, "numbers are read"
assert read["label"] == (OUTPUTS["label"][2] if sys.argv[1].startswith("1.") else None), "texts are read otherwise"
client.close()
server.stop(None)
PY
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile 'tritonclient[grpc]==2.73.0' ml-dtypes==0.5.4 numpy==1.26.4
for numpy in 1.26.4 2.4.6; do
	"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile numpy==$numpy
	"$dir/venv/bin/python" "$dir/show.py" $numpy
done
