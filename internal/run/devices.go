package run

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
)

// lent is the devices that ranks of one process train on.
type lent struct {
	device *device.Device
	notify atomic.Pointer[func(xla.Notice)] // the first rank's
}

// chosen returns the settings as far as they say what is computed with; nil where they cannot be read, which the run says.
func (o Options) chosen() *CommonSettings {
	if o.inherit() != nil {
		return nil
	}
	s, err := Defaults(o.Task, o.Size)
	if err == nil {
		err = o.restore(s)
	}
	if err == nil {
		err = overlay(s, o.ConfigFile, o.Set)
	}
	if err != nil {
		return nil
	}
	return s.Common()
}

// finetuneJointly trains on several devices: a goroutine for each goes the way of a process of several.
func (o Options) finetuneJointly(ctx context.Context, s *CommonSettings) (*Summary, error) {
	n := s.Devices
	if n > s.GradientAccumulation {
		return nil, &SettingError{fmt.Errorf("devices is %d, and a step has too few batches for them, %d (gradient_accumulation); for steps as large as now: --devices %[1]d --gradient-accumulation %[3]d --batch-size %[4]d",
			n, s.GradientAccumulation, n, max(1, s.BatchSize*s.GradientAccumulation/n))}
	}
	if s.ShardOptimizer || s.ExchangeBfloat16 {
		return nil, &SettingError{fmt.Errorf("devices is %d: shard_optimizer and exchange_bfloat16 are for ranks that are processes; leave them out", n)}
	}
	loan := new(lent)
	notify := func(n xla.Notice) {
		if told := loan.notify.Load(); told != nil {
			(*told)(n)
		}
	}
	var err error
	if loan.device, err = device.Open(s.Choice, o.deviceOptions(ctx, notify)); err != nil {
		return nil, err
	}
	defer loan.device.Close()
	var summary *Summary
	var first error
	all := collective.Run(n, func(g collective.Group) error {
		mine := o
		mine.Group, mine.lent, mine.Set = g, loan, slices.Clone(o.Set)
		var got *Summary
		err := checkpoint.Guard(func() error {
			return engine.Guard(func() (err error) {
				got, err = finetune(ctx, mine)
				return err
			})
		})
		if g.Rank() == 0 {
			summary, first = got, err
		}
		return err
	})
	if first != nil {
		return summary, first // the first one speaks
	}
	return summary, all
}
