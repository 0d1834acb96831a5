package ptb

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// What the program prints; metrics/testdata/captions.json has more.
func TestWords(t *testing.T) {
	for caption, want := range map[string]string{
		"":                                      "",
		" \t.":                                  "",
		"It's a man's T-shirt, isn't it?":       "it|'s|a|man|'s|t-shirt|is|n't|it",
		"They cannot; she's gonna":              "they|can|not|she|'s|gon|na",
		"A boy (about 10) [sic] {x}":            "a|boy|-lrb-|about|10|-rrb-|-lsb-|sic|-rsb-|-lcb-|x|-rcb-",
		`a "stop" sign`:                         "a|stop|sign",
		"U.S. flag at 10:30 a.m. on No. 5":      "u.s.|flag|at|10:30|a.m.|on|no.|5",
		"1,000.50 or 1/2 or 5 7/8 or ½":         "1,000.50|or|1/2|or|5\u00a07/8|or|1/2",
		"$5 £5 €5 5¢ 50%":                       "$|5|#|5|$|5|5|cents|50|%",
		"AT&T R&amp;B &lt;":                     "at&t|r&b|<",
		"a - b -- c --- d ---- e":               "a|b|c|d|e",
		"a ----- b":                             "a|-----|b",
		"wait... what?! no!":                    "wait|what|?!|no",
		"see www.example.com/ab or a@b.org @me": "see|www.example.com/ab|or|a@b.org|@me",
		"a <b>bold</b> <a href=\"x y\">":        "a|<b>|bold|</b>|<a\u00a0href=\"x\u00a0y\">",
		"so\u00adft \u00ad 😀a中文":                "soft|a中文",
		":-) (555) 555-1234":                    ":--rrb-|-lrb-555-rrb-\u00a0555-1234",
		"line\nbreak\rand\u2028more":            "line|break|and|more",
		"etc. The end of vitamin C.":            "etc.|the|end|of|vitamin|c.",
		"www.a.com\u00a0 ":                      "www.a.com", // the program strips lines
		"\xff":                                  "",
	} {
		if got := strings.Join(Words([]string{caption})[0], "|"); got != want {
			t.Errorf("%q: %q, want %q", caption, got, want)
		}
	}
}

// A full stop may depend on the caption behind it.
func TestWordsBehind(t *testing.T) {
	got := Words([]string{"they like vitamin C.", "A man", "", "jersey no.", "2 dogs", "they like vitamin C."})
	want := [][]string{{"they", "like", "vitamin", "c"}, {"a", "man"}, nil, {"jersey", "no."}, {"2", "dogs"}, {"they", "like", "vitamin", "c."}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Words(nil); len(got) != 0 {
		t.Errorf("%q of no captions", got)
	}
}

// The time is in proportion to the length, though some rules look for an end that never comes.
func TestWordsAreCut(t *testing.T) {
	words := Words([]string{strings.Repeat("a", 2500) + " " + strings.Repeat("x.[^x=", 1000)})[0]
	if len(words[0]) != maxWord || len(words[1]) != maxWord || len(words[2]) != 500 {
		t.Errorf("words of %d, %d and %d letters", len(words[0]), len(words[1]), len(words[2]))
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "It's 5 7/8.", "U.S.\nThe", "<a b='", "&eacute;'s", "\xff\U0001F600", "''``--...", "x.[^x=\n<>]"} {
		f.Add(s, "A man")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		words := Words([]string{one, two})
		if len(words) != 2 {
			t.Fatalf("%d captions", len(words))
		}
		for _, w := range slices.Concat(words...) {
			if w == "" || removed[w] || strings.ContainsFunc(w, func(r rune) bool { return r == ' ' && !strings.Contains(one+two, "[") }) {
				t.Errorf("the word %q in %q and %q", w, one, two)
			}
			if pytext.Lower(w) != w && !strings.ContainsFunc(w, func(r rune) bool { return r > unicode.MaxASCII }) {
				t.Errorf("%q is not lower case", w)
			}
		}
	})
}
