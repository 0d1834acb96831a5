package rewrite

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

func TestReadParaphrases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	for _, c := range []struct {
		name, content string
		want          Paraphrases
		line          int // of the error
	}{
		{"tabs", "A dog .\tOne dog .\t\t A hound . \n\nA cat .\tThe cat .\nA dog .\tOne dog .\tDog .\n", Paraphrases{"A dog .": {"One dog .", "A hound .", "Dog ."}, "A cat .": {"The cat ."}}, 0},
		{"JSON", "\ufeff{\"caption\": \"A dog .\", \"paraphrases\": [\"One dog .\", \"\"]}\r\n", Paraphrases{"A dog .": {"One dog ."}}, 0},
		{"equal", "A\tA\nB\tC\n", Paraphrases{"B": {"C"}}, 0},
		{"empty", "\n\n", nil, 0},
		{"only equal", "A\tA\n", nil, 0},
		{"no paraphrase", "A\tB\nA dog .\n", nil, 2},
		{"no caption", "\tB\n", nil, 1},
		{"no JSON", "{\"caption\": \"A\", \"paraphrases\": [\"B\"]}\n{\"caption\"\n", nil, 2},
		{"other JSON", "{\"text\": \"A\"}\n", nil, 1},
		{"NUL", "A\tB\x00\n", nil, 1},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := ReadParaphrases(path)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		var known *textfile.FileError
		if c.want == nil && (!errors.As(err, &known) || known.File != path || known.Line != c.line || known.Remedy == "" && c.name != "NUL") || c.want != nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := ReadParaphrases(path + "x"); err == nil {
		t.Error("an absent file passes")
	}
	if got := (Paraphrases{"A": {"B"}}).Of(" A "); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func FuzzParaphrases(f *testing.F) {
	for _, s := range []string{"A\tB\n", `{"caption":"A","paraphrases":["B"]}`, "{", "\t\t", "A\xff\tB", "[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		p, err := readParaphrases(strings.NewReader(content), "x")
		var known *textfile.FileError
		if err != nil && (!errors.As(err, &known) || known.File != "x") {
			t.Errorf("%v", err)
		}
		for caption, texts := range p {
			if caption == "" || len(texts) == 0 || texts[0] == "" || texts[0] == caption {
				t.Errorf("%q: %q", caption, texts)
			}
		}
	})
}
