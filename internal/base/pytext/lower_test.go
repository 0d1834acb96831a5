package pytext

import "testing"

// Expected values: Python 3.11's str.lower. With Python at hand, all code points in
// five contexts each were compared once: the only differences are characters that Unicode
// 15 added to Python's 14.
func TestLower(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"Hello, WORLD 1":   "hello, world 1",
		"ÀÉÎ Ñ ẞ":          "àéî ñ ß",
		"İstanbul":         "i\u0307stanbul",
		"ǅ Ⅷ Ω":            "ǆ ⅷ ω",
		"ΟΔΟΣ":             "οδος",
		"ΟΔΟΣ.":            "οδος.",
		"ΟΔΟΣ ΑΣ'Α":        "οδος ασ'α",
		"Σ":                "σ",
		"1Σ":               "1σ",
		"A\u0301Σ":         "a\u0301ς",
		"AΣ\u0301B":        "aσ\u0301b",
		"A'·:Σ\u00ad.’1":   "a'·:ς\u00ad.’1",
		"ΣΣΣ ΣΣ":           "σσς σς",
		"ªΣ ⓐΣ ʰΣ":         "ªς ⓐς ʰσ",
		"\xffA\xe2\x82Σ":   "\xffa\xe2\x82σ",
		"\U0001E900 Ა Ꭰ ꭰ": "\U0001E922 ა ꭰ ꭰ",
	} {
		if got := string(AppendLower(nil, text)); got != want {
			t.Errorf("AppendLower(%+q) = %+q, want %+q", text, got, want)
		}
		if got := Lower(text); got != want {
			t.Errorf("Lower(%+q) = %+q, want %+q", text, got, want)
		}
	}
	if got := string(AppendLower([]byte("> "), "A")); got != "> a" {
		t.Errorf("AppendLower appends %q", got)
	}
}
