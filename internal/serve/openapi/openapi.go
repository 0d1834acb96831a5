// Package openapi describes a server: a document for programs (OpenAPI 3.1) and a page for people, both from the same operations.
package openapi

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/web"
)

// Mount serves the document at /openapi.json and the page at /docs. version is the program's.
func Mount(mux *http.ServeMux, version string, operations []web.Operation) error {
	document, err := Document(version, operations)
	if err != nil {
		return err
	}
	page, err := page(version, operations)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(document)
	})
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		w.Write(page)
	})
	return nil
}

// Operations describe what Mount serves.
func Operations() []web.Operation {
	return []web.Operation{
		{Method: "GET", Path: "/openapi.json", ID: "openapi", Tag: tag, Summary: "This document", Responses: map[int]web.Response{200: {Description: "OpenAPI 3.1", Content: web.JSON(web.Schema{"type": "object"})}}},
		{Method: "GET", Path: "/docs", ID: "docs", Tag: tag, Summary: "A page of it", Responses: map[int]web.Response{200: {Description: "HTML", Content: web.Content{"text/html": web.Schema{"type": "string"}}}}},
	}
}

const tag = "server"

type object = map[string]any

// wildcard is one of a pattern of [http.ServeMux], whose path may go on behind it.
var wildcard = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// pathOf is a pattern's path as OpenAPI has it.
func pathOf(pattern string) string {
	return wildcard.ReplaceAllString(strings.TrimSuffix(pattern, "{$}"), "{$1}")
}

// Document is the description of operations in OpenAPI's form.
func Document(version string, operations []web.Operation) ([]byte, error) {
	paths, ids := map[string]object{}, map[string]bool{}
	for _, o := range operations {
		path, method := pathOf(o.Path), strings.ToLower(o.Method)
		if paths[path] == nil {
			paths[path] = object{}
		}
		if paths[path][method] != nil || ids[o.ID] || o.ID == "" {
			return nil, fmt.Errorf("openapi: %s %s (%q) is described twice, or has no id", o.Method, o.Path, o.ID)
		}
		ids[o.ID] = true
		item := object{"operationId": o.ID, "tags": []string{o.Tag}, "summary": o.Summary}
		if o.Description != "" {
			item["description"] = o.Description
		}
		declared := map[string]bool{}
		var parameters []object
		for _, p := range o.Parameters {
			declared[p.Name] = declared[p.Name] || p.In == "path"
			parameters = append(parameters, object{"name": p.Name, "in": p.In, "required": p.Required || p.In == "path", "description": p.Description, "schema": p.Schema})
		}
		for _, m := range wildcard.FindAllStringSubmatch(path, -1) {
			if !declared[m[1]] {
				return nil, fmt.Errorf("openapi: %s %s does not describe {%s}", o.Method, o.Path, m[1])
			}
		}
		if len(parameters) > 0 {
			item["parameters"] = parameters
		}
		if len(o.Request) > 0 {
			item["requestBody"] = object{"required": true, "content": content(o.Request)}
		}
		responses := object{}
		for status, r := range o.Responses {
			one := object{"description": r.Description}
			if len(r.Content) > 0 {
				one["content"] = content(r.Content)
			}
			headers := object{}
			for name, schema := range r.Headers {
				headers[name] = object{"schema": schema}
			}
			if len(headers) > 0 {
				one["headers"] = headers
			}
			responses[strconv.Itoa(status)] = one
		}
		item["responses"] = responses
		paths[path][method] = item
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info":    object{"title": "unimo", "version": version, "description": "One model for texts and pictures, in the protocols that clients have."},
		"servers": []object{{"url": "/"}},
		"paths":   paths,
		// A server without keys asks for none.
		"security":   []object{{}, {"key": []string{}}},
		"components": object{"securitySchemes": object{"key": object{"type": "http", "scheme": "bearer"}}},
	})
}

func content(c web.Content) object {
	out := object{}
	for media, schema := range c {
		out[media] = object{"schema": schema}
	}
	return out
}

//go:embed page.html
var files embed.FS

// page is the description of operations for people.
func page(version string, operations []web.Operation) ([]byte, error) {
	t, err := template.New("page.html").Funcs(template.FuncMap{
		"path": pathOf,
		"json": func(v any) (string, error) {
			raw, err := json.MarshalIndent(v, "", "  ")
			return string(raw), err
		},
	}).ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	type group struct {
		Tag        string
		Operations []web.Operation
	}
	var groups []group
	for _, o := range operations {
		at := slices.IndexFunc(groups, func(g group) bool { return g.Tag == o.Tag })
		if at < 0 {
			at, groups = len(groups), append(groups, group{Tag: o.Tag})
		}
		groups[at].Operations = append(groups[at].Operations, o)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.Operations, func(a, b web.Operation) int { return cmp.Compare(a.Path, b.Path) })
	}
	var b strings.Builder
	if err := t.Execute(&b, object{"Version": version, "Groups": groups}); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return []byte(b.String()), nil
}
