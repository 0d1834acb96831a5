"""The official client of Hugging Face, as it is, against the server at the URL that is given, as against one of text-embeddings-inference."""
import sys

import huggingface_hub
import numpy as np
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

url = sys.argv[1]
client = InferenceClient(base_url=url)

# The address of the server alone: vectors, similarity, classes.
one = client.feature_extraction("a red square")
both = client.feature_extraction(["a green bar", "a red square"], normalize=True, truncate=True)
assert one.dtype == np.float32 and one.shape[0] == 1 and both.shape == (2, one.shape[1]) and np.allclose(both[1], one[0], atol=1e-6)
assert abs(np.linalg.norm(one[0]) - 1) < 1e-5
assert client.feature_extraction("a red square", dimensions=4, encoding_format="float").shape == (1, 4)
likeness = client.sentence_similarity("a red square", other_sentences=["a red square", "a green bar"])
assert abs(likeness[0] - 1) < 1e-5 and likeness[1] < likeness[0], likeness
classes = client.text_classification("a gripping and funny film")
assert len(classes) == 2 and abs(sum(c.score for c in classes) - 1) < 1e-6 and classes[0].score >= classes[1].score, classes
assert len(client.text_classification("a gripping and funny film", top_k=1)) == 1

# The routes by their names.
assert np.allclose(InferenceClient(base_url=url + "/embed").feature_extraction("a red square"), one)
assert InferenceClient(base_url=url + "/similarity").sentence_similarity("a red square", other_sentences=["a green bar"]) == likeness[1:]

try:
    client.feature_extraction("red " * 2000, truncate=False)
    raise AssertionError("a long text is taken")
except HfHubHTTPError as e:
    assert e.response.status_code == 422 and e.response.json()["error_type"] == "Validation" and "tokens" in str(e), e
print("huggingface_hub", huggingface_hub.__version__)
