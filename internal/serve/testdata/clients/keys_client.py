"""The official clients, as they are, without the key that the server at the URL asks for: each raises its own error and says why."""
import sys

import cohere
import openai
from cohere.errors import UnauthorizedError
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

url, key = sys.argv[1], sys.argv[2]
hint = "Authorization: Bearer KEY"


def raises(kind, call):
    try:
        call()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


e = raises(openai.AuthenticationError, lambda: openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0).models.list())
assert e.code == "invalid_api_key" and e.type == "invalid_request_error" and hint in e.message, e
for client in (cohere.Client, cohere.ClientV2):
    e = raises(UnauthorizedError, lambda: client(api_key="none", base_url=url).rerank(model="films", query="a", documents=["a"]))
    assert hint in e.body["message"], e
e = raises(HfHubHTTPError, lambda: InferenceClient(base_url=url, token="none").feature_extraction("a"))
assert e.response.status_code == 401 and hint in str(e), e

# With it.
assert openai.OpenAI(base_url=url + "/v1", api_key=key).models.list().data[0].id == "films"
assert InferenceClient(base_url=url, token=key).text_classification("a gripping film")
e = raises(cohere.errors.BadRequestError, lambda: cohere.ClientV2(api_key=key, base_url=url).rerank(model="films", query="a", documents=["a"]))
assert "films" in e.body["message"], e
