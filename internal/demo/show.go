package demo

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/captioning"
	"github.com/unimo-go/unimo/internal/tasks/entail"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/vqa"
	"github.com/unimo-go/unimo/internal/train"
)

// said is what the model says of one held-out picture.
type said struct {
	picture string // file
	caption string
	answers []string // of the scene's questions
	labels  []string // of its hypotheses
}

// show scores the model in a folder on the held-out scenes, and writes a page of what it says of some.
func (r *runner) show(model string, curves string) (Outcome, error) {
	trained, _, heldOut := talkScenes(r.part.Sizes)
	watch, done := r.Watch(r.part.Task)
	defer done()
	watch.Stage("asking about pictures that training never showed")
	all, err := r.talk(model, heldOut, watch)
	if err != nil {
		return Outcome{}, err
	}
	found, err := run.Evaluate(r.ctx, run.EvaluateOptions{
		Env: run.Env{Log: r.Log, Observer: watch}, Task: named(talked, "flickr8k"), Model: model, Data: r.data, Split: "test", Set: []string{"two_stage=1"},
	})
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Scores: scoresOf(heldOut, all), Model: model, Picture: all[0].picture, Page: filepath.Join(r.Dir, "report.html")}
	for _, key := range []string{"recall@1", "image_recall@1", "text_recall@1"} {
		out.Scores[key] = found[0].Metrics[key]
	}
	groups := compared(trained, heldOut)
	out.Text = r.summary(out.Scores, groups, len(heldOut))
	return out, r.talkPage(out, groups, heldOut, all, curves)
}

// talk asks the model about every scene.
func (r *runner) talk(model string, scenes []synth.Scene, watch run.Observer) ([]said, error) {
	env := run.Env{Log: r.Log, Observer: watch}
	answerer, err := vqa.Open(model, env)
	if err != nil {
		return nil, err
	}
	defer answerer.Close()
	judge, err := entail.Open(model, env)
	if err != nil {
		return nil, err
	}
	defer judge.Close()
	captioner, err := captioning.Open(model, env)
	if err != nil {
		return nil, err
	}
	defer captioner.Close()
	all, seen := make([]said, len(scenes)), make([]*regions.Image, len(scenes))
	quiet := func(int, int) {}
	for i, scene := range scenes {
		s := &all[i]
		s.picture = filepath.Join(r.data, "images", fmt.Sprintf("test-%05d.png", i+1))
		if seen[i], err = answerer.Picture(s.picture); err != nil {
			return nil, err
		}
		if s.answers, err = answerAll(r.ctx, answerer, seen[i], scene); err != nil {
			return nil, err
		}
		if s.labels, err = judgeAll(r.ctx, judge, seen[i], scene); err != nil {
			return nil, err
		}
		watch.Tick(i+1, len(scenes))
	}
	options := captioner.Decoding
	written, err := captioner.Caption(r.ctx, seen, captioning.Tagger{}, 0, options, quiet)
	if err != nil {
		return nil, err
	}
	for i, w := range written {
		all[i].caption = w.Text
	}
	return all, nil
}

func answerAll(ctx context.Context, m *vqa.Answerer, im *regions.Image, scene synth.Scene) (answers []string, err error) {
	var questions []string
	for _, q := range scene.Questions {
		questions = append(questions, q.Text)
	}
	given, err := m.Ask(ctx, []*regions.Image{im}, questions, 1, func(int, int) {})
	for _, a := range given {
		answers = append(answers, a.Best[0].Answer)
	}
	return answers, err
}

func judgeAll(ctx context.Context, m *entail.Predictor, im *regions.Image, scene synth.Scene) (labels []string, err error) {
	var texts []string
	for _, h := range scene.Hypotheses {
		texts = append(texts, h.Text)
	}
	given, err := m.Reply(ctx, []*regions.Image{im}, texts, func(int, int) {})
	for _, a := range given {
		labels = append(labels, a.Label)
	}
	return labels, err
}

// tally counts right answers.
type tally struct{ right, all int }

func (t *tally) add(right bool) {
	t.all++
	if right {
		t.right++
	}
}

func (t tally) share() train.Number { return train.Number(float64(t.right) / float64(max(t.all, 1))) }

// scoresOf compares what the model says with what is right.
func scoresOf(scenes []synth.Scene, all []said) train.Numbers {
	tallies := map[string]*tally{}
	add := func(right bool, names ...string) {
		for _, name := range names {
			if tallies[name] == nil {
				tallies[name] = new(tally)
			}
			tallies[name].add(right)
		}
	}
	for i, scene := range scenes {
		for j, q := range scene.Questions {
			add(all[i].answers[j] == q.Answer, "answers", "answers/"+q.Type)
		}
		for j, h := range scene.Hypotheses {
			add(all[i].labels[j] == h.Label, "entailment", "entailment/"+h.Label)
		}
		holds, _ := scene.Judge(all[i].caption)
		add(holds, "captions")
	}
	out := train.Numbers{"examples": train.Number(len(scenes))}
	for name, t := range tallies {
		out[name] = t.share()
	}
	return out
}

// group is a score and what it is to be compared with.
type group struct {
	key, title string
	baselines  []Baseline
}

func compared(trained, heldOut []synth.Scene) []group {
	list := func(all []synth.AnswerBaseline) (out []Baseline) {
		for _, b := range all {
			out = append(out, Baseline{b.Name, b.Accuracy})
		}
		return out
	}
	var found []Baseline
	for _, b := range synth.SceneBaselines(heldOut) {
		found = append(found, Baseline{b.Name, b.Recall})
	}
	return []group{
		{"answers", "questions answered right", list(synth.QuestionBaselines(trained, heldOut))},
		{"entailment", "statements judged right (entailment, contradiction, neutral)", list(synth.HypothesisBaselines(trained, heldOut))},
		{"captions", "captions true of their picture, by the generator's own semantics", list(synth.CaptionBaselines(heldOut))},
		{"recall@1", "the right picture and the right sentence found first, by vectors, the mean of both", found},
	}
}

// summary says the scores in a terminal.
func (r *runner) summary(scores train.Numbers, groups []group, scenes int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "One set of weights on %d pictures of pairs of things that training never showed:\n", scenes)
	for _, g := range groups {
		fmt.Fprintf(&b, "  %.4f  %s\n", float64(scores[g.key]), g.title)
		for _, base := range g.baselines {
			fmt.Fprintf(&b, "          %.4f  %s\n", base.Score, base.Name)
		}
	}
	return b.String()
}

// shownScenes are on the page, the first ones: they are in an order of chance.
const shownScenes = 12

// talkPage writes the page: each picture with its caption, answers and judgements.
func (r *runner) talkPage(out Outcome, groups []group, scenes []synth.Scene, all []said, curves string) error {
	page := report.Run{Title: "One model, many tasks", Subtitle: "on pictures of pairs of things that training never showed", Notice: r.part.Notice}
	table := report.Table{Title: "What the scores are to be compared with", Header: []string{"way to answer", "score"}}
	for _, g := range groups {
		page.Metrics = append(page.Metrics, report.Metric{Name: g.key, Value: float64(out.Scores[g.key]), Note: g.title})
		table.Best = append(table.Best, len(table.Rows))
		table.Rows = append(table.Rows, []string{g.key + ": this model", fmt.Sprintf("%.4f", float64(out.Scores[g.key]))})
		for _, base := range g.baselines {
			table.Rows = append(table.Rows, []string{base.Name, fmt.Sprintf("%.4f", base.Score)})
		}
	}
	kinds := report.Table{Title: "Answers by type of question, judgements by label", Header: []string{"of", "score"}}
	for _, name := range synth.QuestionTypes() {
		kinds.Rows = append(kinds.Rows, []string{name, fmt.Sprintf("%.4f", float64(out.Scores["answers/"+name]))})
	}
	for _, name := range synth.HypothesisLabels() {
		kinds.Rows = append(kinds.Rows, []string{name, fmt.Sprintf("%.4f", float64(out.Scores["entailment/"+name]))})
	}
	page.Tables = []report.Table{table, kinds}
	page.Summary = []report.Item{{Key: "model", Value: out.Model}}
	if curves != "" {
		page.Summary = append(page.Summary, report.Item{Key: "curves", Value: curves, Link: curves})
	}
	gallery := report.Gallery{Title: "What the model says", Note: fmt.Sprintf("The first %d of %d held-out pictures. Below each: its questions with the model's answers, statements with its judgement.", min(shownScenes, len(scenes)), len(scenes))}
	for i := range min(shownScenes, len(scenes)) {
		gallery.Queries = append(gallery.Queries, queryOf(scenes[i], all[i]))
	}
	page.Galleries = []report.Gallery{gallery}
	return atomicfile.Write(out.Page, func(w io.Writer) error { return report.Write(w, page) })
}

// queryOf is a scene on the page.
func queryOf(scene synth.Scene, s said) report.GalleryQuery {
	holds, understood := scene.Judge(s.caption)
	verdict := "a true caption"
	switch {
	case !understood:
		verdict = "no sentence that the generator knows"
	case !holds:
		verdict = "a false caption"
	}
	q := report.GalleryQuery{
		Text: s.caption, Picture: images.Thumbnail(s.picture, 128, picture.DefaultLimits), Alt: "a held-out scene", Right: holds, Verdict: verdict,
	}
	item := func(text, says, right string) {
		note := says
		if says != right {
			note = says + ", but " + right + " is right"
		}
		q.Found = append(q.Found, report.GalleryItem{Text: text, Right: says == right, Note: note})
	}
	for j, question := range scene.Questions {
		item(question.Text, s.answers[j], question.Answer)
	}
	for j, h := range scene.Hypotheses {
		item(h.Text, s.labels[j], h.Label)
	}
	return q
}
