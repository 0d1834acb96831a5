package oip

import (
	"net/http"

	"github.com/unimo-go/unimo/internal/serve/web"
)

// Operations describes the protocol's routes of HTTP.
func Operations() []web.Operation {
	const tag = "Open Inference Protocol"
	model := web.Parameter{Name: "model", In: "path", Required: true, Description: "the model's name", Schema: web.Schema{"type": "string", "minLength": 1}}
	v := web.Parameter{Name: "version", In: "path", Required: true, Description: "1 is the only one", Schema: web.Schema{"type": "string", "minLength": 1}}
	failed := func(description string) web.Response {
		return web.Response{Description: description, Content: web.JSON(web.Object(map[string]web.Schema{"error": web.Type("string", "what is wrong, where, and what to do")}, "error"))}
	}
	answers := func(answer web.Schema, errors ...int) map[int]web.Response {
		responses := map[int]web.Response{http.StatusOK: {Description: "the answer", Content: web.JSON(answer)}}
		for _, status := range append(errors, http.StatusUnauthorized, http.StatusForbidden) {
			responses[status] = failed(map[int]string{
				http.StatusUnauthorized: "no key, or a wrong one", http.StatusForbidden: "a page of another site asks, or the server is called by another's name",
				http.StatusBadRequest: "the request is wrong", http.StatusNotFound: "no such model or version",
				http.StatusRequestEntityTooLarge: "the request is over a limit of the server's", http.StatusTooManyRequests: "the queue is full; Retry-After says when to come again",
				http.StatusInternalServerError: "the server failed", http.StatusServiceUnavailable: "models are loaded, or the server ends",
				http.StatusGatewayTimeout: "the time that the request gave is over",
			}[status])
		}
		return responses
	}
	flag := func(name string) web.Schema {
		return web.Object(map[string]web.Schema{name: web.Type("boolean", "")}, name)
	}
	text, texts := web.Type("string", ""), web.Array(web.Type("string", ""))
	described := web.Array(web.Object(map[string]web.Schema{
		"name": text, "datatype": text, "shape": web.Array(web.Type("integer", "")),
	}, "name", "datatype", "shape"))
	aboutServer := web.Object(map[string]web.Schema{"name": text, "version": text, "extensions": texts}, "name", "version", "extensions")
	aboutModel := web.Object(map[string]web.Schema{
		"name": text, "versions": texts, "platform": text, "inputs": described, "outputs": described,
		"properties": {"type": "object", "additionalProperties": text},
	}, "name", "versions", "platform", "inputs", "outputs")
	modelReady := web.Object(map[string]web.Schema{"name": text, "ready": web.Type("boolean", "")}, "name", "ready")
	index := web.Array(web.Object(map[string]web.Schema{"name": text, "version": text, "state": text}, "name", "version", "state"))

	parameters := web.Schema{"type": "object", "additionalProperties": web.AnyOf(text, web.Type("number", ""), web.Type("boolean", "")),
		"description": "such as top_k, max_length, dimensions; docs/reference/serve-oip.md lists them"}
	data := web.Schema{"type": "array", "description": "the values, flat or nested as the shape is; with binary_data_size in the parameters they stand behind the JSON instead"}
	input := web.Object(map[string]web.Schema{
		"name": web.Type("string", "such as text, picture, input_ids"), "datatype": {"type": "string", "enum": []string{"BYTES", "INT64", "INT32"}},
		"shape":      {"type": "array", "items": web.Schema{"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2, "description": "the batch first"},
		"parameters": parameters, "data": data,
	}, "name", "datatype", "shape")
	request := web.Object(map[string]web.Schema{
		"id": web.Type("string", "comes back in the answer"), "parameters": parameters,
		"inputs":  {"type": "array", "items": input, "minItems": 1},
		"outputs": web.Array(web.Object(map[string]web.Schema{"name": web.Type("string", "such as embedding, label, score"), "parameters": parameters}, "name")),
	}, "inputs")
	request["examples"] = []any{map[string]any{"inputs": []any{map[string]any{"name": "text", "datatype": "BYTES", "shape": []int{1}, "data": []string{"a dog runs"}}}}}
	answer := web.Object(map[string]web.Schema{
		"model_name": text, "model_version": text, "id": text, "parameters": {"type": "object"},
		"outputs": web.Array(web.Object(map[string]web.Schema{
			"name": text, "datatype": text, "shape": web.Array(web.Type("integer", "")), "parameters": {"type": "object"}, "data": {"type": "array"},
		}, "name", "datatype", "shape")),
	}, "model_name", "model_version", "outputs")

	list := []web.Operation{
		{Method: "GET", Path: "/v2", ID: "oipServer", Summary: "What server is it?", Responses: answers(aboutServer)},
		{Method: "GET", Path: "/v2/health/live", ID: "oipLive", Summary: "Is there a server?", Responses: answers(flag("live"))},
		{Method: "GET", Path: "/v2/health/ready", ID: "oipReady", Summary: "Does it answer about every model?", Responses: answers(flag("ready"), 503)},
		{Method: "POST", Path: "/v2/repository/index", ID: "oipIndex", Summary: "Which models are there?", Responses: answers(index, 503)},
	}
	for _, p := range []struct {
		path, id   string
		parameters []web.Parameter
	}{{"/v2/models/{model}", "", []web.Parameter{model}}, {"/v2/models/{model}/versions/{version}", "Version", []web.Parameter{model, v}}} {
		list = append(list,
			web.Operation{Method: "GET", Path: p.path, ID: "oipModel" + p.id, Summary: "What does a model read, and what does it answer?", Parameters: p.parameters, Responses: answers(aboutModel, 404)},
			web.Operation{Method: "GET", Path: p.path + "/ready", ID: "oipModelReady" + p.id, Summary: "Does a model answer?", Parameters: p.parameters, Responses: answers(modelReady, 404, 503)},
			web.Operation{
				Method: "POST", Path: p.path + "/infer", ID: "oipInfer" + p.id, Summary: "Ask a model", Parameters: p.parameters,
				Description: "The outputs that are asked for say what is computed: vectors, labels, scores, texts. With none, it is the first thing that the model does with these inputs.",
				Request:     web.JSON(request), Responses: answers(answer, 400, 404, 413, 429, 500, 503, 504),
			})
	}
	for i := range list {
		list[i].Tag = tag
	}
	return list
}
