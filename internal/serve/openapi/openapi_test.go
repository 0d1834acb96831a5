package openapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/web"
)

var one = web.Operation{
	Method: "POST", Path: "/models/{name...}", ID: "ask", Tag: "Ours", Summary: "Ask <a> model", Description: "It answers.",
	Parameters: []web.Parameter{{Name: "name", In: "path", Schema: web.Type("string", "")}},
	Request:    web.JSON(web.Object(map[string]web.Schema{"text": web.Type("string", "what to read")}, "text")),
	Responses:  map[int]web.Response{200: {Description: "the answer", Content: web.JSON(web.Array(web.Type("number", ""))), Headers: map[string]web.Schema{"X-A": web.Type("string", "")}}, 404: {Description: "none"}},
}

func TestMount(t *testing.T) {
	mux := http.NewServeMux()
	if err := Mount(mux, "v1", append([]web.Operation{one}, Operations()...)); err != nil {
		t.Fatal(err)
	}
	get := func(path string) string {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
		return w.Body.String()
	}
	text := get("/openapi.json")
	if !json.Valid([]byte(text)) {
		t.Errorf("%s", text)
	}
	for _, want := range []string{
		`"openapi":"3.1.0"`, `"/models/{name}":{"post":{"description":"It answers.","operationId":"ask","parameters":[{"description":"","in":"path","name":"name","required":true,"schema":{"type":"string"}}]`,
		`"requestBody":{"content":{"application/json":{"schema":{"properties":{"text":{"description":"what to read","type":"string"}},"required":["text"],"type":"object"}}},"required":true}`,
		`"200":{"content":{"application/json":{"schema":{"items":{"type":"number"},"type":"array"}}},"description":"the answer","headers":{"X-A":{"schema":{"type":"string"}}}}`, `"404":{"description":"none"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	html := get("/docs")
	for _, want := range []string{"<h2>Ours</h2>", "POST /models/{name}", "Ask &lt;a&gt; model", "what to read", `href="/openapi.json"`} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in %s", want, html)
		}
	}
	for _, foreign := range []string{"<script", "src=", "http://", "https://"} {
		if strings.Contains(html, foreign) {
			t.Errorf("the page has %s", foreign)
		}
	}
}

func TestDescriptionsThatAreWrong(t *testing.T) {
	undeclared := one
	undeclared.Parameters = nil
	other := one
	other.Path, other.Parameters = "/other", nil
	for says, list := range map[string][]web.Operation{"does not describe {name}": {undeclared}, "described twice": {one, one}, `("ask") is described`: {one, other}} {
		if err := Mount(http.NewServeMux(), "v1", list); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
