"""The official client of OpenAI, as it is, against the server at the URL that is given. Pictures go as vLLM and Infinity take them."""
import asyncio
import base64
import math
import pathlib
import sys

import openai
from openai.types import CreateEmbeddingResponse

url, pictures = sys.argv[1], pathlib.Path(sys.argv[2])
client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)


def data_url(name):
    return "data:image/png;base64," + base64.b64encode((pictures / name).read_bytes()).decode()


def same(a, b):
    return len(a) == len(b) and all(abs(x - y) < 1e-6 for x, y in zip(a, b))


def raises(kind, call):
    try:
        call()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


# Models.
names = [m.id for m in client.models.list()]
assert names[0] == "shapes" and {"films", "headlines"} <= set(names), names
assert client.models.retrieve("films").object == "model"
assert raises(openai.NotFoundError, lambda: client.models.retrieve("gpt-5")).code == "model_not_found"

# Vectors of texts: the client asks for base64 where its caller says nothing, and decodes it.
both = client.embeddings.create(model="shapes", input=["a red square", "a green bar"])
one = client.embeddings.create(model="shapes", input="a green bar", encoding_format="float")
assert [d.index for d in both.data] == [0, 1] and both.model == "shapes" and both.usage.prompt_tokens > one.usage.prompt_tokens > 2
assert same(both.data[1].embedding, one.data[0].embedding)
assert isinstance(client.embeddings.create(model="shapes", input="a", encoding_format="base64").data[0].embedding, str)
few = client.embeddings.create(model="shapes", input="a green bar", dimensions=4).data[0].embedding
assert len(few) == 4 and math.isclose(sum(x * x for x in few), 1, rel_tol=1e-5)
tokens = client.embeddings.create(model="shapes", input=[[1, 2, 3], [4]])
assert len(tokens.data) == 2 and same(client.embeddings.create(model="shapes", input=[4]).data[0].embedding, tokens.data[1].embedding)
assert raises(openai.BadRequestError, lambda: client.embeddings.create(model="shapes", input="")).param == "input"
assert raises(openai.BadRequestError, lambda: client.embeddings.create(model="shapes", input=[10**6])).type == "invalid_request_error"
assert raises(openai.BadRequestError, lambda: client.embeddings.create(model="shapes", input="a", dimensions=100000)).param == "dimensions"
assert raises(openai.BadRequestError, lambda: client.embeddings.create(model="shapes", input="a", extra_body={"task": "query"})).code == "unknown_parameter"
assert len(client.embeddings.create(model="headlines", input="a").data[0].embedding) > 1  # of its encoder
long = "red " * 2000
assert raises(openai.BadRequestError, lambda: client.embeddings.create(model="shapes", input=long)).code == "context_length_exceeded"
assert len(client.embeddings.create(model="shapes", input=long, extra_body={"truncate_prompt_tokens": -1}).data) == 1

# Vectors of pictures: Infinity's modality, and vLLM's messages.
red, green = data_url("red-square.png"), data_url("green-bar.png")
infinity = client.embeddings.create(model="shapes", input=[red, green], extra_body={"modality": "image"})
assert raises(openai.BadRequestError, lambda: client.embeddings.create(model="headlines", input=[red], extra_body={"modality": "image"})).param == "model"
message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": green}}]}
vllm = client.post("/embeddings", cast_to=CreateEmbeddingResponse, body={"model": "shapes", "messages": [message], "encoding_format": "float"})
assert same(infinity.data[1].embedding, vllm.data[0].embedding)


def product(a, b):
    return sum(x * y for x, y in zip(a, b))


assert product(infinity.data[0].embedding, both.data[0].embedding) > product(infinity.data[1].embedding, both.data[0].embedding), "the red square does not fit its text best"
assert "fetches none" in raises(openai.BadRequestError, lambda: client.embeddings.create(model="shapes", input="https://example.com/a.png", extra_body={"modality": "image"})).message

# Texts.
prompt = "the quick brown fox jumps over the lazy dog near the river"
whole = client.completions.create(model="headlines", prompt=prompt)
assert whole.object == "text_completion" and whole.choices[0].finish_reason in ("stop", "length") and whole.usage.prompt_tokens > 2, whole
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
pieces, reason, used = "", None, None
for chunk in client.completions.create(model="headlines", prompt=prompt, stream=True, stream_options={"include_usage": True}):
    for c in chunk.choices:
        pieces, reason = pieces + c.text, c.finish_reason or reason
    used = chunk.usage or used
assert pieces == whole.choices[0].text and reason == whole.choices[0].finish_reason and used == whole.usage, (pieces, whole)
short = client.completions.create(model="headlines", prompt=prompt, max_tokens=1)
assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens <= 1, short
if " " in whole.choices[0].text.strip():
    word = whole.choices[0].text.split()[-1]
    stopped = client.completions.create(model="headlines", prompt=prompt, stop=[word])
    assert word not in stopped.choices[0].text and stopped.choices[0].finish_reason == "stop", stopped
several = client.completions.create(model="headlines", prompt=[prompt, "a red dog"], n=2, temperature=1.0, seed=3)
assert [c.index for c in several.choices] == [0, 1, 2, 3]
again = client.completions.create(model="headlines", prompt=[prompt, "a red dog"], n=2, temperature=1.0, seed=3)
assert [c.text for c in several.choices] == [c.text for c in again.choices], "a seed draws another text"
assert raises(openai.BadRequestError, lambda: client.completions.create(model="headlines", prompt="a", logprobs=1)).param == "logprobs"
assert raises(openai.BadRequestError, lambda: client.completions.create(model="headlines", prompt="a", echo=True)).code == "unsupported_parameter"
assert raises(openai.BadRequestError, lambda: client.completions.create(model="headlines", prompt="a", max_tokens=100000)).param == "max_tokens"
assert raises(openai.BadRequestError, lambda: client.completions.create(model="headlines", prompt="red " * 2000)).code == "context_length_exceeded"
assert client.completions.create(model="headlines", prompt="red " * 2000, extra_body={"truncate_prompt_tokens": -1}).usage.prompt_tokens < 2000
assert raises(openai.BadRequestError, lambda: client.completions.create(model="shapes", prompt="a", stream=True)).code == "unsupported_model"
assert raises(openai.NotFoundError, lambda: client.chat.completions.create(model="shapes", messages=[{"role": "user", "content": "a"}])).code == "unknown_url"


async def together():
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as c:
        made = await asyncio.gather(*(c.embeddings.create(model="shapes", input=text) for text in ["a red square", "a green bar"] * 10))
        for i, m in enumerate(made):
            assert same(m.data[0].embedding, both.data[i % 2].embedding)
        stream = await c.completions.create(model="headlines", prompt=prompt, stream=True)
        async for _ in stream:
            break  # and leave
        await stream.close()


asyncio.run(together())
print("openai", openai.__version__)
