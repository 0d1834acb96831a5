package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/train"
)

// openDevice opens the device that the settings choose, where none came from outside. Afterwards they say what is computed with.
func (r *run) openDevice(ctx context.Context, s *CommonSettings) (err error) {
	if r.outside {
		return nil
	}
	if s.Accelerated() && r.Group.Size() > 1 && r.lent == nil {
		return &SettingError{fmt.Errorf("device %s: several ranks train on the processor alone today; leave out the launcher, or the device", s.Device)}
	}
	if s.Accelerated() && s.ExchangeBfloat16 {
		return &SettingError{fmt.Errorf("device %s: exchange_bfloat16 is for ranks that are processes, which train on the processor alone today; leave it out, or the device", s.Device)}
	}
	if s.Choice, err = s.Absolute(); err != nil {
		return err
	}
	watch := &stages{Observer: r.Observer}
	notify := func(n xla.Notice) { r.notify(watch, n) }
	switch {
	case r.lent == nil:
		if r.opened, err = device.Open(s.Choice, r.deviceOptions(ctx, notify)); err != nil {
			return err
		}
	default:
		r.opened = r.lent.device.Nth(r.Group.Rank())
		if r.leads() {
			r.lent.notify.Store(&notify)
		}
	}
	if r.accelerated() {
		r.Observer = watch
	}
	r.Device, s.Precision = r.opened.Device, r.opened.Precision
	return nil
}

// savingPatience is how long an accelerator may take to answer when the run is interrupted, which ends the step and saves.
const savingPatience = 30 * time.Second

// deviceOptions are those of the devices that runs open.
func (o Options) deviceOptions(ctx context.Context, notify func(xla.Notice)) device.Options {
	return device.Options{Threads: o.Threads, Log: o.Log, Notify: notify, Context: ctx, Patience: savingPatience}
}

// accelerated says whether the run has opened an accelerator.
func (r *run) accelerated() bool { return r.opened != nil && r.opened.Accelerated() }

// stages remembers the stage that its observer was told of.
type stages struct {
	Observer
	newest string
}

// Stage implements [Observer].
func (s *stages) Stage(name string) {
	s.newest = name
	s.Observer.Stage(name)
}

// StageCompiling is what the name of a stage begins with in which a program is compiled: an interruption ends it at once, and saves nothing.
const StageCompiling = "compiling program "

// notify says which program the run waits for, and what steps need of the device's memory: the first time, and when it is much more.
func (r *run) notify(watch *stages, n xla.Notice) {
	if stage := fmt.Sprint(StageCompiling, n.Program); n.Chip == 0 { // else it is another goroutine that waits
		if n.Done {
			stage = watch.newest
		}
		watch.Observer.Stage(stage)
	}
	if !n.Done {
		if r.begun && !r.waited {
			r.waited = true
			r.Log.Info("device  the first steps wait for programs, one for each size of batch; those that no run before has left are compiled")
		}
		return
	}
	done := "compiled"
	if n.Loaded {
		done = "loaded"
	}
	if n.Again {
		done += " again"
	}
	r.Log.Debug(fmt.Sprintf("program %d %s (%.1f s)", n.Program, done, n.Took.Seconds()))
	if r.begun && float64(n.Needs) > 1.25*float64(r.planned) {
		text := "memory  needs "
		if r.planned > 0 {
			text = "memory  larger batches need "
		}
		text += engine.Bytes(n.Needs)
		if n.Has > 0 {
			text += " of " + engine.Bytes(n.Has)
		}
		text += " on the device"
		if n.Has == 0 && r.planned == 0 {
			text += "; how much it has is not known, as the plugin does not say it: " + device.MemoryVariable + " sets a bound, in bytes"
		}
		if engine.Bytes(n.Needs) != engine.Bytes(r.planned) {
			r.Log.Info(text)
		}
		r.planned = n.Needs
	}
}

// explain says what to do about an error of the device.
func (r *run) explain(err error) error {
	if errors.As(err, new(*pjrt.CrashError)) {
		if train.HasSnapshot(r.Out) {
			return fmt.Errorf("%w; what was saved is whole: go on with --resume", err)
		}
		return fmt.Errorf("%w; nothing had been saved yet: the same command with --resume begins again", err)
	}
	var little *engine.MemoryError
	if !errors.As(err, &little) {
		return err
	}
	return fmt.Errorf("%w: %s", err, r.remedy(little))
}

// remedy says what to do where a device has too little memory.
func (r *run) remedy(little *engine.MemoryError) string {
	smaller := "choose a smaller preset"
	if r.beside > 0 {
		smaller += " or network (extractor)"
	}
	smaller += ", or a device with more memory"
	s := r.settings.Common()
	setting, size := little.Setting, little.Size
	const whatever = "batch_size does not matter to that; "
	switch {
	case little.Alone == optim.StepName && s.Moments == optim.MomentsFloat32:
		return whatever + "with moments bfloat16 or factored it needs less; else " + smaller
	case little.Alone == optim.StepName:
		return whatever + smaller
	case little.Alone != "":
		return whatever + "choose a smaller network (extractor), or a device with more memory; " +
			"features of one that is not trained can be computed on the processor (unimo features extract)"
	case !r.begun: // no batch was computed yet
		return smaller
	case setting != "":
	case r.scoring: // what is computed at once is fixed
		return smaller
	default:
		setting, size = "batch_size", int64(s.BatchSize)
	}
	where, is := "", ""
	if saved := train.HasSnapshot(r.Out); saved && slices.Contains(free(r.settings), setting) {
		where = "go on with --resume: "
	} else if saved {
		where = "in a new run, which --init starts from the weights of this one, "
	}
	if setting == "batch_size" {
		is = fmt.Sprintf(" (it is %d)", s.BatchSize)
	}
	remedy := ""
	switch fits := little.Fits(size); {
	case fits > 0:
		remedy = fmt.Sprintf("%s%s %s of about %d fits%s", where, article(setting), setting, fits, is)
	case little.Needs > 0:
		remedy = fmt.Sprintf("%s %s of 1 does not fit either; %s", article(setting), setting, smaller)
	default:
		remedy = fmt.Sprintf("%slower %s%s", where, setting, is)
	}
	if !s.Recompute && !r.scoring {
		remedy += "; recompute needs less, too"
		if where != "" {
			remedy += ", and may be set with --resume"
		}
	}
	return remedy
}

func article(setting string) string {
	if strings.HasPrefix(setting, "e") {
		return "an"
	}
	return "a"
}

// tooLarge says whether a run has ended because its first steps do not fit: there is nothing to go on with.
func (r *run) tooLarge(err error) bool {
	var little *engine.MemoryError
	return errors.As(err, &little) && !train.HasSnapshot(r.Out)
}

// versionDevice is the key in a run's versions of that of its accelerator.
const versionDevice = "device"

// warnOfAnother says where a run goes on with another device than it had.
func (r *run) warnOfAnother(old train.Info) {
	config, _ := old.Config.(map[string]any)
	text := func(key, without string) string {
		value, _ := config[key].(string)
		return cmp.Or(value, without)
	}
	now := r.settings.Common()
	was := device.Choice{Device: text("device", device.Processor), Precision: text("precision", device.Float32)}
	switch {
	case was.Device != now.Device || was.Precision != now.Precision:
		r.Log.Warn(fmt.Sprintf("the run was on device %s with %s, and goes on with %s and %s: it does not end in the same bits as on one alone", was.Device, was.Precision, now.Device, now.Precision))
	case old.Version[versionDevice] != r.info.Version[versionDevice]:
		r.Log.Warn(fmt.Sprintf("the run was on %q, and goes on with %q: it need not end in the same bits", old.Version[versionDevice], r.info.Version[versionDevice]))
	}
}
