package tei

import "github.com/unimo-go/unimo/internal/serve/web"

// Operations describes the routes.
func Operations() []web.Operation {
	const tag = "text-embeddings-inference"
	text, integer, number, boolean := web.Type("string", ""), web.Type("integer", ""), web.Type("number", ""), web.Type("boolean", "")
	failure := web.JSON(web.Object(map[string]web.Schema{"error": text, "error_type": web.Enum(unhealthy, backends, overloaded, validation, empty)}, "error"))
	ids := web.Array(web.Schema{"type": "integer", "minimum": 0}).WithItems(1)
	name := web.Type("string", "the model's name; without one it is the first that does it")
	side := web.Enum("left", "right", "Left", "Right")
	source := web.Object(map[string]web.Schema{"source_sentence": text, "sentences": web.Array(text).WithItems(1)}, "source_sentence", "sentences")
	class := web.Object(map[string]web.Schema{"score": number, "label": text}, "score", "label")
	classes := web.Array(class)
	ranks := web.Array(web.Object(map[string]web.Schema{"index": integer, "text": text, "score": number}, "index", "score"))
	vectors := web.Array(web.Array(number))
	answers := web.AnyOf(vectors, web.Array(number), ranks, classes, web.Array(classes))
	embed := web.Object(map[string]web.Schema{
		"inputs":   web.AnyOf(text, ids, web.Array(web.AnyOf(text, ids)).WithItems(1)),
		"truncate": boolean, "truncation_direction": side, "prompt_name": text, "normalize": boolean,
		"dimensions": web.Schema{"type": "integer", "minimum": 1}, "model": name,
	}, "inputs")
	embedAll := web.Object(map[string]web.Schema{
		"inputs": embed["properties"].(map[string]web.Schema)["inputs"], "truncate": boolean, "truncation_direction": side, "prompt_name": text, "model": name,
	}, "inputs")
	similarity := web.Object(map[string]web.Schema{
		"inputs": source, "parameters": web.Object(map[string]web.Schema{"truncate": boolean, "truncation_direction": side, "prompt_name": text}), "model": name,
	}, "inputs")
	rerank := web.Object(map[string]web.Schema{
		"query": text, "texts": web.Array(text).WithItems(1), "truncate": boolean, "raw_scores": boolean, "return_text": boolean, "model": name,
	}, "query", "texts")
	post := func(path, id, summary string, request, answer web.Schema) web.Operation {
		return web.Operation{
			Method: "POST", Path: path, ID: id, Tag: tag, Summary: summary, Request: web.JSON(request),
			Responses: web.Responses(web.Response{Description: summary, Content: web.JSON(answer)}, failure),
		}
	}
	return []web.Operation{
		post("/embed", "embed", "Vectors of texts", embed, vectors),
		post("/embed_all", "embedAll", "Vectors of the tokens of texts, before they are pooled", embedAll, web.Array(vectors)),
		post("/embed_sparse", "embedSparse", "Sparse vectors of texts, which no model here makes: an error", embedAll,
			web.Array(web.Array(web.Object(map[string]web.Schema{"index": integer, "value": number}, "index", "value")))),
		post("/similarity", "similarity", "How much texts are like one", similarity, web.Array(number)),
		post("/rerank", "rerank", "Texts in the order of their relevance", rerank, ranks),
		post("/predict", "predict", "Classes of texts and of pairs of texts", web.Object(map[string]web.Schema{
			"inputs":   web.AnyOf(text, web.Array(text).WithItems(1), web.Array(web.Array(text).WithItems(1)).WithItems(1)),
			"truncate": boolean, "raw_scores": boolean, "model": name,
		}, "inputs"), web.AnyOf(classes, web.Array(classes))),
		post("/tokenize", "tokenize", "Tokens of texts", web.Object(map[string]web.Schema{
			"inputs": web.AnyOf(text, web.Array(text).WithItems(1)), "add_special_tokens": boolean, "prompt_name": text, "model": name,
		}, "inputs"), web.Array(web.Array(web.Object(map[string]web.Schema{
			"id": integer, "text": text, "special": boolean, "start": integer.OrNull(), "stop": integer.OrNull(),
		}, "id", "text", "special", "start", "stop")))),
		post("/decode", "decode", "Texts of tokens", web.Object(map[string]web.Schema{
			"ids": web.AnyOf(ids, web.Array(ids).WithItems(1)), "skip_special_tokens": boolean, "model": name,
		}, "ids"), web.Array(text)),
		post("/vertex", "vertex", "What each of the instances asks for, as Vertex AI posts them", web.Object(map[string]web.Schema{
			"instances": web.Array(web.AnyOf(embed, similarity, rerank)), "parameters": web.Schema{"type": "object"},
		}, "instances"), web.Object(map[string]web.Schema{"predictions": web.Array(answers)}, "predictions")),
		post("/", "root", "What the body asks for, as huggingface_hub's InferenceClient posts it to the address of a server",
			web.AnyOf(embed, similarity, rerank, web.Object(map[string]web.Schema{
				"inputs": web.AnyOf(text, web.Array(text).WithItems(1)), "parameters": web.Object(map[string]web.Schema{"top_k": integer, "function_to_apply": text}),
			}, "inputs", "parameters")),
			answers),
		{
			Method: "GET", Path: "/info", ID: "info", Tag: tag, Summary: "The first model",
			Responses: web.Responses(web.Response{Description: "what it is", Content: web.JSON(web.Object(map[string]web.Schema{
				"model_id": text, "model_sha": text, "model_dtype": text, "served_model_name": text, "model_type": web.Schema{"type": "object"},
				"max_input_length": integer, "max_client_batch_size": integer, "auto_truncate": boolean, "version": text,
			}, "model_id", "model_type", "max_input_length"))}, failure),
		},
	}
}
