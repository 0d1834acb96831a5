package web

import (
	"maps"
	"net/http"
)

// Operation describes a route, for the server's OpenAPI page. A protocol lists its operations beside its handlers.
type Operation struct {
	Method, Path string // as [net/http.ServeMux] has them
	ID           string // unique, such as "createEmbedding"
	Tag          string // the protocol
	Summary      string
	Description  string
	Parameters   []Parameter
	Request      Content // empty: no body
	Responses    map[int]Response
}

// Parameter is one in the path, the query or a header.
type Parameter struct {
	Name, In    string // "path", "query", "header"
	Description string
	Required    bool
	Schema      Schema
}

// Response is an answer with a status.
type Response struct {
	Description string
	Content     Content // empty: no body
	Headers     map[string]Schema
}

// Content is a schema for each media type.
type Content map[string]Schema

// JSON is content of type application/json.
func JSON(s Schema) Content { return Content{"application/json": s} }

// Schema is a JSON schema.
type Schema map[string]any

// Type is the schema of a simple type, such as "string".
func Type(name, description string) Schema {
	s := Schema{"type": name}
	if description != "" {
		s["description"] = description
	}
	return s
}

// Array is the schema of an array.
func Array(of Schema) Schema { return Schema{"type": "array", "items": of} }

// Object is the schema of an object with these properties, of which some are required.
func Object(properties map[string]Schema, required ...string) Schema {
	s := Schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// AnyOf is the schema of what fits one of several.
func AnyOf(of ...Schema) Schema { return Schema{"anyOf": of} }

// Enum is the schema of one of some values.
func Enum(values ...any) Schema { return Schema{"enum": values} }

// OrNull is the schema of what fits s, or null.
func (s Schema) OrNull() Schema { return AnyOf(s, Schema{"type": "null"}) }

// WithItems is the schema of an array s with so many elements at least.
func (s Schema) WithItems(least int) Schema { return s.with("minItems", least) }

// Closed is the schema of an object s that has no other properties.
func (s Schema) Closed() Schema { return s.with("additionalProperties", false) }

func (s Schema) with(key string, value any) Schema {
	s = maps.Clone(s)
	s[key] = value
	return s
}

// Responses are those of a route that answers with ok, or with an error in the protocol's form.
func Responses(ok Response, failure Content) map[int]Response {
	all := map[int]Response{http.StatusOK: ok}
	for _, status := range []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusFailedDependency,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	} {
		all[status] = Response{Description: http.StatusText(status), Content: failure}
	}
	return all
}
