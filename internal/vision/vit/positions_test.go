package vit

import (
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// Tables are kept for some sizes. One that a picture uses stays meanwhile.
func TestTablesAreBounded(t *testing.T) {
	n, _ := open(t, filepath.Join("testdata", "vit"))
	d := cpu.New()
	used := n.positionsFor(d, 3, 5)
	for i := range 2 * maxTables {
		n.leave(n.positionsFor(d, 2, i+1))
	}
	if len(n.known) > maxTables {
		t.Errorf("%d tables are kept, want %d at most", len(n.known), maxTables)
	}
	if n.known[[2]int{3, 5}] != used || used.v.Value.Memory == nil {
		t.Error("a table that is used was given up")
	}
	n.leave(used)
	if used.users != 0 {
		t.Errorf("%d pictures use a table that was left", used.users)
	}
}
