package tokenizer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"unicode/utf16"

	"github.com/unimo-go/unimo/internal/atomicfile"
)

// versionLine is the first line of a list of merges.
const versionLine = "#version: 0.2"

// Save writes encoder.json, vocab.bpe, vocab.txt and tokenizer_config.json, or for WordPiece
// the last two, into the folder dir, which it creates if need be. The files of a vocabulary that was
// loaded from such files are equal to those, if they were in the form of the released
// ones; the keys of tokenizer_config.json that this package does not know are kept.
// Files of another name that Load would take for the same ones are an error, since the
// folder would then be ambiguous.
func (t *Tokenizer) Save(dir string) error {
	if t.wordPieces != nil {
		return t.saveFiles(dir, []output{{fileVocab, t.writeVocab}, {fileConfig, t.writeConfig}},
			fileEncoder, fileBPE, fileTokens, fileMerges)
	}
	return t.saveFiles(dir, []output{
		{fileEncoder, t.writeEncoder},
		{fileBPE, t.writeMerges},
		{fileVocab, t.writeVocab},
		{fileConfig, t.writeConfig},
	})
}

// SaveHuggingFace writes vocab.json, merges.txt and tokenizer_config.json into the
// folder dir, which it creates if need be, with RoBERTa's names for the five special tokens;
// for WordPiece it is Save.
// It is an error if a piece that a merge or a byte needs has no id, as may be where vocab.txt
// is only a part of encoder.json: these files cannot say that.
// Note that Hugging Face's own RoBERTa tokenizer does not lower-case.
func (t *Tokenizer) SaveHuggingFace(dir string) error {
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

// output is a file to write.
type output struct {
	name  string
	write func(w io.Writer) error
}

// saveFiles writes files into dir, unless Load would then take others, among them foreign
// ones that are there.
func (t *Tokenizer) saveFiles(dir string, outputs []output, foreign ...string) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("save vocabulary: %w", err)
	}
	found, err := findFiles(dir)
	if err != nil {
		return fmt.Errorf("save vocabulary: %w", err)
	}
	ambiguous := func(name, path string) error {
		if other := found[name]; other != "" && other != path {
			return fmt.Errorf("save vocabulary: %s is there already and would make %s ambiguous; remove it or choose another folder", other, dir)
		}
		return nil
	}
	for _, name := range foreign {
		if err := ambiguous(name, ""); err != nil {
			return err
		}
	}
	for _, o := range outputs {
		if err := ambiguous(o.name, filepath.Join(dir, o.name)); err != nil {
			return err
		}
	}
	for _, o := range outputs {
		if err := atomicfile.Write(filepath.Join(dir, o.name), o.write); err != nil {
			return fmt.Errorf("save vocabulary: %w", err)
		}
	}
	return nil
}

// writeEncoder writes encoder.json: the pieces by BPE id.
func (t *Tokenizer) writeEncoder(w io.Writer) error {
	return writeTokens(w, func(yield func(string, int32) bool) {
		for _, p := range t.pieces {
			if !yield(p.token, p.bpe) {
				return
			}
		}
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

// writeTokens writes a JSON object on one line, in ASCII, in the form of GPT-2's
// encoder.json (that of Python's json.dumps), so that files can be compared.
func writeTokens(w io.Writer, tokens func(yield func(string, int32) bool)) error {
	line := []byte{'{'}
	for token, id := range tokens {
		if len(line) > 1 {
			line = append(line, ", "...)
		}
		line = appendQuoted(line, token)
		line = append(line, ": "...)
		line = strconv.AppendInt(line, int64(id), 10)
	}
	_, err := w.Write(append(line, '}'))
	return err
}

// appendQuoted appends s as a JSON string in ASCII.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case ' ' <= r && r < 0x7F:
			dst = append(dst, byte(r))
		case r < 0x10000:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		}
	}
	return append(dst, '"')
}

// writeMerges writes vocab.bpe, and merges.txt, which is the same.
func (t *Tokenizer) writeMerges(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, versionLine)
	for _, m := range t.merges {
		fmt.Fprintf(b, "%s %s\n", t.pieces[m.left].token, t.pieces[m.right].token)
	}
	return b.Flush()
}

// writeVocab writes vocab.txt, of WordPiece without the added tokens behind it.
func (t *Tokenizer) writeVocab(w io.Writer) error {
	b := bufio.NewWriter(w)
	size := len(t.words)
	if t.wordPieces != nil {
		size = t.wordPieces.size
	}
	for id := range size {
		fmt.Fprintln(b, t.BPE(int32(id)))
	}
	return b.Flush()
}

// writeConfig writes tokenizer_config.json: the keys that were read, and the settings
// in force.
func (t *Tokenizer) writeConfig(w io.Writer) error {
	keys, err := t.settings()
	if err != nil {
		return err
	}
	return writeKeys(w, keys)
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

// settings returns the keys of tokenizer_config.json.
func (t *Tokenizer) settings() (map[string]json.RawMessage, error) {
	keys := maps.Clone(t.config)
	if keys == nil {
		keys = map[string]json.RawMessage{}
	}
	added, err := t.writtenAdded()
	if err != nil {
		return nil, err
	}
	if delete(keys, addedKey); added != nil {
		keys[addedKey] = added
	}
	if t.textSpecials() {
		delete(keys, splitSpecialKey)
	}
	set := func(name string, on bool) { keys[name] = json.RawMessage(strconv.FormatBool(on)) }
	set(lowerCaseKey, t.lowerCase)
	if p := t.wordPieces; p != nil {
		keys[classKey] = json.RawMessage(`"BertTokenizer"`)
		set(spaceCJKKey, !p.keepCJK)
		if p.stripAccents != nil {
			set(stripAccentsKey, *p.stripAccents)
		}
	}
	return keys, nil
}

func writeKeys(w io.Writer, keys map[string]json.RawMessage) error {
	content, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(content, '\n'))
	return err
}
