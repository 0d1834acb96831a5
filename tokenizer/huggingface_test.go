package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// saveHuggingFace writes vocab.json, merges.txt and tokenizer_config.json, as transformers wrote
// RoBERTa's, with its names for the five special tokens.
func (t *Tokenizer) saveHuggingFace(dir string) error {
	if t.wordPieces != nil {
		return t.Save(dir)
	}
	known := make(map[string]bool, len(t.words))
	for id := range t.words {
		name := t.huggingFaceName(int32(id))
		if known[name] {
			return fmt.Errorf("save vocabulary in %s: %q is the name of two tokens; save UNIMO's files instead", dir, name)
		}
		known[name] = true
	}
	for _, p := range t.pieces {
		if !known[p.token] {
			return fmt.Errorf("save vocabulary in %s: the piece %q has no id in %s; save UNIMO's files instead", dir, p.token, fileVocab)
		}
	}
	return t.saveFiles(dir, []output{
		{fileTokens, t.writeTokens},
		{fileMerges, t.writeMerges},
		{fileConfig, t.writeHuggingFaceConfig},
	})
}

// writeTokens writes vocab.json: the tokens by UNIMO id.
func (t *Tokenizer) writeTokens(w io.Writer) error {
	return writeTokens(w, func(yield func(string, int32) bool) {
		for id := range int32(len(t.words)) {
			if !yield(t.huggingFaceName(id), id) {
				return
			}
		}
	})
}

// huggingFaceName is Token with RoBERTa's names.
func (t *Tokenizer) huggingFaceName(id int32) string {
	token := t.Token(id)
	if t.words[id].symbol == special {
		for roberta, name := range robertaNames {
			if name == token {
				return roberta
			}
		}
	}
	return token
}

// writeHuggingFaceConfig is writeConfig for Hugging Face's files, of which a special token in a
// text is found unless they say that it is text.
func (t *Tokenizer) writeHuggingFaceConfig(w io.Writer) error {
	keys, err := t.settings()
	if err != nil {
		return err
	}
	if t.splitSpecial || !slices.ContainsFunc(t.added, func(a addedToken) bool { return a.Special }) {
		keys[splitSpecialKey] = json.RawMessage("true")
	}
	return writeKeys(w, keys)
}
