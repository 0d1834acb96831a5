package graph

import (
	"testing"

	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// Of pictures nothing stays in an accelerator's memory.
func TestAcceleratorKeepsNothing(t *testing.T) {
	d := accelerator.Open(t)
	def, weights, want := openTest(t, "torch")
	var outputs []string
	for _, info := range want.Tensors() {
		outputs = append(outputs, info.Name)
	}
	p, err := Compile(d, def, weights, outputs...)
	if err != nil {
		t.Fatal(err)
	}
	held := -1
	for range 3 {
		got, err := p.Run(d, testPixels(p.Height, p.Width, 4))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, outputs, got, want)
		if now, _ := d.Held(); held >= 0 && now != held {
			t.Errorf("%d buffers are held, before this picture %d", now, held)
		} else {
			held = now
		}
	}
}
