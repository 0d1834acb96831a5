package retrieve

import (
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// What an index is made of leaves nothing in an accelerator's memory, however many pictures there are.
func TestAcceleratorIndexes(t *testing.T) {
	d := accelerator.Open(t)
	root := filepath.Join("..", "..", "..", "testdata")
	r, err := Open(filepath.Join(root, "shapes.model"), run.Env{Device: d})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	held := -1
	for i := range 3 {
		info, err := r.Index(t.Context(), filepath.Join(root, "shapes", "images"), filepath.Join(t.TempDir(), "index"), IndexOptions{})
		if err != nil || info.Computed == 0 {
			t.Fatalf("%+v, %v", info, err)
		}
		if now, _ := d.Held(); i > 0 && now != held {
			t.Errorf("%d buffers are held, before this index %d", now, held)
		} else {
			held = now
		}
	}
}
