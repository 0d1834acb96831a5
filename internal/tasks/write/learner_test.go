package write

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
)

// headlines are examples of which a tiny model learns the target by the first word.
func headlines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"h%d","source":"%s%d","target":%q}`+"\n", i, strings.Repeat([]string{"good ", "bad "}[i%2], 5), i, []string{"yes", "no it is not"}[i%2])
	}
	return b.String()
}

// conversations are two questions about each passage.
func conversations(n int) string {
	var b strings.Builder
	for i := range n {
		name := []string{"anna", "tom"}[i%2]
		passage := fmt.Sprintf("%s has %d cats", name, i)
		fmt.Fprintf(&b, `{"knowledge":%q,"turns":["who has cats"],"target":%q,"turn":1,"domain":"mctest"}`+"\n", passage, name)
		fmt.Fprintf(&b, `{"knowledge":%q,"turns":["who has cats",%q,"what does she have"],"target":"cats","turn":2,"domain":"mctest"}`+"\n", passage, name)
	}
	return b.String()
}

// The loss of a batch is the mean over its target tokens, which is what an evaluation without label smoothing says too.
func TestLearner(t *testing.T) {
	for _, c := range []struct {
		task, metric, data string
		examples           int
		lines              []string
	}{
		{"gigaword", "rouge-l", headlines(6), 6, []string{"6 training examples, 6 dev", `the first: "good good good good good 0" gives "yes"`}},
		{"coqa", "f1", conversations(3), 6, []string{"6 training examples, 6 dev", `the first: "who has cats" gives "anna"`}},
	} {
		env, log := logged()
		l := learnerOf(t, jobOf(t, c.task, env, "label_smooth=0"), files(t, map[string]string{"train.jsonl": c.data, "dev.jsonl": c.data}))
		if about := l.About(); about.Examples != c.examples || !slices.Equal(about.Lines, c.lines) {
			t.Errorf("%s: about %d examples: %q", c.task, about.Examples, about.Lines)
		}
		contains(t, "the log of "+c.task, log.String(), "6 of 6 dev examples are in the training data too")
		tape := autograd.NewInference(env.Device)
		labels, tokens, all := 0, 0, 0.0
		for batch := range l.Batches(0) {
			parts, err := l.Parts(0, batch)
			if err != nil || len(parts) != 1 || parts[0].Weight != 1 {
				t.Fatalf("%s: parts %+v, %v", c.task, parts, err)
			}
			losses, n, err := l.Loss(tape, 0, batch)
			if err != nil || len(losses) != 1 {
				t.Fatalf("%s: %d losses, %v", c.task, len(losses), err)
			}
			all += float64(engine.Values(env.Device, losses[0].Value)[0]) * float64(parts[0].Count)
			labels, tokens = labels+parts[0].Count, tokens+n
			tape.Release()
		}
		wantLabels, wantTokens := 0, 0
		for _, x := range l.job.train {
			r, _, err := l.writer.encoder.Encode(x)
			if err != nil {
				t.Fatal(err)
			}
			wantLabels, wantTokens = wantLabels+len(r.Labels), wantTokens+len(r.Tokens)
		}
		if labels != wantLabels || tokens != wantTokens || l.Batches(0) != 2 {
			t.Errorf("%s: %d batches with %d targets of %d tokens, want %d of %d", c.task, l.Batches(0), labels, tokens, wantLabels, wantTokens)
		}
		done, total := 0, 0
		e, err := l.Evaluate(t.Context(), 0, func(d, of int) { done, total = d, of })
		if err != nil || e.Metric != c.metric || e.Lower || e.Score != e.Metrics[c.metric] || e.Metrics["examples"] != 6 || done != 12 || total != 12 {
			t.Fatalf("%s: %+v, %v, %d of %d done", c.task, e, err, done, total)
		}
		loss := float64(e.Metrics["loss"])
		if got := all / float64(labels); math.Abs(got-loss) > 1e-5*loss || math.Abs(math.Exp(loss)-float64(e.Metrics["perplexity"])) > 1e-9*math.Exp(loss) {
			t.Errorf("%s: training says a loss of %v, evaluation %v", c.task, got, e.Metrics)
		}
		l.job.settings.DecodeExamples = 2
		if some, err := l.Evaluate(t.Context(), 0, tick); err != nil || some.Metrics["examples"] != 2 || some.Metrics["loss"] != e.Metrics["loss"] {
			t.Errorf("%s, 2 of them decoded: %v, %v", c.task, some.Metrics, err)
		}
		var first [2]float32 // the loss of the first batch, without and with label smoothing
		for i, smooth := range []float64{0, 0.3} {
			l.job.settings.LabelSmooth = smooth
			losses, _, err := l.Loss(tape, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			first[i] = engine.Values(env.Device, losses[0].Value)[0]
			tape.Release()
		}
		if first[0] == first[1] {
			t.Errorf("%s: label smoothing changes nothing", c.task)
		}
		if got := l.Describe(0, 0); !strings.HasPrefix(got, "lines ") {
			t.Errorf("%s: the first batch is %q", c.task, got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Evaluate(ctx, 0, tick); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %v", c.task, err)
		}

		var saved map[string]any // what opening the model needs
		if err := json.Unmarshal(l.Model().Files["generation_config.json"], &saved); err != nil {
			t.Fatal(err)
		}
		if s := l.job.settings; saved["max_src_len"] != float64(s.MaxSrcLen) || saved["max_tgt_len"] != float64(s.MaxTgtLen) || saved["beam_size"] != 2.0 || saved["max_out_len"] != 6.0 || saved["continuous_position"] != false {
			t.Errorf("%s: generation_config.json is %v", c.task, saved)
		}
	}
}

// What is cut is said once for training, and beside the scores of a file.
func TestCutTexts(t *testing.T) {
	env, log := logged()
	data := files(t, map[string]string{"train.jsonl": headlines(4), "dev.jsonl": headlines(4)})
	j := jobOf(t, "gigaword", env, "max_src_len=6", "max_tgt_len=3")
	l := learnerOf(t, j, data)
	contains(t, "the log", log.String(), "4 of 4 training examples have a source longer than 6 tokens (max_src_len); its end is left out", "2 of 4 training examples have a target longer than 3 tokens (max_tgt_len)")
	r, err := l.Score(t.Context(), run.File{Split: "dev", Path: filepath.Join(data, "dev.jsonl")}, tick)
	if err != nil || len(r.Notes) != 2 || !strings.HasPrefix(r.Notes[0], "4 of 4 examples have a source longer than 6 tokens") {
		t.Errorf("notes %q, %v", r.Notes, err)
	}
	got := cutSentences(seq2seq.Truncated{Turns: 3}, 7, "examples", limits{}, 16)
	if !slices.Equal(got, []string{"3 of 7 examples have more than 15 turns; their oldest turns are left out"}) {
		t.Errorf("%q", got)
	}
}

// Files that cannot be trained on, and what is said of odd ones.
func TestReadTellsWhatIsOdd(t *testing.T) {
	fine := headlines(2)
	for _, c := range []struct {
		name, task, train, dev string
		err, log               string
	}{
		{name: "fine", task: "gigaword", train: fine, dev: fine},
		{name: "no target", task: "gigaword", train: `{"source":"a"}`, dev: fine, err: "has no target text"},
		{name: "no target in dev", task: "gigaword", train: fine, dev: `{"source":"a"}`, err: "has no target text"},
		{name: "a dialogue for another task", task: "gigaword", train: conversations(1), dev: fine, err: "has turns or knowledge, though the task has no dialogues"},
		{name: "nothing", task: "gigaword", train: "\n", dev: fine, err: "train.jsonl"},
		{name: "a column is passed over", task: "gigaword", train: `{"source":"a","target":"b","stars":"5"}`, dev: fine, log: `columns that are not used: \"stars\"`},
		{name: "bytes that are not UTF-8", task: "gigaword", train: "{\"source\":\"a\xff\",\"target\":\"b\"}", dev: fine, log: "1 examples of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, log := logged()
			j := jobOf(t, c.task, env)
			found, err := j.Files(files(t, map[string]string{"train.jsonl": c.train, "dev.jsonl": c.dev}), "")
			if err != nil {
				t.Fatal(err)
			}
			if err = j.Read(found); (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if !strings.Contains(log.String(), c.log) || c.log == "" && log.Len() > 0 {
				t.Errorf("log is %q, want %q", log, c.log)
			}
		})
	}
	env, _ := logged()
	j := jobOf(t, "gigaword", env)
	one := files(t, map[string]string{"train.jsonl": fine})
	if _, err := j.Files(one, ""); err == nil || !strings.Contains(err.Error(), "dev") {
		t.Errorf("no dev file: %v", err)
	}
	if got, err := j.Files(filepath.Join(one, "train.jsonl"), filepath.Join(one, "train.jsonl")); err == nil {
		t.Errorf("one file is both: %v", got)
	}
	if d, err := j.Digests(); d != nil || err != nil {
		t.Errorf("%v, %v", d, err)
	}
	squad := files(t, map[string]string{"train.json": `{"data":[{"title":"t","paragraphs":[{"context":"a cat sat","qas":[
		{"id":"1","question":"who sat","answers":[{"text":"a cat","answer_start":0}]},{"id":"2","question":"who ran","is_impossible":true,"answers":[]}]}]}]}`})
	env, log := logged()
	_, k := kindOf(t, "squad-qg")
	if examples, err := k.read(filepath.Join(squad, "train.json"), true, env.Log); err != nil || len(examples) != 1 {
		t.Errorf("%d questions, %v", len(examples), err)
	}
	contains(t, "the log", log.String(), "1 examples of ", "are left out: questions without answer")
}

// A vocabulary is made of each text once: a passage before its questions, of a dialogue the newest turn.
func TestTextsOfAVocabulary(t *testing.T) {
	for task, want := range map[string][]string{
		"coqa":     {"anna has 0 cats", "who has cats", "anna", "what does she have", "cats"},
		"gigaword": {"", "good good good good good 0", "yes", "bad bad bad bad bad 1", "no it is not"},
	} {
		env, _ := logged()
		j := jobOf(t, task, env)
		data := map[string]string{"coqa": conversations(1), "gigaword": headlines(2)}[task]
		found, err := j.Files(files(t, map[string]string{"train.jsonl": data, "dev.jsonl": data}), "")
		if err == nil {
			err = j.Read(found)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Collect(j.Texts()); !slices.Equal(slices.DeleteFunc(got, func(s string) bool { return s == "" }), slices.DeleteFunc(want, func(s string) bool { return s == "" })) {
			t.Errorf("%s: texts are %q", task, got)
		}
		for _, stop := range want {
			for text := range j.Texts() {
				if text == stop {
					break // an iterator that goes on panics
				}
			}
		}
	}
}

// A model learns headlines; opened again it writes what the learner wrote.
func TestFinetuneHeadlines(t *testing.T) {
	data := files(t, map[string]string{"train.jsonl": headlines(40), "dev.jsonl": headlines(40), "test.jsonl": `{"source":"good good good good good 2"}` + "\n" + `{"source":"bad bad bad bad bad 3"}` + "\n"})
	s := finetune(t, "gigaword", data, "epochs=12", "decode_examples=8", "label_smooth=0")
	if r := s.Metrics["rouge-l"]; r < 0.9 || s.Metrics["examples"] != 40 || s.Metrics["rouge-1"] < 0.9 {
		t.Errorf("metrics are %v", s.Metrics)
	}
	h, err := train.ReadHistory(s.Dir)
	if err != nil || len(h.Steps) < 2 || !(h.Steps[len(h.Steps)-1].Loss < h.Steps[0].Loss/2) {
		t.Errorf("the loss did not fall: %+v, %v", h.Steps, err)
	}
	if e := h.Evals[0].Metrics["examples"]; e != 8 {
		t.Errorf("an evaluation decodes %v examples", e)
	}
	if got := read(t, s.Dir.Path("predictions/test.txt")); got != "yes\nno it is not\n" {
		t.Errorf("predictions for test are %q", got)
	}
	contains(t, "the report", read(t, s.Dir.Report()), "match their reference", "good good good good good 0", "rouge-l")

	p, kind := kindOf(t, "gigaword")
	out := filepath.Join(t.TempDir(), "out")
	evaluate := run.EvaluateOptions{Task: p, Model: s.Dir.Root(), Data: data, Split: "dev", Predictions: out}
	results, err := run.Evaluate(t.Context(), evaluate)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range s.Metrics {
		if got := results[0].Metrics[key]; math.Abs(float64(got-want)) > 1e-5*max(1, float64(want)) {
			t.Errorf("opened: %s is %v, the learner said %v", key, got, want)
		}
	}
	for _, file := range kind.PredictionFiles("dev") {
		if n := strings.Count(read(t, filepath.Join(out, file)), "\n"); n != 40 {
			t.Errorf("%s has %d lines", file, n)
		}
	}
	evaluate.Set, evaluate.Predictions = []string{"max_length=1", "min_length=0", "beam=1"}, ""
	if short, err := run.Evaluate(t.Context(), evaluate); err != nil || short[0].Metrics["rouge-l"] >= results[0].Metrics["rouge-l"] || short[0].Metrics["loss"] != results[0].Metrics["loss"] {
		t.Errorf("of one token: %v, %v", short[0].Metrics, err)
	}
	evaluate.Set = []string{"beam=1000"}
	if _, err := run.Evaluate(t.Context(), evaluate); err == nil || !strings.Contains(err.Error(), "beam_size is 1000") {
		t.Errorf("a beam of a thousand: %v", err)
	}

	g, err := Open(s.Dir.Root(), run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if g.Dialogue() || g.Decoding.BeamSize != 2 || g.Decoding.MaxLength != 6 || g.EvalSettings().(*texts.Decoding).Beam != 2 {
		t.Errorf("%+v", g.Decoding)
	}
	said := results[0].Detail.(*detail).written
	var examples []seq2seq.Example
	for _, w := range said[:3] {
		examples = append(examples, w.Example)
	}
	examples = append(examples, seq2seq.Example{Sources: []string{strings.Repeat("word ", 500)}})
	written, cut, err := g.Write(t.Context(), examples, g.Decoding, tick)
	if err != nil || cut.Source != 1 {
		t.Fatalf("%+v, %v", cut, err)
	}
	for i, want := range said[:3] {
		if got := written[i]; got.Text != want.Text || math.Abs(got.Score-want.Score) > 1e-5 || !got.Finished || !got.LowerCase {
			t.Errorf("example %d: %+v, evaluation said %+v", i, got, want)
		}
		pieces := ""
		streamed, _, err := g.Stream(t.Context(), examples[i], g.Decoding, func(p string) { pieces += p })
		if err != nil || streamed.Text != want.Text || pieces != want.Text {
			t.Errorf("example %d: streamed %q in the pieces %q, %v", i, streamed.Text, pieces, err)
		}
	}
	for _, ask := range []func(context.Context, seq2seq.Example) error{
		func(ctx context.Context, x seq2seq.Example) error {
			_, _, err := g.Write(ctx, []seq2seq.Example{x}, g.Decoding, tick)
			return err
		},
		func(ctx context.Context, x seq2seq.Example) error {
			_, _, err := g.Stream(ctx, x, g.Decoding, func(string) {})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(ctx, examples[0]); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := ask(t.Context(), seq2seq.Example{}); err == nil || !strings.Contains(err.Error(), "has no source text") {
			t.Errorf("without a source: %v", err)
		}
	}
	if coqa, _ := kindOf(t, "coqa"); g.Fits(coqa) == nil || g.Fits(p) != nil {
		t.Errorf("coqa: %v, gigaword: %v", g.Fits(coqa), g.Fits(p))
	}
	if _, err := kind.Open(t.TempDir(), (run.Env{}).Ready()); err == nil {
		t.Error("an empty folder is a model")
	}
}

// A model of a dialogue answers about passages.
func TestFinetuneDialogue(t *testing.T) {
	data := files(t, map[string]string{"train.jsonl": conversations(16), "dev.jsonl": conversations(16)})
	s := finetune(t, "coqa", data, "epochs=10", "continuous_position=true")
	if m := s.Metrics; m["f1"] < 0.7 || m["em"] < 0.7 || m["f1_mctest"] != m["f1"] {
		t.Errorf("metrics are %v", m)
	}
	g, err := Open(s.Dir.Best(), run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if !g.Dialogue() || !g.writer.encoder.ContinuousPositions || g.Config.TurnTypes != 16 {
		t.Errorf("%+v", g.Config)
	}
	written, _, err := g.Write(t.Context(), []seq2seq.Example{{Knowledge: "tom has 3 cats", Sources: []string{"who has cats", "tom", "what does she have"}}}, g.Decoding, tick)
	if err != nil || written[0].Text != "cats" {
		t.Errorf("%+v, %v", written, err)
	}
	if coqa, _ := kindOf(t, "coqa"); g.Fits(coqa) != nil {
		t.Errorf("its own task: %v", g.Fits(coqa))
	}
}

// A test file that cannot be read is an error that a run can do without.
func TestSubmitUnusable(t *testing.T) {
	env, _ := logged()
	data := files(t, map[string]string{"train.jsonl": headlines(4), "dev.jsonl": headlines(4), "test.jsonl": "{"})
	l := learnerOf(t, jobOf(t, "gigaword", env), data)
	var unusable *run.UnusableError
	if err := l.Submit(t.Context(), run.File{Split: "test", Path: filepath.Join(data, "test.jsonl")}, t.TempDir(), tick); !errors.As(err, &unusable) {
		t.Errorf("got %v", err)
	}
}

// What a model's folder says about decoding; without it the model writes as much as it has positions for.
func TestReadLimits(t *testing.T) {
	small := model.Mini
	small.MaxPositions = 52
	for content, c := range map[string]struct {
		cfg      model.Config
		src, tgt int
		beam     int
		err      string
	}{
		"": {cfg: model.Base, src: 512, tgt: 128, beam: 5},
		`{"max_src_len":40,"max_tgt_len":9,"beam_size":3,"max_out_len":9}`: {cfg: small, src: 40, tgt: 9, beam: 3},
		`{"max_src_len":400,"max_tgt_len":300,"max_out_len":9}`:            {cfg: small, src: 50, tgt: 50, beam: 5},
		`{"max_out_len":51}`: {cfg: small, err: "generation_config.json: max_out_len is 51, want 1 to 50"},
		`{"max_out_len":`:    {cfg: small, err: "generation_config.json"},
	} {
		dir := t.TempDir()
		if content != "" {
			dir = files(t, map[string]string{"generation_config.json": content})
		}
		l, err := readLimits(&run.Opened{Dir: dir, Config: c.cfg})
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err == nil && (l.MaxSrcLen != c.src || l.MaxTgtLen != c.tgt || l.BeamSize != c.beam) {
			t.Errorf("%s: %+v, %v", content, l, err)
		}
	}
}
