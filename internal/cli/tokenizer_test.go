package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/tokenizer"
)

// vocabulary trains a small vocabulary with the command and returns its folder.
func vocabulary(t *testing.T, args ...string) string {
	t.Helper()
	text := filepath.Join(t.TempDir(), "text.txt")
	writeFile(t, text, strings.Repeat("A fine film.\nthe Finest film of the day\n", 3))
	dir := filepath.Join(t.TempDir(), "vocab")
	must(t, append([]string{"tokenizer", "train", "--out", dir, "--vocab-size", "280", text}, args...)...)
	return dir
}

func TestTokenizer(t *testing.T) {
	dir := vocabulary(t)
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tok.VocabSize() != 280 || !tok.LowerCase() {
		t.Errorf("%d tokens, lower case %v", tok.VocabSize(), tok.LowerCase())
	}
	want := tok.Encode(nil, "A Finer day")

	ids := must(t, "tokenizer", "encode", "--vocab", dir, "A Finer day").stdout
	back := must(t, append([]string{"tokenizer", "decode", "--vocab", dir}, strings.Fields(ids)...)...).stdout
	if back != "a finer day\n" {
		t.Errorf("%q decodes to %q", ids, back)
	}
	var e encoding
	if err := json.Unmarshal([]byte(must(t, "tokenizer", "encode", "--json", "--vocab", dir, "A Finer day").stdout), &e); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(e.IDs, want) || strings.Join(e.Tokens, "") != "aĠfinerĠday" {
		t.Errorf("encode --json gives %v %q, want %v", e.IDs, e.Tokens, want)
	}
	if got := must(t, "tokenizer", "encode", "--json", "--vocab", dir, "").stdout; got != `{"ids":[],"tokens":[]}`+"\n" {
		t.Errorf("encode --json of nothing gives %s", got)
	}
	if got := must(t, "tokenizer", "encode", "--tokens", "--lower-case=false", "--vocab", dir, "AB").stdout; got != "A B\n" {
		t.Errorf("encode --tokens --lower-case=false gives %q", got)
	}
	if got := must(t, "tokenizer", "decode", "--json", "--vocab", dir, "0").stdout; got != `{"text":"[CLS]"}`+"\n" {
		t.Errorf("decode --json gives %s", got)
	}

	encoded := call(t, "the day\nA film\n\nlast", "tokenizer", "encode", "--vocab", dir, "-")
	decoded := call(t, encoded.stdout, "tokenizer", "decode", "--vocab", dir, "-")
	if want := "the day\na film\n\nlast\n"; decoded.stdout != want {
		t.Errorf("lines come back as %q, want %q", decoded.stdout, want)
	}
}

func TestTokenizerTrain(t *testing.T) {
	if tok, err := tokenizer.Load(vocabulary(t, "--keep-case")); err != nil || tok.LowerCase() {
		t.Errorf("--keep-case: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "vocab")
	r := call(t, "abab abab\n", "tokenizer", "train", "--json", "--out", dir, "--vocab-size", "1000", "-")
	var got trainedVocabulary
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, r.stderr)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := (trainedVocabulary{dir, tok.VocabSize(), true, 1, 9}); got != want {
		t.Errorf("train --json gives %+v, want %+v", got, want)
	}
	if !strings.Contains(r.stderr, "warning: the text has too few frequent pairs") {
		t.Errorf("no warning of a small vocabulary in %q", r.stderr)
	}
}

func TestTokenizerErrors(t *testing.T) {
	dir := vocabulary(t)
	fresh := filepath.Join(t.TempDir(), "fresh")
	empty := filepath.Join(t.TempDir(), "empty.txt")
	writeFile(t, empty, "")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"train", empty}, exitUsage, "tokenizer train needs --out"},
		{[]string{"train", "--out", fresh}, exitUsage, "needs FILE"},
		{[]string{"train", "--out", fresh, "--vocab-size", "100", empty}, exitUsage, "--vocab-size is 100, want 264 or more"},
		{[]string{"train", "--out", fresh, "--min-frequency", "0", empty}, exitUsage, "--min-frequency is 0, want 1 or more"},
		{[]string{"train", "--out", fresh, empty}, exitFailed, "the texts are empty"},
		{[]string{"train", "--out", fresh, empty + "x"}, exitFailed, "empty.txtx"},
		{[]string{"train", "--out", dir, empty}, exitFailed, "exists; choose a new name"},
		{[]string{"encode", "--vocab", fresh, "text"}, exitFailed, "fresh"},
		{[]string{"decode", "--vocab", dir, "12", "x"}, exitFailed, `line 1 of ids: "x" is not an id`},
		{[]string{"decode", "--vocab", dir, "12", "280"}, exitFailed, "line 1 of ids: token 1 of 2: id 280 is not in the vocabulary of 280"},
	} {
		r := call(t, "", append([]string{"tokenizer"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("tokenizer %q: exit code %d, %q; want %d, one line with %q", c.args, r.code, r.stderr, c.code, c.want)
		}
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a failed training left its folder")
	}
}

// Compressed bytes are no words: a vocabulary made of them would be nonsense.
func TestTokenizerTrainRefusesBinaries(t *testing.T) {
	for name, content := range map[string]string{
		"gzip": "\x1f\x8b\x08\x00\x00", "zstd": "\x28\xb5\x2f\xfd\x04\x00", "Parquet": "PAR1\x15\x04\x15",
		"UTF-16": "\xff\xfea\x00", "web page": "<!DOCTYPE html>\n",
	} {
		file := filepath.Join(t.TempDir(), "texts")
		writeFile(t, file, content)
		out := filepath.Join(t.TempDir(), "v")
		for _, r := range []result{call(t, "", "tokenizer", "train", "--out", out, file), call(t, content, "tokenizer", "train", "--out", out, "-")} {
			if r.code != exitFailed || !strings.Contains(r.stderr, name) {
				t.Errorf("%s: exit code %d, %s", name, r.code, r.stderr)
			}
		}
		if _, err := os.Lstat(out); err == nil {
			t.Errorf("%s: a vocabulary was written", name)
		}
	}
}
