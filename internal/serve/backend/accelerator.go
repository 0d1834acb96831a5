package backend

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
)

// chip is an open accelerator with models on it. Who leaves it last closes it. nil is the processor.
type chip struct {
	*device.Device
	mu      sync.Mutex
	holders int // models, and the registry while models are loaded onto it
}

// scope returns a device for a model, which holds the accelerator until leave.
func (a *chip) scope() (d engine.Device, leave func() error) {
	if a == nil {
		return nil, func() error { return nil }
	}
	a.mu.Lock()
	a.holders++
	a.mu.Unlock()
	d, free := engine.Scope(a.Device.Device)
	return d, func() error {
		free()
		return a.leave()
	}
}

func (a *chip) leave() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	a.holders--
	last := a.holders == 0
	a.mu.Unlock()
	if !last {
		return nil
	}
	return a.Close()
}

// lost says how the accelerator was lost, if it was.
func (a *chip) lost() error {
	if a == nil {
		return nil
	}
	return a.Lost()
}

// errLost is that the accelerator was lost on which a model is.
func errLost(cause error) *Error {
	return &Error{Kind: Unavailable, Message: "the device that computes was lost; the server's log says why", Err: cause}
}

// sizes are those that batches on an accelerator are filled up to. More rows than these no work takes through a model at once, whatever a batch of
// requests has, but for pictures.
var sizes = xla.Sizes(batchRows)

// devicePatience is how long an accelerator may take to answer once nobody waits for its models any more.
const devicePatience = 2 * time.Second

// openDevice opens the accelerator that models are loaded onto: the first time, and where it was lost.
func (r *Registry) openDevice() error {
	if !r.o.Device.Accelerated() {
		return nil
	}
	old := r.chip()
	if old != nil && old.Lost() == nil {
		return nil
	}
	d, err := device.Open(r.o.Device, device.Options{Log: r.o.Log, Notify: r.compiled, Sizes: sizes, Context: r.wanted, Patience: devicePatience})
	if err != nil {
		return err
	}
	a := &chip{Device: d, holders: 1}
	go func() {
		<-a.Ended()
		if err := a.Lost(); err != nil && r.wanted.Err() == nil {
			r.o.Log.Error(r.afterLoss(), "device", r.o.Device.Device, "error", err)
		}
	}()
	r.mu.Lock()
	r.device = a
	r.mu.Unlock()
	return old.leave()
}

// afterLoss says what a lost device means now. Only a server that has its models, and is not about to end, loads them again.
func (r *Registry) afterLoss() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.folders) < len(r.o.Models): // the error of Load ends the server
		return "the device was lost while models were being loaded"
	case r.draining:
		return "the device was lost, and models do not answer"
	}
	return "the device was lost, and models do not answer; SIGHUP opens it again, or start the server anew"
}

// slowCompilation is from where on a program is logged for which requests have waited.
const slowCompilation = 2 * time.Second

func (r *Registry) compiled(n xla.Notice) {
	if !n.Done {
		return
	}
	level := slog.LevelDebug
	if !n.Loaded && n.Took >= slowCompilation {
		level = slog.LevelInfo
	}
	r.o.Log.Log(context.Background(), level, "compiled a program", "program", n.Program, "cached", n.Loaded, "seconds", n.Took.Seconds())
}

func (r *Registry) chip() *chip {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.device
}

// Lost says how the accelerator was lost that models were loaded onto last, if it was. It was not where nobody waited for it any more.
func (r *Registry) Lost() error {
	err := r.chip().lost()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// DeviceUse is what an accelerator is used for.
type DeviceUse struct {
	Device, Precision, Version string
	Lost                       bool
	Buffers                    int
	Bytes                      int64 // of these
	xla.Stats
}

// DeviceUse returns that of the accelerator; false where there is none.
func (r *Registry) DeviceUse() (DeviceUse, bool) {
	a := r.chip()
	if a == nil {
		return DeviceUse{}, false
	}
	u := DeviceUse{Device: r.o.Device.Device, Precision: a.Precision, Version: a.Version(), Lost: a.Lost() != nil, Stats: a.Stats()}
	u.Buffers, u.Bytes = a.Held()
	return u, true
}
