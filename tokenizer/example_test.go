package tokenizer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/tokenizer"
)

// trained returns a small vocabulary of byte pairs.
func trained() *tokenizer.Tokenizer {
	texts := []string{"a fine film", "a fine, fine day", "the film of the day"}
	t, err := tokenizer.Train(context.Background(), slices.Values(texts), 280, tokenizer.TrainOptions{})
	if err != nil {
		panic(err)
	}
	return t
}

// tokens are the printable forms of ids.
func tokens(t *tokenizer.Tokenizer, ids []int32) string {
	var list []string
	for _, id := range ids {
		list = append(list, t.Token(id))
	}
	return strings.Join(list, " ")
}

func Example() {
	texts := []string{"a fine film", "a fine, fine day", "the film of the day"}
	t, err := tokenizer.Train(context.Background(), slices.Values(texts), 280, tokenizer.TrainOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := []int32{t.CLS()}
	ids = t.Encode(ids, "A fine day")
	ids = append(ids, t.SEP())
	fmt.Println(tokens(t, ids))
	fmt.Println(t.DecodeString(ids))
	// Output:
	// [CLS] a Ġfine Ġday [SEP]
	// [CLS]a fine day[SEP]
}

func ExampleLoad() {
	t, err := tokenizer.Load("testdata/wordpiece/uncased") // a BERT's vocab.txt
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := t.Encode(nil, "Two people playing football!")
	fmt.Println(tokens(t, ids))
	fmt.Println(ids)
	// Output:
	// two peo ##ple playin ##g football !
	// [248 219 64 224 38 187 6]
}

func ExampleLoad_noVocabulary() {
	_, err := tokenizer.Load("testdata")
	fmt.Println(errors.Is(err, tokenizer.ErrNoVocabulary))
	_, err = tokenizer.Load("no/such/folder")
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output:
	// true
	// true
}

func ExampleFileError() {
	dir, err := os.MkdirTemp("", "tokenizer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string]string{"vocab.json": `{"a": 0}`, "merges.txt": "#version: 0.2\na b\nabc\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	_, err = tokenizer.Load(dir)
	var at *tokenizer.FileError
	if errors.As(err, &at) {
		fmt.Println(filepath.Base(at.File), "line", at.Line)
		fmt.Println(at.Problem)
		fmt.Println(at.Remedy)
	}
	// Output:
	// merges.txt line 3
	// "abc" is no merge
	// give two tokens with one space between
}

// The folder of a RoBERTa says nothing about letter case, and RoBERTa keeps it.
func ExampleLoadHuggingFace() {
	dir, err := os.MkdirTemp("", "tokenizer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := trained().Save(dir); err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			fmt.Println(err)
			return
		}
	}
	own, err := tokenizer.Load(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	theirs, err := tokenizer.LoadHuggingFace(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("lower case:", own.LowerCase(), theirs.LowerCase())
	// Output: lower case: true false
}

func ExampleTrain() {
	texts := strings.Lines("low lower lowest\nnew newer newest\n")
	t, err := tokenizer.Train(context.Background(), texts, tokenizer.MinVocabSize+8, tokenizer.TrainOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.VocabSize(), "ids")
	fmt.Println(tokens(t, t.Encode(nil, "newest")))
	// Output:
	// 272 ids
	// ne west
}

func ExampleTokenizer_Encode() {
	t := trained()
	ids := []int32{t.CLS()}
	ids = t.Encode(ids, "the day")
	fmt.Println(tokens(t, ids))
	// Output: [CLS] the Ġday
}

func ExampleTokenizer_EncodeUpTo() {
	t := trained()
	ids, more := t.EncodeUpTo(nil, "the film of the day", 2)
	fmt.Println(tokens(t, ids), more)
	// Output: the Ġfilm true
}

func ExampleTokenizer_Decode() {
	t := trained()
	ids := t.Encode(nil, "é")
	fmt.Printf("%d ids: %q %q\n", len(ids), t.Decode(nil, ids[:1]), t.DecodeString(ids))
	fmt.Println(t.Check([]int32{9999}))
	// Output:
	// 2 ids: "\xc3" "é"
	// token 0 of 1: id 9999 is not in the vocabulary of 275
}

func ExampleTokenizer_WithLowerCase() {
	t := trained()
	cased := t.WithLowerCase(false)
	fmt.Println(t.DecodeString(t.Encode(nil, "A fine Day")))
	fmt.Println(cased.DecodeString(cased.Encode(nil, "A fine Day")))
	// Output:
	// a fine day
	// A fine Day
}

func ExampleTokenizer_StartsWord() {
	t := trained()
	for _, id := range append(t.Encode(nil, " fines,"), t.SEP()) {
		fmt.Printf("%-6s starts a word %-5v continues one %-5v punctuation %-5v special %v\n",
			t.Token(id), t.StartsWord(id), t.Continues(id), t.Punctuation(id), t.Special(id))
	}
	// Output:
	// Ġfine  starts a word true  continues one false punctuation false special false
	// s      starts a word false continues one true  punctuation false special false
	// ,      starts a word false continues one false punctuation true  special false
	// [SEP]  starts a word false continues one false punctuation false special true
}

func ExampleTokenizer_VocabLine() {
	t := trained()
	for _, id := range t.Encode(nil, "a day") {
		line := t.VocabLine(id)
		back, ok := t.FromVocabLine(line)
		fmt.Println(t.Token(id), line, back == id, ok)
	}
	fmt.Println(t.VocabLine(t.MASK()))
	// Output:
	// a 64 true true
	// Ġday 265 true true
	// [MASK]
}

func ExampleTokenizer_Save() {
	t := trained()
	dir, err := os.MkdirTemp("", "tokenizer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := t.Save(dir); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.SavedFiles())
	again, err := tokenizer.Load(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(slices.Equal(t.Encode(nil, "a fine day"), again.Encode(nil, "a fine day")))
	// Output:
	// [encoder.json vocab.bpe vocab.txt tokenizer.json tokenizer_config.json]
	// true
}
