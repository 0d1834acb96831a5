"""The official client of Cohere, as it is, against the server at the URL that is given."""
import base64
import pathlib
import struct
import sys

import cohere
from cohere.errors import BadRequestError, NotFoundError

url, pictures = sys.argv[1], pathlib.Path(sys.argv[2])
v1 = cohere.Client(api_key="none", base_url=url)
v2 = cohere.ClientV2(api_key="none", base_url=url)


def data_url(name):
    return "data:image/png;base64," + base64.b64encode((pictures / name).read_bytes()).decode()


def raises(kind, call):
    try:
        call()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


names = ["blue-bar.png", "green-square.png", "red-square.png"]
documents = [data_url(n) for n in names]

# Pictures in the order of how well they fit a text. The types of the client have texts as documents: a data URL is one.
found = v2.rerank(model="shapes", query="a red square", documents=documents, top_n=2)
assert [names[r.index] for r in found.results][0] == "red-square.png" and len(found.results) == 2, found
assert all(0 <= r.relevance_score <= 1 for r in found.results) and found.meta.api_version.version == "2"
objects = v2.rerank(model="shapes", query="a red square", documents=[{"image": d} for d in documents])
assert [r.index for r in objects.results][:2] == [r.index for r in found.results]

# A picture as query has no place in the client's types; texts for it have.
both = v1.rerank(model="shapes", query="a green square", documents=[{"image": d} for d in documents], return_documents=True)
assert names[both.results[0].index] == "green-square.png" and both.results[0].document.image == documents[1], both.results[0]
texts = v1.rerank(model="shapes", query="a red square", documents=["a blue bar", "a red square"], return_documents=True)
assert texts.results[0].index == 1 and texts.results[0].document.text == "a red square", texts

assert "documents must not be empty" in raises(BadRequestError, lambda: v2.rerank(model="shapes", query="a", documents=[])).body["message"]
assert "other" in raises(NotFoundError, lambda: v2.rerank(model="other", query="a", documents=["a"])).body["message"]
assert "relevant_spans" in raises(BadRequestError, lambda: v2.rerank(model="shapes", query="a", documents=["a"], relevant_spans={"mode": "enabled"})).body["message"]
assert raises(BadRequestError, lambda: v2.rerank(model="headlines", query="a", documents=["a"])).status_code == 400

# Vectors.
made = v2.embed(model="shapes", input_type="search_query", texts=["a red square", "a green bar"], embedding_types=["float", "base64", "ubinary", "binary"])
size = len(made.embeddings.float_[0])
assert made.response_type == "embeddings_by_type" and made.texts == ["a red square", "a green bar"] and made.meta.billed_units.input_tokens > 4
for i in range(2):
    # The generated client takes a field named base64 as text.
    assert list(struct.unpack(f"<{size}f", base64.b64decode(made.embeddings.base64[i]))) == [struct.unpack("<f", struct.pack("<f", x))[0] for x in made.embeddings.float_[i]]
    bits = [b for byte in made.embeddings.ubinary[i] for b in f"{byte:08b}"]
    assert bits == ["1" if x > 0 else "0" for x in made.embeddings.float_[i]]
    assert [b - 128 for b in made.embeddings.ubinary[i]] == made.embeddings.binary[i]
images = v2.embed(model="shapes", input_type="image", images=documents[:1], embedding_types=["float"])
inputs = v2.embed(model="shapes", input_type="search_document", inputs=[
    {"content": [{"type": "image_url", "image_url": {"url": documents[0]}}]}, {"content": [{"type": "text", "text": "a red square"}]},
], embedding_types=["float"])
assert images.embeddings.float_[0] == inputs.embeddings.float_[0] and images.meta.billed_units.images == 1
assert len(v2.embed(model="shapes", input_type="search_query", texts=["a"], output_dimension=4).embeddings.float_[0]) == 4
assert "truncate" in raises(BadRequestError, lambda: v2.embed(model="shapes", input_type="search_query", texts=["red " * 2000], max_tokens=8, truncate="NONE")).body["message"]
assert len(v2.embed(model="shapes", input_type="search_query", texts=["red " * 2000], truncate="START").embeddings.float_) == 1
print("cohere", cohere.__version__)
