package native

import (
	"maps"
	"net/http"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// Operations describes the routes.
func Operations() []web.Operation {
	const tag = "unimo"
	str, boolean := web.Type("string", ""), web.Type("boolean", "")
	type properties = map[string]web.Schema
	picture := web.Type("string", "a picture as a data URL, data:image/png;base64,...")
	id := web.Type("string", "the model's name; without one it is the first")
	several := web.Schema{"type": "integer", "minimum": 1}
	failure := web.JSON(web.SchemaOf(failure{}))
	decoding := web.SchemaOf(backend.Decoding{})["properties"].(properties)
	with := func(more, all properties) properties {
		for key, schema := range more {
			all[key] = schema
		}
		return all
	}
	get := func(path, id, summary string, parameters []web.Parameter, content web.Content) web.Operation {
		return web.Operation{
			Method: http.MethodGet, Path: path, ID: id, Tag: tag, Summary: summary, Parameters: parameters,
			Responses: web.Responses(web.Response{Description: summary, Content: content}, failure),
		}
	}
	post := func(path, id, summary string, request web.Schema, answer web.Content) web.Operation {
		return web.Operation{
			Method: http.MethodPost, Path: path, ID: id, Tag: tag, Summary: summary,
			Request:   web.Content{"application/json": request, "multipart/form-data": asForm(request)},
			Responses: web.Responses(web.Response{Description: summary, Content: answer}, failure),
		}
	}
	named := web.Parameter{Name: "model", In: "query", Description: "the model's name", Schema: str}
	in := properties{"text": str, "pair": str, "picture": picture}
	image := web.Schema{"type": "string", "format": "binary"}
	return []web.Operation{
		get("/models", "listNativeModels", "What there is and what it does", nil, web.JSON(web.SchemaOf(models{}))),
		post("/search", "search", "The pictures of an index that fit a text, or are like a picture", web.Object(properties{"model": id, "text": str, "picture": picture, "k": several}),
			web.JSON(web.SchemaOf(searchAnswer{}))),
		get("/pictures", "listPictures", "The pictures of an index", []web.Parameter{
			named,
			{Name: "first", In: "query", Description: "number of the first one, from 0", Schema: web.Schema{"type": "integer", "minimum": 0}},
			{Name: "k", In: "query", Description: "how many", Schema: several},
		}, web.JSON(web.SchemaOf(picturesAnswer{}))),
		get("/pictures/{id...}", "getPicture", "A picture of an index", []web.Parameter{
			{Name: "id", In: "path", Description: "the picture's name in the index", Required: true, Schema: str},
			named,
			{Name: "size", In: "query", Description: `"full": as it is; else it may be smaller`, Schema: web.Enum("full")},
		}, web.Content{"image/jpeg": image, "image/png": image, "image/gif": image, "image/webp": image}),
		post("/caption", "caption", "A text for a picture", web.Object(with(decoding, properties{"model": id, "picture": picture}), "picture"), web.JSON(web.SchemaOf(captionAnswer{}))),
		post("/ask", "ask", "Answers to a question about a picture", web.Object(properties{"model": id, "picture": picture, "question": str, "k": several}, "picture", "question"),
			web.JSON(web.SchemaOf(askAnswer{}))),
		post("/match", "match", "How well texts or pictures fit a text or a picture", web.AnyOf(
			web.Object(properties{"model": id, "picture": picture, "texts": web.Array(str).WithItems(1)}, "picture", "texts"),
			web.Object(properties{"model": id, "picture": picture, "pictures": web.Array(picture).WithItems(1)}, "picture", "pictures"),
			web.Object(properties{"model": id, "text": str, "texts": web.Array(str).WithItems(1)}, "text", "texts"),
			web.Object(properties{"model": id, "text": str, "pictures": web.Array(picture).WithItems(1)}, "text", "pictures"),
		), web.JSON(web.SchemaOf(matchAnswer{}))),
		post("/classify", "classify", "Classes of texts, of pairs of texts, and of statements about pictures", web.AnyOf(
			web.Object(with(in, properties{"model": id}), "text"),
			web.Object(properties{"model": id, "inputs": web.Array(web.Object(in)).WithItems(1)}, "inputs"),
		), web.JSON(web.SchemaOf(classifyAnswer{}))),
		post("/generate", "generate", "A text for a text; with stream in server-sent events, the last of which is the whole text",
			web.Object(with(decoding, properties{"model": id, "texts": web.Array(str).WithItems(1), "passage": str, "stream": boolean}), "texts"),
			web.Content{"application/json": web.SchemaOf(generateAnswer{}), "text/event-stream": web.Object(map[string]web.Schema{"data": str}, "data")}),
	}
}

// asForm is the schema of a request as a form: pictures are files, and a list of inputs has no place in it.
func asForm(s web.Schema) web.Schema {
	if either, ok := s["anyOf"].([]web.Schema); ok {
		var of []web.Schema
		for _, one := range either {
			if _, several := one["properties"].(map[string]web.Schema)["inputs"]; !several {
				of = append(of, asForm(one))
			}
		}
		return web.AnyOf(of...)
	}
	file := web.Schema{"type": "string", "format": "binary"}
	all := maps.Clone(s["properties"].(map[string]web.Schema))
	for key, as := range map[string]web.Schema{"picture": file, "pictures": web.Array(file)} {
		if _, ok := all[key]; ok {
			all[key] = as
		}
	}
	s = maps.Clone(s)
	s["properties"] = all
	return s
}
