package entail

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/entailment"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// detail is what a model said of the examples of a file.
type detail struct {
	labels   []string
	examples []entailment.Example
	logits   [][]float32
	score    classes.Score // zero of examples without labels
	pictures string        // their folder; "" where there are features alone
	notes    []string

	calibration *calibration.Calibration // of the probabilities; nil: the model's own
}

// Sample implements [run.Sampled].
func (d *detail) Sample() *calibration.Sample { return classes.Sample(d.logits, golds(d.examples)) }

var _ run.Commenter = (*detail)(nil)

func newDetail(labels []string, examples []entailment.Example, logits [][]float32, pictures string, notes []string) *detail {
	return &detail{labels: labels, examples: examples, logits: logits, score: newScore(examples, logits, labels), pictures: pictures, notes: notes}
}

// perClass adds the accuracy of each class, which is its recall, and the mean F1 of all.
func perClass(s classes.Score, labels []string) {
	s.Metrics["macro_f1"] = train.Number(metrics.MacroF1(s.Confusion))
	for i, c := range metrics.PerClass(s.Confusion) {
		if c.Gold > 0 {
			s.Metrics["accuracy_"+labels[i]] = train.Number(c.Recall)
		}
	}
}

// Answers implements [run.Detail].
func (d *detail) Answers() []run.Answer {
	answers := make([]run.Answer, len(d.examples))
	for i, x := range d.examples {
		class := classes.Best(d.logits[i])
		answers[i] = run.Answer{ID: x.ID, Text: x.Image + "\t" + x.Text, Gold: d.labels[x.Class], Predicted: d.labels[class], Value: run.Right(class == x.Class)}
	}
	return answers
}

// predicted is a line of SPLIT.jsonl.
type predicted struct {
	ID            string             `json:"id,omitempty"`
	Image         string             `json:"image"`
	Text          string             `json:"text,omitempty"`
	Label         string             `json:"label,omitempty"` // that is right, where it is known
	Predicted     string             `json:"predicted"`
	Probabilities map[string]float64 `json:"probabilities"`
}

func predictionFiles(split string) []string {
	return []string{split + ".jsonl", split + ".trainers_1.part_0.npy"}
}

// WritePredictions implements [run.Detail]. It writes SPLIT.jsonl, and the array that the reference writes: the class that
// was predicted and the right one (-1 where it is not known), a row of each example.
func (d *detail) WritePredictions(dir, split string) error {
	files := predictionFiles(split)
	err := run.WriteLines(dir, files[0], len(d.examples), func(i int) any {
		x := d.examples[i]
		line := predicted{ID: x.ID, Image: x.Image, Text: x.Text, Predicted: d.labels[classes.Best(d.logits[i])], Probabilities: map[string]float64{}}
		if x.Class >= 0 {
			line.Label = d.labels[x.Class]
		}
		for class, p := range d.calibration.Classes(d.logits[i]) {
			line.Probabilities[d.labels[class]] = p
		}
		return line
	})
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, files[1]), d.writeArray)
}

// writeArray writes the predictions as NumPy's array of int64, N x 2.
func (d *detail) writeArray(w io.Writer) error {
	const magic, align = "\x93NUMPY\x01\x00", 64
	header := fmt.Sprintf("{'descr': '<i8', 'fortran_order': False, 'shape': (%d, 2), }", len(d.examples))
	size := len(magic) + 2 + len(header) + 1
	header = fmt.Sprintf("%s%*s\n", header, (align-size%align)%align, "")
	raw := binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(header)))
	raw = append(raw, header...)
	for i, x := range d.examples {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(classes.Best(d.logits[i])))
		raw = binary.LittleEndian.AppendUint64(raw, uint64(int64(x.Class)))
	}
	_, err := w.Write(raw)
	return err
}

// Section implements [run.Detail].
func (d *detail) Section(page *report.Run) {
	d.score.Section(page, d.labels)
	page.Galleries = append(page.Galleries, d.gallery())
}

// pictureSide is the longer side of a picture on a page, in pixels.
const pictureSide = 160

// gallery shows the mistakes that the model was surest of, with their pictures.
func (d *detail) gallery() report.Gallery {
	numbers, note := classes.Mistakes(d.logits, golds(d.examples))
	g := report.Gallery{Title: "Mistakes", Note: note}
	for _, i := range numbers {
		x := d.examples[i]
		q := report.GalleryQuery{Text: x.Shown(), Picture: d.picture(x.Image), Alt: x.Image}
		for class, p := range d.calibration.Classes(d.logits[i]) {
			q.Found = append(q.Found, report.GalleryItem{Text: d.labels[class], Score: p, Right: class == x.Class})
		}
		g.Queries = append(g.Queries, q)
	}
	return g
}

func (d *detail) picture(name string) string {
	file, err := picture.Find(d.pictures, name)
	if err != nil || d.pictures == "" {
		return ""
	}
	return images.Thumbnail(file, pictureSide, picture.DefaultLimits)
}

// Comment implements [run.Commenter].
func (d *detail) Comment(metric, on string) string {
	if metric == "accuracy" {
		return d.score.Comment(on, d.labels)
	}
	return on
}

// Remarks implements [run.Commenter].
func (d *detail) Remarks() ([]string, *report.Table) {
	return d.score.Remarks(d.labels), &d.score.Tables(d.labels)[0]
}
