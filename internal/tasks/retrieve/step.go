package retrieve

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/train"
)

// candidates are the images and captions of one batch with their vectors.
type candidates struct {
	Epoch, Batch     int
	Images, Captions []int // of the training set

	imageVectors, captionVectors train.StepVectors
}

// Surveys implements [run.Surveyor].
func (l *learner) Surveys() bool {
	return l.job.settings.ContrastOverStep && l.job.settings.GradientAccumulation > 1
}

// Survey implements [run.Surveyor]: it computes the vectors of a batch, as Loss does then.
func (l *learner) Survey(tape *autograd.Tape, epoch, batch int) ([]byte, []*autograd.Var, error) {
	if !l.contrasts(epoch) {
		return nil, nil, nil
	}
	b := l.pairs(epoch, batch)
	pictures, texts, err := l.inputs(tape, b, epoch)
	if err != nil {
		return nil, nil, err
	}
	im, tx := l.model.Side(tape, pictures), l.model.Side(tape, texts)
	vectors := []*autograd.Var{l.model.ImageVectors(tape, im), l.model.TextVectors(tape, tx)}
	var raw bytes.Buffer
	err = gob.NewEncoder(&raw).Encode(candidates{Epoch: epoch, Batch: batch, Images: b.images, Captions: b.captions})
	return raw.Bytes(), vectors, err
}

// Surveyed implements [run.Surveyor].
func (l *learner) Surveyed(batches []train.Surveyed) error {
	l.step = l.step[:0]
	for _, b := range batches {
		if len(b.About) == 0 {
			continue
		}
		var c candidates
		if err := gob.NewDecoder(bytes.NewReader(b.About)).Decode(&c); err != nil {
			return fmt.Errorf("images and captions of a batch: %w", err)
		}
		c.imageVectors, c.captionVectors = b.Vectors[0], b.Vectors[1]
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
// The trainer takes the mean over the batches, each of which has the loss as its value: see [train.StackStep].
func (l *learner) contrast(tape *autograd.Tape, epoch, batch int, b *pairBatch, iv, tv *autograd.Var) (*autograd.Var, error) {
	temperature := l.job.settings.Temperature
	if !l.Surveys() {
		return l.model.ContrastiveLoss(tape, iv, tv, b.imageOf, temperature), nil
	}
	own := slices.IndexFunc(l.step, func(c candidates) bool { return c.Epoch == epoch && c.Batch == batch })
	if own < 0 {
		return nil, fmt.Errorf("batch %d of epoch %d is not among those of the step", batch, epoch)
	}
	images := l.gather(tape, own, iv, func(c *candidates) ([]int, train.StepVectors) { return c.Images, c.imageVectors })
	captions := l.gather(tape, own, tv, func(c *candidates) ([]int, train.StepVectors) { return c.Captions, c.captionVectors })
	imageOf := make([]int32, len(captions.numbers))
	for i, c := range captions.numbers {
		imageOf[i] = int32(slices.Index(images.numbers, l.job.train.Captions[c].Image)) // -1: it is in no batch
	}
	loss := l.model.ContrastiveLoss(tape, images.vectors, captions.vectors, imageOf, temperature)
	return train.LossOfStep(tape, loss, len(l.step)), nil
}

// gathered are the images or captions of a step, each once, and their vectors.
type gathered struct {
	numbers []int
	vectors *autograd.Var
}

// gather brings the vectors of the step's batches together: of the batch own those on the tape.
func (l *learner) gather(tape *autograd.Tape, own int, vectors *autograd.Var, of func(c *candidates) ([]int, train.StepVectors)) gathered {
	var g gathered
	var rows []train.StepRow
	seen := map[int]bool{}
	for i := range l.step {
		numbers, _ := of(&l.step[i])
		for k, n := range numbers {
			if !seen[n] {
				seen[n] = true
				g.numbers, rows = append(g.numbers, n), append(rows, train.StepRow{Batch: i, Row: k})
			}
		}
	}
	g.vectors = train.StackStep(tape, own, vectors, func(batch int) train.StepVectors {
		_, theirs := of(&l.step[batch])
		return theirs
	}, rows)
	return g
}
