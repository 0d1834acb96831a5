package main

import (
	"testing"

	"github.com/unimo-go/unimo/internal/model"
)

// Every step that accelerators are compared by, and whose programs are compiled ahead, works: here on the processor.
func TestOneStep(t *testing.T) {
	o := workerOptions{device: "cpu", precision: "auto", size: "tiny"}
	for _, name := range stepNames() {
		if err := oneStep(name, o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := oneStep("walk", o); err == nil {
		t.Error("an unknown step was done")
	}
	o.size = "huge"
	if err := oneStep("sst2", o); err == nil {
		t.Error("a step of an unknown size was done")
	}
}

func TestDrawn(t *testing.T) {
	cfg := model.Base
	for _, equal := range []bool{false, true} {
		for name, b := range map[string]batch{
			"sst": newDrawer(cfg, equal).sst(40), "passages": newDrawer(cfg, equal).passages(10), "groups": newDrawer(cfg, equal).groups(3, 5),
			"compared": newDrawer(cfg, equal).compared(3, 5),
		} {
			lengths := map[int]bool{}
			for _, s := range b.Sequences {
				lengths[len(s)] = true
				if s[0] != 0 || s[len(s)-1] != 2 || len(s) < 4 || len(s) > cfg.MaxTokens() {
					t.Errorf("%s: %v", name, s)
				}
				for _, id := range s {
					if id < 0 || int(id) >= cfg.VocabSize {
						t.Errorf("%s: token %d", name, id)
					}
				}
			}
			if (len(lengths) == 1) != equal {
				t.Errorf("%s: %d lengths, equal %v", name, len(lengths), equal)
			}
			for _, p := range b.Pairs {
				if p[0] >= b.Images || p[1] >= len(b.Sequences) {
					t.Errorf("%s: pair %v of %d images and %d texts", name, p, b.Images, len(b.Sequences))
				}
			}
		}
	}
	if b := newDrawer(cfg, false).groups(3, 5); b.size() != 3 {
		t.Errorf("%d groups", b.size())
	}
	for _, w := range chipWorkloads() {
		if f, ok := drawnFile(w.batches, cfg, 2); !ok || len(f.Rounds) != 3 || len(f.Rounds[0]) != drawnBatches {
			t.Errorf("%s: %d rounds", w.name, len(f.Rounds))
		}
	}
	if _, ok := drawnFile("drawn-anything", cfg, 2); ok {
		t.Error("batches of a name that there is not")
	}
}
