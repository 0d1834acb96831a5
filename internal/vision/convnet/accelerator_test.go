package convnet

import (
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// Of pictures nothing stays in an accelerator's memory.
func TestAcceleratorKeepsNothing(t *testing.T) {
	d := accelerator.Open(t)
	n, _, err := Open(d, nil, reader(t, filepath.Join("testdata", "resnet_basic.pth")))
	if err != nil {
		t.Fatal(err)
	}
	p := pixels(t, reader(t, filepath.Join("testdata", "goldens.safetensors")), "odd")
	held := -1
	for range 3 {
		if _, err := n.Run(d, p); err != nil {
			t.Fatal(err)
		}
		if now, _ := d.Held(); held >= 0 && now != held {
			t.Errorf("%d buffers are held, before this picture %d", now, held)
		} else {
			held = now
		}
	}
}
