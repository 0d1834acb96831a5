package entail

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
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/internal/train"
)

// SNLI-VE has the reference's recipe (script/visual_entailment/SNLI-VE).
func TestRecipe(t *testing.T) {
	for _, size := range []string{"base", "large", "mini"} {
		s := defaultsOf(t, size)
		got := []any{s.Epochs, s.BatchSize, s.LearningRate, s.LRScheduler, s.WarmupProportion, s.WeightDecay, s.Beta2, s.MaxSeqLen, s.MaxRegions, s.Adv, s.AdvStep, s.AdvLR, s.AdvMaxNorm, s.AdvInitMag, s.MinCropArea, s.Flip}
		want := []any{10, 12, 1e-5, "linear_warmup_decay", 0.06, 0.0, 0.999, 512, 100, "villa", 4, 0.05, 0.4, 0.4, 1.0, false}
		switch size {
		case "large":
			want[1] = 4
		case "mini":
			want = []any{s.Epochs, s.BatchSize, s.LearningRate, "linear_warmup_decay", 0.06, s.WeightDecay, 0.999, 50, 100, "", 4, 0.05, 0.4, 0.4, 0.5, true}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v, want\n%v", size, got, want)
		}
	}
}

func defaultsOf(t *testing.T, size string) *Settings {
	t.Helper()
	s, err := run.Defaults(Tasks[0], size)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Settings)
}

func TestSettingsAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"max_seq_len=2": "max_seq_len is 2", "min_crop_area=0": "min_crop_area is 0", "max_regions=0": "max_regions is 0", "epochs=0": "epochs is 0",
		"labels=entailment,neutral": "labels is entailment,neutral, want entailment,neutral,contradiction in some order", "labels=neutral, contradiction, entailment": "",
		"pictures=upside": `unknown pictures "upside"`, "columns=x": "is not of the form ROLE=NAME", "adv=villas": `unknown adv "villas"`,
	} {
		s := defaultsOf(t, "mini")
		if err := settings.Set(s, set); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(func(string) bool { return false }); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	for set, want := range map[string]string{"pictures=x": `unknown --pictures "x"`, "columns=x": "is not of the form", "images_dir=a": ""} {
		if err := run.SetFlags(new(EvalSettings), []string{set}); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	s, cfg := defaultsOf(t, "base"), model.Base
	cfg.MaxPositions = 32
	if s.Adopt(cfg); s.MaxSeqLen != cfg.MaxTokens() {
		t.Errorf("of a small model: %d tokens", s.MaxSeqLen)
	}
}

var colours = []string{"red", "green", "blue", "white"}

// data is a folder of four pictures. What follows from one is for the picture alone to say.
func data(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	table := "pairID,image,hypothesis,label\n"
	for i, name := range colours {
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
		for k, text := range []string{"It is warm.", "It is cheap.", "It is here."} {
			table += fmt.Sprintf("%s-%d,%[1]s.png,%[3]s,%[4]s\n", name, k, text, []string{"entailment", "neutral", "contradiction", "entailment"}[i])
		}
	}
	write(t, filepath.Join(dir, "train.csv"), table)
	write(t, filepath.Join(dir, "dev.csv"), table)
	write(t, filepath.Join(dir, "unlabelled.csv"), "image,hypothesis\nred.png,It is warm.\nblue.png,It is cheap.\n")
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func options(t *testing.T, data string, log *bytes.Buffer, set ...string) run.Options {
	return run.Options{
		Env: run.Env{Out: filepath.Join(t.TempDir(), "run"), Log: slog.New(slog.NewTextHandler(log, nil))}, Task: Tasks[0], Size: "mini", Data: data,
		Set: append([]string{
			"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=280", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
			"learning_rate=0.01", "log_steps=1", "image_size=16", "patch_size=8", "batch_size=4", "epochs=2", "flip=false", "min_crop_area=1",
		}, set...),
	}
}

func finetune(t *testing.T, data string, set ...string) (*run.Summary, string) {
	t.Helper()
	var log bytes.Buffer
	s, err := run.Finetune(t.Context(), options(t, data, &log, set...))
	if err != nil {
		t.Fatal(err)
	}
	return s, log.String()
}

// A model learns what it is shown; opened again it scores as its learner did, and answers.
func TestLearnsAndAnswers(t *testing.T) {
	folder := data(t)
	s, log := finetune(t, folder, "epochs=20", "eval_steps=60")
	if s.Metrics["accuracy"] < 0.9 || s.Metrics["examples"] != 12 || s.Metrics["accuracy_neutral"] != 1 {
		t.Errorf("metrics are %v", s.Metrics)
	}
	for _, want := range []string{"12 training examples: entailment: 6 (50.0 %), neutral: 3", "4 of 4 dev images are in the training data too"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	predictions := filepath.Join(t.TempDir(), "predictions")
	evaluate := func(out string, set ...string) run.Result {
		t.Helper()
		r, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: Tasks[0], Model: s.Dir.Best(), Data: folder, Predictions: out, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return r[0]
	}
	whole := evaluate(predictions)
	if !reflect.DeepEqual(whole.Metrics, s.Metrics) {
		t.Errorf("the opened model has %v, its run %v", whole.Metrics, s.Metrics)
	}
	checkPredictions(t, predictions, whole)
	if hidden := evaluate("", "pictures=hidden"); hidden.Metrics["accuracy"] >= s.Metrics["accuracy"] || !strings.Contains(hidden.Notes[0], "hidden") {
		t.Errorf("without pictures: %v, %q", hidden.Metrics, hidden.Notes)
	}

	p, err := Open(s.Dir.Best(), run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	im, err := p.Picture(filepath.Join(folder, "images", "red.png"))
	if err != nil {
		t.Fatal(err)
	}
	replies, err := p.Reply(t.Context(), []*regions.Image{im}, []string{"It is warm.", "It is here."}, func(int, int) {})
	if err != nil || replies[0].Label != "entailment" || replies[1].Label != "entailment" || replies[0].Probability != replies[0].Probabilities[0] {
		t.Errorf("%+v, %v", replies, err)
	}
	if _, err := p.Reply(t.Context(), nil, []string{"It is red."}, func(int, int) {}); !errors.Is(err, pairs.ErrNoPicture) {
		t.Errorf("without a picture: %v", err)
	}

	into := filepath.Join(t.TempDir(), "answers")
	done, err := run.PredictFile(t.Context(), run.PredictOptions{Task: Tasks[0], Model: s.Dir.Best(), Data: filepath.Join(folder, "unlabelled.csv"), Into: into})
	if err != nil || done.Examples != 2 || len(done.Files) != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	raw, err := os.ReadFile(done.Files[0])
	if err != nil || !strings.HasPrefix(string(raw), `{"image":"red.png","text":"It is warm.","predicted":"entailment","probabilities":{`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func checkPredictions(t *testing.T, dir string, r run.Result) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "dev.trainers_1.part_0.npy"))
	if err != nil {
		t.Fatal(err)
	}
	header, rows := raw[:128], raw[128:]
	if !strings.HasPrefix(string(header), "\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': (12, 2), }") || header[127] != '\n' || len(rows) != 12*2*8 {
		t.Errorf("the array begins with %q and has %d bytes", header, len(rows))
	}
	lines, err := os.ReadFile(filepath.Join(dir, "dev.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	right, i := 0, 0
	for line := range strings.Lines(string(lines)) {
		var p predicted
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, x := range p.Probabilities {
			sum += x
		}
		if math.Abs(sum-1) > 1e-9 || p.ID == "" || p.Label == "" || p.Image == "" {
			t.Errorf("%+v", p)
		}
		if binary.LittleEndian.Uint64(rows[16*i:]) == binary.LittleEndian.Uint64(rows[16*i+8:]) != (p.Label == p.Predicted) {
			t.Errorf("line %d and the array differ", i)
		}
		if p.Label == p.Predicted {
			right++
		}
		i++
	}
	if float64(right)/12 != float64(r.Metrics["accuracy"]) {
		t.Errorf("%d of 12 are right, the accuracy is %v", right, r.Metrics["accuracy"])
	}
}

// The report shows mistakes with their pictures, and what was taken for what.
func TestReport(t *testing.T) {
	s, _ := finetune(t, data(t), "max_steps=1", "learning_rate=1e-9", "pictures=shuffled")
	page := &report.Run{}
	d := s.Results[0].Detail
	d.Section(page)
	g := page.Galleries[0]
	if len(page.Confusion.Counts) != 3 || len(page.Tables) != 1 || !strings.HasPrefix(g.Queries[0].Picture, "data:image/") || len(g.Queries[0].Found) != 3 || !strings.Contains(g.Note, "among 12 examples") {
		t.Errorf("%+v", page)
	}
	if notes := s.Results[0].Notes; !strings.Contains(notes[0], "pictures: shuffled") {
		t.Errorf("notes are %q", notes)
	}
	if got := d.(run.Commenter).Comment("accuracy", "on dev"); !strings.Contains(got, "always entailment: 0.5000") {
		t.Error(got)
	}
	card, err := os.ReadFile(filepath.Join(s.Dir.Best(), "README.md"))
	if err != nil || !strings.Contains(string(card), "pictures: shuffled") {
		t.Errorf("the card does not say it: %s, %v", card, err)
	}
}

// stopper ends a run after some steps.
type stopper struct {
	run.Silent
	after int
	stop  func()
}

func (s *stopper) Step(train.StepEvent) {
	if s.after--; s.after == 0 {
		s.stop()
	}
}

// A run that was stopped ends in the same weights, attacked or not, changed pictures or not.
func TestResume(t *testing.T) {
	folder := data(t)
	for _, set := range [][]string{{"flip=true", "min_crop_area=0.5", "hidden_dropout_prob=0.1"}, {"adv=villa", "adv_step=2"}} {
		var log bytes.Buffer
		weights := func(o run.Options) string {
			raw, err := os.ReadFile(filepath.Join(o.Out, "last", "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
		whole := options(t, folder, &log, set...)
		if _, err := run.Finetune(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
		parts := options(t, folder, &log, append(set, "snapshot_steps=1")...)
		ctx, stop := context.WithCancel(t.Context())
		parts.Observer = &stopper{after: 3, stop: stop}
		if _, err := run.Finetune(ctx, parts); !errors.Is(err, context.Canceled) {
			t.Fatalf("a run that was stopped: %v", err)
		}
		parts.Observer, parts.Resume = nil, true
		if s, err := run.Finetune(t.Context(), parts); err != nil || !s.Resumed {
			t.Fatal(err)
		}
		if weights(whole) != weights(parts) {
			t.Errorf("%v: other weights", set)
		}
	}
}

// The reference's lines have their images in them.
func TestReferenceLines(t *testing.T) {
	dir := t.TempDir()
	floats := func(values ...float32) string {
		raw, err := binary.Append(nil, binary.LittleEndian, values)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	line := func(i, token int, feature float32) string {
		return fmt.Sprintf("%d;d%d;%d;0 %d 2;0 0 0;2 3 4;x;4;4;1;%s;%s;p;a\n", i, i, i%3, token, floats(0, 0, 4, 4), floats(feature, 1, 2))
	}
	lines := line(0, 10, 0) + line(1, 11, 1) + line(2, 12, 2) + line(3, 13, 3)
	write(t, filepath.Join(dir, "train.txt"), lines)
	write(t, filepath.Join(dir, "dev_filelist"), "train.txt\n")
	var log bytes.Buffer
	o := options(t, dir, &log)
	o.Vocab = vocabulary(t)
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	log.Reset()
	if s.Metrics["examples"] != 4 {
		t.Errorf("metrics are %v", s.Metrics)
	}
	r, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: Tasks[0], Model: s.Dir.Best(), Data: dir})
	if err != nil || !reflect.DeepEqual(r[0].Metrics, s.Metrics) {
		t.Errorf("%+v, %v", r, err)
	}

	bad := filepath.Join(dir, "bad.txt")
	for _, c := range []struct {
		content, want string
		set           []string
	}{
		{lines + line(9, 280, 9), "bad.txt:5: token 280 is not in the model's vocabulary of", nil},
		{lines + line(3, 14, 9), `bad.txt:5: has other features, boxes or sizes for image "3" than line 4 of `, nil},
		{lines, "bad.txt has the features of its images in it; leave out the others, F", []string{"features=F"}},
	} {
		write(t, bad, c.content)
		_, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: Tasks[0], Model: s.Dir.Best(), Data: bad, Set: c.set})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("scored: %v, want %q", err, c.want)
		}
		o := options(t, filepath.Join(dir, "train.txt"), &log, append(c.set, "max_steps=1")...)
		o.Vocab, o.Dev = s.Dir.Best(), bad
		if _, err := run.Finetune(t.Context(), o); err == nil || c.set == nil && !strings.Contains(err.Error(), c.want) || strings.Contains(log.String(), "step 1") {
			t.Errorf("trained: %v, want %q before the first step\n%s", err, c.want, &log)
		}
	}
	log.Reset()
	write(t, filepath.Join(dir, "train_filelist"), "train.txt\ntrain.txt\n")
	o = options(t, filepath.Join(dir, "train_filelist"), &log, "max_steps=1")
	o.Vocab, o.Dev = s.Dir.Best(), filepath.Join(dir, "train.txt")
	if _, err := run.Finetune(t.Context(), o); err != nil || !strings.Contains(log.String(), "4 examples have an id that is there before") {
		t.Errorf("ids twice: %v\n%s", err, &log)
	}
	write(t, filepath.Join(dir, "train.txt"), strings.Replace(lines, "0 13 2", "0 14 2", 1))
	o.Resume = true
	if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), "images") {
		t.Errorf("resumed with another part: %v", err)
	}
}

// vocabulary is the folder of a model with one.
func vocabulary(t *testing.T) string {
	s, _ := finetune(t, data(t), "max_steps=1")
	return s.Dir.Best()
}

func TestErrors(t *testing.T) {
	folder := data(t)
	write(t, filepath.Join(folder, "gone.csv"), "image,hypothesis,label\nred.png,It is red.,entailment\nblack.png,It is black.,neutral\n")
	var log bytes.Buffer
	o := options(t, filepath.Join(folder, "gone.csv"), &log, "max_steps=1")
	o.Dev = filepath.Join(folder, "dev.csv")
	if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), `gone.csv:3: there is no picture "black.png" in `) {
		t.Errorf("a picture that is not there: %v", err)
	}
	o.Set = append(o.Set, "skip_bad=true")
	if _, err := run.Finetune(t.Context(), o); err != nil || !strings.Contains(log.String(), "1 of 2 images of train were left out") {
		t.Errorf("left out: %v\n%s", err, &log)
	}
	o = options(t, folder, &log, "image_size=15")
	if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), "image_size 15 and patch_size 8") {
		t.Errorf("patches that do not fit: %v", err)
	}
}

func TestCheck(t *testing.T) {
	folder := data(t)
	write(t, filepath.Join(folder, "test.csv"), "image,hypothesis\nred.png,It is red.\nblack.png,It is black.\n")
	var log, out bytes.Buffer
	env := (&run.Env{Log: slog.New(slog.NewTextHandler(&log, nil))}).Ready()
	c, err := Kind{}.Check(t.Context(), Tasks[0], folder, new(EvalSettings), env)
	if err != nil {
		t.Fatal(err)
	}
	c.Print(&out, env.Log)
	for _, want := range []string{"train.csv: 12 examples of 4 images: entailment: 6, neutral: 3, contradiction: 3", "test.csv:3: there is no picture \"black.png\" in "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, &out)
		}
	}
	if c.NumProblems() != 1 || !strings.Contains(log.String(), "4 images of dev are in the training file too") {
		t.Errorf("%d problems, log %s", c.NumProblems(), &log)
	}
	write(t, filepath.Join(folder, "dev.csv"), "image,hypothesis,label\nred.png,It is red.,perhaps\n")
	if c, err := (Kind{}).Check(t.Context(), Tasks[0], filepath.Join(folder, "dev.csv"), new(EvalSettings), env); err != nil || c.NumProblems() != 1 {
		t.Errorf("a bad label: %+v, %v", c, err)
	}
}

func TestMeasure(t *testing.T) {
	list := []run.Answer{{Gold: "neutral", Predicted: "neutral"}, {Gold: "neutral", Predicted: "entailment"}, {Gold: "entailment", Predicted: "entailment"}}
	at := func(i int) run.Answer { return list[i] }
	for metric, want := range map[string]float64{"accuracy_neutral": 0.5, "accuracy_entailment": 1, "macro_f1": 2. / 3} {
		if got := (Kind{}).Measure(metric)(list, at); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if (Kind{}).Measure("accuracy") != nil || !math.IsNaN((Kind{}).Measure("accuracy_contradiction")(list, at)) {
		t.Error("measures of others")
	}
}
