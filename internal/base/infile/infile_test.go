package infile

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	path := write(t, "12345")
	if raw, err := Read(path, 5); err != nil || string(raw) != "12345" {
		t.Errorf("got %q, %v", raw, err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"too large", write(t, "123456"), "is larger than 5 bytes"},
		{"missing", filepath.Join(t.TempDir(), "none"), "does not exist"},
		{"folder", t.TempDir(), "is a folder"},
	} {
		if _, err := Read(c.path, 5); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), c.path) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestForeign(t *testing.T) {
	for content, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n": "Git LFS pointer",
		"\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1\n":            "Git LFS pointer",
		"\r\n <!DOCTYPE HTML><title>x</title>":                                "web page",
		"<html lang=en>":                                                      "web page",
		"<header>":                                                            "",
		"version 2":                                                           "",
		"":                                                                    "",
	} {
		_, err := Read(write(t, content), 1<<10)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

func TestBinary(t *testing.T) {
	for head, want := range map[string]string{
		"\x1f\x8b\x08":         "gzip",
		"BZh91AY&SY":           "bzip2",
		"BZh is a word":        "",
		"PAR1 is a word":       "",
		"PAR1\x15\x04":         "Parquet",
		"PK\x03\x04":           "ZIP",
		"\xff\xfea\x00":        "UTF-16",
		"\xef\xbb\xbfa":        "",
		"the first line\n":     "",
		"\x28\xb5\x2f\xfd\x04": "zstd",

		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00": "Office",
	} {
		err := Binary("f", []byte(head))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", head, err, want)
		}
	}
	if err := Binary("Reviews.XLSX", []byte("PK\x03\x04")); err == nil || err.Error() != "Reviews.XLSX: is a spreadsheet, not plain text; save it as CSV in UTF-8 there" {
		t.Error(err)
	}
}

func TestDecodeJSON(t *testing.T) {
	var v struct {
		Turn int      `json:"turn"`
		Text []string `json:"text"`
	}
	if err := DecodeJSON("f", []byte("\xef\xbb\xbf{\"turn\": 3}"), &v); err != nil || v.Turn != 3 {
		t.Errorf("with a byte order mark: %d, %v", v.Turn, err)
	}
	for _, c := range []struct{ raw, want string }{
		{"{\n\"turn\": \"a\"}", `f:2: "turn" is a text, want a whole number; correct it`},
		{`{"turn": 1.5}`, `f:1: "turn" is the number 1.5, want a whole number; correct it`},
		{`{"text": {}}`, `f:1: "text" is an object, want a list; correct it`},
		{`[]`, `f:1: the value is a list, want an object; correct it`},
		{"{\n\n'", `f:3: is not valid JSON: texts are in double quotes, not in single ones; correct it`},
		{`{"turn": `, `f:1: the JSON ends in the middle; correct it`},
		{" \n", `f: is empty; check that it was written whole`},
		{"<html>", `f: is a web page, not the file itself; download it again, with the link of the file and not of its page`},
	} {
		if err := DecodeJSON("f", []byte(c.raw), &v); err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got %v\nwant %s", c.raw, err, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"\xef\xbb\xbfab": "ab", "ab": "ab", "": "", "\xef\xbb": "\xef\xbb", "\xef\xbb\xbf": "",
		strings.Repeat("ab\n", HeadBytes): strings.Repeat("ab\n", HeadBytes),
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			if got, err := io.ReadAll(Text(r, "f")); err != nil || string(got) != want {
				t.Errorf("%.20q: %.20q, %v", in, got, err)
			}
		}
	}
	// A line from a terminal comes on when it is there, though it is shorter than a mark.
	in, out := io.Pipe()
	defer out.Close()
	go out.Write([]byte("a\n"))
	got := make([]byte, 8)
	if n, err := Text(in, "f").Read(got); err != nil || n == 0 || got[0] != 'a' {
		t.Errorf("%q, %v", got[:n], err)
	}
	for _, in := range []string{"\x1f\x8b\x08\x00", "<!doctype html><p>"} {
		var known *Error
		if got, err := io.ReadAll(Text(strings.NewReader(in), "f")); !errors.As(err, &known) {
			t.Errorf("%q: read %q, %v", in, got, err)
		}
	}
	broken := errors.New("broken")
	if _, err := io.ReadAll(Text(iotest.ErrReader(broken), "f")); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func TestInterruptible(t *testing.T) {
	text := strings.Repeat("some text ", 100)
	if err := iotest.TestReader(Interruptible(t.Context(), strings.NewReader(text)), []byte(text)); err != nil {
		t.Error(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if got, err := io.ReadAll(Interruptible(ctx, strings.NewReader(text))); len(got) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("read %d bytes after the interrupt, %v", len(got), err)
	}
}

func TestHidden(t *testing.T) {
	for name, want := range map[string]bool{
		".DS_Store": true, "a/._b.jpg": true, "./.x": true,
		"a.jpg": false, "./a.jpg": false, ".": false, "..": false, ".git/a": false,
	} {
		if Hidden(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestPlainJSON(t *testing.T) {
	err := json.Unmarshal([]byte(`{"a": [1]}`), &struct {
		A float64 `json:"a"`
	}{})
	plain := PlainJSON(err)
	if plain.Error() != `"a" is a list, want a number` || !errors.Is(plain, err) {
		t.Errorf("got %v", plain)
	}
}
