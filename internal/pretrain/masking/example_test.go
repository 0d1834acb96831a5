package masking_test

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/pretrain/masking"
)

// pieces is a vocabulary in which "##" marks what continues a word.
var pieces = vocabulary{"[CLS]", "[SEP]", "[MASK]", ",", ".", "a", "climb", "##er", "rests", "on", "the", "ridge", "then", "goes", "up"}

type vocabulary []string

func (v vocabulary) VocabSize() int            { return len(v) }
func (v vocabulary) MASK() int32               { return 2 }
func (v vocabulary) Continues(id int32) bool   { return strings.HasPrefix(v[id], "##") }
func (v vocabulary) Special(id int32) bool     { return id <= 2 }
func (v vocabulary) Punctuation(id int32) bool { return id == 3 || id == 4 }

func (v vocabulary) text(ids []int32) string {
	var text []string
	for _, id := range ids {
		text = append(text, v[id])
	}
	return strings.Join(text, " ")
}

func Example() {
	tokens := []int32{0, 5, 6, 7, 8, 9, 10, 11, 3, 12, 13, 14, 4, 1}
	fmt.Println(pieces.text(tokens))
	r := random.New(3, "example")

	language := masking.Language{Vocabulary: pieces, Share: 0.15, PhraseShare: 0.5, MaxWords: 4}
	hidden, places, labels := language.Hide(nil, tokens, r)
	fmt.Println(pieces.text(hidden))
	fmt.Println(places, pieces.text(labels))

	fragments := masking.Fragments{Vocabulary: pieces, Share: 0.25, MaxWords: 4}
	source, target, _ := fragments.Split(tokens, r)
	fmt.Println(pieces.text(source))
	fmt.Println(pieces.text(target))
	// Output:
	// [CLS] a climb ##er rests on the ridge , then goes up . [SEP]
	// [CLS] a climb ##er rests on the ridge , ##er the ##er . [SEP]
	// [9 10 11] then goes up
	// [CLS] a on the ridge , then goes up . [SEP]
	// climb ##er rests
}
