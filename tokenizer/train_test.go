package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const pangram = "the quick brown fox jumps over the lazy dog, doesn't it? The QUICK fox; the lazier dog 2024 times.\n"

func train(tb testing.TB, vocabSize int, options TrainOptions, texts ...string) *Tokenizer {
	tb.Helper()
	t, err := Train(context.Background(), slices.Values(texts), vocabSize, options)
	if err != nil {
		tb.Fatal(err)
	}
	t.wholeWords(manyBytes)
	return t
}

// trainSlowly finds merges as the definition has it: count all pairs, join the
// first of the most frequent, begin again. A symbol is its raw bytes.
func trainSlowly(texts []string, n, least int) (merges [][2]string) {
	symbol := map[string]int{}
	for i, b := range byteOrder {
		symbol[string([]byte{b})] = i
	}
	counts := map[string]int{}
	for _, text := range texts {
		for i := 0; i < len(text); {
			end := wordEnd(text, i)
			counts[text[i:end]]++
			i = end
		}
	}
	words := map[string][]string{}
	for word := range counts {
		for i := range len(word) {
			words[word] = append(words[word], word[i:i+1])
		}
	}
	for len(merges) < n {
		pairs := map[[2]string]int{}
		for word, parts := range words {
			for i := range len(parts) - 1 {
				pairs[[2]string{parts[i], parts[i+1]}] += counts[word]
			}
		}
		var best [2]string
		for pair, count := range pairs {
			was := pairs[best]
			if count > was || count == was && (symbol[pair[0]] < symbol[best[0]] ||
				symbol[pair[0]] == symbol[best[0]] && symbol[pair[1]] < symbol[best[1]]) {
				best = pair
			}
		}
		if pairs[best] < least {
			break
		}
		symbol[best[0]+best[1]] = 256 + len(merges)
		merges = append(merges, best)
		for word, parts := range words {
			words[word] = joinAll(parts, best)
		}
	}
	return merges
}

// joinAll joins all occurrences of pair from left to right.
func joinAll(parts []string, pair [2]string) (joined []string) {
	for i := 0; i < len(parts); i++ {
		if i+1 < len(parts) && parts[i] == pair[0] && parts[i+1] == pair[1] {
			joined = append(joined, pair[0]+pair[1])
			i++
		} else {
			joined = append(joined, parts[i])
		}
	}
	return joined
}

// rawMerges returns t's merges in raw bytes.
func rawMerges(t *Tokenizer) (merges [][2]string) {
	for _, m := range t.merges {
		left, _ := appendRaw(nil, t.pieces[m.left].token)
		right, _ := appendRaw(nil, t.pieces[m.right].token)
		merges = append(merges, [2]string{string(left), string(right)})
	}
	return merges
}

func TestTrainEqualsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few letters make many repetitions and overlaps.
		texts := rapid.SliceOfN(rapid.StringMatching(`([ab]{1,9}|[abc é]{1,12}|x{1,20})*`), 1, 5).Draw(t, "texts")
		if strings.Join(texts, "") == "" {
			t.Skip("nothing to learn from")
		}
		merges := rapid.IntRange(0, 40).Draw(t, "merges")
		least := rapid.IntRange(1, 3).Draw(t, "least")
		tok, err := Train(context.Background(), slices.Values(texts), MinVocabSize+merges, TrainOptions{MinFrequency: least})
		if err != nil {
			t.Fatal(err)
		}
		want := trainSlowly(texts, merges, least)
		if got := rawMerges(tok); !slices.Equal(got, want) {
			t.Fatalf("merges %q, want %q", got, want)
		}
		var ids []int32
		frequency := map[int32]int{}
		for _, text := range texts {
			ids = tok.Encode(ids[:0], text)
			for _, id := range ids {
				frequency[id]++
			}
			if got := string(tok.Decode(nil, ids)); got != text {
				t.Fatalf("%q decodes to %q", text, got)
			}
		}
		for id := int32(5); id < int32(tok.VocabSize()-4); id++ {
			if frequency[id] > frequency[id-1] {
				t.Fatalf("id %d occurs %d times, id %d before it %d times", id, frequency[id], id-1, frequency[id-1])
			}
		}
	})
}

func TestTrainLayout(t *testing.T) {
	tok := train(t, 300, TrainOptions{}, strings.Repeat(pangram, 3))
	if tok.VocabSize() != 300 {
		t.Fatalf("VocabSize() = %d, want 300", tok.VocabSize())
	}
	for id, want := range map[int32]string{
		0: "[CLS]", 1: "[PAD]", 2: "[SEP]", 3: "[UNK]",
		296: "madeupword0000", 297: "madeupword0001", 298: "madeupword0002", 299: "[MASK]",
	} {
		if got := tok.Token(id); got != want {
			t.Errorf("Token(%d) = %q, want %q", id, got, want)
		}
	}
	if !tok.LowerCase() {
		t.Error("a vocabulary of lower-cased text does not lower-case")
	}
	// More merges than the text has: the vocabulary is what it gives.
	if n := train(t, 5000, TrainOptions{}, "abab abab").VocabSize(); n >= 300 || n <= MinVocabSize {
		t.Errorf("VocabSize() = %d of two words", n)
	}
}

func TestTrainErrors(t *testing.T) {
	for _, c := range []struct {
		size int
		text string
		want string
	}{
		{MinVocabSize - 1, "text", "want 264 to"},
		{maxSymbols + 1, "text", "want 264 to"},
		{300, "", "the texts are empty"},
	} {
		_, err := Train(context.Background(), slices.Values([]string{c.text}), c.size, TrainOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Train(%q, %d): error %v, want one with %q", c.text, c.size, err, c.want)
		}
	}
}

func TestTrainIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var texts []string
	for i := range 500 {
		texts = append(texts, fmt.Sprint(i, " ", i))
	}
	options := TrainOptions{Progress: func(int, int) { cancel() }}
	if _, err := Train(ctx, slices.Values(texts), 1000, options); !errors.Is(err, context.Canceled) {
		t.Errorf("while merging: %v", err)
	}
	if _, err := Train(ctx, slices.Values([]string{pangram}), 300, TrainOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("while reading: %v", err)
	}
	if _, err := Train(t.Context(), slices.Values([]string{pangram}), 300, TrainOptions{MinFrequency: -1}); err == nil {
		t.Error("a negative frequency is taken")
	}
}

func TestTrainProgress(t *testing.T) {
	var calls [][2]int
	train(t, 400, TrainOptions{Progress: func(done, total int) { calls = append(calls, [2]int{done, total}) }}, strings.Repeat(pangram, 9))
	if first, last := calls[0], calls[len(calls)-1]; first != [2]int{0, 136} || last[0] == 0 || last[1] != 136 {
		t.Errorf("progress from %v to %v", first, last)
	}
}

// files returns the contents of the files in dir by name.
func files(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	contents := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		contents[entry.Name()] = string(content)
	}
	return contents
}

func TestTrainedSavesAndLoads(t *testing.T) {
	for _, keepCase := range []bool{false, true} {
		tok := train(t, 333, TrainOptions{KeepCase: keepCase}, strings.Repeat(pangram, 3))
		first, again := t.TempDir(), filepath.Join(t.TempDir(), "new", "folder")
		if err := tok.Save(first); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(first)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.LowerCase() == keepCase {
			t.Errorf("LowerCase() = %v after loading, keep case %v", loaded.LowerCase(), keepCase)
		}
		sameVocabulary(t, tok, loaded)
		if err := loaded.Save(again); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(files(t, first), files(t, again)) {
			t.Error("a loaded vocabulary saves to other files")
		}
	}
}

// sameVocabulary fails unless a and b give the same ids and tokens.
func sameVocabulary(t *testing.T, a, b *Tokenizer) {
	t.Helper()
	if a.VocabSize() != b.VocabSize() {
		t.Fatalf("sizes %d and %d", a.VocabSize(), b.VocabSize())
	}
	for id := range int32(a.VocabSize()) {
		if a.Token(id) != b.Token(id) || a.VocabLine(id) != b.VocabLine(id) {
			t.Fatalf("id %d: %q (%s) and %q (%s)", id, a.Token(id), a.VocabLine(id), b.Token(id), b.VocabLine(id))
		}
	}
	if !slices.Equal(rawMerges(a), rawMerges(b)) {
		t.Fatal("other merges")
	}
	for _, special := range []func(*Tokenizer) int32{(*Tokenizer).CLS, (*Tokenizer).PAD, (*Tokenizer).SEP, (*Tokenizer).UNK, (*Tokenizer).MASK} {
		if special(a) != special(b) {
			t.Fatalf("special tokens %d and %d", special(a), special(b))
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	for _, megabytes := range []int{4, 32} {
		text := english(b, megabytes<<20)
		b.Run(fmt.Sprintf("%dMB8k", megabytes), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Train(context.Background(), strings.Lines(text), 8192, TrainOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
