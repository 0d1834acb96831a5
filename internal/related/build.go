package related

import (
	"context"
	"iter"
)

// Build finds what is related to the pairs and writes the folder dir, which must not exist, whole or not
// at all. Texts and images are the collections to search, nil for none; each is ranged over once. The order of pairs does not matter.
// tick hears of the progress of the search, in a unit of its own.
//
// Errors: no pairs, two with the same key, one that a sequence yields, files.
func Build(ctx context.Context, dir string, pairs iter.Seq2[Pair, error], texts iter.Seq2[string, error], images iter.Seq2[Pair, error],
	o Options, tick func(done, total int)) error {
	panic("not yet")
}
