package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/optim"
)

// Task is what is trained.
type Task interface {
	// Params lists what is optimised, in a fixed order.
	Params() []optim.Param
	// Batches returns the number of batches of an epoch (counted from 0), and Total
	// that of all epochs before the given one.
	Batches(epoch int) int
	Total(epochs int) int
	// Parts says what the loss of a batch is made of. It is called for all batches of a step
	// before the first of them is computed. An error is one of the data; the run ends with it.
	Parts(epoch, batch int) ([]Part, error)
	// Loss computes the parts of a batch's loss, in the order of Parts, each the mean over the
	// part's Count (one that counts nothing may be nil), and says how many tokens it read. An
	// error is one of the data; the run ends with it.
	Loss(tape *autograd.Tape, epoch, batch int) (parts []*autograd.Var, tokens int, err error)
	// Describe names the examples of a batch, for messages. It is called when Loss has computed the batch.
	Describe(epoch, batch int) string
	// Evaluate scores the model on dev after a batch of the given epoch. tick is called as it goes on. All ranks call it at
	// a time, and may share the work; the first one's answer is the answer.
	Evaluate(ctx context.Context, epoch int, tick func(done, total int)) (Evaluation, error)
	// Save writes the model as it is into the folder dir, whole files only. Equal
	// parameters and notes give equal model files.
	Save(dir string, note Note) error
	// Repair returns the step of the model that Save wrote into dir, and writes again what is
	// missing beside its weights; what note says, if the weights are of its step. If there are
	// none, or not all, the step is 0 and the error says so; with another error it is the step.
	Repair(dir string, note Note) (step int, err error)
}

// Streamer is a task whose batches come from a stream instead of by number. Where the
// stream is goes into every snapshot and is given back before training goes on.
type Streamer interface {
	Task
	// StreamState returns where the stream is after the batches that Loss has computed,
	// whatever has been read ahead.
	StreamState() ([]byte, error)
	// RestoreStream sets the stream to a state that StreamState returned; the batches
	// after it are the same again. state is valid during the call.
	RestoreStream(state []byte) error
	// Skip passes over a batch that another rank takes. It takes the place of Parts and Loss, in the order of the batches.
	Skip(epoch, batch int) error
	// Note returns what only the rank knows that takes a batch, after its Parts, and the stream goes by. Heed gives all ranks
	// the notes of the batches of a step, in their order, before Loss computes the first. So the stream goes the same way on all.
	Note(epoch, batch int) ([]byte, error)
	Heed(notes [][]byte) error
}

// Part is a part of a batch's loss: a mean over things that are counted. The loss of a batch
// is the sum of its parts times their weights.
//
// A step that takes several batches has the loss of one large batch: the mean of a part over
// all that the step's batches count, not the mean of their means. Of the batches' number, a
// part has the share of the batches that list it (a batch of texts has no regions, say).
type Part struct {
	Name   string  // in the log; "" if the loss has this part only
	Weight float64 // in the loss
	Count  int     // examples, tokens, regions or groups that the batch's mean is over
}

// Totals say of each part, by its name, what a step has of it.
type Totals map[string]Total

// Total is what a step has of one part.
type Total struct {
	Batches int // that list it
	Count   int // in all of them
}

func (t Totals) add(parts []Part) {
	for _, p := range parts {
		t[p.Name] = Total{t[p.Name].Batches + 1, t[p.Name].Count + p.Count}
	}
}

// share returns by what the mean of a part in one batch is multiplied, so that the mean over
// batches is the part's mean over the step. It is exactly 1 where batches count the same.
func (t Totals) share(p Part) float64 {
	total := t[p.Name]
	if total.Count == 0 {
		return 1
	}
	return float64(total.Batches) * float64(p.Count) / float64(total.Count)
}

// Evaluation is a score on dev.
type Evaluation struct {
	Metric  string  `json:"metric"`                    // that chooses the best model; one of Metrics
	Score   Number  `json:"score"`                     // its value; NaN is worst
	Lower   bool    `json:"lower_is_better,omitempty"` // as of a loss
	Metrics Numbers `json:"metrics"`
	// How says how the metric was measured where that is not as at the end of the run. Such
	// scores are not compared with others: a model without How is better than any with it.
	How string `json:"how,omitempty"`
}

// better says whether a model with e is to be taken before one with old.
func (e Evaluation) better(old Evaluation) bool {
	if (e.How == "") != (old.How == "") {
		return e.How == ""
	}
	x, y := e.rank(), old.rank()
	return x > y || math.IsNaN(y) && !math.IsNaN(x)
}

// rank is larger for the better of comparable evaluations.
func (e Evaluation) rank() float64 {
	if e.Lower {
		return -float64(e.Score)
	}
	return float64(e.Score)
}

// Note says in a saved model how it came about.
type Note struct {
	Step       int
	Evaluation *Evaluation // nil if it was not evaluated at this step
	Best       bool        // the step was chosen by that evaluation
}

// Observer is told what happens, for progress bars. Its methods return quickly. On a device that computes late it is told of several steps at a
// time, one after the other: when their losses are read, which is every log_steps.
type Observer interface {
	Step(StepEvent)
	Evaluating(done, total int)
	Evaluated(step int, e Evaluation, best bool)
	Saved(step int)
}

// StepEvent describes one optimiser step.
type StepEvent struct {
	Step, Total  int // Step counts from 1
	Epoch        float64
	Loss         float64 // of all the step's batches together
	LearningRate float64
	GradNorm     float64
	Parts        Numbers // each named part's mean over all that was counted since the log's newest line
	Tokens       int
	Seconds      float64 // this step took; the mean over those whose losses were read together
	Exchange     float64 // of these, seconds in the exchange of gradients, the wait for other ranks included
	Hidden       float64 // seconds of exchange besides, while batches were computed
	Wait         float64 // of Exchange: until the slowest rank began with it
	Update       float64 // seconds in the optimiser's step
}

// NonFiniteError stops a run whose loss or gradient is not a number.
type NonFiniteError struct {
	Step  int // from 1
	Epoch int // from 1
	Batch int // of the epoch, from 1
	What  string
	Where string // the batch's examples
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("step %d (epoch %d, batch %d: %s): %s; look at these examples, or start a new run with a lower learning_rate; the newest snapshot is from before", e.Step, e.Epoch, e.Batch, e.Where, e.What)
}

// ErrTimeUp is what [Trainer.Run] returns when max_minutes is over. The run is saved and can be
// resumed, as after an interrupt.
var ErrTimeUp = fmt.Errorf("max_minutes is over: %w", context.Canceled)

// Outcome says how a run ended.
type Outcome struct {
	Steps      int        `json:"steps"`
	Stopped    string     `json:"stopped,omitempty"` // why before the last step
	Last       Evaluation `json:"last"`
	Best       Evaluation `json:"best"`
	BestStep   int        `json:"best_step"`
	Seconds    Number     `json:"seconds"`                           // of training in this process, evaluation included
	TokensRate Number     `json:"tokens_per_second"`                 // of training steps in this process
	Exchange   Number     `json:"exchange_seconds,omitempty"`        // of training steps, for other ranks and gradients
	Hidden     Number     `json:"exchange_hidden_seconds,omitempty"` // of exchange while batches were computed
}

// Trainer trains a task in a run folder.
type Trainer struct {
	Config   Config
	Device   engine.Device
	Task     Task
	Dir      *Dir             // nil on all ranks but the first: these write nothing
	Group    collective.Group // that trains together; nil: this process alone
	Observer Observer
	Log      *slog.Logger

	tape     *autograd.Tape
	grads    []*autograd.Gradient
	tree     tree
	exchange exchanger
	adam     *optim.Adam
	schedule optim.Schedule
	batches  int // of all epochs
	total    int // optimiser steps
	state    state
	saved    state     // as the newest snapshot has it
	savedAt  time.Time // or when the run began
	restored string    // the snapshot that the run went on from
	started  time.Time
	now      func() time.Time
	tokens   int
	stepTime time.Duration

	exchangeTime time.Duration // of stepTime
	hiddenTime   time.Duration // of exchange, besides
	overlap      bool          // gradients are exchanged while the last batch goes backwards
	bucket       int           // values of one, at least; 0: the usual
	handed       []bool        // buckets whose gradients of the step are finished

	tables []*engine.Tensor // of what the step's batches are compared by

	unread []taken       // steps whose numbers nobody has read
	spent  time.Duration // on them
}

// taken is a step that was made. A device that computes late has its numbers still, and then it was not made if the loss or a gradient
// is not finite, nor was any after it.
type taken struct {
	event   StepEvent // what is known of it
	parts   [][]Part  // of its batches
	own     []batch   // that this process took through the model
	batches []outputs // of all; nil: not read
	norm    optim.Norm
}

// mostUnread bounds the steps that are read together.
const mostUnread = 64

// state is where a run stands: with the parameters and the moments, all that the
// remaining steps depend on.
type state struct {
	Step     int        `json:"step"`      // optimiser steps taken
	Pass     uint64     `json:"pass"`      // batches taken: numbers the dropout masks
	Epoch    int        `json:"epoch"`     // of the next batch
	Batch    int        `json:"batch"`     // the next batch's number in its epoch
	EpochEnd bool       `json:"epoch_end"` // an epoch ended in the last step
	Best     Evaluation `json:"best"`
	BestStep int        `json:"best_step"` // 0: none yet
	Last     Evaluation `json:"last"`
	LastStep int        `json:"last_step"` // of the last evaluation
	Worse    int        `json:"worse"`     // evaluations since the best
	LogSize  int64      `json:"log_size"`

	Parts map[string]sum `json:"parts,omitempty"` // of the loss, since the log's newest line
}

// sum is what a mean is made of.
type sum struct {
	Total Number `json:"total"`
	Count int    `json:"count"`
}

// Run trains until the last step, an early stop, an error, or ctx is cancelled; in
// the last case it saves a snapshot first and returns ctx's error. With resume it
// goes on from the newest snapshot, if there is one.
//
// All ranks of a group call it with equal settings and tasks. They go the same way: what one of them alone knows (its clock, an
// interrupt, an error) they tell each other before they act on it.
func (t *Trainer) Run(ctx context.Context, resume bool) (Outcome, error) {
	if t.Group == nil {
		t.Group = collective.Alone{}
	}
	if err := t.divides(t.prepare()); err != nil {
		return Outcome{}, err
	}
	if resume {
		if err := t.resume(); err != nil {
			return Outcome{}, err
		}
	}
	if err := t.alike(nil, nil); err != nil {
		return Outcome{}, err
	}
	log, err := t.openLog()
	if err := t.agree(err); err != nil {
		return Outcome{}, err
	}
	defer log.Close()
	start := time.Now()
	t.started, t.savedAt = t.now(), t.now()
	var logged error // what the log says after a step
	fails := func(failed error) (Outcome, error) {
		log.write("error", map[string]any{"step": t.state.Step + 1, "error": failed.Error()})
		return t.outcome(start, "failed"), failed
	}
	for {
		stop, late, err := t.confer(ctx, logged)
		if err != nil {
			return t.outcome(start, "failed"), err
		}
		if stop != keepsOn || late || t.settles() {
			if failed := t.tell(log, &logged); failed != nil {
				return fails(failed)
			}
		}
		if worked, failed := t.settle(ctx, log, late); worked { // for some time
			if stop, _, err = t.confer(ctx, failed); err != nil {
				return t.outcome(start, "failed"), err
			}
		}
		if stop == stopsInterrupted {
			// Also when it was an evaluation that was cut short: it is repeated.
			if err := t.agree(t.snapshot(log)); err != nil {
				return t.outcome(start, "failed"), fmt.Errorf("save on interrupt: %w", err)
			}
			return t.outcome(start, "interrupted"), cmp.Or(ctx.Err(), context.Canceled)
		}
		if t.finished() {
			break
		}
		if stop == stopsTimeUp {
			if err := t.agree(t.snapshot(log)); err != nil {
				return t.outcome(start, "failed"), fmt.Errorf("save after max_minutes: %w", err)
			}
			t.Log.Info(fmt.Sprintf("stopping after step %d of %d: max_minutes is over", t.state.Step, t.total))
			return t.outcome(start, "interrupted"), ErrTimeUp
		}
		failed := t.step()
		if failed != nil || !t.adam.Late() || t.logs(t.state.Step) || len(t.unread) == mostUnread {
			failed = cmp.Or(t.tell(log, &logged), failed) // steps before it come first
		}
		if failed != nil {
			return fails(failed)
		}
	}
	if t.exchangeTime > 0 {
		percent := func(d time.Duration) float64 { return 100 * d.Seconds() / t.stepTime.Seconds() }
		says := fmt.Sprintf("%.0f %% of the steps' time went by for other ranks and the exchange of gradients", percent(t.exchangeTime))
		if t.overlap {
			says += fmt.Sprintf("; during another %.0f %% gradients were exchanged while batches were computed", percent(t.hiddenTime))
		}
		t.Log.Info(says)
	}
	outcome := t.outcome(start, t.earlyStop())
	return outcome, t.agree(log.write("trained", outcome))
}

// leads says whether this is the rank that has the run's folder.
func (t *Trainer) leads() bool { return t.Group.Rank() == 0 }

// agree returns the error of one rank on all of them.
func (t *Trainer) agree(err error) error { return collective.Agree(t.Group, err) }

// openLog opens the log and notes that training begins; it is nil where there is no folder.
func (t *Trainer) openLog() (*eventLog, error) {
	if !t.leads() {
		return nil, nil
	}
	log, err := t.Dir.openLog(t.state.LogSize)
	if err != nil {
		return nil, err
	}
	line := map[string]any{"step": t.state.Step, "total": t.total, "device": t.Device.Name()}
	if n := t.Group.Size(); n > 1 {
		line["ranks"] = n
	}
	return log, log.write("start", line)
}

// Why to stop between two steps, the stronger reasons last.
const (
	keepsOn = iota
	stopsTimeUp
	stopsInterrupted
)

// wish is what a rank says between two steps.
type wish struct {
	Stop int
	Late bool // it is time for a snapshot
}

// confer returns why to stop, on all ranks if one has a reason, and whether it is time for a snapshot, by the first one's clock. The clock
// decides only when a snapshot is taken, which changes nothing about what is computed. What some rank failed with is an error on all.
func (t *Trainer) confer(ctx context.Context, err error) (stop int, late bool, _ error) {
	var mine wish
	switch m := t.Config.MaxMinutes; {
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		mine.Stop, err = stopsInterrupted, nil
	case m > 0 && t.now().Sub(t.started) >= minutes(m):
		mine.Stop = stopsTimeUp
	}
	if m := t.Config.SnapshotMinutes; m > 0 {
		mine.Late = t.now().Sub(t.savedAt) >= minutes(m)
	}
	all, err := collective.Gather(t.Group, mine, err)
	if err != nil {
		return 0, false, err
	}
	for rank, w := range all {
		if w.Stop == stopsInterrupted && stop < w.Stop && rank > 0 {
			t.Log.Info(fmt.Sprintf("rank %d was told to stop, or its launcher's process is gone", rank))
		}
		stop = max(stop, w.Stop)
	}
	return stop, all[0].Late, nil
}

// divides decides whether ranks divide the update among them, unless one has failed. Where all exchange gradients behind the backward pass, nothing of
// the exchange would be hidden that comes after the update; and values do not go as bfloat16. Factored moments need all
// rows of a parameter.
func (t *Trainer) divides(err error) error {
	overlap, err := collective.Gather(t.Group, t.overlap, err)
	t.exchange.divides = err == nil && t.exchange.remote() && slices.Contains(overlap, false) && !t.Config.ExchangeBfloat16 && t.Config.Moments != optim.MomentsFactored
	return err
}

func (t *Trainer) prepare() error {
	if err := t.Config.Validate(); err != nil {
		return err
	}
	if t.now == nil {
		t.now = time.Now
	}
	if err := t.Config.CheckRanks(t.Group.Size()); err != nil {
		return err
	}
	t.tape = autograd.NewTape(t.Device, autograd.Seed{})
	t.tape.Recompute = t.Config.Recompute
	params := t.Task.Params()
	for _, p := range params {
		t.grads = append(t.grads, p.Grad)
	}
	round := t.Config.ExchangeBfloat16
	t.tree = tree{dev: t.Device, grads: t.grads, round: round}
	x := &t.exchange
	*x = exchanger{dev: t.Device, group: t.Group, grads: t.grads, layout: newLayout(t.grads, t.Group.Size(), cmp.Or(t.bucket, bucket)), chunk: max(chunk, t.Group.Size()), round: round,
		divided: make([]bool, len(params)), rowed: make([]bool, len(params))}
	if joint := engine.JointOf(t.Device); joint != nil && joint.Joined() == t.Group.Size() {
		if round || t.Config.ShardOptimizer {
			return errors.New("exchange_bfloat16 and shard_optimizer are for ranks that are processes; devices of one process sum gradients themselves")
		}
		x.joint = joint
	}
	if x.remote() {
		shard := optim.Shard{Share: x.share, Late: !t.Config.ShardOptimizer}
		for i := range params {
			shard.Rows = append(shard.Rows, x.rows(i))
			x.divided[i] = !shard.Late
		}
		t.adam = optim.NewSharded(t.Device, t.Config.optimiser(), params, shard)
	} else {
		t.adam = optim.NewAdam(t.Device, t.Config.optimiser(), params)
	}
	// With one thread there is no processor to exchange on but the one that computes.
	t.overlap = x.remote() && t.Device.Limit().Threads() > 1
	t.batches = t.Task.Total(t.Config.Epochs)
	if t.batches == 0 {
		return errors.New("the training data has no batches")
	}
	accumulate := t.Config.GradientAccumulation
	t.total = (t.batches + accumulate - 1) / accumulate
	stepsPerEpoch := (t.Task.Batches(0) + accumulate - 1) / accumulate
	if t.Config.MaxSteps > 0 {
		t.total = min(t.total, t.Config.MaxSteps)
	}
	warmup := int(t.Config.WarmupProportion * float64(t.total))
	var err error
	t.schedule, err = optim.NewSchedule(t.Config.LRScheduler, t.Config.LearningRate, warmup, t.total, stepsPerEpoch)
	return err
}

// report is what a rank says of a step: of each of its batches, and what it has of the gradients that wait for that.
type report struct {
	Batches []outputs
	Late    []extent
}

// outputs are those of a batch.
type outputs struct {
	Loss   float64
	Parts  []float32 // their means
	Tokens int
}

// step takes the next batches through the model, each on the rank that it belongs to, and updates the parameters. What comes out is unread.
func (t *Trainer) step() error {
	start := time.Now()
	// The last step takes what is left.
	count := min(t.Config.GradientAccumulation, t.batches-int(t.state.Pass))
	places := t.next(count)
	parts, err := t.count(places)
	if err != nil {
		return err
	}
	totals := Totals{}
	for _, p := range parts {
		totals.add(p)
	}
	own, batches, exchange, err := t.gradients(places, parts, totals)
	if err != nil {
		return err
	}
	t.state.Pass += uint64(count)
	last := places[count-1]
	t.state.Epoch, t.state.Batch = last.epoch, last.batch+1
	t.state.EpochEnd = t.state.Epoch != places[0].epoch || t.state.Batch >= t.Task.Batches(t.state.Epoch)
	rate := t.schedule.Rate(t.state.Step)
	norm, err := t.update(rate, &exchange)
	if err != nil {
		return t.refused(t.state.Step+1, own, err)
	}
	t.state.Step++
	t.exchangeTime += exchange.waited
	t.hiddenTime += exchange.hidden
	t.unread = append(t.unread, taken{StepEvent{
		Step: t.state.Step, Total: t.total, LearningRate: rate, Exchange: exchange.waited.Seconds(), Hidden: exchange.hidden.Seconds(),
		Wait: exchange.others.Seconds(), Update: exchange.update.Seconds(),
		Epoch: float64(t.state.Epoch) + float64(t.state.Batch)/float64(max(1, t.Task.Batches(t.state.Epoch))),
	}, parts, own, batches, norm})
	t.spent += time.Since(start)
	return nil
}

// logs says whether a step gets a line of the log.
func (t *Trainer) logs(step int) bool { return step%t.Config.LogSteps == 0 || step == t.total }

// tell reads what came out of the steps that nobody has read, and tells of them. It is an error where one of them was not made: on all ranks, of that step.
func (t *Trainer) tell(log *eventLog, logged *error) error {
	steps, start := t.unread, time.Now()
	t.unread = nil
	if len(steps) == 0 {
		return nil
	}
	if err := t.gather(steps); err != nil {
		return err
	}
	took := t.spent + time.Since(start)
	t.spent = 0
	t.stepTime += took
	for _, s := range steps {
		err := t.finite(s.event.Step, s.own, s.batches)
		if err == nil {
			if s.event.GradNorm, err = s.norm(); err != nil {
				err = t.refused(s.event.Step, s.own, err)
			}
		}
		if err != nil {
			t.state.Step = s.event.Step - 1
			return err
		}
		for i, b := range s.batches {
			s.event.Loss += b.Loss
			s.event.Tokens += b.Tokens
			for k, p := range s.parts[i] {
				if p.Name != "" && p.Count > 0 {
					t.addPart(p, b.Parts[k])
				}
			}
		}
		s.event.Loss /= float64(len(s.batches))
		s.event.Parts, s.event.Seconds = t.parts(), took.Seconds()/float64(len(steps))
		t.tokens += s.event.Tokens
		t.Observer.Step(s.event)
		if t.logs(s.event.Step) {
			*logged = log.step(s.event)
			t.state.Parts = nil
		}
	}
	return nil
}

// gather reads the batches of steps, if they are unread, and gives them to all ranks.
func (t *Trainer) gather(steps []taken) error {
	if !t.adam.Late() {
		return nil
	}
	own := make([][]outputs, len(steps))
	for i, s := range steps {
		own[i] = t.outputsOf(s.own)
	}
	all, err := collective.Gather(t.Group, own, nil)
	for i := range steps {
		for _, theirs := range all {
			steps[i].batches = append(steps[i].batches, theirs[i]...)
		}
	}
	return err
}

// update makes the optimiser's step: of divided parameters each rank its part.
func (t *Trainer) update(rate float64, times *exchangeTimes) (norm optim.Norm, err error) {
	x := &t.exchange
	for i, divided := range x.divided {
		if divided {
			t.adam.Divide(i)
		}
	}
	start := time.Now()
	norm, err = t.adam.Advance(rate)
	if times.update = time.Since(start); err != nil || !slices.Contains(x.divided, true) {
		return norm, err
	}
	start = time.Now()
	params := t.Task.Params()
	for _, bucket := range x.buckets {
		bucket = slices.DeleteFunc(slices.Clone(bucket), func(i int) bool { return !x.divided[i] })
		if err := x.gather(bucket, func(i int) *engine.Tensor { return params[i].Value }); err != nil {
			return norm, fmt.Errorf("exchange parameters: %w", err)
		}
	}
	times.waited += time.Since(start)
	return norm, nil
}

// mine returns where in a step of count batches those begin and end that this rank takes.
func (t *Trainer) mine(count int) (first, end int) {
	width := t.Config.Width(t.Group.Size())
	first = min(count, t.Group.Rank()*width)
	return first, min(count, first+width)
}

// counted is what a rank says of a batch before it computes it.
type counted struct {
	Parts []Part
	Note  []byte // of a stream
}

// count returns the parts of the step's batches.
func (t *Trainer) count(places []place) (parts [][]Part, err error) {
	first, end := t.mine(len(places))
	var own []counted
	stream, streams := t.Task.(Streamer)
	for i, p := range places {
		if i < first || i >= end {
			if streams {
				err = cmp.Or(err, stream.Skip(p.epoch, p.batch))
			}
			continue
		}
		var c counted
		var failed error
		if c.Parts, failed = t.Task.Parts(p.epoch, p.batch); failed == nil && streams {
			c.Note, failed = stream.Note(p.epoch, p.batch)
		}
		err = cmp.Or(err, failed)
		own = append(own, c)
	}
	each, err := collective.Gather(t.Group, own, err)
	if err != nil {
		return nil, err
	}
	var notes [][]byte
	for _, c := range slices.Concat(each...) {
		parts, notes = append(parts, c.Parts), append(notes, c.Note)
	}
	if streams {
		err = stream.Heed(notes)
	}
	if err != nil { // on all ranks, whose notes are the same
		return nil, t.agree(err)
	}
	return parts, nil
}

// exchangeTimes say how long ranks exchanged gradients in a step.
type exchangeTimes struct {
	waited time.Duration // after the batches, the wait for the slowest rank included
	others time.Duration // of that, this wait
	update time.Duration // the optimiser's step
	hidden time.Duration // while batches were computed
}

// gradients computes the gradients of the step's batches and leaves their sum over all ranks with the parameters. It reads what came out of the
// batches, unless the optimiser makes late steps.
func (t *Trainer) gradients(places []place, parts [][]Part, totals Totals) (computed []batch, batches []outputs, times exchangeTimes, err error) {
	first, end := t.mine(len(places))
	var own report
	for _, g := range t.grads {
		g.Clear()
	}
	if err := t.survey(places, first, end); err != nil {
		return nil, nil, times, err
	}
	defer t.clearTables()
	several := t.exchange.remote()
	if several {
		t.exchange.begin()
	}
	t.handed = make([]bool, len(t.exchange.buckets))
	for i := first; i < end && err == nil; i++ {
		if i > first {
			t.tree.add()
			t.apart(first, end)
		}
		if t.overlap && i == end-1 {
			t.tape.Final = t.handOver
		}
		var b batch
		b, err = t.backward(i, places[i], parts[i], totals, 1/float32(len(places)))
		computed = append(computed, b)
		t.apart(first, end)
	}
	t.tape.Final = nil
	if err != nil {
		t.tree.drop()
	}
	start := time.Now()
	t.handOver()
	t.tree.end()
	if t.exchange.joint != nil {
		if err = t.exchange.sumJoint(err); err != nil {
			return nil, nil, times, err
		}
		times.waited, times.others = time.Since(start), t.exchange.met.Sub(start)
	}
	if several {
		var failed error
		if times.hidden, failed = t.exchange.end(start); failed != nil {
			return nil, nil, times, errors.Join(err, failed)
		}
		times.others = max(0, t.exchange.met.Sub(start))
		own.Late = t.exchange.waiting()
	} else if err == nil {
		err = t.adam.Measure() // before losses are read: a device that records computes both at a time
	}
	if t.adam.Late() { // of several ranks, too: they agree on an error before they sum
		return computed, nil, times, err
	}
	if err == nil {
		own.Batches = t.outputsOf(computed)
	}
	all, err := collective.Gather(t.Group, own, err)
	if err != nil {
		return nil, nil, times, err
	}
	var late [][]extent
	for _, c := range all {
		batches, late = append(batches, c.Batches...), append(late, c.Late)
	}
	if err = t.finite(t.state.Step+1, computed, batches); err == nil && several {
		err = t.exchange.exchangeLate(late)
		times.waited = time.Since(start)
	}
	return computed, batches, times, err
}

// handOver finishes the gradients of buckets that are final, and hands them over to the exchange.
func (t *Trainer) handOver() {
	for b, params := range t.exchange.buckets {
		if t.handed[b] || slices.ContainsFunc(params, func(i int) bool { return t.grads[i].Pending() }) {
			continue
		}
		for _, i := range params {
			t.tree.finish(i)
		}
		t.handed[b] = true
		if t.exchange.remote() {
			t.exchange.queue <- b
		}
	}
}

// seed is that of the dropout masks of the i-th batch of the step.
func (t *Trainer) seed(i int) autograd.Seed {
	return autograd.Seed{Key: t.Config.Seed, Pass: t.state.Pass + uint64(i)}
}

// place is where a batch is.
type place struct{ epoch, batch int }

// next returns the places of the next batches.
func (t *Trainer) next(count int) []place {
	places := make([]place, count)
	epoch, batch := t.state.Epoch, t.state.Batch
	for i := range places {
		for batch >= t.Task.Batches(epoch) {
			epoch, batch = epoch+1, 0
		}
		places[i] = place{epoch, batch}
		batch++
	}
	return places
}

// apart makes what was computed until now a program of its own, on a device that records, where a step has several batches: one of them all
// would take long to compile, and would be another for each combination of their sizes.
func (t *Trainer) apart(first, end int) {
	if end-first > 1 {
		engine.Start(t.tape.Device())
	}
}

// batch is one that went through the model, with losses that nobody has read.
type batch struct {
	place
	factors []float64 // of the parts in the loss
	parts   Reading
	tokens  int
	where   string // what the task calls it
}

// backward adds the gradients of the i-th batch of the step, times scale, to the parameters'.
func (t *Trainer) backward(i int, at place, parts []Part, totals Totals, scale float32) (batch, error) {
	t.tape.Reset(t.seed(i))
	factors, scales := make([]float64, len(parts)), make([]float32, len(parts))
	for i, p := range parts {
		factors[i] = p.Weight * totals.share(p)
		scales[i] = float32(factors[i]) * scale
	}
	before := t.tape.Finished()
	values, tokens, err := TakeBatch(t.tape, t.Task, at.epoch, at.batch, scales)
	if n := t.tape.Finished() - before; n > 1 && err == nil { // gradients that went to other ranks were not whole
		err = fmt.Errorf("the task has finished a batch %d times; all of its passes but the last one are train.Backward's", n)
	}
	if err != nil {
		t.tape.Release()
		return batch{}, err
	}
	return batch{at, factors, values, tokens, t.Task.Describe(at.epoch, at.batch)}, nil
}

// outputsOf reads what came out of batches.
func (t *Trainer) outputsOf(batches []batch) (list []outputs) {
	for _, b := range batches {
		values := b.parts()
		var loss float64
		for i, v := range values {
			loss += b.factors[i] * float64(v)
		}
		list = append(list, outputs{loss, values, b.tokens})
	}
	return list
}

// finite returns an error, on all ranks, where the loss of a batch of a step is not finite.
func (t *Trainer) finite(step int, own []batch, batches []outputs) (err error) {
	for i, b := range batches {
		if !math.IsNaN(b.Loss) && !math.IsInf(b.Loss, 0) {
			continue
		}
		if first, _ := t.mine(len(batches)); i >= first && i-first < len(own) { // who has it can say what it is
			err = own[i-first].nonFinite(step, fmt.Sprintf("the loss is %v", b.Loss))
		}
		return t.agree(err)
	}
	return nil
}

// refused is what the optimiser returned in the place of a step.
func (t *Trainer) refused(step int, own []batch, err error) error {
	if bad := (*optim.NormError)(nil); errors.As(err, &bad) { // on all ranks, whose gradients are the same; the first one has the first batch
		if len(own) > 0 {
			err = own[0].nonFinite(step, bad.Error())
		}
		return t.agree(err)
	}
	return err
}

// addPart takes note of a part of a batch's loss.
func (t *Trainer) addPart(p Part, mean float32) {
	if t.state.Parts == nil {
		t.state.Parts = map[string]sum{}
	}
	s := t.state.Parts[p.Name]
	t.state.Parts[p.Name] = sum{s.Total + Number(mean)*Number(p.Count), s.Count + p.Count}
}

// parts returns the means of the parts; nil if there are none.
func (t *Trainer) parts() Numbers {
	if len(t.state.Parts) == 0 {
		return nil
	}
	means := Numbers{}
	for name, s := range t.state.Parts {
		means[name] = s.Total / Number(max(1, s.Count))
	}
	return means
}

func (b batch) nonFinite(step int, what string) error {
	return &NonFiniteError{Step: step, Epoch: b.epoch + 1, Batch: b.batch + 1, What: what, Where: b.where}
}

// settle evaluates and saves what is due after the steps so far, and says whether there was something. It is a function
// of the state, so a run resumed anywhere settles as the one before it would have. Where it is late, a snapshot is due, too.
func (t *Trainer) settle(ctx context.Context, log *eventLog, late bool) (worked bool, err error) {
	if t.state.Step == 0 {
		return false, nil
	}
	evaluate := t.evaluates()
	best := false
	if evaluate && t.state.LastStep != t.state.Step {
		if late { // an evaluation may take long
			if err := t.agree(t.snapshot(log)); err != nil {
				return true, err
			}
			late = false
		}
		if best, err = t.evaluate(ctx, log); err != nil {
			return true, err
		}
	}
	save := t.finished() || late || due(t.state.Step, t.Config.SnapshotSteps, evaluate)
	if save { // first: with it, the models can be written again
		if err := t.writeSnapshot(log); err != nil {
			return true, err
		}
	}
	if best {
		if err := t.saveBest(); err != nil {
			return true, err
		}
	}
	if save {
		return true, t.saveLast()
	}
	return evaluate, nil
}

// evaluates says whether an evaluation is due after the steps so far, and settles whether that or a snapshot is, whatever the clock says.
func (t *Trainer) evaluates() bool {
	return t.state.Step == t.total || due(t.state.Step, t.Config.EvalSteps, t.state.EpochEnd)
}

func (t *Trainer) settles() bool {
	return t.evaluates() || t.finished() || due(t.state.Step, t.Config.SnapshotSteps, false)
}

func minutes(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }

// finished says whether no step is left.
func (t *Trainer) finished() bool { return t.state.Step == t.total || t.earlyStop() != "" }

// earlyStop says why to stop before the last step, or "".
func (t *Trainer) earlyStop() string {
	if n := t.Config.EarlyStopping; n > 0 && t.state.Worse >= n && t.state.Step < t.total {
		return fmt.Sprintf("no better score in %d evaluations", n)
	}
	return ""
}

// due says whether something that happens every n steps happens after this one;
// otherwise is the answer for n = 0.
func due(step, n int, otherwise bool) bool {
	if n == 0 {
		return otherwise
	}
	return step%n == 0
}

// evaluate scores the model and says whether it is the best so far.
func (t *Trainer) evaluate(ctx context.Context, log *eventLog) (better bool, err error) {
	t.adam.Settle()
	var e Evaluation
	score := func() (err error) {
		e, err = t.Task.Evaluate(ctx, t.state.Epoch, t.Observer.Evaluating)
		return err
	}
	if t.Group.Size() == 1 { // several ranks may be in the midst of an exchange
		alone := score
		score = func() error { return engine.Guard(alone) }
	}
	err = score()
	if e, err = collective.Tell(t.Group, e, err); err != nil { // the first one's, for all
		return false, t.keep(log, err)
	}
	better = t.state.BestStep == 0 || e.better(t.state.Best)
	if better {
		t.state.Best, t.state.BestStep, t.state.Worse = e, t.state.Step, 0
	} else {
		t.state.Worse++
	}
	t.state.Last, t.state.LastStep = e, t.state.Step
	line := map[string]any{"step": t.state.Step, "metric": e.Metric, "metrics": e.Metrics, "best": better}
	if e.How != "" {
		line["how"] = e.How
	}
	if err := log.write("eval", line); err != nil {
		return better, err
	}
	t.Observer.Evaluated(t.state.Step, e, better) // who may read the log
	return better, nil
}

// keep saves what was trained before an evaluation that has no room in the device's memory: it can be repeated in smaller batches. It returns the
// evaluation's error, which all ranks have.
func (t *Trainer) keep(log *eventLog, err error) error {
	little, failed := collective.Gather(t.Group, errors.As(err, new(*engine.MemoryError)), nil)
	if failed == nil && slices.Contains(little, true) {
		failed = t.agree(t.snapshot(log))
	}
	if failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

func (t *Trainer) outcome(start time.Time, stopped string) Outcome {
	return Outcome{
		Steps: t.state.Step, Stopped: stopped, Last: t.state.Last, Best: t.state.Best, BestStep: t.state.BestStep,
		Seconds: Number(time.Since(start).Seconds()), TokensRate: Number(float64(t.tokens) / max(1e-9, t.stepTime.Seconds())), Exchange: Number(t.exchangeTime.Seconds()), Hidden: Number(t.hiddenTime.Seconds()),
	}
}
