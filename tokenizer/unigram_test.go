package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The ids are those of Hugging Face's tokenizers; testdata/unigram.py made them. So are they with the files that Save
// writes. UNIMO_UNIGRAM names a folder that it made of the whole of NFKC.
func TestUnigramGolden(t *testing.T) {
	root := os.Getenv("UNIMO_UNIGRAM")
	if root == "" {
		root = filepath.Join("testdata", "unigram")
	}
	for _, name := range []string{"words", "spaces", "stripped"} {
		content, err := os.ReadFile(filepath.Join(root, name, "encode.json"))
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Text string
			IDs  []int32
		}
		if err := json.Unmarshal(content, &cases); err != nil {
			t.Fatal(err)
		}
		tok, err := LoadHuggingFace(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		saved := t.TempDir()
		if err := tok.Save(saved); err != nil {
			t.Fatal(err)
		}
		again, err := Load(saved)
		if err != nil {
			t.Fatal(err)
		}
		sameVocabulary(t, tok, again)
		if tok.CLS() != 0 || tok.PAD() != 1 || tok.SEP() != 2 || tok.UNK() != 3 || int(tok.MASK()) != tok.VocabSize()-1 || tok.LowerCase() {
			t.Errorf("special tokens %d %d %d %d %d", tok.CLS(), tok.PAD(), tok.SEP(), tok.UNK(), tok.MASK())
		}
		wrong := 0
		for _, c := range cases {
			for _, tok := range []*Tokenizer{tok, again} {
				if got := tok.Encode(nil, c.Text); !slices.Equal(got, c.IDs) && wrong < 20 {
					wrong++
					t.Errorf("%s: Encode(%q) = %v, want %v", name, c.Text, got, c.IDs)
				}
			}
			for most := range min(len(c.IDs), 4) {
				if got, more := tok.EncodeUpTo(nil, c.Text, most); !slices.Equal(got, c.IDs[:most]) || !more {
					t.Errorf("%s: EncodeUpTo(%q, %d) = %v", name, c.Text, most, got)
				}
			}
		}
		if got := tok.DecodeString(tok.Encode(nil, "the cat sat")); got != " the cat sat" {
			t.Errorf("decoded %q", got)
		}
		// A long text is encoded in parts.
		long := strings.Repeat("the cats sat, ", 3000)
		want := tok.Encode(nil, "the cats sat, ")
		if got := tok.Encode(nil, long); name == "words" && !slices.Equal(got, slices.Repeat(want, 3000)) {
			t.Errorf("%s: a long text has %d ids, want %d", name, len(got), 3000*len(want))
		}
	}
}

// Files that encode otherwise than this program, and broken ones, are refused.
func TestUnigramHostile(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "unigram", "words", fileTokenizer))
	if err != nil {
		t.Fatal(err)
	}
	var good map[string]any
	if err := json.Unmarshal(content, &good); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	for _, c := range []struct {
		want string
		edit func(file, model object)
	}{
		{"", func(object, object) {}},
		{"", func(file, _ object) { file["normalizer"] = nil }},
		{"", func(file, _ object) { file["normalizer"] = object{"type": "Precompiled", "precompiled_charsmap": ""} }},
		{"vocab", func(_, model object) { model["vocab"] = object{"a": 1} }},
		{"vocab", func(_, model object) { model["vocab"] = []any{[]any{"a"}} }},
		{"unk_id names no piece", func(_, model object) { model["unk_id"] = nil }},
		{"unk_id names no piece", func(_, model object) { model["unk_id"] = -1 }},
		{"unk_id is 4; it must be that of <unk>", func(_, model object) { model["unk_id"] = 4 }},
		{"byte_fallback", func(_, model object) { model["byte_fallback"] = true }},
		{"is there twice", func(_, model object) { v := model["vocab"].([]any); v[10] = v[11] }},
		{"[MASK] is missing", func(file, _ object) { file["added_tokens"] = nil }},
		{"the normalizer is not", func(file, _ object) { file["normalizer"] = object{"type": "NFKC"} }},
		{"the normalizer is not", func(file, _ object) {
			file["normalizer"] = object{"type": "Sequence", "normalizers": []any{object{"type": "Strip", "strip_right": true}, object{"type": "Precompiled"}}}
		}},
		{"precompiled_charsmap is damaged", func(file, _ object) { file["normalizer"].(object)["precompiled_charsmap"] = "AAA" }},
		{"precompiled_charsmap is damaged", func(file, _ object) { file["normalizer"].(object)["precompiled_charsmap"] = "////fwAA" }},
		{"the pre_tokenizer is not Metaspace", func(file, _ object) { file["pre_tokenizer"] = nil }},
		{"the pre_tokenizer is not Metaspace", func(file, _ object) {
			file["pre_tokenizer"] = object{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}
		}},
	} {
		var file object
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		c.edit(file, file["model"].(object))
		changed, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fromTokenizer(fileTokenizer, changed, settings{}); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// Whatever a map of characters holds, a text comes out.
func FuzzCharsMap(f *testing.F) {
	f.Add([]byte{0x00, 0x04, 0x00, 0x00, 0x61, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x80}, "abc", "a\u0301bc")
	f.Fuzz(func(t *testing.T, units []byte, texts, text string) {
		c := charsMap{texts: []byte(strings.ToValidUTF8(texts, ""))}
		for ; len(units) >= 4; units = units[4:] {
			c.units = append(c.units, binary.LittleEndian.Uint32(units))
		}
		if out := c.append(nil, text); utf8.ValidString(text) && len(c.units) == 0 && string(out) != text {
			t.Fatalf("%q becomes %q without a map", text, out)
		}
	})
}
