package tokenizer

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"unicode/utf16"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// versionLine is the first line of a list of merges.
const versionLine = "#version: 0.2"

// Save writes the vocabulary into the folder dir, which it creates if need be:
//
//	encoder.json, vocab.bpe, vocab.txt   of byte pairs
//	tokenizer.json                       the same once more, for Hugging Face's tokenizers
//	vocab.txt                            of WordPiece
//	tokenizer.json                       of Unigram, as it was read
//	tokenizer_config.json                letter case, added tokens, and the keys that were read
//
// A vocabulary that was loaded from files in the form of the released ones is saved to equal files.
// tokenizer.json is left out where it could not tell two tokens apart. A file of another name that
// [Load] would take for one of these is an error: the folder would then be ambiguous. Each file is
// written whole or not at all.
func (t *Tokenizer) Save(dir string) error {
	switch {
	case t.unigram != nil:
		return t.saveFiles(dir, t.outputs(), fileEncoder, fileBPE, fileVocab, fileTokens, fileMerges)
	case t.wordPieces != nil:
		return t.saveFiles(dir, t.outputs(), fileEncoder, fileBPE, fileTokens, fileMerges)
	}
	return t.saveFiles(dir, t.outputs())
}

// SavedFiles returns the names of the files that [Tokenizer.Save] writes, in that order.
func (t *Tokenizer) SavedFiles() []string {
	var names []string
	for _, o := range t.outputs() {
		names = append(names, o.name)
	}
	return names
}

// outputs are the files of Save.
func (t *Tokenizer) outputs() []output {
	if t.unigram != nil {
		return []output{{fileTokenizer, func(w io.Writer) error { _, err := w.Write(t.unigram.file); return err }}, {fileConfig, t.writeConfig}}
	}
	if t.wordPieces != nil {
		return []output{{fileVocab, t.writeVocab}, {fileConfig, t.writeConfig}}
	}
	outputs := []output{{fileEncoder, t.writeEncoder}, {fileBPE, t.writeMerges}, {fileVocab, t.writeVocab}}
	if names := t.theirNames(); names != nil {
		outputs = append(outputs, output{fileTokenizer, func(w io.Writer) error { return t.writeTokenizer(w, names) }})
	}
	return append(outputs, output{fileConfig, t.writeConfig})
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
			return fmt.Errorf("save vocabulary: %w", wrong(other, 0, "remove it or choose another folder", "is there already and would make %s ambiguous", dir))
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
		fmt.Fprintln(b, t.VocabLine(int32(id)))
	}
	return b.Flush()
}

// writeConfig writes tokenizer_config.json: the keys that were read, and the settings
// in force.
func (t *Tokenizer) writeConfig(w io.Writer) error {
	if t.wordPieces == nil && t.unigram == nil {
		if names := t.theirNames(); names != nil {
			return t.writeTokenizerConfig(w, names)
		}
	}
	keys, err := t.settings()
	if err != nil {
		return err
	}
	return writeKeys(w, keys)
}

// writeTokenizerConfig is writeConfig for UNIMO's files, with the keys by which transformers know
// tokenizer.json and its special tokens.
func (t *Tokenizer) writeTokenizerConfig(w io.Writer, names []string) error {
	keys, err := t.settings()
	if err != nil {
		return err
	}
	for key, id := range map[string]int32{"cls_token": t.cls, "pad_token": t.pad, "sep_token": t.sep, "unk_token": t.unk, "mask_token": t.mask} {
		if keys[key], err = json.Marshal(names[id]); err != nil {
			return err
		}
	}
	special := slices.ContainsFunc(t.added, func(a addedToken) bool { return a.Special })
	keys[splitSpecialKey] = json.RawMessage(strconv.FormatBool(t.splitSpecial || !special))
	keys[classKey] = json.RawMessage(`"PreTrainedTokenizerFast"`)
	keys["model_input_names"] = json.RawMessage(`["input_ids", "attention_mask"]`)
	return writeKeys(w, keys)
}

// theirNames returns the tokens by id as Hugging Face's tokenizers find them in a text, nil if they
// could not tell them apart, or a piece that a merge needs has no id.
func (t *Tokenizer) theirNames() []string {
	if len(t.words) == 0 {
		return nil
	}
	names, known := make([]string, len(t.words)), make(map[string]bool, len(t.words))
	for id := range names {
		names[id] = t.Token(int32(id))
	}
	for _, a := range t.lookedFor() {
		names[a.ID] = a.Content
	}
	for _, name := range names {
		if known[name] {
			return nil
		}
		known[name] = true
	}
	for _, p := range t.pieces {
		if !known[p.token] {
			return nil
		}
	}
	return names
}

// writeTokenizer writes tokenizer.json: the tokens by UNIMO id under these names, and the merges. Lower-casing is that of
// each letter by itself there.
func (t *Tokenizer) writeTokenizer(w io.Writer, names []string) error {
	type object = map[string]any
	var vocab bytes.Buffer
	err := writeTokens(&vocab, func(yield func(string, int32) bool) {
		for id, name := range names {
			if !yield(name, int32(id)) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	merges := make([]string, len(t.merges))
	for i, m := range t.merges {
		merges[i] = t.pieces[m.left].token + " " + t.pieces[m.right].token
	}
	type added struct {
		ID int32 `json:"id"`
		addedWithoutID
	}
	var list []added
	for _, id := range []int32{t.cls, t.pad, t.sep, t.unk, t.mask} {
		if !slices.ContainsFunc(t.lookedFor(), func(a addedToken) bool { return a.ID == id }) {
			list = append(list, added{id, addedWithoutID{Content: names[id], Special: true}})
		}
	}
	for _, a := range t.lookedFor() {
		list = append(list, added{a.ID, addedWithoutID{a.Content, a.SingleWord, a.LStrip, a.RStrip, a.normalized(), a.Special}})
	}
	slices.SortFunc(list, func(a, b added) int { return cmp.Compare(a.ID, b.ID) })
	var normalizer any
	if t.lowerCase {
		normalizer = object{"type": "Lowercase"}
	}
	special := func(id int32) any { return object{"SpecialToken": object{"id": names[id], "type_id": 0}} }
	text := func(name string) any { return object{"Sequence": object{"id": name, "type_id": 0}} }
	named := func(id int32) any {
		return object{"id": names[id], "ids": []int32{id}, "tokens": []string{names[id]}}
	}
	content := struct {
		Version       string `json:"version"`
		Truncation    any    `json:"truncation"`
		Padding       any    `json:"padding"`
		Added         any    `json:"added_tokens"`
		Normalizer    any    `json:"normalizer"`
		PreTokenizer  any    `json:"pre_tokenizer"`
		PostProcessor any    `json:"post_processor"`
		Decoder       any    `json:"decoder"`
		Model         any    `json:"model"`
	}{
		Version: "1.0", Added: list, Normalizer: normalizer,
		PreTokenizer: object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		PostProcessor: object{
			"type":           "TemplateProcessing",
			"single":         []any{special(t.cls), text("A"), special(t.sep)},
			"pair":           []any{special(t.cls), text("A"), special(t.sep), text("B"), special(t.sep)},
			"special_tokens": object{names[t.cls]: named(t.cls), names[t.sep]: named(t.sep)},
		},
		Decoder: object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		Model: object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": "", "end_of_word_suffix": "",
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": json.RawMessage(vocab.Bytes()), "merges": merges,
		},
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(content)
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
	set := func(name string, on bool) { keys[name] = json.RawMessage(strconv.FormatBool(on)) }
	set(lowerCaseKey, t.lowerCase)
	if p := t.wordPieces; p != nil {
		keys[classKey] = json.RawMessage(`"BertTokenizer"`)
		set(spaceCJKKey, !p.keepCJK)
		if p.stripAccents != nil {
			set(stripAccentsKey, *p.stripAccents)
		}
		if p.splitSymbols {
			set(splitSymbolsKey, true)
		}
		if t.splitSpecial {
			set(splitSpecialKey, true)
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
