#!/usr/bin/env bash
# tritonclient's HTTP client writes Inference-Header-Content-Length into the dict of headers that its caller gives, and leaves it there.
#
# A request whose tensors are binary sends that header: where the JSON of its body ends. If the caller keeps one dict for all requests, as
# one does for a key ("authorization"), the next request without binary tensors sends the length of the one before. A server then takes a
# part of its JSON for tensors, or refuses a length beyond the body's end. The same dict given to the gRPC client is a TypeError, as the
# value is an int. Whoever calls infer with headers should give a copy each time: headers=dict(headers).
set -euo pipefail
command -v python3 >/dev/null || { echo "not run: no python3 here"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check 'tritonclient[http]==2.73.0' 'numpy==2.4.6'
"$dir/venv/bin/python" - <<'PY'
import http.server
import threading
from importlib.metadata import version

import numpy as np
import tritonclient.http as triton

seen = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seen.append((self.headers.get("Inference-Header-Content-Length"), len(body)))
        answer = b'{"model_name":"m","outputs":[]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = triton.InferenceServerClient(f"127.0.0.1:{server.server_port}")
headers = {"authorization": "Bearer key"}
for values, binary in (([1, 2], True), ([1, 2, 3], False)):
    x = triton.InferInput("x", [len(values)], "INT32")
    x.set_data_from_numpy(np.array(values, np.int32), binary_data=binary)
    client.infer("m", [x], headers=headers)
print("tritonclient", version("tritonclient"))
print("the caller's headers afterwards:", headers)
for (length, size), kind in zip(seen, ("binary", "JSON alone")):
    print(f"{kind}: a body of {size} bytes, Inference-Header-Content-Length {length}")
assert seen[1][0] == seen[0][0] and int(seen[1][0]) > seen[1][1], "the behaviour is no longer there"
PY
# Seen, November 2026:
# tritonclient 2.73.0
# the caller's headers afterwards: {'authorization': 'Bearer key', 'Inference-Header-Content-Length': 133}
# binary: a body of 141 bytes, Inference-Header-Content-Length 133
# JSON alone: a body of 112 bytes, Inference-Header-Content-Length 133
