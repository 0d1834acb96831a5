package retrieve

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// candidates are the images and captions of one batch with their vectors.
type candidates struct {
	Epoch, Batch                 int
	Images, Captions             []int // of the training set
	ImageVectors, CaptionVectors []float32
}

// Surveys implements [run.Surveyor].
func (l *learner) Surveys() bool {
	return l.job.settings.ContrastOverStep && l.job.settings.GradientAccumulation > 1
}

// Survey implements [run.Surveyor]: it computes the vectors of a batch, as Loss does then.
func (l *learner) Survey(tape *autograd.Tape, epoch, batch int) ([]byte, error) {
	if !l.contrasts(epoch) {
		return nil, nil
	}
	b := l.pairs(epoch, batch)
	pictures, texts, err := l.inputs(tape, b, epoch)
	if err != nil {
		return nil, err
	}
	im, tx := l.model.Side(tape, pictures), l.model.Side(tape, texts)
	iv, tv := l.model.ImageVectors(tape, im), l.model.TextVectors(tape, tx)
	var raw bytes.Buffer
	err = gob.NewEncoder(&raw).Encode(candidates{epoch, batch, b.images, b.captions, engine.Values(l.job.env.Device, iv.Value), engine.Values(l.job.env.Device, tv.Value)})
	return raw.Bytes(), err
}

// Surveyed implements [run.Surveyor].
func (l *learner) Surveyed(batches [][]byte) error {
	l.step = l.step[:0]
	for _, raw := range batches {
		if raw == nil {
			continue
		}
		var c candidates
		if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&c); err != nil {
			return fmt.Errorf("vectors of a batch: %w", err)
		}
		l.step = append(l.step, c)
	}
	return nil
}

// contrasts says whether the batches of an epoch have a contrastive loss.
func (l *learner) contrasts(epoch int) bool {
	return l.contrasting(epoch) || l.job.settings.ContrastWeight > 0
}

// contrast is the contrastive loss of a batch: over its own images and captions or, with contrast_over_step, over those of all
// batches of the step. An image that is in several batches is in the loss once, as the first of them has it.
//
// The vectors of other batches are constants here and this batch's are constants there, so the gradients of all batches together
// are that of one loss over all. The trainer takes the mean over the batches; each has the loss as its value, and its gradient as
// many times as there are batches.
func (l *learner) contrast(tape *autograd.Tape, epoch, batch int, b *pairBatch, iv, tv *autograd.Var) (*autograd.Var, error) {
	temperature := l.job.settings.Temperature
	if !l.Surveys() {
		return l.model.ContrastiveLoss(tape, iv, tv, b.imageOf, temperature), nil
	}
	own := slices.IndexFunc(l.step, func(c candidates) bool { return c.Epoch == epoch && c.Batch == batch })
	if own < 0 {
		return nil, errors.New("contrast_over_step is for a run of retrieval alone; set it to false")
	}
	images := l.gather(tape, own, iv, func(c *candidates) ([]int, []float32) { return c.Images, c.ImageVectors })
	captions := l.gather(tape, own, tv, func(c *candidates) ([]int, []float32) { return c.Captions, c.CaptionVectors })
	imageOf := make([]int32, len(captions.numbers))
	for i, c := range captions.numbers {
		imageOf[i] = int32(slices.Index(images.numbers, l.job.train.Captions[c].Image)) // -1: it is in no batch
	}
	loss := l.model.ContrastiveLoss(tape, images.vectors, captions.vectors, imageOf, temperature)
	return tape.HostLoss(loss, func(slopes, values []float32) float64 {
		slopes[0] = float32(len(l.step))
		return float64(values[0])
	}), nil
}

// gathered are the images or captions of a step, each once, and their vectors.
type gathered struct {
	numbers []int
	vectors *autograd.Var
}

// gather brings the vectors of the step's batches together: of the batch own those on the tape.
func (l *learner) gather(tape *autograd.Tape, own int, vectors *autograd.Var, of func(c *candidates) ([]int, []float32)) gathered {
	size := vectors.Value.Cols
	var g gathered
	var rows []int32
	var others []float32
	seen := map[int]bool{}
	for i := range l.step {
		numbers, values := of(&l.step[i])
		for k, n := range numbers {
			if seen[n] {
				continue
			}
			seen[n] = true
			g.numbers = append(g.numbers, n)
			if i == own {
				rows = append(rows, int32(k))
				continue
			}
			rows = append(rows, int32(vectors.Value.Rows+len(others)/size))
			others = append(others, values[k*size:][:size]...)
		}
	}
	if others == nil {
		g.vectors = tape.Rows(vectors, rows)
		return g
	}
	constants := autograd.Const(l.job.env.Device.Wrap(len(others)/size, size, others))
	g.vectors = tape.StackRows(vectors, constants, rows)
	return g
}
