package cohere

import (
	"slices"

	"github.com/unimo-go/unimo/internal/serve/web"
)

// Operations describes the routes.
func Operations() []web.Operation {
	const tag = "Cohere and Jina"
	text, integer, number := web.Type("string", ""), web.Type("integer", ""), web.Type("number", "")
	object := web.Schema{"type": "object"}
	failure := web.JSON(web.Object(map[string]web.Schema{"id": text, "message": text, "detail": web.Type("string", "the message, for Jina's clients; only of /v1/rerank")}, "id", "message"))
	least := func(n int) web.Schema { return web.Schema{"type": "integer", "minimum": n} }
	picture := web.Type("string", "a data URL, data:image/png;base64,...")
	content := web.Array(web.Object(map[string]web.Schema{"type": web.Enum("text", "image_url"), "text": text, "image_url": web.AnyOf(text, web.Object(map[string]web.Schema{"url": picture}, "url"))})).WithItems(1)
	side := web.AnyOf(text, web.Object(map[string]web.Schema{"text": text}, "text"), web.Object(map[string]web.Schema{"image": picture}, "image"), web.Object(map[string]web.Schema{"content": content}, "content"))
	about := web.Object(map[string]web.Schema{"api_version": object, "billed_units": object, "tokens": object, "warnings": web.Array(text)}, "api_version", "billed_units", "tokens")
	request := web.JSON(web.Object(map[string]web.Schema{
		"model":              web.Type("string", "the model's name; without one it is the first"),
		"query":              side,
		"documents":          web.Array(side).WithItems(1),
		"top_n":              least(1),
		"return_documents":   web.Type("boolean", "results have their documents"),
		"rank_fields":        web.Array(text),
		"max_tokens_per_doc": least(1),
		"max_chunks_per_doc": least(1),
		"priority":           integer,
		"relevant_spans":     web.Object(map[string]web.Schema{"mode": web.Enum("disabled"), "threshold": number, "max_spans": integer}, "mode").Closed(),
	}, "query", "documents").Closed())
	results := web.Array(web.Object(map[string]web.Schema{
		"index": integer, "relevance_score": web.Schema{"type": "number", "minimum": 0, "maximum": 1}, "document": object,
	}, "index", "relevance_score"))
	var forms []any
	for name := range encodings {
		forms = append(forms, name)
	}
	slices.SortFunc(forms, func(a, b any) int { return slices.Compare([]byte(a.(string)), []byte(b.(string))) })
	return []web.Operation{
		{
			Method: "POST", Path: "/v1/rerank", ID: "rerankV1", Tag: tag, Summary: "Documents in the order of their relevance", Request: request,
			Responses: web.Responses(web.Response{Description: "the documents that fit best, the best first", Content: web.JSON(web.Object(map[string]web.Schema{
				"id": text, "results": results, "meta": about, "model": text, "object": web.Enum("list"), "usage": object,
			}, "id", "results", "meta", "model", "usage"))}, failure),
		},
		{
			Method: "POST", Path: "/v2/rerank", ID: "rerankV2", Tag: tag, Summary: "Documents in the order of their relevance", Request: request,
			Responses: web.Responses(web.Response{Description: "the documents that fit best, the best first", Content: web.JSON(web.Object(map[string]web.Schema{
				"id": text, "results": results, "meta": about,
			}, "id", "results", "meta"))}, failure),
		},
		{
			Method: "POST", Path: "/v2/embed", ID: "embedV2", Tag: tag, Summary: "Vectors of texts and pictures",
			Request: web.JSON(web.Object(map[string]web.Schema{
				"model":            web.Type("string", "the model's name; without one it is the first"),
				"input_type":       web.Enum("search_document", "search_query", "classification", "clustering", "image"),
				"texts":            web.Array(text).WithItems(1),
				"images":           web.Array(picture).WithItems(1),
				"inputs":           web.Array(web.Object(map[string]web.Schema{"content": content}, "content")).WithItems(1),
				"max_tokens":       least(1),
				"output_dimension": least(1),
				"embedding_types":  web.Array(web.Enum(forms...)),
				"truncate":         web.Enum("NONE", "START", "END"),
				"priority":         integer,
			}).Closed()),
			Responses: web.Responses(web.Response{Description: "the vectors in each form, in the order of the request", Content: web.JSON(web.Object(map[string]web.Schema{
				"id": text, "response_type": web.Enum("embeddings_by_type"), "texts": web.Array(text), "meta": about,
				"embeddings": web.Object(map[string]web.Schema{
					"float": web.Array(web.Array(number)), "base64": web.Array(text), "binary": web.Array(web.Array(integer)), "ubinary": web.Array(web.Array(integer)),
				}),
			}, "id", "response_type", "embeddings", "meta"))}, failure),
		},
	}
}
