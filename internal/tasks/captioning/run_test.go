package captioning

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/internal/train"
)

var task = Tasks[0]

func defaultsOf(t *testing.T, size string) *Settings {
	t.Helper()
	s, err := run.Defaults(task, size)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Settings)
}

// The recipe is the reference's (script/img2txt), base and large. That of mini is our own.
func TestRecipe(t *testing.T) {
	for size, want := range map[string][]any{
		"base":  {4, 20, 7e-6, "linear_warmup_decay", 0.06, 0.01, 0.1, 50, 100, 100, 5, 0.6, 5, 50, false, "villa", 4, 0.03, 0.0},
		"large": {2, 10, 7e-6, "linear_warmup_decay", 0.06, 0.01, 0.1, 50, 100, 100, 5, 0.6, 5, 50, false, "villa", 4, 0.05, 0.4},
	} {
		s := defaultsOf(t, size)
		got := []any{s.BatchSize, s.Epochs, s.LearningRate, s.LRScheduler, s.WarmupProportion, s.WeightDecay, s.LabelSmooth, s.MaxTgtLen, s.MaxObjLen, s.MaxRegions,
			s.BeamSize, s.LengthPenalty, s.MinOutLen, s.MaxOutLen, s.BlockTrigram, s.Adv, s.AdvStep, s.AdvLR, s.AdvMaxNorm}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v, want\n%v", size, got, want)
		}
	}
	if s := defaultsOf(t, "mini"); s.Adv != "" || s.Validate(func(string) bool { return false }) != nil {
		t.Errorf("mini: %+v", s)
	}
	if task.Metric != "cider-d" || task.Lower || task.Kind.Problem() != model.Captioning {
		t.Errorf("%+v", task)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"max_obj_len=-1": "max_obj_len is -1, want 0 or more", "min_crop_area=0": "min_crop_area is 0", "max_tgt_len=2": "max_tgt_len is 2", "max_regions=0": "max_regions is 0",
		"batch_size=0": "batch_size is 0", "adv_step=0": "adv_step is 0", "object_vocab=x": "object_vocab names a detector's classes, and pictures have none", "objects=x": "",
	} {
		s := defaultsOf(t, "mini")
		if err := settings.Set(s, set); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(func(string) bool { return false }); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	for want, set := range map[string][]string{"object_vocab names": {"object_vocab=x"}, "--top-k is for --sample": {"top_k=3"}, "": {"beam=2", "objects=x", "object_vocab=y"}} {
		if err := run.SetFlags(Kind{}.EvalSettings(), set); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", set, err, want)
		}
	}
	s, cfg := defaultsOf(t, "base"), model.Base
	if cfg.MaxPositions = 32; s.Validate(func(string) bool { return false }) != nil {
		t.Fatal(s.Validate(func(string) bool { return false }))
	}
	if s.Adopt(cfg); s.MaxTgtLen != 30 || s.MaxObjLen != 30 {
		t.Errorf("of a small model: %d and %d tokens", s.MaxTgtLen, s.MaxObjLen)
	}
	for set, want := range map[string]string{"max_obj_len=31": "max_obj_len is 31, but the model has positions for 30 tokens", "max_out_len=31": "max_out_len is 31"} {
		s := defaultsOf(t, "mini")
		s.MaxObjLen = 30
		if err := settings.Set(s, set); err != nil {
			t.Fatal(err)
		}
		if _, err := (Kind{}).Job(task, s, run.Env{}.Ready()).Head(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// data is a folder of four pictures with two captions each.
func data(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	table, list := "image,caption\n", ""
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"red", "green", "blue", "white"} {
		im := image.NewRGBA(image.Rect(0, 0, 16, 16))
		c := []color.RGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {255, 255, 255, 255}}[i]
		for k := range 256 {
			im.Set(k%16, k/16, c)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, im); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "images", name+".png"), b.String())
		table += fmt.Sprintf("%[1]s.png,all of it is %[1]s\n%[1]s.png,nothing but %[1]s\n", name)
		list += name + ".png\n"
	}
	for name, content := range map[string]string{"captions.csv": table, "train.txt": list, "dev.txt": list, "test.txt": list} {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func options(t *testing.T, data string, set ...string) (run.Options, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	return run.Options{
		Env: run.Env{Out: filepath.Join(t.TempDir(), "run"), Log: slog.New(slog.NewTextHandler(&log, nil))}, Task: task, Size: "mini", Data: data,
		Set: append([]string{
			"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=290", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
			"learning_rate=0.02", "log_steps=1", "eval_steps=0", "image_size=16", "patch_size=8", "batch_size=4", "epochs=30", "flip=false", "min_crop_area=1",
			"beam_size=2", "max_out_len=12", "label_smooth=0",
		}, set...),
	}, &log
}

// A model learns what is to be seen; opened again it scores as its learner did, and captions pictures one by one.
func TestLearnsAndCaptions(t *testing.T) {
	folder := data(t)
	o, log := options(t, folder)
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Metrics["cider-d"] < 2 || s.Metrics["images"] != 4 || s.Metrics["examples"] != 8 || s.Metrics["perplexity"] > 3 {
		t.Errorf("metrics %v", s.Metrics)
	}
	if !strings.Contains(log.String(), "4 of 4 dev images are in the training data too") {
		t.Errorf("log does not tell of the data: %s", log)
	}
	page := &report.Run{}
	s.Results[0].Detail.Section(page)
	if g := page.Galleries; len(g) != 1 || len(g[0].Queries) != 4 || !g[0].Unjudged || !strings.HasPrefix(g[0].Queries[1].Picture, "data:image/") || g[0].Queries[1].Found[1].Text != "nothing but green" {
		t.Errorf("galleries %+v", g)
	}
	if answers := s.Results[0].Detail.Answers(); len(answers) != 4 || answers[0].ID != "red.png" || answers[0].Gold != "all of it is red" || !strings.HasSuffix(answers[0].Predicted, " red") {
		t.Errorf("answers %+v", answers)
	}
	var submitted []struct {
		Image   string `json:"image_id"`
		Caption string
	}
	raw, err := os.ReadFile(filepath.Join(o.Out, "predictions", "test.json"))
	if err == nil {
		err = json.Unmarshal(raw, &submitted)
	}
	if err != nil || len(submitted) != 4 || submitted[3].Image != "white.png" || !strings.HasSuffix(submitted[3].Caption, " white") {
		t.Errorf("captions of test are %s, %v", raw, err)
	}

	predictions := filepath.Join(t.TempDir(), "predictions")
	evaluate := func(out string, set ...string) run.Result {
		t.Helper()
		r, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: task, Model: s.Dir.Best(), Data: folder, Predictions: out, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return r[0]
	}
	if whole := evaluate(predictions); !reflect.DeepEqual(whole.Metrics, s.Metrics) {
		t.Errorf("the opened model has %v, its run %v", whole.Metrics, s.Metrics)
	}
	for _, name := range (Kind{}).PredictionFiles("dev") {
		if raw, err := os.ReadFile(filepath.Join(predictions, name)); err != nil || !strings.Contains(string(raw), `"red.png"`) {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
	}
	if hidden := evaluate("", "pictures=hidden"); hidden.Metrics["cider-d"] >= s.Metrics["cider-d"] || len(hidden.Notes) == 0 {
		t.Errorf("without its pictures: %v, %v", hidden.Metrics, hidden.Notes)
	}

	c, err := Open(o.Out, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var images []*regions.Image
	for _, name := range []string{"green", "red"} {
		im, err := c.Picture(filepath.Join(folder, "images", name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, im)
	}
	written, err := c.Caption(t.Context(), images, Tagger{}, 0, c.Decoding, func(int, int) {})
	if err != nil || len(written) != 2 || !strings.HasSuffix(written[0].Text, " green") || !strings.HasSuffix(written[1].Text, " red") || !written[0].Finished || written[0].Score >= 0 {
		t.Errorf("%+v, %v", written, err)
	}
	sampled := c.Decoding
	sampled.Sample, sampled.Temperature = true, 3
	drawn := func(before int) string {
		w, err := c.Caption(t.Context(), images[:1], Tagger{}, before, sampled, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		return w[0].Text
	}
	if a := drawn(0); a != drawn(0) || a == drawn(7) {
		t.Error("a sample does not depend on its place alone")
	}
}

// watcher ends a run after a step.
type watcher struct {
	run.Silent
	step int
	end  func()
}

func (w watcher) Step(e train.StepEvent) {
	if e.Step == w.step {
		w.end()
	}
}

// A run that was interrupted ends in the same bits: with random crops and dropout, plain and attacked.
func TestResumes(t *testing.T) {
	folder := data(t)
	for _, set := range [][]string{{}, {"adv=villa", "adv_step=2"}} {
		set = append([]string{"epochs=3", "batch_size=3", "flip=true", "min_crop_area=0.5", "hidden_dropout_prob=0.1", "decode_examples=1"}, set...)
		weights := func(o run.Options) string {
			raw, err := os.ReadFile(filepath.Join(o.Out, "last", "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
		whole, _ := options(t, folder, set...)
		if _, err := run.Finetune(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
		parts, _ := options(t, folder, set...)
		ctx, cancel := context.WithCancel(t.Context())
		parts.Observer = watcher{step: 5, end: cancel}
		if _, err := run.Finetune(ctx, parts); !errors.Is(err, context.Canceled) {
			t.Fatalf("an interrupted run: %v", err)
		}
		parts.Observer, parts.Resume = nil, true
		if _, err := run.Finetune(t.Context(), parts); err != nil {
			t.Fatal(err)
		}
		if weights(whole) != weights(parts) {
			t.Errorf("%v: the model of a resumed run differs", set)
		}
	}
}

// encoded is base64 of float32.
func encoded(values ...float32) string {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// referenceLine is one of the reference's lines of an image of one region.
func referenceLine(number int, tokens string) string {
	list := strings.Fields(tokens)
	positions, sentences := make([]string, len(list)), make([]string, len(list))
	for i := range list {
		positions[i], sentences[i] = fmt.Sprint(i+2), "1"
	}
	return strings.Join([]string{fmt.Sprintf("coco2014_%012d", number), fmt.Sprint(number), tokens, strings.Join(sentences, " "), strings.Join(positions, " "), "", "", "",
		"10", "20", "1", encoded(0, 0, 9, 9), "", "", encoded(float32(number), 1-float32(number)), "0"}, ";")
}

// The reference's lines with its file of objects, whose names are all that tells two images apart.
func TestReferenceLines(t *testing.T) {
	texts := data(t) // for a vocabulary
	o, _ := options(t, texts, "max_steps=1")
	if _, err := run.Finetune(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c, err := Open(o.Out, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	tok := c.Folder.Tokenizer
	c.Close()
	caption := func(text string) string {
		ids := append(tok.Encode([]int32{tok.CLS()}, text), tok.SEP())
		return strings.Trim(fmt.Sprint(ids), "[]")
	}
	dir := t.TempDir()
	lines := ""
	for i, text := range []string{"all of it is red", "nothing but green"} {
		lines += referenceLine(i, caption(text)) + "\n"
	}
	file := write(t, filepath.Join(dir, "train.txt"), lines)
	write(t, filepath.Join(dir, "dev.txt"), lines)
	write(t, filepath.Join(dir, "test.txt"), referenceLine(1, "")+"\n")
	objects := write(t, filepath.Join(dir, "objects"), fmt.Sprintf("000000000000;%d 5 %d;0 0 0;2 3 4\n000000000001;%d 6;0 0;2 3\n", tok.CLS(), tok.SEP(), tok.CLS()))
	vocab := filepath.Join(o.Out, "best")
	o, _ = options(t, dir, "objects="+objects, "min_out_len=1", "epochs=40")
	o.Vocab = vocab
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Metrics["cider-d"] < 5 || s.Metrics["examples"] != 2 {
		t.Errorf("metrics %v", s.Metrics)
	}
	raw, err := os.ReadFile(filepath.Join(o.Out, "predictions", "test.json"))
	if want := `[{"image_id":1,"caption":"nothing but green"}]` + "\n"; err != nil || string(raw) != want {
		t.Errorf("captions of lines without are %s, %v", raw, err)
	}

	evaluate := func(data string, set ...string) error {
		_, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: task, Model: s.Dir.Best(), Data: data, Set: set})
		return err
	}
	other := write(t, filepath.Join(dir, "other"), "000000000000;0 9999;0 0;2 3\n")
	unknown := write(t, filepath.Join(dir, "unknown"), referenceLine(0, "0 9999 2"))
	unended := write(t, filepath.Join(dir, "unended"), referenceLine(0, "0 5"))
	classes := write(t, filepath.Join(dir, "classes"), "dog\nball\nsky\n")
	for _, bad := range []struct {
		data string
		set  []string
		want string
	}{
		{file, []string{"objects=" + other}, "other:1: token 9999 is not in the model's vocabulary"},
		{file, []string{"objects=" + filepath.Join(dir, "none")}, "none"},
		{file, []string{"features=x"}, "has the features of its images in it"},
		{filepath.Join(dir, "test.txt"), nil, "has no captions to score by"},
		{unknown, nil, "unknown:1: token 9999 is not in the model's vocabulary"},
		{unended, nil, "do not run from [CLS]"},
		{filepath.Join(texts, "dev.txt"), nil, "region features from elsewhere"},
		{filepath.Join(texts, "dev.txt"), []string{"object_vocab=" + classes, "features=" + features(t)}, "its regions have probabilities of 2 classes, but"},
	} {
		if err := evaluate(bad.data, bad.set...); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s %v: %v, want %q", bad.data, bad.set, err, bad.want)
		}
	}
	// Regions beyond max_regions are cut, as training did it unless a flag says otherwise.
	two := strings.NewReplacer(";1;"+encoded(0, 0, 9, 9), ";2;"+encoded(0, 0, 9, 9, 0, 0, 9, 9), encoded(0, 1), encoded(0, 1, 5, 5), encoded(1, 0), encoded(1, 0, -5, 9)).Replace(lines)
	write(t, filepath.Join(dir, "train.txt"), two)
	write(t, filepath.Join(dir, "dev.txt"), two)
	o, log := options(t, dir, "max_regions=1", "max_steps=2", "min_out_len=1")
	o.Vocab = vocab
	if s, err = run.Finetune(t.Context(), o); err != nil || !strings.Contains(log.String(), "2 images with more than 1 region") {
		t.Fatalf("%v, log %s", err, log)
	}
	for flag, same := range map[string]bool{"max_regions=0": true, "max_regions=2": false} {
		r, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: task, Model: s.Dir.Best(), Data: dir, Set: []string{flag}})
		if err != nil || (r[0].Metrics["loss"] == s.Metrics["loss"]) != same || strings.Contains(strings.Join(r[0].Notes, " "), "more than 1 region") != same {
			t.Errorf("%s: %+v, %v, the run has %v", flag, r, err, s.Metrics)
		}
	}

	mixed, _ := options(t, file)
	mixed.Vocab, mixed.Dev = vocab, filepath.Join(texts, "dev.txt")
	if _, err := run.Finetune(t.Context(), mixed); err == nil || !strings.Contains(err.Error(), "give two of a kind") {
		t.Errorf("lines and a list of images: %v", err)
	}
}

// features are region features of the pictures of data, with probabilities of two classes.
func features(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "features.tsv")
	err := regions.WriteReference(file, 2, func(yield func(*regions.Image, error) bool) {
		for i, id := range []string{"red", "green", "blue", "white"} {
			p := float32(i%2)*0.8 + 0.1
			if !yield(&regions.Image{ID: id, Width: 8, Height: 6, Boxes: []float32{0, 0, 8, 6}, Features: []float32{float32(i), 1}, Classes: []float32{p, 1 - p}}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// A detector's classes are objects as well as a file's.
func TestDetectedObjects(t *testing.T) {
	folder, from := data(t), features(t)
	classes := write(t, filepath.Join(t.TempDir(), "classes"), "dog\nball\n")
	o, _ := options(t, folder, "features="+from, "object_vocab="+classes, "max_steps=2")
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	scored := func(set ...string) float64 {
		t.Helper()
		r, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: task, Model: s.Dir.Best(), Data: folder, Set: append(set, "features="+from)})
		if err != nil {
			t.Fatal(err)
		}
		return float64(r[0].Metrics["loss"])
	}
	table := write(t, filepath.Join(t.TempDir(), "objects.csv"), "image,objects\nred.png,ball\ngreen.png,dog\nblue.png,ball\nwhite.png,dog\n")
	if a, b, none := scored("object_vocab="+classes), scored("objects="+table), scored(); a != b || a == none {
		t.Errorf("loss %v with detected objects, %v with the same of a file, %v without", a, b, none)
	}
}
