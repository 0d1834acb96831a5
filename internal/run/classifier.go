package run

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/tokenizer"
)

// Classifier runs a model over records. It is not safe for concurrent use.
type Classifier struct {
	dev   engine.Device
	model *model.Classifier
	tape  *autograd.Tape
	batch labelled.Batch
}

// newClassifier returns a runner of m on d.
func newClassifier(d engine.Device, m *model.Classifier) Classifier {
	return Classifier{dev: d, model: m, tape: autograd.NewInference(d)}
}

// Outputs are what a model says of records, in their order: a row of logits each, or the score.
type Outputs [][]float32

// Run computes the outputs of records, batch of them at a time. tick is called
// after every batch; ctx ends the work early.
func (c *Classifier) Run(ctx context.Context, records []labelled.Record, batch int, tick func(done, total int)) (Outputs, error) {
	out := make(Outputs, 0, len(records))
	columns := c.model.Config.NumLabels
	for _, idx := range batches.Plan(labelled.Lengths(records), batches.Sequence(len(records)), batch, false) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.batch.Pack(records, idx)
		in := text(&c.batch)
		if err := in.Check(c.model.Config); err != nil {
			return nil, err
		}
		logits := c.model.Logits(c.tape, in)
		err := c.model.Params.CheckOutput(c.dev, "logits", logits)
		values := slices.Clone(engine.Values(c.dev, logits.Value))
		c.tape.Release()
		if err != nil {
			return nil, err
		}
		for i := range idx {
			row := values[i*columns : (i+1)*columns : (i+1)*columns]
			if c.model.Config.ProblemType == model.Regression {
				row[0] = c.model.Config.Score(row[0])
				if row[0]-row[0] != 0 { // score_scale is too large for it
					return nil, &model.NonFiniteError{Output: "scores", Value: row[0]}
				}
			}
			out = append(out, row)
		}
		tick(len(out), len(records))
	}
	return out, nil
}

// text is the model's view of a batch.
func text(b *labelled.Batch) model.Text {
	return model.Text{Tokens: b.Tokens, Positions: b.Positions, Offsets: b.Offsets}
}

// Predictor is a finished model that answers about texts.
type Predictor struct {
	Config  model.Config
	Dir     string
	run     Classifier
	encoder labelled.Encoder
	folder  *modeldir.Model

	reading labelled.ReadOptions // of files to be evaluated on
	log     *slog.Logger         // is told what is left out of these; may be nil
}

// OpenPredictor opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func OpenPredictor(dir string) (*Predictor, error) {
	folder, err := modeldir.Open(dir)
	if err != nil {
		return nil, err
	}
	dev := cpu.New()
	m, err := model.Open[*model.Classifier](dev, folder.Config, folder.Weights)
	if err == nil {
		err = checkOpened(dev, m.Params)
	}
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("model %s: %w", folder.Dir, err)
	}
	return &Predictor{
		Config: folder.Config, Dir: folder.Dir, folder: folder,
		run:     newClassifier(dev, m),
		encoder: labelled.Encoder{Tokenizer: folder.Tokenizer, MaxLen: folder.Config.MaxTokens()},
	}, nil
}

// Close releases the model.
func (p *Predictor) Close() error { return p.folder.Close() }

// Tokenizer returns the model's vocabulary.
func (p *Predictor) Tokenizer() *tokenizer.Tokenizer { return p.folder.Tokenizer }

// Prediction is what a model says of one text. Of a regression only Score is set.
type Prediction struct {
	Label         string    // the likeliest class
	Class         int       // its number
	Probability   float64   // of the likeliest class
	Probabilities []float64 // of every class
	Score         float64   // of a regression
	Truncated     bool      // the text was cut to what the model reads
}

// Predict answers about texts, or pairs of them. While tick runs nothing of the predictor is in use.
func (p *Predictor) Predict(ctx context.Context, examples []labelled.Example, tick func(done, total int)) ([]Prediction, error) {
	records := make([]labelled.Record, len(examples))
	predictions := make([]Prediction, len(examples))
	for i, x := range examples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records[i], predictions[i].Truncated = p.encoder.Encode(x)
	}
	out, err := p.run.Run(ctx, records, predictBatch, tick)
	if err != nil {
		return nil, err
	}
	for i, logits := range out {
		q := &predictions[i]
		if p.Config.ProblemType == model.Regression {
			q.Score = float64(logits[0])
			continue
		}
		q.Probabilities = softmax(logits)
		q.Class = argmax(logits)
		q.Label = p.Config.Label(q.Class)
		q.Probability = q.Probabilities[q.Class]
	}
	return predictions, nil
}

// predictBatch texts are read at once: enough to fill the products.
const predictBatch = 32

// softmax returns the probabilities of logits.
func softmax(logits []float32) []float64 {
	top := float64(slices.Max(logits))
	probs := make([]float64, len(logits))
	var sum float64
	for i, x := range logits {
		probs[i] = math.Exp(float64(x) - top)
		sum += probs[i]
	}
	for i := range probs {
		probs[i] /= sum
	}
	return probs
}

// crossEntropy returns the negative logarithm of a class's probability.
func crossEntropy(logits []float32, class int) float64 {
	if prob := softmax(logits)[class]; prob > 0 {
		return -math.Log(prob)
	}
	top, sum := float64(slices.Max(logits)), 0.0 // the probability is too small for a number, its logarithm is not
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) + top - float64(logits[class])
}

// argmax returns the first class with the highest logit, as the reference does.
func argmax(logits []float32) int {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	return best
}
