package classify

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
)

// A batch knows where the second text of a pair begins: its tokens are of another type.
func TestPackKnowsPairs(t *testing.T) {
	records := []labelled.Record{{Tokens: []int32{0, 5, 2}, First: 3}, {Tokens: []int32{0, 6, 2, 7, 2}, First: 3}}
	var in model.Input
	for range 2 { // in the memory of the batch before, too
		pack(&in, records, []int{1, 0})
		if !slices.Equal(in.Text.Segments, []int32{3, 3}) || !slices.Equal(in.Text.Offsets, []int32{0, 5, 8}) {
			t.Errorf("segments %v of %v", in.Text.Segments, in.Text.Offsets)
		}
	}
}
