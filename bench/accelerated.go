package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// opened is where a workload for accelerators computes.
type opened struct {
	place
	device *device.Device
	zero   *engine.Tensor // to read behind all that was asked for
}

// sizeOf is the shape of a model by its name. "tiny" is for trying the comparison itself.
func sizeOf(name string) (model.Config, error) {
	if name == "tiny" {
		cfg := model.Base
		cfg.VocabSize, cfg.HiddenSize, cfg.Layers, cfg.Heads = 128, 16, 1, 2
		return cfg, nil
	}
	cfg, ok := model.Sizes[name]
	if !ok {
		return cfg, fmt.Errorf("size %q: want tiny, %s", name, strings.Join(slices.Sorted(maps.Keys(model.Sizes)), ", "))
	}
	return cfg, nil
}

// open opens the device that was chosen.
func (o workerOptions) open() (*opened, error) {
	cfg, err := sizeOf(o.size)
	if err != nil {
		return nil, err
	}
	d, err := device.Open(device.Choice{Device: o.device, Precision: o.precision, Devices: 1}, device.Options{Threads: o.threads})
	if err != nil {
		return nil, err
	}
	zero := d.Device.New(1, 1)
	d.Device.Zero(zero)
	return &opened{place{d.Device, cfg}, d, zero}, nil
}

// about says what computes.
func (x *opened) about(threads int) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s; %s, %s", aboutUnimo(threads), x.device.Version(), x.device.Precision)), " ")
}

// timed is a round of batches in one go, as an accelerator works while the host prepares what comes next.
func (x *opened) timed(round []batch, run step) (r reply, err error) {
	start, tokens := time.Now(), 0
	for _, b := range round {
		if err := run(b); err != nil {
			return r, err
		}
		tokens += b.size()
	}
	engine.Values(x.device.Device, x.zero) // waits
	return reply{Seconds: []float64{time.Since(start).Seconds()}, Tokens: []int{tokens}}, nil
}

// steps are those that [oneStep] knows, with their batches.
var steps = []struct {
	name  string
	make  func(place) (step, error)
	batch func(*drawer) batch
}{
	{"sst2", newTraining, func(d *drawer) batch { return d.sst(sstBatch) }},
	{"passages", newTraining, func(d *drawer) batch { return d.passages(passageBatch) }},
	{"groups", newPairTraining, func(d *drawer) batch { return d.groups(groupsPerBatch, imageRegions) }},
	{"vqa", newAnswering, func(d *drawer) batch { return d.asked(askedPairs, imageRegions) }},
	{"pretrain", newPretraining, func(d *drawer) batch { return d.compared(8, imageRegions) }},
	{"write-train", newTextTraining, func(d *drawer) batch { return d.answered(passageBatch) }},
	{"classify", newClassifying, func(d *drawer) batch { return d.sst(sstBatch) }},
	{"write", newWritingWords, func(d *drawer) batch { return d.written(passageBatch, 1, 3) }},
}

func stepNames() (names []string) {
	for _, s := range steps {
		names = append(names, s.name)
	}
	return names
}

// oneStep does a step three times with one batch of drawn tokens: for those who want to know what is computed (bench/programs).
func oneStep(name string, o workerOptions) error {
	i := slices.Index(stepNames(), name)
	if i < 0 {
		return fmt.Errorf("step %q: want one of %s", name, strings.Join(stepNames(), ", "))
	}
	x, err := o.open()
	if err != nil {
		return err
	}
	defer x.device.Close()
	run, err := steps[i].make(x.place)
	if err != nil {
		return err
	}
	b := steps[i].batch(newDrawer(x.size, false))
	for range 3 {
		if _, err := x.timed([]batch{b}, run); err != nil {
			return err
		}
	}
	return nil
}
