package tokenizer_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/tokenizer"
)

func Example() {
	texts := []string{"a fine film", "a fine, fine day", "the film of the day"}
	t, err := tokenizer.Train(slices.Values(texts), 280, tokenizer.TrainOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := []int32{t.CLS()}
	ids = t.Encode(ids, "A fine day")
	ids = append(ids, t.SEP())
	var tokens []string
	for _, id := range ids {
		tokens = append(tokens, t.Token(id))
	}
	fmt.Println(strings.Join(tokens, " "))
	fmt.Println(t.DecodeString(ids))
	// Output:
	// [CLS] a Ġfine Ġday [SEP]
	// [CLS]a fine day[SEP]
}
