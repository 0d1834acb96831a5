package printable

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestString(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain text, Ω, 日本, 🙂, \u200e", "plain text, Ω, 日本, 🙂, \u200e"},
		{`C:\new`, `C:\new`},
		{"good\n0.9\tfake", `good\n0.9\tfake`},
		{"a\rb", `a\rb`},
		{"\x1b[2J\x07\x00\x7f", `\x1b[2J\x07\x00\x7f`},
		{"\u009b31m", `\x9b31m`},
		{"evil\u202etxt.exe\u2066", `evil\u202etxt.exe\u2066`},
		{"\u2028", `\u2028`},
		{"Mu\xf1oz \x9b31m", `Mu\xf1oz \x9b31m`},
		{"�", "�"}, // the character itself is text
	} {
		if got := String(c.in); got != c.want {
			t.Errorf("String(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestWriterKeepsLinesAndTabs(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, part := range []string{"a\tb\n", "\x1b[31m", "\xe2\x80", "\xaex", "\xc3"} { // U+202E in two parts, and half a character
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", part, n, err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "a\tb\n"+`\x1b[31m\u202ex\xc3`; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// However it is cut into writes, the output holds nothing that acts, and text that holds nothing
// of that kind passes unchanged.
func FuzzWriter(f *testing.F) {
	f.Add("a\u009b\x1b\n\u202e日\xff", 2)
	f.Add("text", 1)
	f.Fuzz(func(t *testing.T, text string, step int) {
		var b bytes.Buffer
		w := NewWriter(&b)
		for rest := text; rest != ""; {
			n := min(max(1, step), len(rest))
			w.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		w.Flush()
		out := b.String()
		if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool { return acts(r) && r != '\n' && r != '\t' }) {
			t.Errorf("%q became %q", text, out)
		}
		if String(text) == text && out != text {
			t.Errorf("%q was changed to %q", text, out)
		}
		if s := String(text); strings.ContainsFunc(s, acts) || strings.Count(out, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q became %q and %q", text, s, out)
		}
	})
}

func TestJSONHasTheSameValue(t *testing.T) {
	value := map[string]string{"a\u009bb": "\x7f\u202e\n\x1b ok", "c": "plain"}
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	safe := JSON(raw)
	if strings.ContainsFunc(string(safe), acts) {
		t.Errorf("%q holds characters that act", safe)
	}
	var back map[string]string
	if err := json.Unmarshal(safe, &back); err != nil || back["a\u009bb"] != value["a\u009bb"] || back["c"] != "plain" {
		t.Errorf("%s reads as %q, %v", safe, back, err)
	}
}
