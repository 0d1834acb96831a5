package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/run"
)

// A part of the demo, made small, goes on to its last line, and again in the folder that it left.
func TestDemoPart(t *testing.T) {
	whole := demoParts[0]
	t.Cleanup(func() { demoParts[0] = whole })
	part := whole
	if part.preset != run.Opinions {
		t.Fatalf("the first part is %s", part.name)
	}
	part.set = append(part.set, "vocab_size=300", "num_hidden_layers=1", "hidden_size=32", "num_attention_heads=2", "max_steps=2")
	part.write = func(dir string) error {
		trainSet, heldOut := synth.Opinions(demoSeed, 80, 20)
		for name, opinions := range map[string][]synth.Opinion{"train.tsv": trainSet[20:], "dev.tsv": trainSet[:20], "held-out.tsv": heldOut} {
			var file bytes.Buffer
			if err := synth.WriteTSV(&file, opinions); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o666); err != nil {
				return err
			}
		}
		return nil
	}
	demoParts[0] = part
	out := filepath.Join(t.TempDir(), "demo")
	for range 2 {
		r := must(t, "demo", part.name, "--out", out)
		page := filepath.Join(out, part.name, "report.html")
		if got := r.stdout; !strings.Contains(got, "accuracy") || !strings.Contains(got, page) || !strings.Contains(got, "unimo finetune sst-2") {
			t.Errorf("the demo says\n%s", got)
		}
		if raw, err := os.ReadFile(page); err != nil || !bytes.Contains(raw, []byte("Synthetic data")) {
			t.Errorf("the page: %v, %d bytes", err, len(raw))
		}
	}
}
