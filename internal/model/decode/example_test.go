package decode_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
)

// numbers is a vocabulary in which a token's text is its number.
type numbers int32

func (n numbers) VocabSize() int           { return int(n) }
func (n numbers) CLS() int32               { return 0 }
func (n numbers) PAD() int32               { return 1 }
func (n numbers) UNK() int32               { return 3 }
func (n numbers) MASK() int32              { return int32(n) - 1 }
func (n numbers) StartsWord(id int32) bool { return true }
func (n numbers) Decode(dst []byte, ids []int32) []byte {
	for _, id := range ids {
		dst = fmt.Appendf(dst, " %d", id)
	}
	return dst
}
func (n numbers) DecodeString(ids []int32) string { return string(n.Decode(nil, ids)) }

func Example() {
	vocabulary := numbers(12)
	cfg := model.Config{
		VocabSize: vocabulary.VocabSize(), HiddenSize: 8, Layers: 2, Heads: 2, MaxPositions: 32,
		HiddenAct: "gelu", InitRange: 0.5, ProblemType: model.Generation,
	}
	dev := cpu.New()
	m, err := model.New[*model.Generator](dev, cfg, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	decoder := decode.New(dev, m, vocabulary)
	sources := make([]decode.Source, 2)
	sources[0].Text.Append([]int32{0, 7, 5, 2})
	sources[1].Text.Append([]int32{0, 9, 2})
	options := decode.Default
	options.BeamSize, options.MinLength, options.MaxLength = 3, 4, 4
	results, err := decoder.Run(context.Background(), sources, options, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, r := range results {
		best := r.Best()
		fmt.Println(i, len(r.Hypotheses), "hypotheses; the best has", len(best.IDs), "tokens; finished:", best.Finished)
	}

	var told strings.Builder
	result, err := decoder.Stream(context.Background(), sources[0], options, func(piece string) { told.WriteString(piece) })
	fmt.Println(told.String() == decode.Text(vocabulary, result.Best().IDs), err)

	options.BeamSize = 0
	_, err = decoder.Run(context.Background(), sources, options, nil)
	fmt.Println(err)
	// Output:
	// 0 3 hypotheses; the best has 4 tokens; finished: false
	// 1 3 hypotheses; the best has 4 tokens; finished: false
	// true <nil>
	// beam_size is 0, want 1 to 11, one less than the vocabulary
}
