package unimo_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

var update = flag.Bool("update", false, "write the models of testdata again")

// The models of testdata are learnt by heart from a few lines, so that examples can show what they answer. They know
// nothing else.
//
//	testdata/films       labelled texts, and the model films.model
//	testdata/headlines   texts with headlines, and the model headlines.model
//	testdata/shapes      pictures with captions, the model shapes.model that finds them, and captions.model that writes them
//	testdata/claims      texts about the pictures of shapes, and the model claims.model
//	testdata/questions   questions about these pictures, and the model questions.model
var tinyTasks = []struct {
	name, task string
	data       string // "": the name
	settings   unimo.Settings
}{
	{"films", "classify", "", unimo.Settings{"epochs": 60, "max_seq_len": 64}},
	{"headlines", "gigaword", "", unimo.Settings{"epochs": 500, "max_src_len": 80, "max_out_len": 32, "min_out_len": 1, "label_smooth": 0}},
	{"shapes", "flickr8k", "", unimo.Settings{"epochs": 300, "contrast_epochs": 100, "contrast_size": 8, "image_size": 16, "patch_size": 8, "max_seq_len": 20}},
	{"claims", "snli-ve", "", unimo.Settings{
		"epochs": 100, "hidden_size": 16, "learning_rate": 1e-3, "image_size": 16, "patch_size": 8, "max_seq_len": 20, "flip": false, "min_crop_area": 1, "images_dir": filepath.Join("testdata", "shapes", "images"),
	}},
	{"questions", "vqa", "", unimo.Settings{"epochs": 300, "hidden_size": 16, "image_size": 16, "patch_size": 8, "max_seq_len": 40, "images_dir": filepath.Join("testdata", "shapes", "images")}},
	{"captions", "coco-caption", "shapes", unimo.Settings{"epochs": 300, "image_size": 16, "patch_size": 8, "flip": false, "min_crop_area": 1, "max_tgt_len": 20, "min_out_len": 1, "max_out_len": 20, "label_smooth": 0}},
}

// tinySettings are those of all the models. The only evaluation is that at the end: the last model is the best.
var tinySettings = unimo.Settings{
	"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 264, "initializer_range": 0.2,
	"batch_size": 4, "learning_rate": 1e-2, "weight_decay": 0, "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0, "eval_steps": 100_000,
}

// tinyFiles are the files of a model that belong into testdata.
func tinyFiles(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".py") || e.Name() == "README.md" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	return files, err
}

// The models in testdata are those that this code makes: all their files are the same but for the values of the weights,
// because training ends in other bits on another instruction set. The examples hold what the kept ones answer.
func TestTinyModels(t *testing.T) {
	for _, tiny := range tinyTasks {
		settings := unimo.Settings{}
		for _, some := range []unimo.Settings{tinySettings, tiny.settings} {
			for key, value := range some {
				settings[key] = value
			}
		}
		run, err := unimo.Finetune(t.Context(), unimo.FinetuneOptions{
			Task: tiny.task, Data: filepath.Join("testdata", cmp.Or(tiny.data, tiny.name)), Out: filepath.Join(t.TempDir(), "run"),
			TrainOptions: unimo.TrainOptions{Settings: settings},
		})
		if err != nil {
			t.Fatal(err)
		}
		made, err := tinyFiles(run.Best)
		if err != nil {
			t.Fatal(err)
		}
		kept := filepath.Join("testdata", tiny.name+".model")
		if *update {
			if err := os.RemoveAll(kept); err != nil {
				t.Fatal(err)
			}
			for name, content := range made {
				path := filepath.Join(kept, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, content, 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		old, err := tinyFiles(kept)
		if err != nil {
			t.Fatal(err)
		}
		if len(old) != len(made) {
			t.Errorf("%s has %d files, the code makes %d", kept, len(old), len(made))
		}
		for name, content := range made {
			if strings.HasSuffix(name, ".safetensors") {
				if len(content) != len(old[name]) {
					t.Errorf("%s/%s has %d bytes, the code makes %d; go test -run TinyModels -update . writes it again", kept, name, len(old[name]), len(content))
				}
			} else if !bytes.Equal(content, old[name]) {
				t.Errorf("%s/%s is not what the code makes; go test -run TinyModels -update . writes it again", kept, name)
			}
		}
	}
}

// The pictures in testdata are those that this code draws.
func TestTinyPictures(t *testing.T) {
	for name, picture := range shapes() {
		path := filepath.Join("testdata", "shapes", "images", name)
		if *update {
			if err := os.WriteFile(path, picture, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, picture) {
			t.Errorf("%s is not what the code draws (%v)", path, err)
		}
	}
}

// shapes draws a square and a bar of each colour.
func shapes() map[string][]byte {
	files := map[string][]byte{}
	for name, c := range map[string]color.RGBA{"red": {220, 30, 30, 255}, "green": {30, 180, 30, 255}, "blue": {30, 30, 220, 255}} {
		for shape, where := range map[string]image.Rectangle{"square": image.Rect(3, 3, 13, 13), "bar": image.Rect(0, 6, 16, 10)} {
			im := image.NewRGBA(image.Rect(0, 0, 16, 16))
			draw.Draw(im, im.Bounds(), image.White, image.Point{}, draw.Src)
			draw.Draw(im, where, image.NewUniform(c), image.Point{}, draw.Src)
			var b bytes.Buffer
			if err := png.Encode(&b, im); err != nil {
				panic(err) // into memory
			}
			files[fmt.Sprintf("%s-%s.png", name, shape)] = b.Bytes()
		}
	}
	return files
}
