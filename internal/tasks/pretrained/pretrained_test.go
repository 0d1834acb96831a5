package pretrained

import (
	"bytes"
	"context"
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
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/test/late"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

func defaultsOf(t *testing.T, size string) *Settings {
	t.Helper()
	s, err := run.Defaults(Task, size)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Settings)
}

// The paper's mixture 1:1:5, shares of 15 %, texts of 512 tokens and rate 5e-5; the rest is ours.
func TestRecipe(t *testing.T) {
	for _, size := range []string{"base", "large", "mini"} {
		s := defaultsOf(t, size)
		got := []any{s.RatioText, s.RatioImages, s.RatioPairs, s.MaskShare, s.PhraseShare, s.MaxWords, s.Seq2SeqShare, s.FragmentShare, s.RegionShare, s.RegionOverlap, s.Temperature, s.SentenceShare, s.RetrievedImages, s.RetrievedTexts, s.MaxRegions, s.HeldOut, s.WarmupProportion, s.WeightDecay, s.Epochs, s.BatchSize, s.Positives}
		want := []any{1.0, 1.0, 5.0, 0.15, 0.5, 3, 0.5, 0.25, 0.15, 0.3, 0.07, 0.25, 1, 1, 100, 256, 0.06, 0.01, 1, 32, 1}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v, want\n%v", size, got, want)
		}
		got = []any{s.LearningRate, s.MaxSteps, s.EvalSteps, s.MaxTextLen, s.MaxSeqLen, s.ContrastSize, s.Extractor, s.ImageSize, s.PatchSize, s.Grid, s.Negatives, s.ContrastWeight}
		want = []any{5e-5, 100000, 1000, 512, 64, model.Sizes[size].HiddenSize, regions.Patches, 160, 16, 0, 4, 1.0}
		if size == "mini" {
			want = []any{1e-3, 2000, 500, 64, 40, 128, regions.Statistics, 128, 0, 4, 3, 5.0}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v, want\n%v", size, got, want)
		}
		if spec := s.Spec(); !spec.Equal(regions.Spec{Extractor: s.Extractor, ImageSize: s.ImageSize, Grid: s.Grid, PatchSize: s.PatchSize}) {
			t.Errorf("%s: %+v", size, spec)
		}
	}
	if Task.Metric != "loss" || !Task.Lower || Task.Command != "pretrain" || Task.Kind.Problem() != model.Pretraining {
		t.Errorf("%+v", Task)
	}
	s, cfg := defaultsOf(t, "base"), model.Base
	cfg.MaxPositions, cfg.ContrastSize = 40, 7
	if s.Adopt(cfg); s.MaxTextLen != cfg.MaxTokens() || s.MaxSeqLen != cfg.MaxTokens() || s.ContrastSize != 7 {
		t.Errorf("of a small model: %d, %d, %d", s.MaxTextLen, s.MaxSeqLen, s.ContrastSize)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"max_steps=0": "max_steps is 0", "epochs=2": "epochs is 2", "in_tokens=true": "in_tokens is true", "max_text_len=2": "max_text_len is 2", "workers=0": "workers is 0",
		"held_out_share=1": "held_out_share is 1", "held_out=0": "held_out is 0", "mask_share=1.1": "mask_share is 1.1, want 0 to 1", "ratio_text=-1": "ratio_text is -1", "temperature=0": "temperature is 0",
		"ratio_text=0 ratio_images=0 ratio_pairs=0": "there is nothing to train on", "batch_size=1": "batch_size is 1, but contrastive", "negatives=0": "nothing wrong to compare",
		"batch_negatives=32": "a batch has only 31 other pairs", "masked_lm_weight=0 seq2seq_weight=0": "ratio_text is not 0, but all objectives", "batch_size=2": "",
	} {
		s := defaultsOf(t, "mini")
		for one := range strings.FieldsSeq(set) {
			if err := settings.Set(s, one); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Validate(func(string) bool { return false }); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}

// collections writes texts and pairs, and returns settings that name them.
func collections(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"captions.csv": "image,caption\n"}
	for i := range 24 {
		name := fmt.Sprintf("p%d.png", i)
		im := image.NewRGBA(image.Rect(0, 0, 16, 16))
		for k := range 256 {
			im.Set(k%16, k/16, color.RGBA{uint8(i * 10), uint8(k), uint8(k * i), 255})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, im); err != nil {
			t.Fatal(err)
		}
		files["images/"+name] = b.String()
		files["captions.csv"] += fmt.Sprintf("%s,the %s circle is above square number %d\n%[1]s,a picture with a star and number %[3]d\n", name, []string{"red", "blue"}[i%2], i)
		files["train.txt"] += name + "\n"
		files["texts.txt"] += fmt.Sprintf("the big star is near the small square of number %d\n", i)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{fmt.Sprintf("text=[%q]", filepath.Join(dir, "texts.txt")), fmt.Sprintf("images=[%q]", filepath.Join(dir, "images")), fmt.Sprintf("pairs=[%q]", dir)}
}

// small are settings of a model that trains in no time.
var small = []string{
	"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=300", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0", "learning_rate=0.01",
	"log_steps=1", "eval_steps=10", "extractor=patches", "image_size=16", "patch_size=8", "grid=0", "contrast_size=8", "batch_size=4", "shuffle_buffer=8", "held_out_share=0.3", "max_steps=30",
}

func pretrainOn(t *testing.T, out string, set ...string) (*run.Summary, string, error) {
	t.Helper()
	var log bytes.Buffer
	s, err := run.Finetune(t.Context(), run.Options{
		Env: run.Env{Out: out, Log: slog.New(slog.NewTextHandler(&log, nil))}, Task: Task, Size: "mini",
		Set: append(slices.Clone(small), set...),
	})
	return s, log.String(), err
}

// All objectives are trained and measured on what is held out, the loss falls, and each has a curve.
func TestLearns(t *testing.T) {
	s, log, err := pretrainOn(t, filepath.Join(t.TempDir(), "run"), collections(t)...)
	if err != nil {
		t.Fatal(err)
	}
	h, err := train.ReadHistory(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	first, last := h.Evals[0].Metrics, h.Evals[len(h.Evals)-1].Metrics
	if len(h.Evals) < 3 || last["text.masked_lm"] >= first["text.masked_lm"] || s.Metrics["loss"] > first["loss"] {
		t.Errorf("held out: first %v, last %v", first, last)
	}
	sum := 0.0
	for name, weight := range map[string]float64{
		"text.masked_lm": 1, "text.seq2seq": 1, "images.region_feature": 1, "pairs.masked_lm": 1, "pairs.seq2seq": 1, "pairs.region_feature": 1, "pairs.contrast": 5, "pairs.rewrite": 1,
	} {
		if _, ok := s.Metrics[name]; !ok {
			t.Errorf("no %s in %v", name, s.Metrics)
		}
		sum += weight * float64(s.Metrics[name])
	}
	if loss := float64(s.Metrics["loss"]); sum < loss*0.9999 || sum > loss*1.0001 {
		t.Errorf("the loss is %v, its parts come to %v", loss, sum)
	}
	if _, ok := s.Metrics["recall@1"]; !ok || s.Metrics[maskedAccuracy] < 0 || s.Metrics[maskedAccuracy] > 1 {
		t.Errorf("metrics %v", s.Metrics)
	}
	for _, want := range []string{"text    1 shards", "samples held out to measure on"} {
		if !strings.Contains(log, want) {
			t.Logf("log: %s", log)
			t.Errorf("the log lacks %q", want)
		}
	}
}

// Ranks share the batches of a stream, and train the same model as one, also where samples are of no use and another number of them goes on. What
// was of no use is said once.
func TestRanksTrainTheSameModel(t *testing.T) {
	set := append(collections(t), "max_steps=4", "eval_steps=3", "snapshot_steps=1", "batch_size=2", "gradient_accumulation=8", "hidden_dropout_prob=0.1", "contrast_over_step=true", "num_hidden_layers=3")
	for i := range 12 { // of 24: some batches have none
		path := filepath.Join(strings.TrimSuffix(strings.TrimPrefix(set[1], `images=["`), `"]`), fmt.Sprintf("p%d.png", i))
		if err := os.WriteFile(path, []byte("no picture"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var want, said string
	for at, sizes := range [][]int{{1}, {2}, {4}, {8}, {4, 1}, {1, 8}, {1, 2}} {
		set := append(slices.Clone(set), fmt.Sprintf("recompute=%v", at == 6)) // of which nobody sees anything
		out := filepath.Join(t.TempDir(), "run")
		var log bytes.Buffer
		for i, size := range sizes {
			ctx, stop := context.WithCancel(t.Context())
			err := collective.Run(size, func(g collective.Group) error {
				o := run.Options{Env: run.Env{Out: out, Group: g}, Task: Task, Size: "mini", Set: append(slices.Clone(small), set...), Resume: i > 0}
				if g.Rank() == 0 {
					o.Log = slog.New(slog.NewTextHandler(&log, nil))
				} else { // its machine does not see the run's folder
					o.Out += "-nowhere"
				}
				if i < len(sizes)-1 {
					o.Observer = stopper{stop: stop}
				}
				_, err := run.Finetune(ctx, o)
				return err
			})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			stop()
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("temporary files are left: %v, %v", left, err)
		}
		raw, err := os.ReadFile(filepath.Join(out, "last", "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(log.String()) {
			if _, text, ok := strings.Cut(line, "level=WARN "); ok && strings.Contains(line, " of no use, or not wholly") || strings.Contains(line, "batches were empty so far") {
				lines = append(lines, text)
			}
		}
		slices.Sort(lines)
		lines = slices.Compact(lines)
		if want == "" {
			if want, said = string(raw), strings.Join(lines, ""); !strings.Contains(said, "batches were empty so far") {
				t.Fatalf("no batch is empty: %s", log.String())
			}
		}
		if string(raw) != want {
			t.Errorf("%d ranks train another model", sizes)
		}
		if got := strings.Join(lines, ""); got != said {
			t.Errorf("%d ranks say\n%s\nwant\n%s", sizes, got, said)
		}
	}
}

// With contrast_over_step the step's batches have the loss and the gradient of one with all of their pairs, where nothing is drawn in them.
func TestContrastOverStepIsALargerBatch(t *testing.T) {
	set := append(collections(t), "ratio_text=0", "ratio_images=0", "max_steps=1", "contrast_over_step=true", "retrieved_images=0", "retrieved_texts=0", "contrast_weight=2")
	for _, weight := range []string{"pair_masked_lm_weight", "pair_seq2seq_weight", "pair_region_feature_weight", "pair_region_class_weight", "rewrite_weight"} {
		set = append(set, weight+"=0")
	}
	path := filepath.Join(strings.TrimSuffix(strings.TrimPrefix(set[2], `pairs=["`), `"]`), "captions.csv")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	one := "image,caption\n" // caption of each image, so that none is drawn
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, "circle") {
			one += line
		}
	}
	if err := os.WriteFile(path, []byte(one), 0o644); err != nil {
		t.Fatal(err)
	}
	var want struct{ loss, norm float64 }
	for _, size := range []string{"batch_size=8 gradient_accumulation=1", "batch_size=4 gradient_accumulation=2", "batch_size=2 gradient_accumulation=4"} {
		s, _, err := pretrainOn(t, filepath.Join(t.TempDir(), "run"), append(slices.Clone(set), strings.Fields(size)...)...)
		if err != nil {
			t.Fatal(err)
		}
		h, err := train.ReadHistory(s.Dir)
		if err != nil {
			t.Fatal(err)
		}
		got := h.Steps[0]
		if want.loss == 0 {
			want.loss, want.norm = got.Loss, got.Norm
		}
		if !(want.norm > 0) || math.Abs(got.Loss-want.loss) > 1e-5*want.loss || math.Abs(got.Norm-want.norm) > 1e-4*want.norm {
			t.Errorf("%s: loss %v and gradient norm %v, in one batch %v and %v", size, got.Loss, got.Norm, want.loss, want.norm)
		}
	}
}

// stopper interrupts a run after two steps.
type stopper struct {
	run.Silent
	stop func()
}

func (s stopper) Step(e train.StepEvent) {
	if e.Step == 2 {
		s.stop()
	}
}

// A stream that goes on from its state gives the batches that it would have given; every objective has a curve.
func TestResumesAndReports(t *testing.T) {
	p := defaultsOf(t, "mini")
	for _, one := range append(collections(t), "extractor=patches", "image_size=16", "patch_size=8", "grid=0", "contrast_size=8", "batch_size=4", "shuffle_buffer=8", "held_out_share=0.3", "max_steps=30", "gradient_accumulation=2") {
		if err := settings.Set(p, one); err != nil {
			t.Fatal(err)
		}
	}
	learnerOf := func() *learner {
		t.Helper()
		j := Task.Kind.Job(Task, p, run.Env{Out: t.TempDir()}.Ready()).(*job)
		files, err := j.Files("", "")
		if err == nil {
			err = j.Read(files)
		}
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Train(t.Context(), j.Texts(), 300, tokenizer.TrainOptions{})
		if err != nil {
			t.Fatal(err)
		}
		cfg := model.Mini
		cfg.VocabSize, cfg.HiddenSize, cfg.Heads, cfg.Layers, cfg.ProblemType = tok.VocabSize(), 16, 2, 1, model.Pretraining
		if cfg, err = j.Head(cfg); err != nil {
			t.Fatal(err)
		}
		l, err := j.Learner(t.Context(), cfg, tok)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.(*learner)
	}
	a, b := learnerOf(), learnerOf()
	if a.Batches(0) != 60 || a.Batches(1) != 0 || a.Total(3) != 60 {
		t.Errorf("%d and %d batches", a.Batches(0), a.Batches(1))
	}
	notes := map[*learner][][]byte{} // of a step
	compute := func(l *learner, batch int) (string, float32) {
		t.Helper()
		_, err := l.Parts(0, batch)
		if err != nil {
			t.Fatal(err)
		}
		note, err := l.Note(0, batch)
		if err != nil {
			t.Fatal(err)
		}
		if notes[l] = append(notes[l], note); len(notes[l]) == 2 {
			if err := l.Heed(notes[l]); err != nil {
				t.Fatal(err)
			}
			notes[l] = nil
		}
		if _, err := l.StreamState(); err == nil {
			t.Error("a state amid a step is no error")
		}
		losses, tokens, err := l.Loss(l.tape, 0, batch)
		if err != nil || tokens == 0 {
			t.Fatal(tokens, err)
		}
		defer l.tape.Release()
		sum := float32(0)
		for _, v := range losses {
			if v != nil {
				sum += engine.Values(l.job.env.Device, v.Value)[0]
			}
		}
		return l.Describe(0, batch), sum
	}
	for batch := range 4 {
		compute(a, batch)
	}
	state, err := a.StreamState()
	if err == nil {
		err = b.RestoreStream(state)
	}
	if err != nil {
		t.Fatal(err)
	}
	for batch := 4; batch < 8; batch++ {
		name, loss := compute(a, batch)
		if again, value := compute(b, batch); again != name || value != loss || !strings.Contains(name, " and 1 more") {
			t.Errorf("batch %d: %q with loss %v, after the state %q with %v", batch, name, loss, again, value)
		}
	}
	m := train.Numbers{"loss": 1, maskedAccuracy: 0.5, "text.masked_lm": 3, "recall@1": 0.5, "images": 3}
	var h train.History
	raw := `{"Steps":[{"Step":1,"Parts":{"text.masked_lm":5}},{"Step":2,"Parts":{"text.masked_lm":4}}],"Evals":[{"Step":2,"Metrics":{"text.masked_lm":3,"masked_accuracy":0.5,"recall@1":0.5}}]}`
	if err := json.Unmarshal([]byte(raw), &h); err != nil {
		t.Fatal(err)
	}
	for few, want := range map[bool][]string{true: {"Text: masked language modelling", "Masked accuracy, held out"}, false: {"Text: masked language modelling", "Masked accuracy, held out", "Recall@1, held out"}} {
		m["images"] = 30
		if few {
			m["images"] = 3
		}
		curves, items := a.Report(h, m)
		var titles []string
		for _, c := range curves {
			titles = append(titles, c.Title)
			if last := c.Series[len(c.Series)-1]; last.Name != "held out" || !last.Points || len(last.X) != 1 || last.X[0] != 2 {
				t.Errorf("%s: %+v", c.Title, c.Series)
			}
		}
		if !slices.Equal(titles, want) || items[0].Key != "waited for data" || curves[1].High != 1 {
			t.Errorf("few pairs %v: %q, %v, %+v", few, titles, items, curves)
		}
	}
	d, err := a.job.Digests()
	if err != nil || len(d) != 3 || d["text"] == d["pairs"] {
		t.Errorf("digests %v, %v", d, err)
	}
	if got := a.Model(); !slices.Equal(got.Fixed, []string{matchBias}) || len(got.Files[regions.SpecFile]) == 0 {
		t.Errorf("fixed are %v, files %v", got.Fixed, got.Files)
	}
}

func TestBadCollections(t *testing.T) {
	all := collections(t)
	for _, c := range []struct {
		set []string
		err string
	}{
		{all[:1], "ratio_images is 1, but images names no collection"},
		{append(slices.Clone(all), "held_out_share=0.000001"), "is held out; raise held_out_share"},
		{append(slices.Clone(all), "patch_size=7"), "patch_size 7"},
		{append(slices.Clone(all), "max_text_len=4000"), "max_text_len is 4000"},
		{[]string{"ratio_images=0", "ratio_pairs=0", "text=[nowhere.txt]"}, "nowhere.txt"},
		{append(slices.Clone(all), "paraphrases=nowhere.tsv"), "nowhere.tsv"},
	} {
		if _, _, err := pretrainOn(t, filepath.Join(t.TempDir(), "run"), c.set...); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %v, want %q", c.set, err, c.err)
		}
	}
}

// Without a share small collections hold out a tenth at most, and the run says so.
func TestHeldOutShare(t *testing.T) {
	texts := collections(t)[:1]
	_, log, err := pretrainOn(t, filepath.Join(t.TempDir(), "run"), append(texts, "ratio_images=0", "ratio_pairs=0", "held_out_share=0", "max_steps=2")...)
	if err != nil && !strings.Contains(err.Error(), "is held out") || !strings.Contains(log, "10 % of each collection are held out, as the texts are few") {
		t.Errorf("%v, log: %s", err, log)
	}
}

func TestHowMetricsAreShown(t *testing.T) {
	for metric, want := range map[string]run.Metric{maskedAccuracy: run.Share, "recall@1": run.Share, "loss": {}} {
		if got := (Kind{}).Describe(metric); got != want {
			t.Errorf("%s: %+v, want %+v", metric, got, want)
		}
	}
	few := train.Numbers{"images": 3, "examples": 50}
	if !(Kind{}).Hides(few, "text_recall@5") || (Kind{}).Hides(few, "loss") || len((Kind{}).Doubts(few)) != 1 || (Kind{}).Doubts(train.Numbers{"images": 30, "examples": 50}) != nil {
		t.Error("few pairs")
	}
}

// Two accelerators of a process pre-train as the processor does, and compare each picture with the captions of both.
func TestSeveralDevices(t *testing.T) {
	device := accelerator.Name(t)
	set := append(collections(t), "ratio_text=0", "ratio_images=0", "max_steps=2", "batch_size=2", "gradient_accumulation=2", "contrast_over_step=true",
		"retrieved_images=0", "retrieved_texts=0", "contrast_weight=2", "rewrite_weight=0")
	var want train.History
	for _, more := range [][]string{nil, {"device=" + device, "devices=2"}} {
		s, _, err := pretrainOn(t, filepath.Join(t.TempDir(), "run"), append(slices.Clone(set), more...)...)
		if err != nil {
			t.Fatal(err)
		}
		h, err := train.ReadHistory(s.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if more == nil {
			want = h
		}
		for i, step := range h.Steps {
			if w := want.Steps[i]; !(step.Norm > 0) || math.Abs(step.Loss-w.Loss) > 1e-5*w.Loss || math.Abs(step.Norm-w.Norm) > 1e-4*w.Norm {
				t.Errorf("%v, step %d: loss %v and gradient norm %v, on the processor %v and %v", more, step.Step, step.Loss, step.Norm, w.Loss, w.Norm)
			}
		}
		if len(h.Steps) != 2 {
			t.Errorf("%d steps", len(h.Steps))
		}
	}
}

// readings counts what was read of a device until each step is told of, and stops the run after six.
type readings struct {
	run.Silent
	counts *late.Counts
	stop   func()
	seen   []int64
}

func (r *readings) Step(e train.StepEvent) {
	if r.seen = append(r.seen, r.counts.Read.Load()+r.counts.Noted.Load()); e.Step == 6 {
		r.stop()
	}
}

// On a device that computes late no step reads anything but what came out of them, once every log_steps. Two devices of a process train as one.
func TestStepsReadNothing(t *testing.T) {
	set := append(collections(t), "max_steps=8", "log_steps=2", "eval_steps=100", "snapshot_minutes=0", "batch_size=2", "gradient_accumulation=4",
		"hidden_dropout_prob=0.1", "contrast_over_step=true")
	var want train.History
	for _, n := range []int{1, 2} {
		team, out := late.Team(n), filepath.Join(t.TempDir(), "run")
		ctx, stop := context.WithCancel(t.Context())
		watch := &readings{counts: team[0].Counts, stop: stop}
		err := collective.Run(n, func(g collective.Group) error {
			o := run.Options{Env: run.Env{Out: out, Group: g, Device: team[g.Rank()]}, Task: Task, Size: "mini", Set: append(slices.Clone(small), set...)}
			if g.Rank() == 0 {
				o.Observer = watch
			}
			_, err := run.Finetune(ctx, o)
			return err
		})
		if !errors.Is(err, context.Canceled) || len(watch.seen) != 6 {
			t.Fatalf("%d steps, %v", len(watch.seen), err)
		}
		for i := 2; i < 6; i += 2 {
			if reads := watch.seen[i] - watch.seen[i-1]; reads != int64(n) {
				t.Errorf("%d devices, steps %d and %d: numbers are read %d times", n, i+1, i+2, reads)
			}
		}
		h, err := train.ReadHistory(train.ReadOnly(out))
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			want = h
		}
		for i, s := range h.Steps {
			if w := want.Steps[i]; math.Abs(s.Loss-w.Loss) > 1e-9*w.Loss || math.Abs(s.Norm-w.Norm) > 1e-6*w.Norm {
				t.Errorf("%d devices, step %d: loss %v and norm %v, want %v and %v", n, s.Step, s.Loss, s.Norm, w.Loss, w.Norm)
			}
		}
	}
}
