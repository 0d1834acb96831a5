package cli

import (
	"path/filepath"
	"testing"
)

// Where nothing can be written, whoever asks, it is said what to do, by every command that writes.
func TestNothingCanBeWrittenThere(t *testing.T) {
	const sealed = "/sys/kernel/unimo"
	bert := filepath.Join("..", "embed", "testdata", "bert")
	for _, args := range [][]string{
		{"man", sealed},
		{"convert", films, sealed},
		{"convert", filepath.Join(films, "model.safetensors"), sealed + ".safetensors"},
		{"quantize", films, sealed},
		{"export", "onnx", films, sealed},
		{"embed", "--model", bert, "--out", sealed + ".npy", "a film"},
		{"features", "extract", shapesFolder, sealed, "--image-size", "16", "--patch-size", "8"},
		finetuneArgs(opinionsFolder(t), sealed),
		{"demo", "opinions", "--out", sealed},
	} {
		refused(t, exitFailed, args, sealed[:len("/sys/kernel")], "choose another place, or ")
	}
}
