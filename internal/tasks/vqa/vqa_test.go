package vqa

import (
	"bytes"
	"encoding/json"
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

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

var colours = []struct {
	name string
	rgba color.RGBA
}{{"red", color.RGBA{255, 0, 0, 255}}, {"green", color.RGBA{0, 255, 0, 255}}, {"blue", color.RGBA{0, 0, 255, 255}}}

// data is a folder of twelve pictures of one colour each, of which training has eight.
func data(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	tables := map[string]string{"train": "image,question,answer,id\n", "dev": "image,question,answer,id\n"}
	for i := range 12 {
		c, name := colours[i%3], fmt.Sprintf("p%d.png", i)
		im := image.NewRGBA(image.Rect(0, 0, 16, 16))
		for k := range 256 {
			im.Set(k%16, k/16, c.rgba)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, im); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "images", name), b.String())
		split := "train"
		if i >= 9 {
			split = "dev"
		}
		tables[split] += fmt.Sprintf("%s,What colour is it?,%s,%d\n%s,is it red?,%s,%d\n", name, c.name, 2*i, name, map[bool]string{true: "yes", false: "no"}[c.name == "red"], 2*i+1)
	}
	for split, table := range tables {
		write(t, filepath.Join(dir, split+".csv"), table)
	}
	write(t, filepath.Join(dir, "test.csv"), "image,question,id\np3.png,What colour is it?,x7\n")
	return dir
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func finetune(t *testing.T, data string, set ...string) (*run.Summary, string, error) {
	t.Helper()
	var log bytes.Buffer
	s, err := run.Finetune(t.Context(), run.Options{
		Env: run.Env{Out: filepath.Join(t.TempDir(), "run"), Log: slog.New(slog.NewTextHandler(&log, nil))}, Task: Tasks[0], Size: "mini", Data: data,
		Set: append([]string{
			"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=290", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
			"learning_rate=0.01", "log_steps=1", "eval_steps=0", "image_size=16", "patch_size=8", "batch_size=6", "epochs=60",
		}, set...),
	})
	return s, log.String(), err
}

// A model learns what is asked, writes what the server takes, and says the same when it is opened again.
func TestLearnsAndAnswers(t *testing.T) {
	folder := data(t)
	s, log, err := finetune(t, folder)
	if err != nil {
		t.Fatal(err)
	}
	if s.Metrics["accuracy"] != 1 || s.Metrics["examples"] != 6 || s.Metrics["accuracy_yes_no"] != 1 || s.Metrics["accuracy_other"] != 1 {
		t.Errorf("%v", s.Metrics)
	}
	if want := `5 of 5 different answers, those of 100.0 % of the training questions; with them 1.0000 is the best possible accuracy on dev`; !strings.Contains(log, want) {
		t.Errorf("%s\nlacks %q", log, want)
	}
	best := s.Dir.Best()
	cfg, err := model.ReadConfig(filepath.Join(best, "config.json"))
	if err != nil || cfg.ProblemType != model.Answering || cfg.NumLabels != 5 || cfg.Label(0) != "no" {
		t.Errorf("%+v, %v", cfg, err)
	}
	if raw, err := os.ReadFile(filepath.Join(s.Dir.Root(), "predictions", "test.results.json")); err != nil || string(raw) != `[{"question_id":"x7","answer":"red"}]`+"\n" {
		t.Errorf("%s, %v", raw, err)
	}
	predictions := filepath.Join(t.TempDir(), "p")
	results, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: Tasks[0], Model: best, Data: folder, Predictions: predictions})
	if err != nil || results[0].Metrics["accuracy"] != 1 || math.Abs(float64(results[0].Metrics["loss"]-s.Metrics["loss"])) > 1e-5 {
		t.Fatalf("%+v, %v; want %v", results, err, s.Metrics)
	}
	if answers, err := vqa.ReadResults(filepath.Join(predictions, "dev.results.json")); err != nil || len(answers) != 6 || answers["18"] != "red" || answers["19"] != "yes" {
		t.Errorf("%v, %v", answers, err)
	}
	into := filepath.Join(t.TempDir(), "p")
	done, err := run.PredictFile(t.Context(), run.PredictOptions{Task: Tasks[0], Model: best, Data: filepath.Join(folder, "test.csv"), Into: into})
	if err != nil || done.Examples != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if answers, err := vqa.ReadResults(filepath.Join(into, "test.results.json")); err != nil || answers["x7"] != "red" {
		t.Errorf("%v, %v", answers, err)
	}
	raw, err := os.ReadFile(filepath.Join(predictions, "dev.jsonl"))
	var line predicted
	if err != nil || json.Unmarshal(bytes.SplitN(raw, []byte("\n"), 2)[0], &line) != nil || line.ID != "18" || line.Image != "images/p9.png" || line.Answer != "red" || *line.Accuracy != 1 {
		t.Errorf("%s, %v", raw, err)
	}
	a, err := Open(best, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	im, err := a.Picture(filepath.Join(folder, "images", "p10.png"))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := a.Ask(t.Context(), []*regions.Image{im}, []string{"What colour is it?", "is it red?", strings.Repeat("what ", 400)}, 2, func(int, int) {})
	if err != nil || answers[0].Best[0].Answer != "green" || answers[1].Best[0].Answer != "no" || len(answers[0].Best) != 2 || !answers[2].Truncated || answers[0].Truncated {
		t.Errorf("%+v, %v", answers, err)
	}
	if b := answers[0].Best; !(b[0].Probability > b[1].Probability && b[0].Probability <= 1 && b[1].Probability >= 0) {
		t.Errorf("%+v", b)
	}
}

// A model learns to write answers, and says the same when it is opened again.
func TestWritesAnswers(t *testing.T) {
	folder := data(t)
	write(t, filepath.Join(folder, "train.csv"), string(read(t, filepath.Join(folder, "train.csv")))+"p3.png,what is left?,the,x1\n")
	s, log, err := finetune(t, folder, "answer_by=generate", "beam_size=2", "max_tgt_len=8", "max_out_len=7", "length_penalty=0.5")
	if err != nil {
		t.Fatal(err)
	}
	if s.Metrics["accuracy"] != 1 || s.Metrics["examples"] != 6 || !(s.Metrics["loss"] < 0.5) {
		t.Errorf("%v", s.Metrics)
	}
	for _, want := range []string{"1 training question left out: nothing of the answer is left", "5 different answers to learn to write; with these alone 1.0000 would be"} {
		if !strings.Contains(log, want) {
			t.Errorf("%s\nlacks %q", log, want)
		}
	}
	best := s.Dir.Best()
	cfg, err := model.ReadConfig(filepath.Join(best, "config.json"))
	if err != nil || cfg.ProblemType != model.FreeAnswering || cfg.NumLabels != 0 || cfg.Task != "vqa" {
		t.Errorf("%+v, %v", cfg, err)
	}
	if raw := read(t, filepath.Join(s.Dir.Root(), "predictions", "test.results.json")); string(raw) != `[{"question_id":"x7","answer":"red"}]`+"\n" {
		t.Errorf("%s", raw)
	}
	if _, err := run.Open(best, (&run.Env{}).Ready(), nil, model.Captioning); err == nil || !strings.Contains(err.Error(), "this model writes answers to questions about images") {
		t.Errorf("as one for captions: %v", err)
	}
	predictions := filepath.Join(t.TempDir(), "p")
	results, err := run.Evaluate(t.Context(), run.EvaluateOptions{Task: Tasks[0], Model: best, Data: folder, Predictions: predictions})
	if err != nil || results[0].Metrics["accuracy"] != 1 || math.Abs(float64(results[0].Metrics["loss"]-s.Metrics["loss"])) > 1e-5 {
		t.Fatalf("%+v, %v; want %v", results, err, s.Metrics)
	}
	into := filepath.Join(t.TempDir(), "p")
	if done, err := run.PredictFile(t.Context(), run.PredictOptions{Task: Tasks[0], Model: best, Data: filepath.Join(folder, "test.csv"), Into: into}); err != nil || done.Examples != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if answers, err := vqa.ReadResults(filepath.Join(into, "test.results.json")); err != nil || answers["x7"] != "red" {
		t.Errorf("%v, %v", answers, err)
	}
	var line predicted
	if err := json.Unmarshal(bytes.SplitN(read(t, filepath.Join(predictions, "dev.jsonl")), []byte("\n"), 2)[0], &line); err != nil || line.Answer != "red" {
		t.Errorf("%+v, %v", line, err)
	}
	a, err := Open(best, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	im, err := a.Picture(filepath.Join(folder, "images", "p9.png"))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := a.Ask(t.Context(), []*regions.Image{im}, []string{"What colour is it?", "is it red?", strings.Repeat("what ", 400)}, 3, func(int, int) {})
	if err != nil || answers[0].Best[0].Answer != "red" || answers[1].Best[0].Answer != "yes" || !answers[2].Truncated || answers[0].Truncated {
		t.Fatalf("%+v, %v", answers, err)
	}
	if b := answers[0].Best; len(b) < 2 || !(b[0].Probability > b[1].Probability && b[0].Probability+b[1].Probability <= 1) {
		t.Errorf("%+v", b)
	}
	if p := answers[0].Best[0].Probability; math.Abs(p-line.Probability) > 1e-4 || !(p > 0.4) {
		t.Errorf("probability %v when asked, %v of the file", p, line.Probability)
	}
	replies, err := a.Reply(t.Context(), []*regions.Image{im}, []string{"is it red?"}, func(int, int) {})
	if err != nil || a.Labels() != nil || replies[0].Label != "yes" || replies[0].Probabilities != nil || !(replies[0].Probability > 0.3) {
		t.Errorf("%+v, %v", replies, err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Where nobody has answered, or nothing is left of the answer, there is no loss.
func TestUnanswered(t *testing.T) {
	d := &detail{set: &vqa.Set{Examples: []vqa.Example{{ID: "1", Question: "x"}}}, said: make([]said, 1), loss: math.NaN()}
	if _, there := d.numbers()["loss"]; there {
		t.Error("there is a loss of nothing")
	}
	w := &writer{}
	if r := new(pairs.Record); w.aim(r, []string{"the", "."}) || r.Target != nil {
		t.Errorf("%+v", r)
	}
}

// What pictures say shows against the control that hides them.
func TestHiddenPictures(t *testing.T) {
	s, _, err := finetune(t, data(t), "pictures=hidden", "epochs=10")
	if err != nil || s.Metrics["accuracy"] > 0.7 || !strings.Contains(strings.Join(s.Notes, "\n"), "pictures: hidden") {
		t.Errorf("%+v, %v", s, err)
	}
}

// The loss is the sum of the cross-entropies of the answers, right or not.
func TestLoss(t *testing.T) {
	logits, want := []float32{0.5, -2, 3, 0, -80}, 0.0
	soft := []pairs.Soft{{Class: 1, Score: 0.3}, {Class: 2, Score: 1}}
	for i, x := range logits {
		target := map[int]float64{1: 0.3, 2: 1}[i]
		want -= target*math.Log(calibration.Plain.Probability(float64(x))) + (1-target)*math.Log(1-calibration.Plain.Probability(float64(x)))
	}
	if got := loss(logits, soft); math.Abs(got-want) > 1e-6 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnswers(t *testing.T) {
	ask := func(people ...string) vqa.Example { return vqa.Example{Answers: people} }
	list := []vqa.Example{ask("Two"), ask("2"), ask("the dog"), ask("dog"), ask("cat"), ask("the")}
	for _, c := range []struct {
		most, least int
		want        string
		known       int
		reach       float64
	}{{3129, 1, "2 dog cat", 5, 5.0 / 6}, {2, 1, "2 dog", 4, 4.0 / 6}, {9, 2, "2 dog", 4, 4.0 / 6}} {
		a := frequent(list, c.most, c.least)
		if got := strings.Join(a.names, " "); got != c.want || a.all != 3 || a.known(list) != c.known || math.Abs(a.reach(list)-c.reach) > 1e-12 {
			t.Errorf("%d, %d: %q of %d, %d known, %v", c.most, c.least, got, a.all, a.known(list), a.reach(list))
		}
	}
	a := newAnswers([]string{"2", "dog"})
	if got := a.targets([]string{"2", "2", "3", "3", "3", "dog", "dog", "dog", "dog", "dog"}); !slices.Equal(got, []pairs.Soft{{Class: 1, Score: 1}, {Class: 0, Score: 0.6}}) {
		t.Errorf("%v", got)
	}
}

// A score comes with what it is to be compared with.
func TestComments(t *testing.T) {
	d := &detail{set: &vqa.Set{}, loss: 1}
	for i, x := range []vqa.Example{
		{Question: "What is it?", Answers: []string{"cup"}}, {Question: "What is there?", Answers: []string{"cup"}}, {Question: "How many cups?", Answers: []string{"2"}},
		{Question: "How many dogs?", Answers: []string{"3"}}, {Question: "Is it?", Answers: []string{"yes"}, AnswerType: "yes/no", QuestionType: "is it"},
	} {
		x.ID = fmt.Sprint(i)
		d.set.Examples = append(d.set.Examples, x)
		d.said = append(d.said, said{Answer: "cup", Probability: 0.5, Score: vqa.Score("cup", x.Answers)})
	}
	m := d.numbers()
	if m["accuracy"] != 0.4 || m["accuracy_yes_no"] != 0 || m["accuracy_other"] != 1 || m["accuracy_number"] != 0 {
		t.Errorf("%v", m)
	}
	lines, table := d.Remarks()
	text := strings.Join(lines, "\n")
	if !strings.Contains(text, `always "cup": 0.4000`) || !strings.Contains(text, "the most frequent answer of each of 3 types of question: 0.8000") || table == nil || len(table.Rows) != 3 {
		t.Errorf("%s, %+v", text, table)
	}
	if note := d.Comment("accuracy", "on dev"); !strings.Contains(note, "on dev; 95 % interval") || !strings.Contains(note, "always") || d.Comment("loss", "on dev") != "on dev" {
		t.Errorf("%q", note)
	}
	var page report.Run
	d.Section(&page)
	if len(page.Galleries) != 1 || len(page.Galleries[0].Queries) != 5 || len(page.Tables) != 2 || !strings.HasPrefix(page.Galleries[0].Note, "2 of 5 questions got an answer that somebody gave") {
		t.Errorf("%+v", page)
	}
	unanswered := &detail{set: &vqa.Set{Examples: []vqa.Example{{ID: "1", Question: "x"}}}, said: make([]said, 1)}
	if unanswered.baselines() != nil {
		t.Error("there is a baseline of nothing")
	}
}

func TestDataErrors(t *testing.T) {
	folder := data(t)
	other := data(t)
	for _, c := range []struct {
		change func(t *testing.T, dir string)
		set    []string
		want   string
		log    string
	}{
		{func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "dev.csv")) }, nil, "with --dev-share 0.1", ""},
		{func(*testing.T, string) {}, []string{"dev_share=0.2"}, "--dev-share draws a dev set from", ""},
		{func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "train.csv"), "image,question,answer\np1.png,x,y\n")
		}, nil, "has 1 answers to choose from, want 2 or more", ""},
		{func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "dev.csv"), "image,question,answer\nq.png,x,y\n")
		}, nil, `there is no picture "q.png"`, ""},
		{func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "dev.csv"), "image,question,answer\nq.png,x,y\np9.png,what,red\n")
		}, []string{"skip_bad=true", "epochs=1"}, "", "1 question without a picture left out"},
		{func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "dev.csv"), "image,question,answer\np1.png,x,y\np9.png,x,y\n")
		}, []string{"epochs=1"}, "", "1 of 2 dev pictures are in the training data"},
		{func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "dev.csv")) }, []string{"dev_share=0.3", "epochs=1"}, "", "dev questions about 3 pictures"},
		{func(t *testing.T, dir string) { write(t, filepath.Join(dir, "images", "p9.png"), "no picture") }, []string{"epochs=1"}, "p9.png", ""},
		{func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "train.csv"), "image,question,answer\np1.png,x,the\n")
		}, []string{"answer_by=generate"}, "has no answer to learn", ""},
		{func(*testing.T, string) {}, []string{"answer_by=generate", "max_tgt_len=3", "epochs=1", "vocab_size=264"}, "", "training answers are longer than the 3 tokens"},
		{func(*testing.T, string) {}, []string{"answers=2", "epochs=1"}, "", "2 of 5 different answers"},
		{func(*testing.T, string) {}, []string{"images_dir=" + filepath.Join(other, "images"), "epochs=1"}, "", ""},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		c.change(t, dir)
		_, log, err := finetune(t, dir, c.set...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.set, err, c.want)
		}
		if !strings.Contains(log, c.log) {
			t.Errorf("%v: %s\nlacks %q", c.set, log, c.log)
		}
	}
}

// What is wrong with files is found, all of it, and nothing in files that are right.
func TestCheck(t *testing.T) {
	check := func(path string, s EvalSettings) (*checked, string) {
		t.Helper()
		c, err := Kind{}.Check(t.Context(), Tasks[0], path, &s, (&run.Env{Log: slog.New(slog.DiscardHandler)}).Ready())
		if err != nil {
			t.Fatal(err)
		}
		var out, log bytes.Buffer
		c.Print(&out, slog.New(slog.NewTextHandler(&log, nil)))
		return c.(*checked), strings.ReplaceAll(out.String(), path, "DATA") + log.String()
	}
	dir := data(t)
	c, text := check(dir, EvalSettings{})
	if want := "train.csv (a table): 18 questions about 9 pictures, 5 different answers\n"; c.NumProblems() != 0 || len(c.Files) != 3 || !strings.Contains(text, want) {
		t.Errorf("%s\nlacks %q", text, want)
	}
	if len(c.Shared) != 1 || c.Shared[0].Split != "test" || !strings.Contains(text, "1 images of test are in the training file too") {
		t.Errorf("%+v", c.Shared)
	}
	write(t, filepath.Join(dir, "images", "p1.png"), "no picture")
	write(t, filepath.Join(dir, "train.csv"), "image,question,answer,id\np0.png,what?,x,1\np0.png,who?,,2\np0.png,why?,x,1\nq.png,what?,x,4\np1.png,what?,x,5\n")
	if err := os.Remove(filepath.Join(dir, "dev.csv")); err != nil {
		t.Fatal(err)
	}
	c, text = check(dir, EvalSettings{})
	for _, want := range []string{
		`DATA/train.csv:3: question "2" has no answer`, `DATA/train.csv:4: question "1" is there twice`, `DATA/train.csv:5: question "4": there is no picture "q.png"`,
		`DATA/train.csv:6: DATA/images/p1.png: no picture that is known here`, "2 questions about 2 pictures, 1 different answer\n",
	} {
		if !strings.Contains(filepath.ToSlash(text), want) {
			t.Errorf("%s\nlacks %q", text, want)
		}
	}
	if c.NumProblems() != 4 || len(c.Files) != 2 {
		t.Errorf("%d problems of %d files", c.NumProblems(), len(c.Files))
	}
	for _, x := range []struct {
		rows, want string
		problems   int
	}{
		{"image,question,answer\nq.png,what?,x\nr.png,what?,x\n", `there is no picture "r.png"`, 2},
		{"image,question,answer\np0.png,what?,\n", `question "2" has no answer`, 1},
		{"text\n", "is no header", 1},
	} {
		path := filepath.Join(dir, "one.csv")
		write(t, path, x.rows)
		if c, text := check(path, EvalSettings{}); c.NumProblems() != x.problems || !strings.Contains(text, x.want) {
			t.Errorf("%q: %d problems: %s", x.rows, c.NumProblems(), text)
		}
	}
	if c, text := check(filepath.Join(dir, "train.csv"), EvalSettings{Folder: pairs.Folder{ImagesDir: filepath.Join(dir, "none")}}); c.NumProblems() != 3 || !strings.Contains(text, "cannot be looked through for pictures") {
		t.Errorf("%d problems: %s", c.NumProblems(), text)
	}
	if _, err := (Kind{}).Check(t.Context(), Tasks[0], filepath.Join(dir, "none"), &EvalSettings{}, (&run.Env{}).Ready()); err == nil || !strings.Contains(err.Error(), "does not exist; check the path") {
		t.Error(err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"answers=1": "answers is 1, want 2 or more", "min_answer_count=0": "min_answer_count is 0", "dev_share=1": "dev_share is 1", "max_seq_len=1": "max_seq_len is 1",
		"min_crop_area=0": "min_crop_area is 0", "epochs=0": "epochs is 0", "max_regions=0": "max_regions is 0", "pictures=none": "none", "answer_by=guess": "answer_by is guess, want choose or generate", "answer_by=generate": "", "max_tgt_len=1": "max_tgt_len is 1", "answers=20": "",
	} {
		full, err := run.Defaults(Tasks[0], "mini")
		if err != nil {
			t.Fatal(err)
		}
		s := full.(*Settings)
		if err := settings.Set(s, set); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(func(string) bool { return false }); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}

// The recipes: ours for the released sizes, a small model with large weights from nothing.
func TestRecipe(t *testing.T) {
	for size, want := range map[string][]any{
		"base":  {768, 12, 0.02, 64, 3e-5, 10, 0.01, 160, 16, 3129, ""},
		"large": {1024, 24, 0.02, 64, 1e-5, 10, 0.01, 160, 16, 3129, ""},
		"mini":  {128, 2, 0.1, 64, 1e-3, 6, 0.05, 64, 16, 3129, ""},
	} {
		full, err := run.Defaults(Tasks[0], size)
		if err != nil {
			t.Fatal(err)
		}
		s := full.(*Settings)
		got := []any{s.HiddenSize, s.Layers, s.InitRange, s.BatchSize, s.LearningRate, s.Epochs, s.WeightDecay, s.ImageSize, s.PatchSize, s.Answers, s.Adv}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", size, got, want)
		}
	}
}
