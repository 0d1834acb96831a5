package cli

import (
	"bufio"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// writeReleasedForm writes a checkpoint as the released ones are, an archive with
// everything the pre-trained model has, filled with random weights.
func writeReleasedForm(t *testing.T, path string, cfg model.Config) {
	t.Helper()
	specs, err := model.Architecture("pretrained", cfg)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var tensors []checkpoint.Tensor
	for _, s := range specs {
		values := make([]float32, s.Elements())
		for i := range values {
			switch s.Init {
			case model.Ones:
				values[i] = 1
			case model.TruncatedNormal:
				// Uniform with the initialiser's deviation: quicker to make.
				values[i] = (rng.Float32() - 0.5) * 0.07
			}
		}
		tensors = append(tensors, checkpoint.FromFloat32(s.Name, s.Shape, values))
	}
	r, err := checkpoint.FromTensors("weights", tensors)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Convert(t.Context(), r, path, checkpoint.FormatPaddleArchive); err != nil {
		t.Fatal(err)
	}
}

// firstLines copies the first n lines of a file.
func firstLines(t *testing.T, from, to string, n int) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	for lines := bufio.NewScanner(f); n > 0 && lines.Scan(); n-- {
		b.WriteString(lines.Text() + "\n")
	}
	writeFile(t, to, b.String())
}

// The base preset starts from an archive in the released form with the released
// vocabulary, trains, and gives a model that evaluates.
func TestBasePresetFromTheReleasedForm(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: -short")
	}
	vocab, sst2 := golden.Data(t, "unimo-dict"), golden.Data(t, "sst2")
	dir := t.TempDir()
	archive := filepath.Join(dir, "unimo_base_en.tar.gz")
	writeReleasedForm(t, archive, model.Base)
	firstLines(t, filepath.Join(sst2, "train.tsv"), filepath.Join(dir, "train.tsv"), 33)
	firstLines(t, filepath.Join(sst2, "dev.tsv"), filepath.Join(dir, "dev.tsv"), 9)
	out := filepath.Join(dir, "run")
	r := must(t, "finetune", "sst-2", "--data", dir, "--preset", "base", "--init", archive, "--vocab", vocab,
		"--out", out, "--set", "max_steps=2", "--set", "batch_size=8", "--json")
	if !strings.Contains(r.stderr, "cls_out_2_w") {
		t.Errorf("the missing head is not reported: %s", r.stderr)
	}
	if !strings.Contains(r.stdout, `"examples":8`) {
		t.Errorf("got %s", r.stdout)
	}
	must(t, "predict", "--model", out, "a fine film")
}
