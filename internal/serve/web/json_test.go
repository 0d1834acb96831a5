package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

func TestStrictJSON(t *testing.T) {
	var into struct {
		N    int             `json:"n"`
		Free json.RawMessage `json:"free"`
		Of   struct{}        `json:"of"`
	}
	if err := StrictJSON([]byte(`{"n": 1, "free": {"x": 1}}`), &into); err != nil || into.N != 1 {
		t.Errorf("%v, %+v", err, into)
	}
	const has = " is no key of this request; it has free, n, of"
	for body, want := range map[string][2]string{
		`{"n": 1, "ma\"x": 2}`: {`ma"x`, `"ma\"x"` + has}, `{"": 1}`: {"", `""` + has}, `{"of": {"m": 1}}`: {"m", `"m" is no key of this request`},
	} {
		err := StrictJSON([]byte(body), &into)
		if e := backend.AsError(err); !errors.Is(err, ErrUnknownKey) || e.Param != want[0] || e.Message != want[1] {
			t.Errorf("%s: %v, %q", body, err, e.Param)
		}
	}
	var list []struct{}
	if err := StrictJSON([]byte(`[{"m": 1}]`), &list); !errors.Is(err, ErrUnknownKey) {
		t.Error(err)
	}
	if err := StrictJSON([]byte(`{"n": "1"}`), &into); errors.Is(err, ErrUnknownKey) || backend.AsError(err).Param != "n" {
		t.Error(err)
	}
}

func TestElements(t *testing.T) {
	l := Limits{Items: 3}
	for _, c := range []struct {
		raw  string
		n    int
		says string
	}{
		{`[]`, 0, ""},
		{` [1, [2, 3], {"a": [4]}]`, 0, "is no list"}, // values of a request have no space before them
		{`[1, [2, 3], {"a": [4]}]`, 3, ""},
		{`[1, 2, 3, 4, [5]]`, 0, "more than the 3 entries"},
		{`"a"`, 0, "is no list"},
		{``, 0, "is no list"},
	} {
		list, err := l.Elements("x", json.RawMessage(c.raw))
		if len(list) != c.n || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v", c.raw, list, err)
		}
	}
	// A long array takes the memory of the allowed elements alone.
	long := json.RawMessage("[" + strings.Repeat("1,", 1<<20) + "1]")
	if allocated := testing.AllocsPerRun(1, func() { l.Elements("x", long) }); allocated > 100 {
		t.Errorf("%.0f allocations", allocated)
	}
}

func TestCheckEntries(t *testing.T) {
	many := func(open, entry, close string, n int) string {
		return open + strings.TrimSuffix(strings.Repeat(entry+",", n), ",") + close
	}
	for _, c := range []struct {
		name, body string
		limit      int // 0: it may be decoded
	}{
		{"as many as may be", many(`{"a": [`, "{}", "]}", mostEntries), 0},
		{"objects", many(`{"a": [`, "{}", "]}", mostEntries+1), mostEntries},
		{"texts", many(`{"a": [`, `""`, "]}", mostEntries+1), mostEntries},
		{"keys", many(`{"a": {`, `"b": 1`, "}}", mostEntries+1), mostEntries},
		{"numbers", many("[", " -1", "]", mostNumbers), 0},
		{"more numbers", many("[", " 1", "]", mostNumbers+1), mostNumbers},
		{"several lists", many("[", many("[", "{}", "]", 100), "]", 100), 0},
		{"commas in a text", `["` + strings.Repeat(`\\\",`, mostEntries+1) + `"]`, 0},
		{"behind an escape", `["\\", ` + many("", "{}", "]", mostEntries+1), mostEntries},
		{"depth", strings.Repeat("[", mostDepth+1), 0},
		{"no JSON", many("]", "{}", "", mostEntries+1), 0},
		{"a text without an end", `["a\"`, 0},
		{"nothing", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := DefaultLimits.CheckEntries([]byte(c.body))
			var e *backend.Error
			if c.limit == 0 && err != nil || c.limit > 0 && (!errors.As(err, &e) || e.Kind != backend.TooLarge || e.Limit != c.limit) {
				t.Errorf("%v; want a limit of %d", err, c.limit)
			}
		})
	}
}

// What is counted is what the decoder finds.
func FuzzCheckEntries(f *testing.F) {
	for _, s := range []string{`{"a": ["b", "\\", {}], "c": [1, -2]}`, `[[],[],"]"]`, `["\""`, "]", `{"a":{"b":1,"c":2}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := DefaultLimits.CheckEntries([]byte(s))
		if len(s) < mostEntries && err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if len(s) < mostEntries && json.Valid([]byte(s)) {
			grown := strings.Replace("["+s+"]", s, s+strings.Repeat(`,""`, mostEntries+1), 1)
			if DefaultLimits.CheckEntries([]byte(grown)) == nil {
				t.Errorf("%q and many texts are not too many", s)
			}
		}
	})
}

func TestTokens(t *testing.T) {
	if ids, err := Tokens("x", json.RawMessage(`[1, 2]`)); err != nil || len(ids) != 2 {
		t.Errorf("%v, %v", ids, err)
	}
	if _, err := Tokens("x", json.RawMessage("["+strings.Repeat("1,", MostTokens)+"1]")); kindOf(t, err) != backend.TooLarge {
		t.Error(err)
	}
	for _, raw := range []string{`[1.5]`, `[]`, `["a"]`, `[1e30]`} {
		if _, err := Tokens("x", json.RawMessage(raw)); kindOf(t, err) != backend.Invalid {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for raw, want := range map[string]bool{`[1]`: true, `[ -1]`: true, `[]`: false, `["1"]`: false, `1`: false, ``: false} {
		if IsTokens(json.RawMessage(raw)) != want {
			t.Error(raw)
		}
	}
}

func TestHandler(t *testing.T) {
	h := Handler("GET", nil, func(w http.ResponseWriter, err error) { w.WriteHeader(Status(w.Header(), backend.AsError(err))) })
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest("POST", "/", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "GET" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func FuzzContent(f *testing.F) {
	for _, s := range []string{`"a"`, `[{"type": "text", "text": "a"}, {"text": "b"}]`, `[{"image_url": {"url": "data:,a"}}]`, `[{"type": "image_url", "image_url": "data:;base64,QQ"}, {"text": ""}]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) {
			return
		}
		it, err := Limits{Items: 5}.Content(context.Background(), "x", json.RawMessage(s))
		if err == nil && (it.Text == "") == (it.Picture == nil) {
			t.Errorf("%s: %+v", s, it)
		}
		if err != nil {
			kindOf(t, err)
		}
	})
}
