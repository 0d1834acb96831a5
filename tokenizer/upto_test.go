package tokenizer

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// The first ids are those with which the ids of the whole text begin, whatever the vocabulary, and where the text is cut up inside.
func TestEncodeUpTo(t *testing.T) {
	vocab := files(t, "testdata/wordpiece/uncased")[fileVocab]
	added, err := Load(folder(t, map[string]string{fileVocab: vocab, fileAdded: `{"Wi-Fi": ` + jsonNumber(strings.Count(vocab, "\n")) + `}`}))
	if err != nil {
		t.Fatal(err)
	}
	tokenizers := map[string]*Tokenizer{
		"lower": train(t, 400, TrainOptions{}, strings.Repeat(pangram, 3)), "cased": small(),
		"WordPiece": bert(t, "uncased"), "cased WordPiece": bert(t, "cased"), "added": added,
	}
	rapid.Check(t, func(t *rapid.T) {
		unit := anyText().Draw(t, "unit") + rapid.SampledFrom([]string{"", " ", "Wi-Fi", "[SEP]", "wi-fi "}).Draw(t, "more")
		repeats := rapid.SampledFrom([]int{1, 3, lowerChunk, lowerChunk + longestStretch}).Draw(t, "bytes") / (len(unit) + 1)
		text := rapid.SampledFrom([]string{"", "the Dog"}).Draw(t, "start") + strings.Repeat(unit, repeats+1) + anyText().Draw(t, "end")
		for name, tok := range tokenizers {
			all := tok.Encode(nil, text)
			most := rapid.IntRange(0, len(all)+2).Draw(t, "most")
			got, more := tok.EncodeUpTo([]int32{7}, text, most)
			if want := append([]int32{7}, all[:min(most, len(all))]...); !slices.Equal(got, want) || more != (most < len(all)) {
				t.Fatalf("%s: the first %d of %d ids of %d bytes: %d, more: %v", name, most, len(all), len(text), len(got)-1, more)
			}
		}
	})
	if got, more := small().EncodeUpTo(nil, "the fox", -1); len(got) != 0 || !more {
		t.Errorf("less than none: %v, %v", got, more)
	}
}

// Texts without a single space fall into parts where the whole would be cut anyway.
func TestPartsOfTextsWithoutSpaces(t *testing.T) {
	tok := train(t, 400, TrainOptions{}, strings.Repeat(pangram, 3))
	for _, unit := range []string{"word\nline\n", "日本語の文、日本語。", "key(value,{ΑΣ,Σ});", "Σ\t\n", "İ,i\n"} {
		text := strings.Repeat(unit, 3*(lowerChunk+longestStretch)/len(unit))
		s := new(scratch)
		whole := tok.encode(nil, s, string(pytext.AppendLower(nil, text)), 1<<62)
		if got := tok.Encode(nil, text); !slices.Equal(got, whole) {
			t.Errorf("%q... is encoded otherwise in parts", unit)
		}
	}
	// A word of WordPiece goes on over parts: one too long is one [UNK], and marks stay with their letters.
	for _, name := range []string{"cased", "uncased"} {
		tok := bert(t, name)
		for _, unit := range []string{"a", "e\u0301", "\u0301\u0323"} {
			long := strings.Repeat(unit, 2*(lowerChunk+longestStretch)/len(unit))
			got, want := tok.Encode(nil, "a "+long+" a"), tok.Encode(nil, "a "+strings.Repeat(unit, 200)+" a")
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d bytes of %q give %d ids, want %d", name, len(long), unit, len(got), len(want))
			}
		}
	}
}

// What a text of many megabytes costs does not grow with it where a few ids are wanted, nor do its words cost a multiple.
func TestMemoryOfLongTexts(t *testing.T) {
	const size = 16 << 20
	for name, tok := range map[string]*Tokenizer{"BPE": train(t, 400, TrainOptions{}, strings.Repeat(pangram, 3)), "WordPiece": bert(t, "uncased")} {
		for kind, text := range map[string]string{"one word": strings.Repeat("a", size), "words": strings.Repeat("a dog, ", size/7)} {
			allocated := func(f func()) uint64 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				f()
				runtime.ReadMemStats(&after)
				return after.TotalAlloc - before.TotalAlloc
			}
			tok.Encode(nil, text[:size/8]) // the pool and the table of words are filled
			if n := allocated(func() { tok.EncodeUpTo(nil, text, 256) }); n > 16<<20 {
				t.Errorf("%s, %s: 256 ids cost %d bytes", name, kind, n)
			}
		}
	}
}
