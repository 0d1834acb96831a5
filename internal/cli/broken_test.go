package cli

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// breakModel puts a value into the first tensor of the model folder dir whose name begins so.
func breakModel(t *testing.T, dir, tensor string, value float32) {
	t.Helper()
	path := filepath.Join(dir, modeldir.WeightsFile)
	r, err := checkpoint.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var tensors []checkpoint.Tensor
	for _, info := range r.Tensors() {
		values := make([]float32, info.Elements())
		if err := checkpoint.ReadFloat32s(values, r, info.Name); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(info.Name, tensor) {
			values[len(values)-1] = value
		}
		tensors = append(tensors, checkpoint.FromFloat32(info.Name, info.Shape, values))
	}
	if err := checkpoint.WriteSafetensors(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
}

// Every command that asks a model with a broken weight ends with exit code 1 and a line that names the tensor, with
// --json as without.
func TestBrokenModel(t *testing.T) {
	opinions, scenes := opinionsFolder(t), scenesFolder(t)
	classifier, retriever := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	must(t, finetuneArgs(opinions, classifier)...)
	must(t, flickrArgs(scenes, retriever)...)
	index := filepath.Join(t.TempDir(), "index")
	must(t, "index", filepath.Join(scenes, "images"), "--model", retriever, "--out", index)
	picture := filepath.Join(scenes, "images", "test-00001.png")
	const tensor = "encoder_layer_0_ffn_fc_1.b_0"
	for _, value := range []float32{float32(math.NaN()), float32(math.Inf(1)), 1e38} {
		breakModel(t, filepath.Join(classifier, "best"), tensor, value)
		breakModel(t, filepath.Join(retriever, "best"), tensor, value)
		for _, args := range [][]string{
			{"predict", "--model", classifier, "a fine film"},
			{"predict", "--model", classifier, "-"},
			{"evaluate", "sst-2", "--data", opinions, "--model", classifier},
			{"match", "--model", retriever, picture, "a circle"},
			{"index", filepath.Join(scenes, "images"), "--model", retriever, "--out", filepath.Join(t.TempDir(), "new")},
			{"search", "--model", retriever, "--index", index, "a circle"},
			{"evaluate", "flickr8k", "--data", scenes, "--split", "test", "--model", retriever},
			{"evaluate", "flickr8k", "--data", scenes, "--split", "test", "--model", retriever, "--two-stage", "3"},
		} {
			for _, more := range [][]string{nil, {"--json"}} {
				r := call(t, "a line\n", append(args, more...)...)
				if r.code != exitFailed || r.stdout != "" && !strings.HasPrefix(r.stdout, `{"error":`) || strings.Count(r.stderr, "\n") != 1 ||
					!strings.Contains(r.stderr, "weights are broken") || !strings.Contains(r.stderr, tensor) {
					t.Errorf("%v in %s, unimo %s %v: exit code %d, output %q\n%s", value, tensor, strings.Join(args, " "), more, r.code, r.stdout, r.stderr)
				}
			}
		}
	}
	// Nothing is trained from it, and nothing is left behind.
	out := filepath.Join(t.TempDir(), "further")
	r := call(t, "", append(finetuneArgs(opinions, out), "--init", filepath.Join(classifier, "best"))...)
	if _, err := os.Stat(out); r.code != exitFailed || !strings.Contains(r.stderr, tensor) || err == nil {
		t.Errorf("finetune --init: exit code %d, %v\n%s", r.code, err, r.stderr)
	}
}
