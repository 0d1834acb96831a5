package related

import (
	"errors"
	"os"
	"testing"
)

// A temporary index leaves nothing, whether it is closed or could not be made.
func TestBuildTemporary(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	broken := errors.New("broken")
	pairs := func(fails bool) func(yield func(Pair, error) bool) {
		return func(yield func(Pair, error) bool) {
			if fails {
				yield(Pair{}, broken)
				return
			}
			_ = yield(Pair{Key: "a", Captions: []string{"a brown dog runs"}}, nil) &&
				yield(Pair{Key: "b", Captions: []string{"a dog sleeps", "it rains"}}, nil)
		}
	}
	x, err := BuildTemporary(t.Context(), pairs(false), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := x.Related("a"); err != nil || len(r.Captions) != 1 || len(r.Captions[0]) != 1 || r.Captions[0][0] != "a dog sleeps" {
		t.Errorf("got %+v, %v", r, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 1 {
		t.Errorf("%d folders while it is open, %v", len(left), err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if _, err := BuildTemporary(t.Context(), pairs(true), 1, nil); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("%d folders are left, %v", len(left), err)
	}
}
