package retrieve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/internal/train"
)

// Flickr30k has the reference's recipe (script/retrieval/Flickr30k): 4 groups of 21 pairs a batch, 2 for large.
func TestRecipe(t *testing.T) {
	for _, size := range []string{"base", "large", "mini"} {
		for _, task := range Tasks {
			s := defaultsOf(t, task, size)
			got := []any{s.Epochs, s.BatchSize, s.LearningRate, s.LRScheduler, s.WarmupProportion, s.WeightDecay, s.MaxSeqLen, s.MaxRegions, s.Negatives, s.Margin, s.ScaleCircle, s.UseSigmoid,
				s.Temperature, s.ContrastSize, s.ContrastWeight, s.ContrastEpochs, s.ContrastBatchSize, s.HardNegatives, s.MinCropArea, s.Flip, s.EvalImages, s.EvalCandidates, s.ImageSize, s.PatchSize}
			want := []any{40, 4, 5e-6, "scale_by_epoch_decay", 0.0, 0.1, 50, 100, 20, 0.2, 1.0, false, 0.07, 0, 0.0, 0, 64, false, 1.0, false, 100, 0, 160, 16}
			switch size {
			case "large":
				want[1] = 2
			case "mini":
				want = []any{12, 32, 1e-3, "linear_warmup_decay", 0.06, 0.05, 50, 100, 4, 0.2, 1.0, false, 0.07, 128, 1.0, -1, 64, true, 0.5, true, 500, 20, 96, 16}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s:\n%v, want\n%v", task.Name, size, got, want)
			}
			if task.Metric != "recall@1" || task.Lower || task.Command != "finetune" || task.Kind.Problem() != model.Retrieval {
				t.Errorf("%+v", task)
			}
		}
	}
}

func defaultsOf(t *testing.T, task *run.Task, size string) *Settings {
	t.Helper()
	s, err := run.Defaults(task, size)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Settings)
}

func TestSettingsAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"max_seq_len=2": "max_seq_len is 2", "negatives=1": "negatives is 1, want 2 or more", "margin=1.1": "margin is 1.1", "scale_circle=0": "scale_circle is 0",
		"contrast_size=-1": "contrast_size is -1", "contrast_weight=-1": "contrast_weight is -1", "temperature=0": "temperature is 0",
		"contrast_epochs=13": "contrast_epochs is 13, want 0 to epochs", "contrast_batch_size=0": "contrast_batch_size is 0", "min_crop_area=0": "min_crop_area is 0",
		"eval_images=-1": "eval_images is -1", "eval_candidates=-1": "eval_candidates is -1", "max_regions=0": "max_regions is 0", "epochs=0": "epochs is 0",
		"contrast_size=0": "contrast_size is 0: contrast_epochs", "negatives=2": "",
	} {
		s := defaultsOf(t, Tasks[0], "mini")
		if err := settings.Set(s, set); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(func(string) bool { return false }); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	for epochs, want := range map[string]int{"epochs=1": 0, "epochs=2": 1, "epochs=4": 3, "epochs=12": 11, "epochs=40": 36} {
		s := defaultsOf(t, Tasks[0], "mini")
		if err := settings.Set(s, epochs); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(func(string) bool { return false }); err != nil || s.ContrastEpochs != want {
			t.Errorf("%s: contrast_epochs is %d, want %d (%v)", epochs, s.ContrastEpochs, want, err)
		}
	}
	for want, set := range map[string][]string{"from 0 on": {"first=-1"}, "--compare is for --two-stage": {"compare=2"}, "leave out --two-stage": {"two_stage=2", "scores=x"}, "": {"two_stage=2", "compare=2"}} {
		if err := run.SetFlags(new(EvalSettings), set); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", set, err, want)
		}
	}
	s, cfg := defaultsOf(t, Tasks[0], "base"), model.Base
	cfg.MaxPositions, cfg.ContrastSize = 32, 7
	if s.Adopt(cfg); s.MaxSeqLen != cfg.MaxTokens() || s.ContrastSize != 7 {
		t.Errorf("of a small model: %d tokens, vectors of %d", s.MaxSeqLen, s.ContrastSize)
	}
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
		table += fmt.Sprintf("%[1]s.png,the %[1]s one on the left\n%[1]s.png,%[1]s\n", name)
		list += name + ".png\n"
	}
	for name, content := range map[string]string{"captions.csv": table, "train.txt": list, "dev.txt": list} {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func finetune(t *testing.T, data string, set ...string) (*run.Summary, string, error) {
	t.Helper()
	var log bytes.Buffer
	s, err := run.Finetune(t.Context(), run.Options{
		Env: run.Env{Out: filepath.Join(t.TempDir(), "run"), Log: slog.New(slog.NewTextHandler(&log, nil))}, Task: Tasks[1], Size: "mini", Data: data,
		Set: append([]string{
			"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=280", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
			"learning_rate=0.01", "log_steps=1", "eval_steps=0", "image_size=16", "patch_size=8", "contrast_size=8", "batch_size=4", "contrast_batch_size=4",
			"negatives=2", "epochs=12", "contrast_epochs=4", "eval_candidates=2",
		}, set...),
	})
	return s, log.String(), err
}

// A model learns the pairs, first by vectors; opened again it scores as its learner did, in all its ways.
func TestLearnsAndFinds(t *testing.T) {
	folder := data(t)
	s, log, err := finetune(t, folder, "eval_candidates=0")
	if err != nil {
		t.Fatal(err)
	}
	h, err := train.ReadHistory(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	first, last := h.Steps[0], h.Steps[len(h.Steps)-1]
	if first.Parts["circle"] != 0 || last.Parts["circle"] == 0 || last.Parts["contrast"] >= first.Parts["contrast"] {
		t.Errorf("losses begin with %v and end with %v", first.Parts, last.Parts)
	}
	if s.Metrics["recall@1"] <= 0.25 || s.Metrics["images"] != 4 || s.Metrics["examples"] != 8 {
		t.Errorf("metrics %v", s.Metrics)
	}
	if !strings.Contains(log, "4 images with 8 captions to train on") && !strings.Contains(log, "4 of 4") {
		t.Errorf("log does not tell of the data: %s", log)
	}
	page := &report.Run{}
	s.Results[0].Detail.Section(page)
	if len(page.Galleries) != 2 || len(page.Galleries[0].Queries) != 8 || len(page.Galleries[1].Queries) != 4 || !strings.HasPrefix(page.Galleries[1].Queries[0].Picture, "data:image/") || page.Galleries[0].Queries[0].Text != "the red one on the left" {
		t.Errorf("galleries %+v", page.Galleries)
	}

	predictions := filepath.Join(t.TempDir(), "predictions")
	scores := filepath.Join(t.TempDir(), "scores")
	evaluate := func(out string, set ...string) run.Result {
		t.Helper()
		r, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: Tasks[1], Model: s.Dir.Best(), Data: folder, Predictions: out, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return r[0]
	}
	whole := evaluate(predictions)
	if !reflect.DeepEqual(whole.Metrics, s.Metrics) {
		t.Errorf("the opened model has %v, its run %v", whole.Metrics, s.Metrics)
	}
	for range 2 { // the second time from the folder
		if kept := evaluate("", "scores="+scores); !reflect.DeepEqual(kept.Metrics, s.Metrics) {
			t.Errorf("with scores that are kept: %v", kept.Metrics)
		}
	}
	two := evaluate("", "two_stage=4", "compare=2")
	for _, key := range []string{"image_recall@1", "text_recall@10"} {
		if lost := two.Metrics["compared_exhaustive_"+key] - two.Metrics["compared_two_stage_"+key]; two.Metrics["compared_lost_"+key] != lost {
			t.Errorf("%s: lost is %v, want %v", key, two.Metrics["compared_lost_"+key], lost)
		}
	}
	page = &report.Run{}
	two.Detail.Section(page)
	if len(page.Tables) != 1 || len(page.Tables[0].Rows) != 6 || two.Metrics["compared_images"] != 2 {
		t.Errorf("compared: %+v", page.Tables)
	}
	if part := evaluate("", "first=2"); part.Metrics["images"] != 2 || len(part.Notes) == 0 || !strings.Contains(part.Notes[0], "first 2 of 4") {
		t.Errorf("of two pictures: %v, %q", part.Metrics, part.Notes)
	}
	checkPredictions(t, predictions, whole)

	r, err := Open(s.Dir.Best(), run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pictures := filepath.Join(folder, "images")
	im, err := r.Picture(filepath.Join(pictures, "red.png"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(pictures, "red.png"))
	if err != nil {
		t.Fatal(err)
	}
	if same, err := r.Decode(t.Context(), raw); err != nil || !slices.Equal(same.Features, im.Features) {
		t.Errorf("a picture's content is read otherwise: %v", err)
	}
	matched, err := r.Match(t.Context(), im, []string{"red", "blue"}, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	d := whole.Detail.(*detail)
	for _, hit := range d.outcome.Texts[slices.Index(d.set.Images.IDs, "red.png")] {
		for i, text := range []string{"red", "blue"} {
			if diff := matched[i].Score - hit.Score; d.texts[hit.Number] == text && (diff > 1e-5 || diff < -1e-5) {
				t.Errorf("%q matches by %v, when ranked by %v", text, matched[i].Score, hit.Score)
			}
		}
	}
	index := filepath.Join(t.TempDir(), "index")
	info, err := r.Index(t.Context(), pictures, index, IndexOptions{Tick: func(string, int, int) {}})
	if err != nil || info.Images != 4 || info.Computed != 4 {
		t.Fatalf("%+v, %v", info, err)
	}
	if dir, err := IndexModel(index); err != nil || filepath.Base(dir) != "best" && filepath.Base(dir) != filepath.Base(s.Dir.Best()) {
		t.Errorf("the index is of model %q, %v", dir, err)
	}
	search, err := r.OpenIndex(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	defer search.Close()
	found, err := search.Text(t.Context(), "red", 4, 4)
	if err != nil || len(found) != 4 {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, f := range found {
		if diff := f.Match - matched[0].Score; f.ID == "red.png" && (!f.Ranked || diff > 1e-5 || diff < -1e-5) {
			t.Errorf("found with %+v, matched by %v", f, matched[0].Score)
		}
	}
	if like, err := search.Image(t.Context(), im, 1); err != nil || like[0].ID != "red.png" || search.Path("red.png") != filepath.Join(pictures, "red.png") {
		t.Errorf("most like itself is %+v, %v", like, err)
	}
	if !strings.HasPrefix(r.Thumbnail(filepath.Join(pictures, "red.png"), 8), "data:image/") || r.Thumbnail(filepath.Join(folder, "dev.txt"), 8) != "" {
		t.Error("thumbnails")
	}
	if _, err := r.Index(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "index"), IndexOptions{}); err == nil || !strings.Contains(err.Error(), "has no pictures") {
		t.Errorf("an empty folder: %v", err)
	}
}

// checkPredictions compares the files of predictions with what was found.
func checkPredictions(t *testing.T, dir string, r run.Result) {
	t.Helper()
	d := r.Detail.(*detail)
	answers := d.Answers()
	lines := 0
	for _, name := range (Kind{}).PredictionFiles("dev") {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			var got struct {
				Text, Image string
				Found       []struct{ Text, Image string }
			}
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			a := answers[lines]
			predicted := got.Found[0].Image
			if got.Text == "" {
				predicted = got.Found[0].Text
			}
			if right := got.Found[0].Image == got.Image; predicted != a.Predicted || a.Value != run.Right(right) {
				t.Errorf("%s: found is %q, the answer %+v", name, predicted, a)
			}
			lines++
		}
	}
	if lines != 12 || len(answers) != 12 {
		t.Errorf("%d lines, %d answers", lines, len(answers))
	}
}

// The reference's way: random groups, no vectors; a model without vectors cannot index.
func TestWithoutVectors(t *testing.T) {
	folder := data(t)
	s, _, err := finetune(t, folder, "contrast_size=0", "contrast_weight=0", "contrast_epochs=0", "hard_negatives=false", "eval_candidates=0", "epochs=6", "flip=false", "min_crop_area=1")
	if err != nil {
		t.Fatal(err)
	}
	h, err := train.ReadHistory(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := h.Steps[0].Loss, h.Steps[len(h.Steps)-1].Loss; last >= first {
		t.Errorf("the loss begins with %v and ends with %v", first, last)
	}
	r, err := Open(s.Dir.Best(), run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Index(t.Context(), folder, filepath.Join(t.TempDir(), "i"), IndexOptions{}); err == nil || !strings.Contains(err.Error(), "has no vectors to search by") {
		t.Errorf("an index: %v", err)
	}
}

func TestBadData(t *testing.T) {
	for _, c := range []struct{ name, file, content, set, err string }{
		{"an empty list", "train.txt", "", "", "train.txt"},
		{"one image", "train.txt", "red.png\n", "", "another image"},
		{"no such image", "dev.txt", "yellow.png\n", "", "yellow.png"},
		{"patches", "", "", "patch_size=7", "patch_size 7"},
	} {
		folder := data(t)
		if c.file != "" {
			write(t, filepath.Join(folder, c.file), c.content)
		}
		if _, _, err := finetune(t, folder, append([]string{"epochs=4"}, strings.Fields(c.set)...)...); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

func TestCheckAndPrepare(t *testing.T) {
	folder, out := data(t), filepath.Join(t.TempDir(), "out")
	write(t, filepath.Join(folder, "images", "blue.png"), "no picture")
	env := run.Env{}.Ready()
	checked, err := Kind{}.Check(t.Context(), Tasks[1], folder, Kind{}.CheckSettings(), env)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	checked.Print(&b, env.Log)
	for _, want := range []string{"4 images, 8 captions", "1 pictures cannot be read", "of 1 to 6 words"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("check lacks %q: %s", want, &b)
		}
	}
	if checked.NumProblems() == 0 {
		t.Error("no problems")
	}
	prepared, err := Kind{}.Prepare(t.Context(), Tasks[1], folder, out, Kind{}.PrepareSettings(), env)
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	prepared.Print(&b, env.Log)
	if !strings.Contains(b.String(), filepath.Join(out, "train.txt")+": 4 images, 8 captions") || !strings.Contains(b.String(), "4 pictures") {
		t.Errorf("prepared: %s", &b)
	}
	if err := run.SetFlags(Kind{}.CheckSettings(), []string{"max_pixels=0"}); err == nil {
		t.Error("pictures of no pixels")
	}
}

func TestHowMetricsAreShown(t *testing.T) {
	group := "two stages against scoring every pair"
	for metric, want := range map[string]run.Metric{
		"recall@1": run.Share, "compared_images": {Count: true, Order: -1, Group: group}, "compared_lost_image_recall@1": {Low: 0, High: 1, Group: group}, "images": {Count: true, Order: run.PlaceCount},
	} {
		if got := (Kind{}).Describe(metric); got != want {
			t.Errorf("%s: %+v, want %+v", metric, got, want)
		}
	}
}
