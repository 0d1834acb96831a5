package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// saved returns the files of a small vocabulary in both forms.
func saved(tb testing.TB) (unimo, hugging map[string]string) {
	tb.Helper()
	tok := train(tb, 270, TrainOptions{}, strings.Repeat(pangram, 3))
	first, second := tb.TempDir(), tb.TempDir()
	if err := tok.Save(first); err != nil {
		tb.Fatal(err)
	}
	if err := tok.saveHuggingFace(second); err != nil {
		tb.Fatal(err)
	}
	return files(tb, first), files(tb, second)
}

// folder writes files into a new folder.
func folder(tb testing.TB, contents map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// Saving the released vocabulary gives the released files, byte for byte, and
// Hugging Face's form of it is the same vocabulary.
func TestReleasedSaves(t *testing.T) {
	tok := released(t)
	if !tok.LowerCase() {
		t.Error("the released vocabulary does not lower-case")
	}
	dir, second, third := t.TempDir(), t.TempDir(), t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fileEncoder, fileBPE, fileVocab} {
		want, err := os.ReadFile(golden.Data(t, "unimo-dict/unimo_en."+name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is saved otherwise than it was", name)
		}
	}
	if err := tok.saveHuggingFace(second); err != nil {
		t.Fatal(err)
	}
	hugging, err := Load(second)
	if err != nil {
		t.Fatal(err)
	}
	sameVocabulary(t, tok, hugging)
	if err := hugging.Save(third); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(files(t, dir), files(t, third)) {
		t.Error("by way of Hugging Face's files the vocabulary saves to other files")
	}
}

func TestBothFormsAgree(t *testing.T) {
	unimo, hugging := saved(t)
	a, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Load(folder(t, hugging))
	if err != nil {
		t.Fatal(err)
	}
	sameVocabulary(t, a, b)
	// UNIMO's names are understood in Hugging Face's form, too.
	for roberta, name := range robertaNames {
		if !strings.Contains(hugging[fileTokens], `"`+roberta+`"`) {
			t.Errorf("vocab.json has no %s", roberta)
		}
		hugging[fileTokens] = strings.Replace(hugging[fileTokens], `"`+roberta+`"`, `"`+name+`"`, 1)
	}
	c, err := Load(folder(t, hugging))
	if err != nil {
		t.Fatal(err)
	}
	sameVocabulary(t, a, c)
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		if x, y := a.Encode(nil, text), b.Encode(nil, text); !slices.Equal(x, y) {
			t.Fatalf("Encode(%q) = %v and %v", text, x, y)
		}
	})
}

func TestLoadNames(t *testing.T) {
	unimo, hugging := saved(t)
	prefixed := map[string]string{}
	for name, content := range unimo {
		if name != fileConfig {
			prefixed["some.model."+name] = content
		}
	}
	prefixed["old."+fileConfig] = "not read: the configuration has one name"
	windows := map[string]string{}
	for name, content := range unimo {
		windows[name] = strings.ReplaceAll(content, "\n", "\r\n")
	}
	noVersion := maps.Clone(hugging)
	noVersion[fileMerges] = strings.TrimPrefix(noVersion[fileMerges], versionLine+"\n")
	hidden := maps.Clone(prefixed) // as macOS lays them beside
	for name := range prefixed {
		hidden["._"+name] = "\x00\x05\x16\x07"
	}
	marked, markedHugging := map[string]string{}, map[string]string{}
	for name, content := range unimo {
		marked[name] = "\ufeff" + content
	}
	for name, content := range hugging {
		markedHugging[name] = "\ufeff" + content
	}
	both := maps.Clone(unimo)
	maps.Copy(both, hugging)
	both[fileTokens] = "UNIMO's files come first"
	want, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	for name, contents := range map[string]map[string]string{
		"prefixed": prefixed, "Windows line ends": windows, "no version line": noVersion, "both forms": both, "hidden files": hidden,
		"byte order marks": marked, "byte order marks in the other form": markedHugging,
	} {
		got, err := Load(folder(t, contents))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameVocabulary(t, want, got)
	}
}

func TestLoadLowerCase(t *testing.T) {
	unimo, _ := saved(t)
	for _, c := range []struct {
		config string
		want   bool
	}{
		{"", true},
		{`{}`, true},
		{`{"do_lower_case": true}`, true},
		{`{"do_lower_case": false}`, false},
	} {
		unimo[fileConfig] = c.config
		if c.config == "" {
			delete(unimo, fileConfig)
		}
		tok, err := Load(folder(t, unimo))
		if err != nil {
			t.Errorf("%q: %v", c.config, err)
			continue
		}
		if tok.LowerCase() != c.want {
			t.Errorf("%q: LowerCase() = %v", c.config, tok.LowerCase())
		}
		if other := tok.WithLowerCase(!c.want); other.LowerCase() == c.want || tok.LowerCase() != c.want || tok.WithLowerCase(c.want) != tok {
			t.Errorf("%q: WithLowerCase changes the tokenizer that it is called of", c.config)
		}
	}
	unimo[fileConfig] = `{"zzz": [1, {"a": null}], "do_lower_case": true}`
	tok, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	tok = tok.WithLowerCase(false)
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(files(t, dir)[fileConfig]), "")
	for _, want := range []string{`"do_lower_case":false,`, `"zzz":[1,{"a":null}]`, `"split_special_tokens":true`, `"tokenizer_class":"PreTrainedTokenizerFast"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the configuration is saved as %s, without %s", got, want)
		}
	}
}

// A vocab.txt that is only a part of the encoder: the rest is unknown.
func TestPartialVocabulary(t *testing.T) {
	unimo, _ := saved(t)
	full, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	unimo[fileVocab] = "[CLS]\n[PAD]\n[SEP]\n[UNK]\n64\n[MASK]\n"
	tok, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Encode(nil, "a b"), []int32{4, tok.UNK(), tok.UNK()}; !slices.Equal(got, want) {
		t.Errorf("Encode = %v (of the full vocabulary %v), want %v", got, full.Encode(nil, "a b"), want)
	}
	if err := tok.saveHuggingFace(t.TempDir()); err == nil || !strings.Contains(err.Error(), "has no id in vocab.txt") {
		t.Errorf("saveHuggingFace: %v", err)
	}
}

// A piece that merging makes is no special token, whatever it looks like.
func TestFromVocabLine(t *testing.T) {
	unimo, hugging := saved(t)
	lines := strings.Split(strings.TrimSpace(unimo["vocab.txt"]), "\n")
	left := slices.IndexFunc(lines, func(line string) bool { return line == "100" })
	partial := maps.Clone(unimo)
	partial["vocab.txt"] = strings.Join(slices.Delete(slices.Clone(lines), left, left+1), "\n")
	for _, contents := range []map[string]string{unimo, hugging, partial} {
		tok, err := Load(folder(t, contents))
		if err != nil {
			t.Fatal(err)
		}
		for id := range int32(tok.VocabSize()) {
			if got, ok := tok.FromVocabLine(tok.VocabLine(id)); !ok || got != id {
				t.Errorf("%q gives %d, %v, want %d", tok.VocabLine(id), got, ok, id)
			}
		}
		for _, line := range []string{"", " ", "-1", "007", "1.0", "99999", "4294967296", "[cls]", "word"} {
			if id, ok := tok.FromVocabLine(line); ok {
				t.Errorf("%q gives %d", line, id)
			}
		}
		if _, ok := tok.FromVocabLine("100"); ok == (tok.VocabSize() == len(lines)-1) {
			t.Errorf("with %d of %d entries the piece left out is known: %v", tok.VocabSize(), len(lines), ok)
		}
	}
}

func TestPieceLikeSpecial(t *testing.T) {
	_, hugging := saved(t)
	hugging[fileTokens] = strings.TrimSuffix(hugging[fileTokens], "}") + `, "[a": 270, "[a]": 271, "[b]": 272}`
	hugging[fileMerges] += "[ a\n[a ]\n"
	tok, err := Load(folder(t, hugging))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.VocabLine(271); got != "263" {
		t.Errorf("BPE(271) = %q, want the number after 256 bytes and 7 merges", got)
	}
	if got := tok.VocabLine(272); got != "[b]" {
		t.Errorf("BPE(272) = %q, want the name of a special token", got)
	}
}

func TestAppendQuoted(t *testing.T) {
	for token, want := range map[string]string{
		`a"b\c`: `"a\"b\\c"`, "Ġa": `"\u0120a"`, "\x7f\x1f": `"\u007f\u001f"`, "😀": `"\ud83d\ude00"`, "~ ": `"~ "`,
	} {
		if got := string(appendQuoted(nil, token)); got != want {
			t.Errorf("appendQuoted(%q) = %s, want %s", token, got, want)
		}
	}
}

func TestSaveRefusesAmbiguity(t *testing.T) {
	unimo, _ := saved(t)
	tok, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, map[string]string{"old.vocab.txt": ""})
	if err := tok.Save(dir); err == nil || !strings.Contains(err.Error(), "old.vocab.txt: is there already") {
		t.Errorf("Save: %v", err)
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("a refused Save left %d files", len(left))
	}
}

func TestLoadErrors(t *testing.T) {
	unimo, hugging := saved(t)
	edit := func(name, old, new string) func(map[string]string) {
		return func(contents map[string]string) {
			if !strings.Contains(contents[name], old) {
				t.Fatalf("%s has no %q", name, old)
			}
			contents[name] = strings.Replace(contents[name], old, new, 1)
		}
	}
	drop := func(names ...string) func(map[string]string) {
		return func(contents map[string]string) {
			for _, name := range names {
				delete(contents, name)
			}
		}
	}
	set := func(name, content string) func(map[string]string) {
		return func(contents map[string]string) { contents[name] = content }
	}
	for _, c := range []struct {
		name   string
		files  map[string]string
		change func(map[string]string)
		want   string
	}{
		{"no vocab.txt", unimo, drop(fileVocab, fileTokenizer), "no vocab.txt beside the rest"},
		{"no encoder and bpe", unimo, drop(fileEncoder, fileBPE, fileTokenizer), "no encoder.json and no vocab.bpe beside"},
		{"no merges", hugging, drop(fileMerges), "no merges.txt beside the rest"},
		{"nothing", unimo, func(contents map[string]string) { clear(contents) }, "want encoder.json, vocab.bpe and vocab.txt, or vocab.json"},
		{"twice", unimo, set("x.vocab.bpe", ""), "x.vocab.bpe: is a second file for vocab.bpe beside "},

		{"not JSON", unimo, set(fileEncoder, "what"), "encoder.json:1: is not valid JSON"},
		{"an array", unimo, set(fileEncoder, "[1]"), "encoder.json:1: is no JSON object; give one"},
		{"cut off", unimo, set(fileEncoder, "{\"a\": 1,\n\"b"), "encoder.json:2: the JSON ends in the middle; give one JSON object"},
		{"empty", unimo, set(fileEncoder, ""), "encoder.json:1: the JSON ends in the middle"},
		{"not UTF-8", unimo, set(fileEncoder, "{\"\xff\": 1}"), "encoder.json:1: is not UTF-8"},
		{"goes on", unimo, set(fileEncoder, "{}\n{}"), "encoder.json:2: goes on after the object"},
		{"nested", unimo, set(fileEncoder, `{"a": {"b": 1}}`), `encoder.json:1: token "a" has the id {`},
		{"fraction", unimo, set(fileEncoder, `{"a": 1.5}`), `token "a" has the id 1.5; ids are whole numbers`},
		{"negative", unimo, set(fileEncoder, `{"a": -1}`), `token "a" has the id -1`},
		{"too large", unimo, set(fileEncoder, `{"a": 4294967296}`), `token "a" has the id 4294967296`},
		{"text id", unimo, set(fileEncoder, `{"a": "1"}`), `token "a" has the id 1`},
		{"empty token", unimo, set(fileEncoder, `{"": 1}`), "id 1 has an empty token"},
		{"token twice", unimo, set(fileEncoder, `{"a": 1, "a": 2}`), `token "a" is there twice`},
		{"id twice", unimo, set(fileEncoder, `{"a": 1, "b": 1}`), `tokens "a" and "b" share the id 1`},
		{"byte missing", unimo, set(fileEncoder, `{"a": 1}`), `the byte 0x00 (token 'Ā') is missing`},

		{"one token", unimo, edit(fileBPE, "\n", "\nalone\n"), `vocab.bpe:2: "alone" is no merge; give two tokens`},
		{"three tokens", unimo, edit(fileBPE, "\n", "\na b c\n"), `vocab.bpe:2: "a b c" is no merge`},
		{"blank line", unimo, edit(fileBPE, "\n", "\n\n"), `vocab.bpe:2: "" is no merge`},
		{"foreign merge", unimo, edit(fileBPE, "\n", "\nz zq\n"), `vocab.bpe:2: the token "zq" is not in`},
		{"foreign result", unimo, edit(fileBPE, "\n", "\nz q\n"), `vocab.bpe:2: the token "zq" is not in`},
		{"merge twice", unimo, func(contents map[string]string) {
			contents[fileBPE] += strings.Split(contents[fileBPE], "\n")[1] + "\n"
		}, `is in line 2 already`},

		{"foreign id", unimo, edit(fileVocab, "\n[MASK]", "\n9999\n[MASK]"), "vocab.txt:270: the BPE id 9999 is not in"},
		{"word", unimo, edit(fileVocab, "[PAD]", "hello"), `vocab.txt:2: "hello" is neither a BPE id nor a special token`},
		{"leading zero", unimo, edit(fileVocab, "[UNK]\n", "[UNK]\n064\n"), `vocab.txt:5: "064" is neither`},
		{"blank", unimo, edit(fileVocab, "[PAD]", ""), `vocab.txt:2: "" is neither`},
		{"id twice in vocab", unimo, edit(fileVocab, "[UNK]\n", "[UNK]\n64\n"), `"64" is in line 5 already`},
		{"special twice", unimo, edit(fileVocab, "[UNK]", "[CLS]"), `vocab.txt:4: "[CLS]" is in line 1 already`},
		{"special missing", unimo, edit(fileVocab, "[UNK]\n", ""), "vocab.txt: the special token [UNK] is missing"},

		{"gap", hugging, edit(fileTokens, `: 269}`, `: 300}`), "vocab.json: no token has the id 269"},
		{"two names", hugging, edit(fileTokens, `"madeupword0000"`, `"[CLS]"`), `"<s>" and "[CLS]" are names of one special token`},
		{"no mask", hugging, edit(fileTokens, `"<mask>"`, `"<musk>"`), "vocab.json: the special token [MASK] is missing"},
		{"no byte", hugging, edit(fileTokens, `"!"`, `"!!"`), "vocab.json: the byte 0x21 (token '!') is missing"},
		{"no such merge", hugging, edit(fileMerges, "\n", "\nz q\n"), `merges.txt:2: the token "zq" is not in`},

		{"bad setting", unimo, set(fileConfig, `{"do_lower_case": 1}`), "tokenizer_config.json: do_lower_case is 1; want true or false"},
		{"bad configuration", unimo, set(fileConfig, `[]`), "tokenizer_config.json:1: the value is a list, want an object"},
		{"huge", unimo, set(fileBPE, strings.Repeat("\n", maxFile+1)), "is larger than 64 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			contents := maps.Clone(c.files)
			c.change(contents)
			_, err := Load(folder(t, contents))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			// What the message says a program can find, too.
			var at *FileError
			if !errors.As(err, &at) || at.File == "" || at.Problem == "" || at.Line > 0 != regexp.MustCompile(`\.(json|txt|bpe):\d`).MatchString(err.Error()) {
				t.Errorf("%v holds the error of a file %+v", err, at)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// fuzzLoaded uses a vocabulary that a fuzzed file gave.
func fuzzLoaded(t *testing.T, tok *Tokenizer) {
	text := "the lazy Dog\xff aaaaaaaaaa " + strings.Repeat("ab", longWord)
	ids := tok.Encode(nil, text)
	if err := tok.Check(ids); err != nil {
		t.Error(err)
	}
	tok.Decode(nil, ids)
	// Written to memory: flushing files to a disk would be most of the fuzzing.
	var file [3][]byte
	for i, write := range []func(io.Writer) error{tok.writeEncoder, tok.writeMerges, tok.writeVocab} {
		var written bytes.Buffer
		if err := write(&written); err != nil {
			t.Fatal(err)
		}
		file[i] = written.Bytes()
	}
	again, err := fromUNIMO([3]string{fileEncoder, fileBPE, fileVocab}, file, writtenSettings(t, tok))
	if err != nil {
		t.Fatalf("what was written does not load: %v", err)
	}
	sameVocabulary(t, tok, again)
}

// writtenSettings is what Load would read of the configuration that tok writes.
func writtenSettings(t *testing.T, tok *Tokenizer) settings {
	keys, err := tok.settings()
	if err != nil {
		t.Fatal(err)
	}
	added, err := parseAddedKey(fileConfig, keys[addedKey])
	if err != nil {
		t.Fatal(err)
	}
	return settings{keys: keys, added: added}
}

func FuzzLoad(f *testing.F) {
	unimo, _ := saved(f)
	f.Add([]byte(unimo[fileEncoder]), []byte(unimo[fileBPE]), []byte(unimo[fileVocab]))
	f.Fuzz(func(t *testing.T, encoder, bpe, vocab []byte) {
		tok, err := fromUNIMO([3]string{fileEncoder, fileBPE, fileVocab}, [3][]byte{encoder, bpe, vocab}, settings{})
		if err == nil {
			fuzzLoaded(t, tok)
		}
	})
}

func FuzzLoadHuggingFace(f *testing.F) {
	_, hugging := saved(f)
	f.Add([]byte(hugging[fileTokens]), []byte(hugging[fileMerges]))
	f.Fuzz(func(t *testing.T, tokens, merges []byte) {
		tok, err := fromHuggingFace([2]string{fileTokens, fileMerges}, [2][]byte{tokens, merges}, settings{})
		if err == nil {
			fuzzLoaded(t, tok)
		}
	})
}

func FuzzParseTokens(f *testing.F) {
	f.Add([]byte(`{"a": 1, "\u0120b": 2, "\"\\": 3}`))
	f.Add([]byte(`{"😀": 0, "\ud83d\ude01": 7}`))
	for _, s := range []string{`{}`, ` { "a" : 1 } `, `{"a":1}x`, `{"a":1,}`, `{"a":1"b":2}`, `{,"a":1}`, `{"a":01}`, `{"a":-0}`, `{"a":2147483648}`, `{"a":2147483647}`,
		`{"a":1e1}`, `{"a":1.0}`, `{"a":1,"a":2}`, `{"a":1,"b":1}`, `{"":1}`, `{"\u00e9":1,"é":2}`, `{"\u+012":1}`, `{"\u00_1":1}`, `{"\n\/":1}`, "{\"\n\":1}", `{"a`, `{"a\`, `{"a\u12`, `{"a":`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		tokens, _, err := parseTokens(fileTokens, content)
		slow, slowErr := decodeTokens(fileTokens, content)
		slices.SortFunc(slow, func(a, b tokenID) int { return cmp.Compare(a.id, b.id) })
		if (err == nil) != (slowErr == nil) || err == nil && !slices.Equal(tokens, slow) {
			t.Fatalf("%q gives %v, %v; decoded in the slow way %v, %v", content, tokens, err, slow, slowErr)
		}
		if err != nil {
			return
		}
		var written strings.Builder
		err = writeTokens(&written, func(yield func(string, int32) bool) {
			for _, token := range tokens {
				if !yield(token.token, token.id) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := parseTokens(fileTokens, []byte(written.String()))
		if err != nil || !slices.Equal(again, tokens) {
			t.Fatalf("%q is written as %q: %v", content, written.String(), err)
		}
	})
}

func FuzzParsePairs(f *testing.F) {
	f.Add([]byte("#version: 0.2\na b\nab c\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		pairs, err := parsePairs(fileMerges, content)
		for _, p := range pairs {
			if p.left == "" || p.right == "" || strings.ContainsAny(p.left+p.right, " \n") {
				t.Fatalf("%q gives %v (error %v)", content, p, err)
			}
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"do_lower_case": false, "x": [1]}`))
	f.Add([]byte(`{"do_lower_case": null, "strip_accents": true, "tokenize_chinese_chars": false}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, tok := range []*Tokenizer{{}, {parts: parts{wordPieces: &wordPieces{}}}} {
			var keys map[string]json.RawMessage
			if json.Unmarshal(content, &keys) != nil || tok.configure(fileConfig, keys) != nil {
				continue
			}
			var written strings.Builder
			if err := tok.writeConfig(&written); err != nil {
				t.Fatal(err)
			}
			again := &Tokenizer{}
			if tok.wordPieces != nil {
				again.wordPieces = &wordPieces{}
			}
			if err := json.Unmarshal([]byte(written.String()), &keys); err != nil {
				t.Fatal(err)
			}
			if err := again.configure(fileConfig, keys); err != nil || again.lowerCase != tok.lowerCase ||
				!reflect.DeepEqual(again.wordPieces, tok.wordPieces) {
				t.Fatalf("%q is written as %q: %v", content, written.String(), err)
			}
		}
	})
}
