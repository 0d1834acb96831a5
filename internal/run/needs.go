package run

import (
	"cmp"
	"fmt"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/train"
)

// A run's use of the machine, as it is said before the first step.
const (
	mib = 1 << 20
	// Floating-point operations of training for each parameter and token: two forward, four backward.
	trainingOperations = 6
	// Training also attends, normalises and updates: mini on SST-2 took 1.6 times as long as its
	// products alone (77 s for a guess of 47 s, beside other work). The guess goes up to this.
	slowest = 3
)

// sizes returns how many bytes the parameters have that are trained, and the moments of their gradients.
func (r *run) sizes() (parameters, moments int64) {
	form := r.settings.Common().Moments
	for _, s := range r.job.Specs(r.config) {
		rows, cols := s.Matrix()
		parameters += 4 * int64(rows) * int64(cols)
		moments += optim.MomentBytes(form, int64(rows), int64(cols))
	}
	beside := 4 * int64(r.beside)
	return parameters + beside, moments + 2*beside // at most
}

// diskNeed returns how many bytes a run still writes at most for a model of the given parameters.
func (r *run) diskNeed() int64 {
	return max(0, train.Space(r.sizes())-train.Used(r.Out))
}

// checkDisk refuses a run that the disk has no room for, and warns where it is tight.
func (r *run) checkDisk() error {
	if !r.leads() {
		return nil
	}
	need := r.diskNeed()
	free, known := atomicfile.Free(r.Out)
	switch {
	case !known || need == 0 || free > 2*need:
		return nil
	case free < need:
		return fmt.Errorf("%s: the run needs %d MiB of disk for its snapshots and models, but only %d MiB are free; make room, or choose a folder on another disk", r.Out, need/mib+1, free/mib)
	}
	r.Log.Warn(fmt.Sprintf("the run needs %d MiB of disk in %s, where %d MiB are free", need/mib+1, r.Out, free/mib))
	return nil
}

// needs says what a run will take: disk, memory, and the time of its steps as far as it can be guessed. A
// run that is resumed, and those whose batches are not known before, say the time when they have measured it.
func (r *run) needs(about About) string {
	text := fmt.Sprintf("up to %d MiB of disk", r.diskNeed()/mib+1)
	if free, known := atomicfile.Free(r.Out); known {
		text += fmt.Sprintf(" (%d MiB free)", free/mib)
	}
	parameters, moments := r.sizes()
	text += fmt.Sprintf("; %d MiB of memory for parameters, gradients and moments, besides what a batch takes", (2*parameters+moments)/mib+1)
	if about.Tokens == 0 || r.resumed && !r.fresh || r.accelerated() {
		return text + "; how long it takes is said after the first steps"
	}
	operations := trainingOperations * float64(about.Tokens) * cmp.Or(about.Passes, 1) * float64(encoderParameters(r.config))
	low := time.Duration(operations / productSpeed(r.Device, r.config.HiddenSize) * float64(time.Second))
	return fmt.Sprintf("%s; %s for %s tokens, guessed from the speed of a product", text, between(low, slowest*low), Grouped(int(about.Tokens)))
}

// encoderParameters are those that each token is multiplied by: of a layer, four matrices of attention
// and two of four times the width.
func encoderParameters(c model.Config) int {
	return 12 * c.Layers * c.HiddenSize * c.HiddenSize
}

// productSpeed measures, within some hundredths of a second, how many floating-point operations a second
// the device makes in a product as a layer of the given width has it.
func productSpeed(dev engine.Device, width int) float64 {
	const rows, atLeast = 256, 20 * time.Millisecond
	x, w, bias, y := dev.New(rows, width), dev.New(width, 4*width), dev.New(1, 4*width), dev.New(rows, 4*width)
	for _, t := range []*engine.Tensor{x, w, bias, y} {
		dev.Zero(t)
		defer dev.Free(t)
	}
	dev.Linear(y, x, engine.Plain(w, engine.NN), bias) // the first one also prepares
	products, start := 0, time.Now()
	for time.Since(start) < atLeast || products == 0 {
		dev.Linear(y, x, engine.Plain(w, engine.NN), bias)
		products++
	}
	return float64(products) * 2 * rows * 4 * float64(width) * float64(width) / time.Since(start).Seconds()
}

// between writes a guess of two durations.
func between(low, high time.Duration) string {
	from, to := roughly(low), roughly(high)
	if from == to {
		return "about " + to
	}
	return from + " to " + to
}

// roughly writes a duration to the unit that a guess deserves.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", max(1, d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
