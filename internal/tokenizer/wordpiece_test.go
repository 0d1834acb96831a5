package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// bert loads a vocabulary of testdata/wordpiece.
func bert(tb testing.TB, name string) *Tokenizer {
	tb.Helper()
	tok, err := Load(filepath.Join("testdata", "wordpiece", name))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// The ids are those of transformers' BertTokenizer; testdata/wordpiece.py made them.
func TestWordPieceGolden(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "wordpiece", "encode.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Texts []string
		IDs   map[string][][]int32
	}
	if err := json.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	with := func(tok *Tokenizer, strip *bool, keepCJK bool) *Tokenizer {
		tok.wordPieces.stripAccents, tok.wordPieces.keepCJK = strip, keepCJK
		return tok
	}
	yes, no := true, false
	for setting, tok := range map[string]*Tokenizer{
		"cased": bert(t, "cased"), "uncased": bert(t, "uncased"),
		"cased accents": with(bert(t, "cased"), &yes, false), "uncased accents": with(bert(t, "uncased"), &no, false),
		"cased cjk": with(bert(t, "cased"), nil, true), "uncased cjk": with(bert(t, "uncased"), nil, true),
	} {
		if len(want.IDs[setting]) != len(want.Texts) {
			t.Fatalf("%s: %d lists of ids for %d texts", setting, len(want.IDs[setting]), len(want.Texts))
		}
		for i, text := range want.Texts {
			if got := tok.Encode(nil, text); !slices.Equal(got, want.IDs[setting][i]) {
				t.Errorf("%s: Encode(%q) = %v, want %v", setting, text, got, want.IDs[setting][i])
			}
		}
	}
}
