package pairs

import (
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// Runner runs a model over records. It is safe for concurrent use.
type Runner struct {
	collective.Sharing
	dev   engine.Device
	model *model.Classifier
	tapes *autograd.Pool
}

// NewRunner returns a runner of a model.
func NewRunner(d engine.Device, m *model.Classifier) *Runner {
	return &Runner{dev: d, model: m, tapes: autograd.NewPool(d)}
}

// Packer makes inputs of records, for models that write.
type Packer struct{ packer }

// NewPacker returns a packer of records whose pictures source has.
func NewPacker(source regions.Source, limit parallel.Limit) *Packer {
	return &Packer{packer{source: source, limit: limit}}
}

// Pack makes the input of the records of some numbers. It is valid until the next call.
func (p *Packer) Pack(records []Record, numbers []int) (model.Input, error) {
	return p.pack(records, numbers, asTheyAre, nil)
}

// Logits returns the model's scores of every class, a row of each record; batch of them are computed at a time. tick
// is called after every batch; ctx ends the work early.
func (r *Runner) Logits(ctx context.Context, source regions.Source, records []Record, batch int, tick run.Tick) ([][]float32, error) {
	out := make([][]float32, len(records))
	err := r.Each(ctx, source, records, batch, tick, func(i int, logits []float32) { out[i] = slices.Clone(logits) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// rowsAtOnce are the regions and tokens of a batch whose pictures are in memory.
const rowsAtOnce = 2048

// planned cuts records into batches, of so many records each. Where their pictures are in memory it is known how long they are: then batches are
// of records that are about as long as each other, with as many rows as a server's.
func planned(source regions.Source, records []Record, batch int) [][]int {
	lengths := make([]int, len(records))
	pictures, ok := source.(listed)
	if !ok {
		return batches.Plan(lengths, batches.Sequence(len(records)), batch, false)
	}
	for i, r := range records {
		im, err := pictures.find(r.Image)
		if err != nil {
			continue // which reading it says
		}
		lengths[i] = im.Regions() + 1 + len(r.Tokens)
	}
	return batches.Together(lengths, rowsAtOnce)
}

// Each is Logits for many classes: it calls each with the number of a record and its row, which is valid until the next.
func (r *Runner) Each(ctx context.Context, source regions.Source, records []Record, batch int, tick run.Tick, each func(record int, logits []float32)) error {
	p := packer{source: source, limit: r.dev.Limit()}
	tape := r.tapes.Take()
	defer r.tapes.Give(tape)
	plan, done := planned(source, records, batch), 0
	return collective.Spread(r.Group(), len(plan), func(i int) ([]float32, error) {
		return run.EvalBatch(len(plan[i]), func() ([]float32, error) { return r.batch(ctx, tape, &p, records, plan[i]) })
	}, func(i int, logits []float32) {
		k := 0
		for row := range slices.Chunk(logits, r.model.Config.NumLabels) {
			each(plan[i][k], row)
			k++
		}
		done += len(plan[i])
		tick(done, len(records))
	})
}

// batch returns the scores of some records behind each other.
func (r *Runner) batch(ctx context.Context, tape *autograd.Tape, p *packer, records []Record, numbers []int) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in, err := p.pack(records, numbers, asTheyAre, nil)
	if err != nil {
		return nil, err
	}
	if err := in.Check(r.model.Config); err != nil {
		return nil, err
	}
	defer tape.Release()
	logits := r.model.Logits(tape, in)
	if err := r.model.Params.CheckOutput(tape, "logits", logits); err != nil {
		return nil, err
	}
	return slices.Clone(engine.Values(r.dev, logits.Value)), nil
}
