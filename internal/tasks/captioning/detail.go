package captioning

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/coco"
	"github.com/unimo-go/unimo/internal/dataset/textscore"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// detail is what a model wrote for the images of a split.
type detail struct {
	metric   string // of the task
	written  []Captioned
	pictures string // their folder
}

var _ run.Commenter = (*detail)(nil)

// scored names the metric of package textscore that captions are scored by.
const scored = "caption"

// scores compares captions with their references, as COCO's server does.
func scores(written []Captioned) train.Numbers {
	metric, err := textscore.Find(scored)
	if err != nil {
		panic(err) // both lists are the program's own
	}
	list := make([]textscore.Text, len(written))
	for i, w := range written {
		list[i] = textscore.Text{Hyp: w.Text, Refs: w.References}
	}
	m := train.Numbers{}
	for _, s := range metric.Score(list, textscore.Options{}).Scores {
		if !s.Detail {
			m[s.Name] = train.Number(s.Value)
		}
	}
	return m
}

// cider returns CIDEr-D, whose weights are those of all images, and that of each caption.
func cider(written []Captioned) (float64, []float64) {
	words := func(text string) string { return strings.Join(metrics.PTBTokenize(text), " ") }
	hyps, refs := make([]string, len(written)), make([][]string, len(written))
	for i, w := range written {
		hyps[i] = words(w.Text)
		for _, r := range w.References {
			refs[i] = append(refs[i], words(r))
		}
	}
	return metrics.CIDErD(hyps, refs)
}

// Answers implements [run.Detail].
func (d *detail) Answers() []run.Answer {
	answers := make([]run.Answer, len(d.written))
	_, each := cider(d.written)
	for i, w := range d.written {
		answers[i] = run.Answer{ID: w.Image, Predicted: w.Text, Value: each[i]}
		if len(w.References) > 0 {
			answers[i].Gold = w.References[0]
		}
	}
	return answers
}

// WritePredictions implements [run.Detail].
func (d *detail) WritePredictions(dir, split string) error {
	return writeCaptions(dir, split, d.written)
}

// writeCaptions writes captions into the folder dir: SPLIT.json as COCO's server takes it, and SPLIT.jsonl with their
// references and scores.
func writeCaptions(dir, split string, written []Captioned) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	list := make([]coco.Written, len(written))
	for i, w := range written {
		list[i] = coco.Written{Image: w.Image, Caption: w.Text}
	}
	if err := coco.WriteResult(filepath.Join(dir, split+".json"), list); err != nil {
		return err
	}
	return run.WriteLines(dir, split+".jsonl", len(written), func(i int) any {
		w := written[i]
		return struct {
			Image      string   `json:"image"`
			Caption    string   `json:"caption"`
			References []string `json:"references,omitempty"`
			Score      float64  `json:"score"`
		}{w.Image, w.Text, w.References, w.Score}
	})
}

// shown pictures are in a report's gallery, at even distances in the data.
const shown = 24

// Section implements [run.Detail].
func (d *detail) Section(page *report.Run) {
	g := report.Gallery{Title: "Captions of pictures", Unjudged: true, Note: fmt.Sprintf("%d of %d pictures, at even distances in the data; below each caption the references.", min(shown, len(d.written)), len(d.written))}
	for _, w := range texts.Evenly(d.written, shown) {
		q := report.GalleryQuery{Text: w.Text, Alt: w.Image, Picture: images.PagePicture(d.pictures, w.Image)}
		for _, r := range w.References {
			q.Found = append(q.Found, report.GalleryItem{Text: r})
		}
		g.Queries = append(g.Queries, q)
	}
	page.Galleries = append(page.Galleries, g)
}

// Comment implements [run.Commenter].
func (d *detail) Comment(_, on string) string { return on }

// Remarks implements [run.Commenter].
func (d *detail) Remarks() ([]string, *report.Table) {
	return []string{"SPICE is not computed: it needs a parser of sentences"}, nil
}
