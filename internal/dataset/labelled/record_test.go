package labelled

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/dataset/batches"
)

// byteTokenizer has one token a byte, 10 + its value, so that expected records
// can be written down.
type byteTokenizer struct{}

func (byteTokenizer) EncodeUpTo(dst []int32, text string, most int) (ids []int32, more bool) {
	start := len(dst)
	for _, b := range []byte(text) {
		dst = append(dst, 10+int32(b))
	}
	if len(dst)-start > most {
		return dst[:start+most], true
	}
	return dst, false
}
func (byteTokenizer) CLS() int32 { return 0 }
func (byteTokenizer) SEP() int32 { return 2 }

func TestEncode(t *testing.T) {
	const a, b, c = 10 + 'a', 10 + 'b', 10 + 'c'
	for _, x := range []struct {
		name         string
		textA, textB string
		maxLen       int
		want         []int32
		truncated    bool
	}{
		{"single", "ab", "", 9, []int32{0, a, b, 2}, false},
		{"single fits exactly", "ab", "", 4, []int32{0, a, b, 2}, false},
		{"single cut", "abc", "", 4, []int32{0, a, b, 2}, true},
		{"empty", "", "", 9, []int32{0, 2}, false},
		{"pair", "ab", "c", 9, []int32{0, a, b, 2, c, 2}, false},
		{"pair fits exactly", "ab", "c", 6, []int32{0, a, b, 2, c, 2}, false},
		{"longer first text gives way", "aab", "c", 6, []int32{0, a, a, 2, c, 2}, true},
		{"longer second text gives way", "a", "bbc", 6, []int32{0, a, 2, b, b, 2}, true},
		{"second text gives way in a tie", "aa", "bb", 6, []int32{0, a, a, 2, b, 2}, true},
		{"empty first text", "", "bc", 9, []int32{0, 2, b, c, 2}, false},
		{"empty second text is a single text with its room", "abc", "", 5, []int32{0, a, b, c, 2}, false},
		{"no room", "ab", "c", 3, []int32{0, 2, 2}, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := Encoder{Tokenizer: byteTokenizer{}, MaxLen: x.maxLen}
			r, truncated := e.Encode(Example{TextA: x.textA, TextB: x.textB, Class: 1, Score: 2.5, ID: "q", Line: 7})
			if !slices.Equal(r.Tokens, x.want) || truncated != x.truncated {
				t.Errorf("got %v, truncated %v", r.Tokens, truncated)
			}
			if first := slices.Index(x.want, 2) + 1; r.First != first {
				t.Errorf("%d tokens of the first text, want %d", r.First, first)
			}
			if r.Class != 1 || r.Score != 2.5 || r.ID != "q" || r.Line != 7 {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestEncodeAll(t *testing.T) {
	e := Encoder{Tokenizer: byteTokenizer{}, MaxLen: 6}
	examples := []Example{{TextA: "aaaaaaa", TextB: "b"}, {TextA: "c"}, {}, {TextA: "ddddd"}}
	records, truncated := e.EncodeAll(examples)
	if truncated != 2 {
		t.Errorf("%d truncated, want 2", truncated)
	}
	for i, x := range examples {
		alone, _ := e.Encode(x)
		if !slices.Equal(records[i].Tokens, alone.Tokens) {
			t.Errorf("record %d is %+v, alone %+v", i, records[i], alone)
		}
	}
	if got := Lengths(records); !slices.Equal(got, []int{6, 3, 2, 6}) {
		t.Errorf("lengths %v", got)
	}
}

func TestEncodeSeveralTexts(t *testing.T) {
	const a, b, c = 10 + 'a', 10 + 'b', 10 + 'c'
	x := Example{TextA: "aa", TextB: "b", More: []string{"", "ccc"}}
	for maxLen, want := range map[int][]int32{
		10: {0, a, a, 2, b, 2, c, c, c, 2}, 8: {0, a, a, 2, b, 2, c, 2}, 7: {0, a, 2, b, 2, c, 2}, 4: {0, 2, 2, 2}, 3: {0, 2, 2},
	} {
		e := Encoder{Tokenizer: byteTokenizer{}, MaxLen: maxLen}
		if r, truncated := e.Encode(x); !slices.Equal(r.Tokens, want) || truncated != (maxLen < 10) {
			t.Errorf("in %d: %v, %v, want %v", maxLen, r.Tokens, truncated, want)
		}
	}
}

// RoBERTa has two separators between texts.
func TestEncodeSeparators(t *testing.T) {
	const a, b, c = 10 + 'a', 10 + 'b', 10 + 'c'
	for _, x := range []struct {
		textA, textB string
		more         []string
		maxLen       int
		want         []int32
		truncated    bool
	}{
		{"ab", "", nil, 9, []int32{0, a, b, 2}, false},
		{"ab", "c", nil, 9, []int32{0, a, b, 2, 2, c, 2}, false},
		{"ab", "c", nil, 7, []int32{0, a, b, 2, 2, c, 2}, false},
		{"aab", "c", nil, 7, []int32{0, a, a, 2, 2, c, 2}, true},
		{"aa", "bb", nil, 7, []int32{0, a, a, 2, 2, b, 2}, true},
		{"ab", "c", nil, 4, []int32{0, 2, 2, 2}, true},
		{"ab", "c", nil, 3, []int32{0, a, 2}, true},
		{"a", "", []string{"c"}, 9, []int32{0, a, 2, 2, c, 2}, false},
		{"a", "b", []string{"c"}, 9, []int32{0, a, 2, 2, b, 2, 2, c, 2}, false},
	} {
		e := Encoder{Tokenizer: byteTokenizer{}, MaxLen: x.maxLen, Separators: 2}
		r, truncated := e.Encode(Example{TextA: x.textA, TextB: x.textB, More: x.more})
		if !slices.Equal(r.Tokens, x.want) || truncated != x.truncated {
			t.Errorf("%q, %q, %q in %d: got %v, truncated %v", x.textA, x.textB, x.more, x.maxLen, r.Tokens, truncated)
		}
	}
}

func TestTruncateIsTheStepwiseRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 5).Draw(t, "lengths")
		limit := rapid.IntRange(0, 90).Draw(t, "limit")
		want := slices.Clone(lengths)
		for sum := total(want); sum > limit; sum-- {
			longest := 0
			for i, n := range want {
				if n >= want[longest] {
					longest = i
				}
			}
			want[longest]--
		}
		truncate(lengths, limit)
		if !slices.Equal(lengths, want) {
			t.Fatalf("got %v, want %v", lengths, want)
		}
	})
}

func total(list []int) (sum int) {
	for _, n := range list {
		sum += n
	}
	return sum
}

// wholeTokenizer gives all tokens, however many are asked for.
type wholeTokenizer struct{ byteTokenizer }

func (wholeTokenizer) EncodeUpTo(dst []int32, text string, _ int) ([]int32, bool) {
	return byteTokenizer{}.EncodeUpTo(dst, text, len(text))
}

// To tokenise a text only as far as it is read gives the record that the whole text gives.
func TestEncodeReadsNoMoreThanItKeeps(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		x := Example{TextA: text.Draw(t, "a"), TextB: text.Draw(t, "b")}
		n := rapid.IntRange(batches.MinSeqLen, 20).Draw(t, "most")
		got, cut := (&Encoder{Tokenizer: byteTokenizer{}, MaxLen: n}).Encode(x)
		want, wantCut := (&Encoder{Tokenizer: wholeTokenizer{}, MaxLen: n}).Encode(x)
		if !slices.Equal(got.Tokens, want.Tokens) || cut != wantCut {
			t.Fatalf("%v, cut: %v; want %v, %v", got, cut, want, wantCut)
		}
	})
}
