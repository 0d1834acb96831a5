package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/model"
)

// execute runs one command with arguments and returns its output.
func execute(a *app, build func(*app) *cobra.Command, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	a.stdout, a.stderr = newOutput(&stdout), newScreen(&stderr)
	a.log = slog.New(newLineHandler(&stderr, slog.LevelInfo))
	c := build(a)
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.Execute()
	return stdout.String(), err
}

// tinyModel writes a model folder without a vocabulary: an encoder of one layer
// with a head for two classes, one tensor left out, one of another shape, one
// that no UNIMO has, and a moment of Adam.
func tinyModel(t *testing.T) string {
	t.Helper()
	cfg := model.Mini
	cfg.VocabSize, cfg.HiddenSize, cfg.Layers, cfg.Heads, cfg.MaxPositions = 5, 4, 1, 2, 6
	cfg.NumLabels, cfg.ProblemType = 2, model.Classification
	specs, err := model.Architecture("classification", cfg)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	add := func(name string, shape ...int) {
		info := checkpoint.Info{Name: name, DType: checkpoint.F32, Shape: shape}
		tensors = append(tensors, checkpoint.FromFloat32(name, shape, make([]float32, info.Elements())))
	}
	for _, spec := range specs {
		switch spec.Name {
		case "pooled_fc_text.b_0":
		case "word_embedding":
			add(spec.Name, 7, 4)
		default:
			add(spec.Name, spec.Shape...)
		}
	}
	add("stranger", 1)
	add("word_embedding_moment1_0", 5, 4)
	dir := t.TempDir()
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, "model.safetensors"), tensors, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	raw, err := cfg.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInspect(t *testing.T) {
	dir := tinyModel(t)
	for _, path := range []string{dir, filepath.Join(dir, "model.safetensors")} {
		out, err := execute(&app{json: true}, (*app).inspectCommand, path)
		if err != nil {
			t.Fatal(err)
		}
		var got inspection
		if err := json.Unmarshal([]byte(out), &got); err != nil || strings.Count(out, "\n") != 1 {
			t.Fatalf("%v in %q", err, out)
		}
		c := got.Comparison
		if c == nil || c.Architecture != "classification" || !slices.Equal(c.Missing, []string{"pooled_fc_text.b_0"}) ||
			!slices.Equal(c.Unknown, []string{"stranger"}) || !slices.Equal(c.Optimizer, []string{"word_embedding_moment1_0"}) ||
			len(c.Mismatched) != 1 || c.Mismatched[0].Name != "word_embedding" || !slices.Equal(c.Mismatched[0].Want, []int{5, 4}) {
			t.Errorf("comparison %+v", c)
		}
		if !strings.Contains(string(got.Config), `"hidden_size":4`) || got.Metadata["format"] != "pt" || got.Tensors[0].Stats == nil || got.Tensors[0].Stats.Zeros == 0 {
			t.Errorf("%+v", got)
		}
	}
	out, err := execute(&app{}, (*app).inspectCommand, dir, "--architecture", "text-encoder", "--stats=false")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"missing: pooled_fc_text.b_0", "word_embedding is [7 4], the architecture has [5 4]", "unknown: stranger", "unknown: cls_out_2_w"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "mean") {
		t.Error("statistics in spite of --stats=false")
	}
}

// Tensors with which nothing is computed are listed beside the others, and so are values that are never built.
func TestInspectOddFile(t *testing.T) {
	file := filepath.Join("..", "..", "checkpoint", "testdata", "pytorch", "odd.bin")
	out, err := execute(&app{}, (*app).inspectCommand, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"F8_E4M3 [2] - - - - - - -", "F32 [2 3] 1 1 1 0 0 0 0", `args (no tensor, but what "Namespace" of Python's module "argparse"`} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	out, err = execute(&app{json: true}, (*app).inspectCommand, file)
	var result inspection
	if err := errors.Join(err, json.Unmarshal([]byte(out), &result)); err != nil {
		t.Fatal(err)
	}
	for _, tensor := range result.Tensors {
		if want := !strings.HasPrefix(tensor.DType, "F8") && tensor.DType != "C64"; (tensor.Stats != nil) != want {
			t.Errorf("%s %s has statistics: %v", tensor.Name, tensor.DType, !want)
		}
	}
}

func TestInspectErrors(t *testing.T) {
	dir := tinyModel(t)
	bare := filepath.Join(t.TempDir(), "m.safetensors")
	if _, err := execute(&app{}, (*app).convertCommand, dir, bare); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"does not exist":          {filepath.Join(dir, "missing")},
		"choose one of":           {dir, "--architecture", "x"},
		"give --size or --config": {bare, "--architecture", "pretrained"},
		`unknown size "huge"`:     {bare, "--size", "huge"},
		"config.json2":            {bare, "--config", filepath.Join(dir, "config.json2")},
		"inspect needs MODEL":     {},
	} {
		if _, err := execute(&app{}, (*app).inspectCommand, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", args, err, want)
		}
	}
}

func TestConvertCommand(t *testing.T) {
	dir := tinyModel(t)
	archive := filepath.Join(t.TempDir(), "tiny.tar.gz")
	out, err := execute(&app{json: true}, (*app).convertCommand, dir, archive)
	if err != nil {
		t.Fatal(err)
	}
	var got conversion
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Format != "paddle-tar.gz" || got.SourceFormat != "safetensors-folder" || got.Tensors == 0 {
		t.Fatalf("%v in %q", err, out)
	}
	back := filepath.Join(t.TempDir(), "back")
	if out, err = execute(&app{}, (*app).convertCommand, archive, back); err != nil || !strings.Contains(out, "safetensors-folder") {
		t.Fatal(out, err)
	}
	a, errA := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	b, errB := os.ReadFile(filepath.Join(back, "model.safetensors"))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("there and back: %d bytes became %d (%v, %v)", len(a), len(b), errA, errB)
	}
	for want, args := range map[string][]string{
		"exists; choose a new name": {archive, back},
		"unknown format":            {"--format", "zip", archive, back + "2"},
		"add --format":              {archive, back + ".tar"},
		"convert needs SRC and DST": {archive},
		"is no checkpoint":          {filepath.Join(dir, "config.json"), back + "3"},
		"does not exist":            {back + "4", back + "5"},
	} {
		if _, err := execute(&app{}, (*app).convertCommand, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", args, err, want)
		}
	}
}

// The folder of a model of transformers becomes one of ours; its weights' file alone stays as it is.
func TestConvertHuggingFace(t *testing.T) {
	source := filepath.Join("..", "model", "testdata", "huggingface", "xlm-roberta")
	made := filepath.Join(t.TempDir(), "made")
	out, err := execute(&app{json: true}, (*app).convertCommand, source, made)
	if err != nil {
		t.Fatal(err)
	}
	var got conversion
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Format != "safetensors-folder" || len(got.LeftOut) != 1 {
		t.Fatalf("%v in %q", err, out)
	}
	for _, path := range []string{source, made} {
		out, err = execute(&app{json: true}, (*app).inspectCommand, path, "--architecture", "generation")
		if err != nil {
			t.Fatal(err)
		}
		var seen inspection
		if err := json.Unmarshal([]byte(out), &seen); err != nil {
			t.Fatal(err)
		}
		if c := seen.Comparison; c == nil || len(c.Missing)+len(c.Unknown)+len(c.Mismatched) > 0 || seen.Parameters != got.Parameters {
			t.Errorf("%s: comparison %+v", path, c)
		}
	}
	file := filepath.Join(t.TempDir(), "copy.safetensors")
	if _, err := execute(&app{}, (*app).convertCommand, filepath.Join(source, "model.safetensors"), file); err != nil {
		t.Fatal(err)
	}
	if out, err = execute(&app{}, (*app).inspectCommand, file); err != nil || !strings.Contains(out, "roberta.embeddings.word_embeddings.weight") {
		t.Errorf("%v in %s", err, out)
	}
	if _, err := execute(&app{}, (*app).convertCommand, source, made+"2", "--size", "mini"); err == nil || !strings.Contains(err.Error(), "its own config.json") {
		t.Errorf("--size: error %v", err)
	}
}
