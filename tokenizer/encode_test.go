package tokenizer

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// small is a vocabulary for tests that need no particular one.
var small = sync.OnceValue(func() *Tokenizer {
	t, err := Train(context.Background(), slices.Values([]string{strings.Repeat(pangram, 3), strings.Repeat("Ελλάς aaaa aaaaaaa bababab \n\n\n ", 5)}), 400, TrainOptions{KeepCase: true})
	if err != nil {
		panic(err)
	}
	return t
})

// slowSplit is GPT-2's pattern taken literally: the first alternative that matches,
// each as long as it can be.
func slowSplit(text string) (words []string) {
	runes := []string{} // one string a character, a bad byte being one
	for len(text) > 0 {
		_, size := utf8.DecodeRuneInString(text)
		runes = append(runes, text[:size])
		text = text[size:]
	}
	is := func(in func(rune) bool) func(string) bool {
		return func(s string) bool {
			r, _ := utf8.DecodeRuneInString(s)
			return in(r)
		}
	}
	space, letter, number := is(unicode.IsSpace), is(unicode.IsLetter), is(unicode.IsNumber)
	other := func(s string) bool { return !space(s) && !letter(s) && !number(s) }
	run := func(i int, in func(string) bool) int {
		for i < len(runes) && in(runes[i]) {
			i++
		}
		return i
	}
	match := func(i int) int {
		for _, ending := range []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
			if strings.HasPrefix(strings.Join(runes[i:min(i+3, len(runes))], ""), ending) {
				return i + len(ending)
			}
		}
		for _, in := range []func(string) bool{letter, number, other} {
			start := i
			if runes[i] == " " {
				start++
			}
			if end := run(start, in); end > start {
				return end
			}
		}
		end := run(i, space)
		if end < len(runes) && end-i > 1 {
			return end - 1 // \s+(?!\S) gives one back
		}
		return end
	}
	for i := 0; i < len(runes); {
		end := match(i)
		words = append(words, strings.Join(runes[i:end], ""))
		i = end
	}
	return words
}

// slowEncode is the algorithm on strings, without tables.
func slowEncode(t *Tokenizer, text string) (ids []int32) {
	id := map[string]int32{}
	for _, p := range t.pieces {
		raw, _ := appendRaw(nil, p.token)
		id[string(raw)] = p.id
	}
	merges := rawMerges(t)
	for _, word := range slowSplit(text) {
		var parts []string
		for i := range len(word) {
			parts = append(parts, word[i:i+1])
		}
		for {
			best := len(merges)
			for i := range len(parts) - 1 {
				if rank := slices.Index(merges, [2]string{parts[i], parts[i+1]}); rank >= 0 {
					best = min(best, rank)
				}
			}
			if best == len(merges) {
				break
			}
			parts = joinAll(parts, merges[best])
		}
		for _, part := range parts {
			ids = append(ids, id[part])
		}
	}
	return ids
}

// anyText draws texts that exercise the pattern: words, endings, white space of all
// kinds, several scripts, bytes that are not UTF-8.
func anyText() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.SampledFrom([]string{"the", " quick", "'s", "'re", "'ll", "'l", "'S", "'", " '", "  ", " ", "\n", "\t ", "\u00a0", "\u3000", "\u0085", "\x1c", "É", " Ñandú",
			"١٢", "Ⅷ", " 42", "²", "...", " ?!", "日本", "👍🏽", "e\u0301", "\xff", "\xe2\x82", "\xf0\x9f", "\xc0\xaf", "ΣΑΣ", "İ", "aaaa", "ba", "\x00"}),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
	)
	return rapid.Map(rapid.SliceOfN(part, 0, 12), func(parts []string) string { return strings.Join(parts, "") })
}

func TestEncodeEqualsDefinition(t *testing.T) {
	tok := small()
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		if words, want := splitAll(text), slowSplit(text); !slices.Equal(words, want) {
			t.Fatalf("%q splits into %q, want %q", text, words, want)
		}
		ids := tok.Encode(nil, text)
		if want := slowEncode(tok, text); !slices.Equal(ids, want) {
			t.Fatalf("Encode(%q) = %v, want %v", text, ids, want)
		}
		if got := string(tok.Decode(nil, ids)); got != text {
			t.Fatalf("%q decodes to %q", text, got)
		}
	})
}

// Merges whose results are used before they are made join in an order of their own.
func TestMergeEqualsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tok := drawVocabulary(t)
		text := rapid.StringMatching(`[abc]{0,40}`).Draw(t, "text")
		want := slowEncode(tok, text)
		if got := tok.Encode(nil, text); !slices.Equal(got, want) {
			t.Fatalf("Encode(%q) = %v, want %v, merges %q", text, got, want, rawMerges(tok))
		}
		if text == "" {
			return
		}
		var got []int32
		for _, symbol := range tok.mergeLong(new(scratch), text) {
			got = append(got, tok.pieces[symbol].id)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("mergeLong(%q) = %v, want %v, merges %q", text, got, want, rawMerges(tok))
		}
	})
}

// All occurrences of a pair are joined before any other pair is, even one of a
// lower rank that the first of them brings about.
func TestMergeJoinsAllOccurrences(t *testing.T) {
	tok := vocabularyOf([][2]string{{"ab", "a"}, {"a", "b"}, {"c", "c"}})
	for text, want := range map[string]string{
		"abab": "ab ab", "ababa": "ab aba", "aba": "aba", "ccc": "cc c", "cccc": "cc cc", "abccab": "ab cc ab",
	} {
		for name, mergeText := range map[string]func(*scratch, string) []uint32{"mergeWord": tok.mergeWord, "mergeLong": tok.mergeLong} {
			var got []string
			for _, symbol := range mergeText(new(scratch), text) {
				got = append(got, tok.pieces[symbol].token)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s(%q) = %q, want %q", name, text, got, want)
			}
		}
	}
}

// drawVocabulary makes merges over a, b, c in an arbitrary order.
func drawVocabulary(t *rapid.T) *Tokenizer {
	tokens := []string{"a", "b", "c"}
	var merges [][2]string
	for range rapid.IntRange(0, 12).Draw(t, "merges") {
		pair := [2]string{rapid.SampledFrom(tokens).Draw(t, "left"), rapid.SampledFrom(tokens).Draw(t, "right")}
		tokens = append(tokens, pair[0]+pair[1])
		if !slices.Contains(merges, pair) {
			merges = append(merges, pair)
		}
	}
	return vocabularyOf(rapid.Permutation(merges).Draw(t, "order"))
}

// vocabularyOf makes a vocabulary of all bytes and what the merges need and make.
func vocabularyOf(pairs [][2]string) *Tokenizer {
	var pieces []piece
	index := map[string]uint32{}
	add := func(token string) uint32 {
		if symbol, ok := index[token]; ok {
			return symbol
		}
		symbol := uint32(len(pieces))
		index[token] = symbol
		pieces = append(pieces, piece{token: token, bpe: int32(symbol)})
		return symbol
	}
	for _, b := range byteOrder {
		add(string(byteRune[b]))
	}
	var merges []merge
	for _, p := range pairs {
		merges = append(merges, merge{add(p[0]), add(p[1]), add(p[0] + p[1])})
	}
	words := []word{{symbol: special, name: nameCLS}, {symbol: special, name: namePAD}, {symbol: special, name: nameSEP}, {symbol: special, name: nameUNK}, {symbol: special, name: nameMASK}}
	for symbol := range pieces {
		words = append(words, word{symbol: uint32(symbol)})
	}
	tok := newTokenizer(pieces, merges, words, nil)
	tok.lowerCase = false
	tok.wholeWords(manyBytes)
	return tok
}

func TestLongWord(t *testing.T) {
	tok := small()
	for _, unit := range []string{"a", "ba", "quickfox", "lazythe"} {
		for n := longWord - 10; n <= longWord+10; n++ {
			word := strings.Repeat(unit, n)[:n]
			if got, want := tok.Encode(nil, word), slowEncode(tok, word); !slices.Equal(got, want) {
				t.Fatalf("%d bytes of %q: %v, want %v", n, unit, got, want)
			}
		}
	}
	// Quadratic work would take minutes here.
	huge := strings.Repeat("quickfox", 1<<17)
	if got := string(tok.Decode(nil, tok.Encode(nil, huge))); got != huge {
		t.Error("a word of 1 MiB does not decode to itself")
	}
}

func TestEncodeAppends(t *testing.T) {
	tok := small()
	if got, want := tok.Encode([]int32{7, 8}, "the fox"), append([]int32{7, 8}, tok.Encode(nil, "the fox")...); !slices.Equal(got, want) {
		t.Errorf("Encode appends %v, want %v", got, want)
	}
	if got := string(tok.Decode([]byte("> "), tok.Encode(nil, "the fox"))); got != "> the fox" {
		t.Errorf("Decode appends %q", got)
	}
	if got := tok.Encode(nil, ""); len(got) != 0 {
		t.Errorf("Encode of nothing gives %v", got)
	}
}

func TestEncodeLowerCase(t *testing.T) {
	tok := train(t, 400, TrainOptions{}, strings.Repeat(pangram, 3))
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		want := string(pytext.AppendLower(nil, text))
		if got := string(tok.Decode(nil, tok.Encode(nil, text))); got != want {
			t.Fatalf("Encode lower-cases %q to %q, want %q", text, got, want)
		}
	})
	// Chunks are lower-cased and encoded apart; the seams must not show.
	for _, text := range []string{
		strings.Repeat(pangram, 3*lowerChunk/len(pangram)),
		strings.Repeat("ΟΔΟΣ ΣΑΣ  ΣΣ  ", lowerChunk/8),
		strings.Repeat("Σ  ", lowerChunk/2),
		strings.Repeat("ΑΣ\u00a0 'S \u3000 Σ", lowerChunk/8),
		strings.Repeat("Σ'", lowerChunk),
	} {
		got := tok.Encode(nil, text)
		want := tok.WithLowerCase(false).Encode(nil, string(pytext.AppendLower(nil, text)))
		if !slices.Equal(got, want) {
			t.Errorf("%q... is encoded otherwise in chunks", text[:20])
		}
	}
}

func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		at := small().cut(text, rapid.IntRange(1, 40).Draw(t, "n"))
		apart := append(splitAll(text[:at]), splitAll(text[at:])...)
		if want := splitAll(text); !slices.Equal(apart, want) {
			t.Fatalf("%q cut at %d splits into %q, want %q", text, at, apart, want)
		}
		lower := pytext.AppendLower(pytext.AppendLower(nil, text[:at]), text[at:])
		if want := string(pytext.AppendLower(nil, text)); string(lower) != want {
			t.Fatalf("%q cut at %d lower-cases to %q, want %q", text, at, lower, want)
		}
	})
	for text, want := range map[string]int{"ab cd": 2, "a   b c": 5, "abc": 3, "a\u3000 b c": 6, "ab ": 2} {
		if got := small().cut(text, 2); got != want {
			t.Errorf("cut(%q, 2) = %d, want %d", text, got, want)
		}
	}
}

func TestStartsWord(t *testing.T) {
	tok := small()
	for text, want := range map[string]bool{" the": true, "the": false, " ": true, "\n": false} {
		if id := tok.Encode(nil, text)[0]; tok.StartsWord(id) != want {
			t.Errorf("StartsWord(%q) = %v", tok.Token(id), !want)
		}
	}
	if tok.StartsWord(tok.CLS()) {
		t.Error("[CLS] starts a word")
	}
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("not run: sync.Pool drops items at random under the race detector")
	}
	for _, lower := range []bool{false, true} {
		tok := train(t, 400, TrainOptions{KeepCase: !lower}, strings.Repeat(pangram, 3))
		text := strings.Repeat(pangram+"ÉΣ unheard-of \xff ", 1000)
		dst := tok.Encode(nil, text)
		if n := testing.AllocsPerRun(20, func() { dst = tok.Encode(dst[:0], text) }); n >= 1 {
			t.Errorf("lower case %v: %v allocations for %d tokens", lower, n, len(dst))
		}
	}
}

func TestEncodeConcurrently(t *testing.T) {
	tok := train(t, 400, TrainOptions{}, strings.Repeat(pangram, 3))
	texts := []string{pangram, strings.ToUpper(pangram), strings.Repeat("fox", 100), "ΟΔΟΣ"}
	var want [][]int32
	for _, text := range texts {
		want = append(want, tok.Encode(nil, text))
	}
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for n := range 200 {
				i := (n + g) % len(texts)
				if got := tok.Encode(nil, texts[i]); !slices.Equal(got, want[i]) {
					t.Errorf("Encode(%q) differs beside other goroutines", texts[i])
				}
			}
		})
	}
	group.Wait()
}

func TestDecodeString(t *testing.T) {
	tok := small()
	// Expected values: Python's bytes.decode("utf-8", errors="replace").
	for raw, want := range map[string]string{
		"a\xffb":                   "a\ufffdb",
		"\xe2\x82":                 "\ufffd",
		"\xe2\x82x":                "\ufffdx",
		"\xe2\x28\xa1":             "\ufffd(\ufffd",
		"\xf0\x9f\x80":             "\ufffd",
		"\xe1\x9f\xe0\xa0":         "\ufffd\ufffd",
		"\xf4\x8f\xbf":             "\ufffd",
		"\xf0\x9f\x98":             "\ufffd",
		"\xf0\x9f\x98\xf0\x9f":     "\ufffd\ufffd",
		"\xc0\xaf":                 "\ufffd\ufffd",
		"\xe0\x80\xaf":             "\ufffd\ufffd\ufffd",
		"\xed\xa0\x80":             "\ufffd\ufffd\ufffd",
		"\xf4\x90\x80\x80":         "\ufffd\ufffd\ufffd\ufffd",
		"\xf0\x80\x80\x80":         "\ufffd\ufffd\ufffd\ufffd",
		"\xf1\x80\x80\xc3\xa9":     "\ufffdé",
		"\x80\xbf":                 "\ufffd\ufffd",
		"\xf8\x88\x80\x80\x80":     "\ufffd\ufffd\ufffd\ufffd\ufffd",
		"\xef\xbf\xbd":             "\ufffd",
		"\xc3":                     "\ufffd",
		"\xf0\x9f\x98\x80\xe1\x80": "😀\ufffd",
	} {
		if got := tok.DecodeString(tok.Encode(nil, raw)); got != want {
			t.Errorf("%q decodes to %q, want %q", raw, got, want)
		}
	}
}

func TestDecodeOutsideVocabulary(t *testing.T) {
	tok := small()
	n := int32(tok.VocabSize())
	ids := []int32{tok.CLS(), -1, n, 1<<31 - 1, tok.MASK()}
	if got, want := tok.DecodeString(ids), "[CLS][UNK][UNK][UNK][MASK]"; got != want {
		t.Errorf("DecodeString = %q, want %q", got, want)
	}
	if tok.Token(n) != "[UNK]" || tok.VocabLine(-1) != "[UNK]" || tok.StartsWord(n) {
		t.Error("an id outside the vocabulary is not taken for [UNK]")
	}
	if err := tok.Check(ids[:1]); err != nil {
		t.Error(err)
	}
	if err := tok.Check(ids); err == nil || !strings.Contains(err.Error(), "token 1 of 5: id -1") {
		t.Errorf("Check = %v", err)
	}
}

func FuzzEncode(f *testing.F) {
	for _, text := range []string{"", " ", "it's  a\n\n test'll", "\xff\xe2\x82", "日本 語", strings.Repeat("ab", 100)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tok := small()
		ids := tok.Encode(nil, text)
		if got := string(tok.Decode(nil, ids)); got != text {
			t.Fatalf("%q decodes to %q", text, got)
		}
		if got, want := tok.DecodeString(ids), strings.ToValidUTF8(text, ""); !utf8.ValidString(got) || utf8.ValidString(text) && got != want {
			t.Fatalf("%q has the text %q", text, got)
		}
		if words, want := splitAll(text), slowSplit(text); !slices.Equal(words, want) {
			t.Fatalf("%q splits into %q, want %q", text, words, want)
		}
	})
}

func splitAll(text string) (words []string) {
	for i := 0; i < len(text); {
		end := wordEnd(text, i)
		words = append(words, text[i:end])
		i = end
	}
	return words
}

// Pieces that merging does not lead to must not be found as whole words.
func TestUnreachablePiece(t *testing.T) {
	unimo, _ := saved(t)
	unimo[fileEncoder] = strings.TrimSuffix(unimo[fileEncoder], "}") + `, "zqz": 9000}`
	unimo[fileVocab] += "9000\n"
	tok, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	tok.wholeWords(manyBytes)
	if got := tok.Encode(nil, "zqz"); len(got) != 3 {
		t.Errorf("Encode = %v, want three letters", got)
	}
	if got := tok.Token(int32(tok.VocabSize() - 1)); got != "zqz" {
		t.Errorf("the last token is %q", got)
	}
}

// The table of whole words comes with the first megabyte of text and changes no id.
func TestWholeWordsComeLate(t *testing.T) {
	unimo, _ := saved(t)
	tok, err := Load(folder(t, unimo))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(pangram+" ", 100)
	want := tok.Encode(nil, text)
	for n := len(text); n < manyBytes; n += len(text) {
		if tok.whole.Load() != nil {
			t.Fatalf("the table is there after %d bytes", n)
		}
		if got := tok.Encode(nil, text); !slices.Equal(got, want) {
			t.Fatalf("after %d bytes: %v, want %v", n, got, want)
		}
	}
	if tok.whole.Load() == nil {
		t.Error("the table did not come")
	}
	if got := tok.Encode(nil, text); !slices.Equal(got, want) {
		t.Errorf("with the table: %v, want %v", got, want)
	}
}
