package vqa

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/metrics"
)

// detail is what a model said of the questions of a file.
type detail struct {
	set  *vqa.Set
	said []said
	loss float64

	sampled bool // what is said has logits, and what was right is known
}

// Sample implements [run.Sampled]. An answer is as right as people find it.
func (d *detail) Sample() *calibration.Sample {
	if !d.sampled || len(d.said) == 0 {
		return nil
	}
	s := new(calibration.Scores)
	for _, x := range d.said {
		s.Scores, s.Right = append(s.Scores, x.logit), append(s.Right, x.Score)
	}
	return &calibration.Sample{Answers: s}
}

var _ run.Commenter = (*detail)(nil)

// Answers implements [run.Detail].
func (d *detail) Answers() []run.Answer {
	list := make([]run.Answer, len(d.said))
	for i, x := range d.set.Examples {
		list[i] = run.Answer{ID: x.ID, Text: x.Question, Gold: gold(x.Answers), Predicted: d.said[i].Answer, Value: d.said[i].Score}
	}
	return list
}

func resultsFile(split string) string { return split + ".results.json" }
func linesFile(split string) string   { return split + ".jsonl" }

// predicted is a line of SPLIT.jsonl.
type predicted struct {
	ID          string   `json:"question_id"`
	Image       string   `json:"image"`
	Question    string   `json:"question"`
	Answer      string   `json:"answer"`
	Probability float64  `json:"probability"`
	People      []string `json:"answers,omitempty"`
	Accuracy    *float64 `json:"accuracy,omitempty"`
}

// WritePredictions implements [run.Detail]. It writes SPLIT.results.json as VQA's server takes it, and SPLIT.jsonl.
func (d *detail) WritePredictions(dir, split string) error {
	err := run.WriteLines(dir, linesFile(split), len(d.said), func(i int) any {
		x := d.set.Examples[i]
		line := predicted{ID: x.ID, Image: x.Image, Question: x.Question, Answer: d.said[i].Answer, Probability: d.said[i].Probability, People: x.Answers}
		if x.Answers != nil {
			line.Accuracy = &d.said[i].Score
		}
		return line
	})
	if err != nil {
		return err
	}
	results := make([]vqa.Result, len(d.said))
	for i, x := range d.set.Examples {
		results[i] = vqa.Result{ID: x.ID, Answer: d.said[i].Answer}
	}
	return vqa.WriteResults(filepath.Join(dir, resultsFile(split)), results)
}

// Comment implements [run.Commenter].
func (d *detail) Comment(metric, on string) string {
	if metric != "accuracy" {
		return on
	}
	return strings.Join(append([]string{on, d.interval()}, d.baselines()...), "; ")
}

// interval is the 95 % interval of the accuracy: how much another sample of that size might differ. Answers that are right in
// part make it narrower than it says.
func (d *detail) interval() string {
	n := len(d.said)
	low, high := metrics.WilsonInterval(int(d.accuracy(nil)*float64(n)+0.5), n)
	return fmt.Sprintf("95 %% interval %.3f to %.3f", low, high)
}

// Remarks implements [run.Commenter].
func (d *detail) Remarks() ([]string, *report.Table) {
	table := d.table("Accuracy by type of answer", answerType)
	if len(table.Rows) < 2 {
		return append([]string{d.interval()}, d.baselines()...), nil
	}
	return append([]string{d.interval()}, d.baselines()...), &table
}

// shownTypes is how many types of question are listed.
const shownTypes = 30

// table has the accuracy by type.
func (d *detail) table(title string, typeOf func(*vqa.Example) string) report.Table {
	t := report.Table{Title: title, Header: []string{"type", "questions", "accuracy", "most frequent answer", "its accuracy"}}
	groups := d.by(typeOf)
	for _, g := range groups[:min(len(groups), shownTypes)] {
		answer, accuracy := d.always(g.numbers)
		t.Rows = append(t.Rows, []string{g.name, fmt.Sprint(len(g.numbers)), fmt.Sprintf("%.4f", d.accuracy(g.numbers)), answer, fmt.Sprintf("%.4f", accuracy)})
	}
	if len(groups) > shownTypes {
		t.Note = fmt.Sprintf("The %d most frequent of %d types.", shownTypes, len(groups))
	}
	return t
}

// shownQuestions is how many questions a page shows, half of them answered wrongly.
const shownQuestions = 16

// Section implements [run.Detail].
func (d *detail) Section(page *report.Run) {
	page.Tables = append(page.Tables, d.table("Accuracy by type of answer", answerType), d.table("Accuracy by type of question", questionType))
	right := func(i int) bool { return d.said[i].Score > 0 }
	chosen := images.Choose(len(d.said), shownQuestions, right)
	g := report.Gallery{Title: "Questions and answers", Note: chosen.Note("questions", "got an answer that somebody gave")}
	for _, i := range chosen.Numbers {
		x := d.set.Examples[i]
		q := report.GalleryQuery{Text: x.Question, Picture: images.PagePicture(d.set.Dir, x.Image), Alt: x.Image, Right: right(i)}
		q.Found = append(q.Found, report.GalleryItem{Text: d.said[i].Answer, Score: d.said[i].Probability, Right: right(i)})
		if answer := gold(x.Answers); answer != d.said[i].Answer {
			q.Found = append(q.Found, report.GalleryItem{Text: "people: " + answer, Score: vqa.Score(answer, x.Answers), Right: true})
		}
		g.Queries = append(g.Queries, q)
	}
	page.Galleries = append(page.Galleries, g)
}
