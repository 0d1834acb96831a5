package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// addedFolder is a vocabulary of testdata/added.json.
type addedFolder struct {
	Name  string
	Files map[string]string
	IDs   [][]int32
}

// addedGolden reads testdata/added.json, which testdata/added.py made with transformers.
func addedGolden(tb testing.TB) (texts []string, folders []addedFolder) {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "added.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var golden struct {
		Texts   []string
		Folders []addedFolder
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		tb.Fatal(err)
	}
	vocab := files(tb, "testdata/wordpiece/uncased")[fileVocab]
	for _, f := range golden.Folders {
		if f.Files[fileTokenizer]+f.Files[fileTokens]+f.Files[fileVocab] == "" {
			f.Files[fileVocab] = vocab
		}
	}
	return golden.Texts, golden.Folders
}

// Added and special tokens in a text get the ids that transformers gives them, also after the
// vocabulary was saved in each of its forms.
func TestAddedTokensGolden(t *testing.T) {
	texts, folders := addedGolden(t)
	for _, f := range folders {
		tok, err := Load(folder(t, f.Files))
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		again := map[string]*Tokenizer{"as it is": tok}
		for form, save := range map[string]func(string) error{"Save": tok.Save, "saveHuggingFace": tok.saveHuggingFace} {
			dir := t.TempDir()
			if err := save(dir); err != nil {
				t.Fatalf("%s: %s: %v", f.Name, form, err)
			}
			if again[form], err = Load(dir); err != nil {
				t.Fatalf("%s: %s: %v", f.Name, form, err)
			}
			if again[form].VocabSize() != tok.VocabSize() {
				t.Errorf("%s: %s: %d tokens, want %d", f.Name, form, again[form].VocabSize(), tok.VocabSize())
			}
		}
		for form, tok := range again {
			for i, text := range texts {
				if got := tok.Encode(nil, text); !slices.Equal(got, f.IDs[i]) {
					t.Errorf("%s: %s: Encode(%q) = %v, want %v", f.Name, form, text, got, f.IDs[i])
				}
			}
		}
	}
}

// UNIMO's own files name no added tokens: the name of a special token is text there.
func TestSpecialTokensAreTextInOwnFiles(t *testing.T) {
	tok := train(t, 400, TrainOptions{}, strings.Repeat(pangram, 3))
	dir := t.TempDir()
	if err := tok.saveHuggingFace(dir); err != nil {
		t.Fatal(err)
	}
	hugging, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"[SEP]", "</s>", "the [MASK] dog"} {
		for _, tok := range []*Tokenizer{tok, hugging} {
			if ids := tok.Encode(nil, text); slices.ContainsFunc(ids, tok.Special) {
				t.Errorf("%q gives %v", text, ids)
			}
		}
	}
}

// A text's case decides where a token is looked for after normalizing, by the setting in force.
func TestAddedTokensFollowLowerCase(t *testing.T) {
	vocab := files(t, "testdata/wordpiece/uncased")[fileVocab]
	tok, err := Load(folder(t, map[string]string{fileVocab: vocab, fileAdded: `{"Wi-Fi": ` + jsonNumber(strings.Count(vocab, "\n")) + `}`}))
	if err != nil {
		t.Fatal(err)
	}
	last := int32(tok.VocabSize() - 1)
	for text, lower := range map[string]bool{"wi-fi": true, "Wi-Fi": false} {
		tok = tok.WithLowerCase(lower)
		if ids := tok.Encode(nil, text); !slices.Equal(ids, []int32{last}) {
			t.Errorf("lower case %v: %q gives %v", lower, text, ids)
		}
	}
	tok = tok.WithLowerCase(false)
	if got := tok.Encode(nil, "wi-fi"); slices.Contains(got, last) {
		t.Errorf("in another case: %v", got)
	}
	if tok.Token(last) != "Wi-Fi" || tok.VocabLine(last) != "Wi-Fi" {
		t.Errorf("the token is %q", tok.Token(last))
	}
	if id, ok := tok.FromVocabLine("Wi-Fi"); !ok || id != last {
		t.Errorf("found as %d, %v", id, ok)
	}
}

func jsonNumber(n int) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}

func TestAddedTokensErrors(t *testing.T) {
	vocab := files(t, "testdata/wordpiece/uncased")[fileVocab]
	unimo, hugging := saved(t)
	for _, c := range []struct {
		name, file, content, want string
		files                     map[string]string
	}{
		{"no object", fileAdded, `[]`, "added_tokens.json:1: is no JSON object; give one", map[string]string{fileVocab: vocab}},
		{"an id that is taken", fileAdded, `{"new": 3}`, `the added token "new" has the id 3, which is that of "[CLS]"`, map[string]string{fileVocab: vocab}},
		{"a gap", fileAdded, `{"new": 100000}`, "without a gap", map[string]string{fileVocab: vocab}},
		{"a line", fileAdded, `{"a\nb": ` + jsonNumber(strings.Count(vocab, "\n")) + `}`, "breaks the line", map[string]string{fileVocab: vocab}},
		{"no list", fileConfig, `{"added_tokens_decoder": []}`, "give an object of tokens by id", map[string]string{fileVocab: vocab}},
		{"no id", fileConfig, `{"added_tokens_decoder": {"x": {"content": "a"}}}`, "give an id with a token", map[string]string{fileVocab: vocab}},
		{"a gap, byte pairs", fileAdded, `{"new": 100000}`, "without a gap", hugging},
		{"beyond UNIMO's files", fileAdded, `{"new": 100000}`, `the added token "new" has the id 100000, but the vocabulary ends`, unimo},
		{"too long", fileAdded, `{"` + strings.Repeat("x", longestAdded+1) + `": ` + jsonNumber(strings.Count(vocab, "\n")) + `}`, "at most 4096", map[string]string{fileVocab: vocab}},
	} {
		contents := map[string]string{c.file: c.content}
		for name, content := range c.files {
			if contents[name] == "" {
				contents[name] = content
			}
		}
		if _, err := Load(folder(t, contents)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzAddedTokens(f *testing.F) {
	vocab := files(f, "testdata/wordpiece/uncased")[fileVocab]
	tokens := strings.Split(strings.TrimSuffix(vocab, "\n"), "\n")
	f.Add("x-ray", " dogs", "an x-ray of dogs", uint8(3))
	f.Add("É", "[ENC]", "É [enc] [MASK]", uint8(90))
	f.Fuzz(func(t *testing.T, a, b, text string, flags uint8) {
		if a == b || strings.ContainsAny(a+b, "\r\n") || slices.Contains(tokens, a) || slices.Contains(tokens, b) || a == "" || b == "" {
			return
		}
		normalized := flags&8 != 0
		own := settings{added: []addedToken{
			{ID: int32(len(tokens)), Content: a, LStrip: flags&1 != 0, RStrip: flags&2 != 0, SingleWord: flags&4 != 0},
			{ID: int32(len(tokens)) + 1, Content: b, Normalized: &normalized, Special: flags&16 != 0},
		}}
		tok, err := fromWordPieces(fileVocab, []byte(vocab), own)
		if err != nil {
			return
		}
		tok.matchAdded()
		ids := tok.Encode(nil, text)
		if err := tok.Check(ids); err != nil {
			t.Fatal(err)
		}
		again, err := fromWordPieces(fileVocab, []byte(vocab), writtenSettings(t, tok))
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Encode(nil, text); !slices.Equal(got, ids) {
			t.Fatalf("%q: %v, after saving %v", text, ids, got)
		}
	})
}

// The tokenizer.json beside UNIMO's files, for Hugging Face's tokenizers, is of the same vocabulary.
func TestSavedTokenizerJSON(t *testing.T) {
	texts, folders := addedGolden(t)
	toks := map[string]*Tokenizer{"trained": train(t, 400, TrainOptions{}, strings.Repeat(pangram, 3))}
	for _, f := range folders {
		if strings.HasPrefix(f.Name, "vocab.json") {
			tok, err := Load(folder(t, f.Files))
			if err != nil {
				t.Fatal(err)
			}
			toks[f.Name] = tok
		}
	}
	for name, tok := range toks {
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		saved := files(t, dir)
		again, err := Load(folder(t, map[string]string{fileTokenizer: saved[fileTokenizer], fileConfig: saved[fileConfig]}))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again.LowerCase() != tok.LowerCase() || again.VocabSize() != tok.VocabSize() {
			t.Errorf("%s: lower case %v, %d tokens", name, again.LowerCase(), again.VocabSize())
		}
		for _, text := range texts {
			if got, want := again.Encode(nil, text), tok.Encode(nil, text); !slices.Equal(got, want) {
				t.Errorf("%s: %q: %v, want %v", name, text, got, want)
			}
		}
	}
	// A vocabulary that these files cannot hold is saved without.
	unimo, _ := saved(t)
	unimo[fileVocab] = strings.Replace(unimo[fileVocab], "\n64\n", "\n", 1)
	delete(unimo, fileTokenizer)
	delete(unimo, fileConfig)
	partial, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := partial.Save(dir); err != nil {
		t.Fatal(err)
	}
	if _, there := files(t, dir)[fileTokenizer]; there {
		t.Error("a piece without an id is written into tokenizer.json")
	}
}

// The first ids of a text with added tokens are those of the whole text.
func TestAddedTokensUpTo(t *testing.T) {
	texts, folders := addedGolden(t)
	for _, f := range folders {
		tok, err := Load(folder(t, f.Files))
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			for most := range len(f.IDs[i]) + 2 {
				got, more := tok.EncodeUpTo(nil, text, most)
				if want := f.IDs[i][:min(most, len(f.IDs[i]))]; !slices.Equal(got, want) || more != (most < len(f.IDs[i])) {
					t.Errorf("%s: EncodeUpTo(%q, %d) = %v, %v; want %v", f.Name, text, most, got, more, want)
				}
			}
		}
	}
}
