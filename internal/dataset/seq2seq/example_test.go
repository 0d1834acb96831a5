package seq2seq_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
)

// letters is a vocabulary of single letters.
type letters struct{}

func (letters) EncodeUpTo(dst []int32, text string, most int) (ids []int32, more bool) {
	start := len(dst)
	for _, r := range text {
		dst = append(dst, 10+r-'a')
	}
	if len(dst)-start > most {
		return dst[:start+most], true
	}
	return dst, false
}
func (letters) FromVocabLine(string) (int32, bool) { return 0, false }
func (letters) CLS() int32                         { return 0 }
func (letters) SEP() int32                         { return 2 }
func (letters) MASK() int32                        { return 9 }

func Example() {
	dir, err := os.MkdirTemp("", "seq2seq")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "train.jsonl")
	lines := `{"source": "abcdef", "target": "ab"}
{"source": "c", "target": "d"}
`
	if err := os.WriteFile(file, []byte(lines), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	examples, report, err := seq2seq.ReadFile(file, seq2seq.Options{NeedTarget: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(examples), "examples of", report.Kind)

	encoder := seq2seq.Encoder{Tokenizer: letters{}, MaxSource: 6, MaxTarget: 6}
	records, truncated, err := encoder.EncodeAll(examples, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(truncated.Source, "source truncated")

	for _, r := range records {
		fmt.Println(r.Tokens, r.Positions, r.Source, r.Labels)
	}
	// Output:
	// 2 examples of JSON lines
	// 1 source truncated
	// [0 10 11 12 13 2 0 10 11] [2 3 4 5 6 7 2 3 4] 6 [10 11 9]
	// [0 12 2 0 13] [2 3 4 2 3] 3 [13 9]
}
