package openai

import "github.com/unimo-go/unimo/internal/serve/web"

// Operations describes the routes.
func Operations() []web.Operation {
	const tag = "OpenAI"
	text, integer, number, boolean := web.Type("string", ""), web.Type("integer", ""), web.Type("number", ""), web.Type("boolean", "")
	failure := web.JSON(web.Object(map[string]web.Schema{
		"error": web.Object(map[string]web.Schema{
			"message": text, "type": text, "param": web.Type("string", "where in the request").OrNull(), "code": text.OrNull(),
		}, "message", "type", "param", "code"),
	}, "error"))
	responses := func(ok web.Response) map[int]web.Response { return web.Responses(ok, failure) }
	least := func(n int) web.Schema { return web.Schema{"type": "integer", "minimum": n} }
	ids := web.Array(least(0)).WithItems(1)
	content := web.AnyOf(text, web.Array(web.Schema{"type": "object"}).WithItems(1))
	messages := web.Array(web.Object(map[string]web.Schema{"role": text, "content": content}, "content")).WithItems(1)
	used := web.Object(map[string]web.Schema{"prompt_tokens": integer, "completion_tokens": integer, "total_tokens": integer}, "prompt_tokens", "total_tokens")
	model := web.Object(map[string]web.Schema{
		"id": text, "object": web.Enum("model"), "created": integer, "owned_by": text, "max_model_len": integer, "capabilities": web.Array(text),
	}, "id", "object", "created", "owned_by")
	name := web.Type("string", "the model's name; without one it is the first")
	list := []web.Operation{
		{
			Method: "POST", Path: "/v1/embeddings", ID: "createEmbedding", Tag: tag,
			Summary:     "Vectors of texts and pictures",
			Description: "Pictures are data URLs: in messages, as vLLM has them, or as input with the modality image, as Infinity has them.",
			Request: web.JSON(web.Object(map[string]web.Schema{
				"model":                  name,
				"input":                  web.AnyOf(text, ids, web.Array(web.AnyOf(text, ids, messages)).WithItems(1), messages),
				"messages":               web.AnyOf(messages, web.Array(messages).WithItems(1)),
				"modality":               web.Enum("text", "image"),
				"encoding_format":        web.Enum("float", "base64"),
				"dimensions":             least(1),
				"truncate_prompt_tokens": least(-1),
				"truncation_side":        web.Enum("right", "left"),
				"use_activation":         web.Type("boolean", "vectors of length 1"),
				"normalize":              boolean,
				"user":                   text,
			}).Closed()),
			Responses: responses(web.Response{Description: "the vectors, in the order of the input", Content: web.JSON(web.Object(map[string]web.Schema{
				"object": web.Enum("list"), "model": text, "usage": used,
				"data": web.Array(web.Object(map[string]web.Schema{
					"object": web.Enum("embedding"), "index": integer,
					"embedding": web.AnyOf(web.Array(number), web.Type("string", "base64 of little-endian float32")),
				}, "object", "index", "embedding")),
			}, "object", "data", "model", "usage"))}),
		},
		{
			Method: "POST", Path: "/v1/completions", ID: "createCompletion", Tag: tag,
			Summary:     "Texts that a model writes",
			Description: "Without max_tokens and a temperature texts are found as the model was fine-tuned for.",
			Request: web.JSON(web.Object(map[string]web.Schema{
				"model":          name,
				"prompt":         web.AnyOf(text, web.Array(text).WithItems(1)),
				"max_tokens":     least(1),
				"temperature":    web.Schema{"type": "number", "minimum": 0, "maximum": 2},
				"top_p":          web.Schema{"type": "number", "exclusiveMinimum": 0, "maximum": 1},
				"top_k":          least(-1),
				"seed":           integer,
				"n":              least(1),
				"stop":           web.AnyOf(text, web.Array(text)),
				"stream":         boolean,
				"stream_options": web.Object(map[string]web.Schema{"include_usage": boolean, "include_obfuscation": boolean}).Closed(),
				"user":           text, "best_of": least(1),
				"echo": web.Enum(false), "frequency_penalty": web.Enum(0), "presence_penalty": web.Enum(0),
				"logit_bias": web.Object(nil).Closed(), "logprobs": web.Schema{"type": "null"}, "suffix": web.Schema{"type": "null"},
			}, "prompt").Closed()),
			Responses: responses(web.Response{Description: "the texts, or a stream of their pieces", Content: web.Content{
				"application/json": web.Object(map[string]web.Schema{
					"id": text, "object": web.Enum("text_completion"), "created": integer, "model": text, "system_fingerprint": text, "usage": used,
					"choices": web.Array(web.Object(map[string]web.Schema{
						"text": text, "index": integer, "logprobs": web.Schema{"type": "null"}, "finish_reason": web.Enum("stop", "length"),
					}, "text", "index", "logprobs", "finish_reason")),
				}, "id", "object", "created", "model", "choices", "usage"),
				"text/event-stream": web.Object(map[string]web.Schema{"data": text}, "data"),
			}}),
		},
		{
			Method: "GET", Path: "/v1/models", ID: "listModels", Tag: tag, Summary: "The models",
			Responses: responses(web.Response{Description: "the models", Content: web.JSON(web.Object(map[string]web.Schema{"object": web.Enum("list"), "data": web.Array(model)}, "object", "data"))}),
		},
		{
			Method: "GET", Path: "/v1/models/{model}", ID: "retrieveModel", Tag: tag, Summary: "One model",
			Parameters: []web.Parameter{{Name: "model", In: "path", Required: true, Schema: text}},
			Responses:  responses(web.Response{Description: "the model", Content: web.JSON(model)}),
		},
	}
	short := list[0]
	short.Path, short.ID, short.Description = "/embeddings", "createEmbeddingShort", "The same as /v1/embeddings, for clients of Infinity and of text-embeddings-inference."
	return append(list, short)
}
