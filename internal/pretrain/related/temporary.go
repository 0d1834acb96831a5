package related

import (
	"context"
	"iter"
	"os"
	"path/filepath"
)

// BuildTemporary is [Build] of the captions of pairs for this once: it opens the index, whose Close
// removes it. n is how many captions of other images to find for each.
func BuildTemporary(ctx context.Context, pairs iter.Seq2[Pair, error], n int, tick func(done, total int)) (*Index, error) {
	temp, err := os.MkdirTemp("", "unimo-related-")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(temp, "index")
	err = Build(ctx, dir, pairs, nil, nil, Options{Captions: n}, tick)
	var x *Index
	if err == nil {
		x, err = Open(dir)
	}
	if err != nil {
		os.RemoveAll(temp)
		return nil, err
	}
	x.temp = temp
	return x, nil
}
