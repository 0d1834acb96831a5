package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
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
		tok.splitSpecial = true
		for i, text := range want.Texts {
			if got := tok.Encode(nil, text); !slices.Equal(got, want.IDs[setting][i]) {
				t.Errorf("%s: Encode(%q) = %v, want %v", setting, text, got, want.IDs[setting][i])
			}
		}
	}
}

func TestWordPieceTokens(t *testing.T) {
	tok := bert(t, "uncased")
	if tok.PAD() != 0 || tok.UNK() != 2 || tok.CLS() != 3 || tok.SEP() != 4 || tok.MASK() != 5 {
		t.Errorf("special tokens %d %d %d %d %d", tok.PAD(), tok.UNK(), tok.CLS(), tok.SEP(), tok.MASK())
	}
	for id := range int32(tok.VocabSize()) {
		token := tok.Token(id)
		if got, ok := tok.FromVocabLine(tok.VocabLine(id)); !ok || got != id || tok.VocabLine(id) != token {
			t.Errorf("%q gives %d, %v, want %d", token, got, ok, id)
		}
		want := !tok.Special(id) && !tok.Continues(id) && !strings.Contains(".,!?", token)
		if tok.StartsWord(id) != want {
			t.Errorf("StartsWord(%q) = %v", token, !want)
		}
	}
	for _, line := range []string{"", "##", "nowhere", "100", "[cls]"} {
		if id, ok := tok.FromVocabLine(line); ok {
			t.Errorf("%q gives %d", line, id)
		}
	}
	if got, want := tok.DecodeString(tok.Encode(nil, "The Dogs, running!")), "the dogs, running!"; got != want {
		t.Errorf("decoded %q, want %q", got, want)
	}
}

// The files that Save writes give the tokenizer again, and so does tokenizer.json.
func TestWordPieceSaves(t *testing.T) {
	yes := true
	accents := bert(t, "cased")
	accents.wordPieces.stripAccents, accents.wordPieces.keepCJK = &yes, true
	for name, tok := range map[string]*Tokenizer{"cased": bert(t, "cased"), "uncased": bert(t, "uncased"), "accents": accents, "tokenizer.json": bert(t, "fast")} {
		for form, save := range map[string]func(string) error{"Save": tok.Save, "saveHuggingFace": tok.saveHuggingFace} {
			dir := t.TempDir()
			if err := save(dir); err != nil {
				t.Fatalf("%s, %s: %v", name, form, err)
			}
			again, err := Load(dir)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, form, err)
			}
			sameWordPiece(t, tok, again)
			if config := files(t, dir)[fileConfig]; !strings.Contains(config, `"tokenizer_class": "BertTokenizer"`) {
				t.Errorf("%s, %s: the configuration is %s", name, form, config)
			}
		}
	}
	sameWordPiece(t, bert(t, "uncased"), bert(t, "fast"))
}

func sameWordPiece(t *testing.T, a, b *Tokenizer) {
	t.Helper()
	sameVocabulary(t, a, b)
	if a.LowerCase() != b.LowerCase() || !reflect.DeepEqual(a.wordPieces, b.wordPieces) {
		t.Fatal("other settings")
	}
}

func TestWordPieceSaveRefusesAmbiguity(t *testing.T) {
	for _, name := range []string{fileEncoder, "old." + fileVocab, fileMerges} {
		dir := folder(t, map[string]string{name: ""})
		if err := bert(t, "cased").Save(dir); err == nil || !strings.Contains(err.Error(), name+": is there already") {
			t.Errorf("beside %s: %v", name, err)
		}
	}
}

func TestWordPieceSettings(t *testing.T) {
	vocab, fast := files(t, "testdata/wordpiece/cased")[fileVocab], files(t, "testdata/wordpiece/fast")[fileTokenizer]
	cased := strings.Replace(fast, `"lowercase": true`, `"lowercase": false`, 1)
	for _, c := range []struct {
		files        map[string]string
		lower, strip bool
	}{
		{map[string]string{fileVocab: vocab}, true, true},
		{map[string]string{fileVocab: vocab, fileConfig: `{"do_lower_case": true, "strip_accents": null}`}, true, true},
		{map[string]string{fileVocab: vocab, fileConfig: `{"do_lower_case": true, "strip_accents": false}`}, true, false},
		{map[string]string{fileVocab: vocab, fileConfig: `{"do_lower_case": false}`}, false, false},
		{map[string]string{fileVocab: vocab, fileTokenizer: cased}, true, true},
		{map[string]string{fileTokenizer: fast}, true, true},
		{map[string]string{fileTokenizer: cased}, false, false},
		{map[string]string{fileTokenizer: cased, fileConfig: `{"do_lower_case": true}`}, true, true},
		{map[string]string{fileTokenizer: strings.Replace(cased, `"strip_accents": null`, `"strip_accents": true`, 1)}, false, true},
		{map[string]string{fileTokenizer: fast, fileVocab: "[CLS]\n17\n"}, true, true}, // UNIMO's vocab.txt without the rest
	} {
		tok, err := Load(folder(t, c.files))
		if err != nil {
			t.Errorf("%s: %v", c.files[fileConfig], err)
			continue
		}
		if tok.wordPieces == nil || tok.LowerCase() != c.lower || tok.stripsAccents() != c.strip {
			t.Errorf("%s: lower case %v, strips accents %v; want %v, %v", c.files[fileConfig], tok.LowerCase(), tok.stripsAccents(), c.lower, c.strip)
		}
	}
}

// A byte-level vocabulary comes before vocab.txt and tokenizer.json.
func TestWordPieceComesSecond(t *testing.T) {
	_, hugging := saved(t)
	want, err := Load(folder(t, hugging))
	if err != nil {
		t.Fatal(err)
	}
	hugging[fileVocab] = files(t, "testdata/wordpiece/cased")[fileVocab]
	hugging[fileTokenizer] = "not read"
	got, err := Load(folder(t, hugging))
	if err != nil {
		t.Fatal(err)
	}
	sameVocabulary(t, want, got)
}

// robertaJSON is Hugging Face's two files in one, with a merge in both of its forms.
func robertaJSON(tb testing.TB) (hugging map[string]string, content string) {
	_, hugging = saved(tb)
	var merges []any
	for line := range strings.Lines(strings.TrimPrefix(hugging[fileMerges], versionLine+"\n")) {
		line = strings.TrimSuffix(line, "\n")
		if merges = append(merges, line); len(merges)%2 == 0 {
			merges[len(merges)-1] = strings.Split(line, " ")
		}
	}
	raw, err := json.Marshal(map[string]any{
		"added_tokens":  []any{map[string]any{"id": 0, "content": "<s>"}},
		"normalizer":    nil,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
		"model":         map[string]any{"type": "BPE", "continuing_subword_prefix": "", "vocab": json.RawMessage(hugging[fileTokens]), "merges": merges},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return hugging, string(raw)
}

func TestLoadTokenizerBPE(t *testing.T) {
	hugging, content := robertaJSON(t)
	want, err := Load(folder(t, hugging))
	if err != nil {
		t.Fatal(err)
	}
	for normalizer, lower := range map[string]bool{"null": false, `{"type":"Lowercase"}`: true} {
		got, err := Load(folder(t, map[string]string{fileTokenizer: strings.Replace(content, `"normalizer":null`, `"normalizer":`+normalizer, 1)}))
		if err != nil {
			t.Fatal(err)
		}
		sameVocabulary(t, want, got)
		if got.LowerCase() != lower {
			t.Errorf("normalizer %s: lower case %v", normalizer, !lower)
		}
	}
}

// Older versions of Hugging Face's library left fields out; sequences of one are that one.
func TestLoadOldTokenizer(t *testing.T) {
	fast := files(t, "testdata/wordpiece/fast")[fileTokenizer]
	_, roberta := robertaJSON(t)
	for _, c := range []struct{ content, path string }{{fast, "normalizer"}, {fast, "pre_tokenizer"}, {roberta, "pre_tokenizer"}} {
		want, err := Load(folder(t, map[string]string{fileTokenizer: c.content}))
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]any
		if err := json.Unmarshal([]byte(c.content), &all); err != nil {
			t.Fatal(err)
		}
		several := map[string]string{"normalizer": "normalizers", "pre_tokenizer": "pretokenizers"}[c.path]
		all[c.path] = map[string]any{"type": "Sequence", several: []any{all[c.path]}}
		inner := all["model"].(map[string]any)
		for _, key := range []string{"type", "unk_token", "end_of_word_suffix"} {
			delete(inner, key)
		}
		if c.path == "normalizer" {
			delete(inner, "continuing_subword_prefix")
		} else {
			delete(inner, "max_input_chars_per_word")
		}
		raw, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Load(folder(t, map[string]string{fileTokenizer: string(raw)}))
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		sameVocabulary(t, want, got)
		if got.LowerCase() != want.LowerCase() || (got.wordPieces == nil) != (want.wordPieces == nil) {
			t.Errorf("%s: other settings", c.path)
		}
	}
}

func TestLoadTokenizerAddedTokens(t *testing.T) {
	content := files(t, "testdata/wordpiece/fast")[fileTokenizer]
	size := bert(t, "fast").VocabSize()
	added := strings.Replace(content, `"added_tokens": [`, fmt.Sprintf(`"added_tokens": [{"id": %d, "content": "[b]"}, {"id": %d, "content": "new"},`, size+1, size), 1)
	tok, err := Load(folder(t, map[string]string{fileTokenizer: added}))
	if err != nil {
		t.Fatal(err)
	}
	if last := int32(tok.VocabSize() - 1); int(last) != size+1 || tok.Token(last-1) != "new" || !tok.Special(last) {
		t.Errorf("%d tokens after %d, the last two %q and %q", tok.VocabSize(), size, tok.Token(last-1), tok.Token(last))
	}
}

func TestLoadWordPieceErrors(t *testing.T) {
	vocab, fast := files(t, "testdata/wordpiece/cased")[fileVocab], files(t, "testdata/wordpiece/fast")[fileTokenizer]
	_, roberta := robertaJSON(t)
	edit := func(content, old, new string) string {
		if !strings.Contains(content, old) {
			t.Fatalf("no %q to change", old)
		}
		return strings.Replace(content, old, new, 1)
	}
	for _, c := range []struct{ name, content, want string }{
		{fileVocab, edit(vocab, "[UNK]\n", ""), "vocab.txt: the special token [UNK] is missing"},
		{fileVocab, edit(vocab, "[UNK]\n", "[UNK]\n\xff\n"), "vocab.txt:4: is not UTF-8"},
		{fileVocab, "[CLS]\n1\n", "no encoder.json and no vocab.bpe beside the rest"},
		{fileTokenizer, "[]", "want the tokenizer.json of a Hugging Face tokenizer"},
		{fileTokenizer, "{}", `the model's type is ""; want WordPiece`},
		{fileTokenizer, edit(roberta, `"type":"BPE"`, `"type":"WordLevel"`), `the model's type is "WordLevel"`},
		{fileTokenizer, edit(fast, "BertNormalizer", "NFC"), "the normalizer is not BERT's"},
		{fileTokenizer, edit(fast, `"clean_text": true`, `"clean_text": false`), "the normalizer is not BERT's"},
		{fileTokenizer, edit(fast, "BertPreTokenizer", "Whitespace"), "the pre_tokenizer is not BertPreTokenizer"},
		{fileTokenizer, edit(fast, `"max_input_chars_per_word": 100`, `"max_input_chars_per_word": 7`), "max_input_chars_per_word 7"},
		{fileTokenizer, strings.ReplaceAll(fast, "[MASK]", "[M]"), "the special token [MASK] is missing"},
		{fileTokenizer, edit(fast, `"[MASK]": 5`, `"[MASK]": 4`), `share the id 4`},
		{fileTokenizer, edit(fast, `"[MASK]": 5`, `"[MASK]": 5000`), "no token has the id 5"},
		{fileTokenizer, edit(fast, `"[unused0]": 1`, `"a\nb": 1`), "breaks the line"},
		{fileTokenizer, `{"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
			"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
			"vocab": {"[CLS]": 0, "[PAD]": 1, "[SEP]": 2, "[UNK]": 3, "[MASK]": 4, "7": 5}}}`, "has no word"},
		{fileTokenizer, edit(roberta, `"add_prefix_space":false`, `"add_prefix_space":true`), "ByteLevel without add_prefix_space"},
		{fileTokenizer, edit(roberta, `"normalizer":null`, `"normalizer":{"type":"NFC"}`), `the normalizer is "NFC"`},
		{fileTokenizer, edit(roberta, `"type":"BPE"`, `"type":"BPE","ignore_merges":true`), "ignore_merges are not supported"},
		{fileTokenizer, edit(roberta, `"merges":[`, `"merges":["a b c",`), `want a merge of two tokens, have "a b c"`},
		{fileTokenizer, edit(roberta, `"merges":[`, `"merges":["z q",`), `tokenizer.json: merge 1: the token "zq" is not in the vocabulary; take the complete file`},
	} {
		_, err := Load(folder(t, map[string]string{c.name: c.content}))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	// The line is that of the file, not of the vocabulary in it.
	before, _, _ := strings.Cut(fast, `"[MASK]": 5`)
	line := strings.Count(before, "\n") + 1
	_, err := fromTokenizer("f", []byte(edit(fast, `"[MASK]": 5`, `"[MASK]": -5`)), settings{})
	if want := `f:` + strconv.Itoa(line) + `: token "[MASK]" has the id -5`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want one that starts with %q", err, want)
	}
}

// Texts are cut where a space follows a word; that must not show.
func TestWordPieceJoins(t *testing.T) {
	tok := bert(t, "uncased")
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyText().Draw(t, "a"), anyText().Draw(t, "b")
		want := tok.Encode(tok.Encode(nil, a), b)
		if got := tok.Encode(nil, a+" "+b); !slices.Equal(got, want) {
			t.Fatalf("%q and %q: %v, together %v", a, b, want, got)
		}
		if tok.Check(want) != nil || slices.Contains(want, tok.CLS()) {
			t.Fatalf("%q and %q: %v", a, b, want)
		}
	})
	line := "The café, 東京 and ΣΊΣΥΦΟΣ: unbelievable "
	want := tok.Encode(nil, line)
	if got := tok.Encode(nil, strings.Repeat(line, 2000)); !slices.Equal(got, slices.Repeat(want, 2000)) {
		t.Error("a long text has other ids than its parts")
	}
}

func TestWordPieceDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("not run: sync.Pool drops items at random under the race detector")
	}
	tok := bert(t, "uncased")
	text := strings.Repeat("The coffee, unheard-of and unbelievable \x00 "+strings.Repeat("x", 300), 500)
	dst := tok.Encode(nil, text)
	if n := testing.AllocsPerRun(20, func() { dst = tok.Encode(dst[:0], text) }); n >= 1 {
		t.Errorf("%v allocations for %d tokens", n, len(dst))
	}
}

// fuzzWordPiece uses a vocabulary that a fuzzed file gave.
func fuzzWordPiece(t *testing.T, tok *Tokenizer) {
	ids := tok.Encode(nil, "The lazy Dog\xff 東京 é "+strings.Repeat("ab", longestWord/2))
	if err := tok.Check(ids); err != nil {
		t.Error(err)
	}
	tok.Decode(nil, ids)
	var written bytes.Buffer
	if err := tok.writeVocab(&written); err != nil {
		t.Fatal(err)
	}
	again, err := fromWordPieces(fileVocab, written.Bytes(), writtenSettings(t, tok))
	if err != nil {
		t.Fatalf("what was written does not load: %v", err)
	}
	sameVocabulary(t, tok, again)
}

func FuzzLoadWordPiece(f *testing.F) {
	f.Add([]byte("[PAD]\t0\n[CLS]\t1\n[SEP]\t2\n[MASK]\t3\n[UNK]\t6\nthe\t4\n"))
	f.Add([]byte("[CLS]\n[PAD]\n[SEP]\n[UNK]\n[MASK]\na\n##b\n##\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if tok, err := fromWordPieces(fileVocab, content, settings{}); err == nil {
			fuzzWordPiece(t, tok)
		}
	})
}

func FuzzLoadTokenizer(f *testing.F) {
	f.Add([]byte(files(f, "testdata/wordpiece/fast")[fileTokenizer]))
	_, roberta := robertaJSON(f)
	f.Add([]byte(roberta))
	f.Add([]byte(files(f, "testdata/unigram/words")[fileTokenizer]))
	f.Fuzz(func(t *testing.T, content []byte) {
		switch tok, err := fromTokenizer(fileTokenizer, content, settings{}); {
		case err != nil:
		case tok.wordPieces != nil:
			fuzzWordPiece(t, tok)
		case tok.unigram != nil:
			if err := tok.Check(tok.Encode(nil, "the\u0301 <mask> cat\xff")); err != nil {
				t.Fatal(err)
			}
		default:
			fuzzLoaded(t, tok)
		}
	})
}
