package extractor

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// A network of each family sees on an accelerator what it sees on the processor, and the same bits whatever else is under way. Afterwards nothing of it
// is there.
func TestAccelerator(t *testing.T) {
	d := accelerator.Open(t)
	for _, path := range []string{"vit/testdata/vit", "convnet/testdata/resnet_basic.pth", "detector/testdata/nanodet.json"} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			x, err := Open(regions.Spec{Extractor: filepath.Join("..", filepath.FromSlash(path))})
			if err != nil {
				t.Fatal(err)
			}
			before, _ := d.Held()
			err = During(x, d, func(on regions.Extractor) error {
				if now, _ := d.Held(); now == before || on == x {
					t.Error("it is not on the device")
				}
				if spec := on.Spec(); !spec.Equal(x.Spec()) || spec.String() != x.Spec().String() {
					t.Errorf("spec is %+v, want %+v", spec, x.Spec())
				}
				got, want := extract(t, on, 60, 40), extract(t, x, 60, 40)
				near(t, "features", got.Features, want.Features)
				near(t, "global features", got.Global, want.Global)
				near(t, "classes", got.Classes, want.Classes)
				near(t, "boxes", got.Boxes, want.Boxes)
				beside := make(chan bool)
				for range 4 {
					go func() {
						im := &regions.Image{}
						err := on.Extract(on.Prepare(testPicture(60, 40)), 60, 40, im)
						beside <- err == nil && same(im, got)
					}()
				}
				for range 4 {
					if !<-beside {
						t.Error("other regions beside others, or an error")
					}
				}
				return nil
			})
			if now, _ := d.Held(); err != nil || now != before {
				t.Errorf("%d buffers are held, %d before (%v)", now, before, err)
			}
		})
	}
}

// near compares what differs by rounding.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	var most, size float64
	for i := range min(len(got), len(want)) {
		most = max(most, math.Abs(float64(got[i]-want[i])))
		size = max(size, math.Abs(float64(want[i])))
	}
	if len(got) != len(want) || !(most <= 1e-5*size) {
		t.Errorf("%s: %d differ by %g, want %d of at most %g", what, len(got), most, len(want), size)
	}
}

// What no accelerator computes stays as it is: pixels, and on the processor networks.
func TestOnTheProcessor(t *testing.T) {
	for name, d := range map[string]engine.Device{"processor": cpu.New(), "none": nil} {
		for _, named := range []string{regions.Patches, "../vit/testdata/vit"} {
			x, err := Open(regions.Spec{Extractor: named})
			if err != nil {
				t.Fatal(err)
			}
			on, err := On(x, d)
			was, _ := x.(*Encoder)
			if is, _ := on.(*Encoder); err != nil || is != was || !on.Spec().Equal(x.Spec()) {
				t.Errorf("%s, %s: %v, %v", name, named, on, err)
			}
		}
	}
}

// Whether a network has changed on an accelerator is known without its numbers.
func TestAcceleratorKnowsWhatChanged(t *testing.T) {
	d := accelerator.Open(t)
	x, err := Open(regions.Spec{Extractor: "../vit/testdata/vit"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLearning(x)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Begin(d); err != nil {
		t.Fatal(err)
	}
	first, state := extract(t, l, 60, 40), l.State()
	downloads := d.Stats().Downloads
	if again := l.State(); again != state || d.Stats().Downloads != downloads {
		t.Errorf("state %x, then %x, after %d downloads, want %d", state, again, d.Stats().Downloads, downloads)
	}
	p := l.Params()[len(l.Params())-1]
	d.Scale(p.Value, p.Value, 2)
	if l.State() == state {
		t.Error("a parameter has changed, and the state is what it was")
	}
	values := slices.Clone(engine.Values(d, p.Value))
	for i := range values {
		values[i] /= 2
	}
	state = l.State()
	d.Write(p.Value, values)
	if l.State() == state {
		t.Error("a parameter was written, and the state is what it was")
	}
	if !same(extract(t, l, 60, 40), first) {
		t.Error("with the same weights it sees something else")
	}
}
