package cli

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/native"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// The server's answers have the keys and, digit by digit, the values of the commands' --json; what pictures are called, and where they are, differs.
func TestServerAnswersAsCommands(t *testing.T) {
	root := filepath.Join("..", "..", "testdata")
	index := filepath.Join(t.TempDir(), "index")
	must(t, "index", shapesFolder, "-m", filepath.Join(root, "shapes.model"), "-o", index)
	var models []backend.Source
	for _, name := range []string{"films", "claims", "shapes", "headlines", "captions", "questions"} {
		models = append(models, backend.Source{Name: name, Dir: filepath.Join(root, name+".model")})
	}
	r, err := backend.New(backend.Options{Models: models, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	native.Mount(mux, r, web.Limits{Body: 1 << 20, Items: 10, TopK: 10})
	bar := filepath.Join(shapesFolder, "red-bar.png")
	raw, err := os.ReadFile(bar)
	if err != nil {
		t.Fatal(err)
	}
	dataURL := "data:image/png;base64," + base64.StdEncoding.EncodeToString(raw)
	for _, c := range []struct {
		path, request, list string // list is the key of what the command prints a line of each
		command             []string
	}{
		{"/match", `{"picture": "PICTURE", "texts": ["a red bar", "a blue square"]}`, "matches", []string{"match", bar, "a red bar", "a blue square"}},
		{"/search", `{"text": "a red bar", "k": 3}`, "found", []string{"search", "--index", index, "a red bar", "-k", "3"}},
		{"/search", `{"picture": "PICTURE", "k": 2}`, "found", []string{"search", "--index", index, "--image", bar, "-k", "2"}},
		{"/caption", `{"picture": "PICTURE"}`, "", []string{"caption", bar}},
		{"/ask", `{"picture": "PICTURE", "question": "what colour is it?"}`, "", []string{"ask", bar, "what colour is it?"}},
		{"/ask", `{"picture": "PICTURE", "question": "what colour is it?", "k": 3}`, "", []string{"ask", bar, "what colour is it?", "--top", "3"}},
		{"/classify", `{"inputs": [{"text": "a funny film"}, {"text": "dull"}]}`, "predictions", []string{"predict", "a funny film", "dull"}},
		{"/classify", `{"picture": "PICTURE", "text": "it is red"}`, "predictions", []string{"predict", bar, "it is red"}},
		{"/generate", `{"texts": ["the red ball is here"]}`, "", []string{"generate", "the red ball is here"}},
	} {
		model := map[string]string{"match": "shapes", "search": "shapes", "caption": "captions", "ask": "questions", "predict": "films", "generate": "headlines"}[c.command[0]]
		if strings.Contains(c.request, "it is red") {
			model = "claims"
		}
		name := strings.Join(c.command, " ")
		w := httptest.NewRecorder()
		body := strings.ReplaceAll(strings.Replace(c.request, "{", `{"model": "`+model+`", `, 1), "PICTURE", dataURL)
		mux.ServeHTTP(w, httptest.NewRequest("POST", c.path, strings.NewReader(body)))
		var answer map[string]any
		decode := func(text string, v any) {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber() // digits count
			if err := d.Decode(v); err != nil {
				t.Fatalf("%s: %v in %s", name, err, text)
			}
		}
		decode(w.Body.String(), &answer)
		got := []any{answer}
		if c.list != "" {
			got, _ = answer[c.list].([]any)
		}
		lines := strings.Split(strings.TrimSpace(must(t, append(c.command, "--model", filepath.Join(root, model+".model"), "--json")...).stdout), "\n")
		if len(got) != len(lines) {
			t.Errorf("%s: %s for %q", name, w.Body, lines)
			continue
		}
		for i, line := range lines {
			var want map[string]any
			decode(line, &want)
			one := got[i].(map[string]any)
			if c.list == "" {
				delete(one, "model")
				delete(one, "usage")
			}
			for _, place := range []string{"image", "path"} {
				if (want[place] == nil) != (one[place] == nil) {
					t.Errorf("%s: %q is %v and %v", name, place, one[place], want[place])
				}
				delete(want, place)
				delete(one, place)
			}
			if !reflect.DeepEqual(one, want) {
				t.Errorf("%s: the server answers %v, the command %v", name, one, want)
			}
		}
	}
}
