#!/usr/bin/env bash
# huggingface_hub 2.4.0: text_classification is said to return a list of classes, and takes the address of a server. The Inference API
# answers one text with a list in a list, text-embeddings-inference (/predict, and / of a classifier) with the list alone. Of the latter
# the client returns the first class as if it were the list: len() and a loop fail, and the other classes are gone without a word.
# Who meets it: whoever calls text_classification with the address of a text-embeddings-inference server, or of one that speaks its protocol.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q huggingface_hub==2.4.0
"$dir/venv/bin/python" - <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

from huggingface_hub import InferenceClient

CLASSES = [{"score": 0.75, "label": "positive"}, {"score": 0.25, "label": "negative"}]


class Server(BaseHTTPRequestHandler):
    answer = None

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(Server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = InferenceClient(base_url=f"http://127.0.0.1:{server.server_port}")
print("huggingface_hub", version("huggingface_hub"))
got = {}
for name, answer in {"Inference API": [CLASSES], "text-embeddings-inference": CLASSES}.items():
    Server.answer = answer
    got[name] = client.text_classification("a fine film")
    print(f"{name}: {json.dumps(answer)} -> {type(got[name]).__name__} {got[name]}")
assert isinstance(got["Inference API"], list) and len(got["Inference API"]) == 2
assert not isinstance(got["text-embeddings-inference"], list), "the list is returned"
server.shutdown()
PY
