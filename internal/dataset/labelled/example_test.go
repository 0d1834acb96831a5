package labelled_test

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
)

// letters is a vocabulary of single letters.
type letters struct{}

func (letters) EncodeUpTo(dst []int32, text string, most int) (ids []int32, more bool) {
	start := len(dst)
	for _, r := range text {
		dst = append(dst, 3+r-'a')
	}
	if len(dst)-start > most {
		return dst[:start+most], true
	}
	return dst, false
}
func (letters) CLS() int32 { return 0 }
func (letters) SEP() int32 { return 2 }

func Example() {
	schema := labelled.Schema{Labels: []string{"negative", "positive"}}
	file := "label\ttext_a\npositive\tabcdef\n0\tb\n1\tcc\n"
	examples, _, err := labelled.ReadFrom(strings.NewReader(file), "train.tsv", schema, labelled.ReadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	encoder := labelled.Encoder{Tokenizer: letters{}, MaxLen: 5}
	records, truncated := encoder.EncodeAll(examples)
	fmt.Println(truncated, "truncated")

	batches := batches.Batches{Lengths: labelled.Lengths(records), Size: 2}
	for k := range batches.Count(0) {
		for _, i := range batches.At(0, k) {
			fmt.Println("batch", k, records[i].Tokens, records[i].Class)
		}
	}
	_, _, err = labelled.ReadFrom(strings.NewReader(file+"bad\tx\n"), "train.tsv", schema, labelled.ReadOptions{})
	fmt.Println(err)
	// Output:
	// 1 truncated
	// batch 0 [0 3 4 5 2] 1
	// batch 0 [0 4 2] 0
	// batch 1 [0 5 5 2] 1
	// train.tsv:5: label "bad" is not one of negative (or 0), positive (or 1); correct it
}
