package tokenizer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPartsOfWords(t *testing.T) {
	unimo, _ := saved(t)
	tok, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	testPartsOfWords(t, tok, map[string]marks{
		"a": {continues: true}, "7": {continues: true}, "Ġ": {punctuation: true}, "Ċ": {punctuation: true}, "'": {punctuation: true},
		"Ã": {continues: true}, "Ġthe": {}, nameCLS: {special: true}, nameMASK: {special: true}, "madeupword0000": {special: true},
	})
	testPartsOfWords(t, bert(t, "uncased"), map[string]marks{
		"a": {}, "##a": {continues: true}, ",": {punctuation: true}, "#": {punctuation: true}, "日": {}, "\u2026": {},
		nameCLS: {special: true}, nameMASK: {special: true}, "[unused0]": {special: true},
	})
}

// marks is what is asked of a token.
type marks struct{ continues, special, punctuation bool }

func testPartsOfWords(t *testing.T, tok *Tokenizer, tokens map[string]marks) {
	t.Helper()
	for token, want := range tokens {
		found := false
		for id := range int32(tok.VocabSize()) {
			if tok.Token(id) != token {
				continue
			}
			found = true
			if got := (marks{tok.Continues(id), tok.Special(id), tok.Punctuation(id)}); got != want {
				t.Errorf("%q: %+v, want %+v", token, got, want)
			}
		}
		if !found {
			t.Errorf("%q is not in the vocabulary", token)
		}
	}
	for _, id := range []int32{-1, int32(tok.VocabSize())} {
		if !tok.Special(id) || tok.Continues(id) || tok.Punctuation(id) {
			t.Errorf("%d, outside the vocabulary, is not special", id)
		}
	}
}

// RoBERTa's folders say nothing about letter case and keep it; what a folder does say counts.
func TestLoadHuggingFace(t *testing.T) {
	trained, err := Train(context.Background(), slices.Values([]string{"A dog runs.", "a cat sits"}), MinVocabSize, TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := trained.saveHuggingFace(dir); err != nil {
		t.Fatal(err)
	}
	for config, lower := range map[string]bool{"{}": false, `{"do_lower_case": null}`: false, `{"do_lower_case": true}`: true} {
		if err := os.WriteFile(filepath.Join(dir, fileConfig), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		loaded, err := LoadHuggingFace(dir)
		if err != nil || loaded.LowerCase() != lower {
			t.Errorf("%s: lower case %v, %v", config, loaded.LowerCase(), err)
		}
	}
}
