package extractor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/vision"
	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// Encoder is a trained network as an extractor. It implements [regions.Extractor].
type Encoder struct {
	spec    regions.Spec
	made    made
	prepare preprocess.Config
	notes   []string // for people; see Tell
	told    atomic.Bool

	mu   sync.Mutex
	free []engine.Device // of one thread each: pictures are run beside each other
	base engine.Device   // the accelerator that has the weights, of which each picture gets a fork; nil: the processor
}

// made is a network and where it is from.
type made struct {
	path    string // a file or folder that checkpoint.Open reads
	family  family
	network vision.Network
	info    vision.Info
}

// open makes the network.
func (m *made) open(f family, config []byte, r checkpoint.Reader) error {
	m.family = f
	return checkpoint.Guard(func() (err error) {
		m.network, m.info, err = f.open(device.CPU(0), config, r)
		return err
	})
}

// encoder returns the extractor, whose weights have been looked at. said is the file that says how pictures are prepared.
func (m made) encoder(p preprocess.Config, said string, r checkpoint.Reader) (*Encoder, error) {
	if err := m.network.Check(p.Width, p.Height); err != nil {
		return nil, fmt.Errorf("%s: pictures are prepared to %d x %d pixels, which %s cannot read: %w", said, p.Width, p.Height, m.info.Architecture, err)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("extractor %s: %w", m.path, err)
	}
	e := &Encoder{made: m, prepare: p, spec: regions.Spec{
		Extractor: m.family.name, Architecture: m.info.Architecture, Dim: m.network.Dim(), Classes: m.network.Classes(), Preprocessing: raw,
	}}
	err = checkpoint.Guard(func() (err error) {
		e.spec.Fingerprint, err = e.fingerprint(r)
		return err
	})
	return e, err
}

// fingerprint returns a SHA-256 of all that decides what the extractor computes. Weights that are no numbers are an
// error.
func (e *Encoder) fingerprint(r checkpoint.Reader) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", e.made.family.name, e.made.info.Config, e.spec.Preprocessing)
	for _, name := range slices.Sorted(slices.Values(e.made.info.Tensors)) {
		info, err := r.Info(name)
		if err != nil {
			return "", err
		}
		if info.DType.Float() {
			values, _, err := checkpoint.Float32s(r, name)
			if err != nil {
				return "", err
			}
			for i, v := range values {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					return "", &checkpoint.FileError{File: r.Path(), Problem: fmt.Sprintf("tensor %q holds %v at element %d", name, v, i), Remedy: "the weights are broken; fetch them again"}
				}
			}
		}
		raw, err := r.Bytes(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %v %v\n", name, info.DType, info.Shape)
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// metadataConfig is the key in the weights' file of the configuration that opens them.
const metadataConfig = "config"

// Keep writes the two files of a trained network into a folder, and of other extractors nothing: their store says all
// of them.
func Keep(dir string, x regions.Extractor) error {
	e, ok := x.(*Encoder)
	if !ok {
		return nil
	}
	if err := e.write(filepath.Join(dir, regions.WeightsFile)); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, regions.SpecFile), e.spec.File())
}

// again opens the file of the weights once more. It must be the one that it was.
func (e *Encoder) again(use func(r checkpoint.Reader) error) (err error) {
	r, err := checkpoint.Open(e.made.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return checkpoint.Guard(func() error {
		if now, err := e.fingerprint(r); err != nil || now != e.spec.Fingerprint {
			return errors.Join(fmt.Errorf("%s has changed since it was opened; give the command again", e.made.path), err)
		}
		return use(r)
	})
}

// On returns an extractor as it computes on a device. Of a network the weights lie in an accelerator's memory then, and all that it says of a
// picture is computed there but for what comes before and behind: pixels, boxes. Whatever runs beside it, a picture is run by itself, so that
// the same is said of it each time. On the processor it is x itself, as it is where there is no network.
func On(x regions.Extractor, d engine.Device) (regions.Extractor, error) {
	e, ok := x.(*Encoder)
	if !ok || !engine.Late(d) {
		return x, nil
	}
	on := &Encoder{spec: e.spec, made: e.made, prepare: e.prepare, notes: e.notes, base: d.Fork()} // d itself may be at work
	on.told.Store(e.told.Load())
	err := e.again(func(r checkpoint.Reader) error {
		return engine.Alone(e.spec.Architecture, func() (err error) {
			on.made.network, _, err = e.made.family.open(on.base, e.made.info.Config, r)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return on, nil
}

// During calls work with an extractor [On] a device that rounds no factors of products, so that the same network sees the same wherever it computes. The
// device's memory has nothing of it afterwards.
func During(x regions.Extractor, d engine.Device, work func(x regions.Extractor) error) error {
	within, free := engine.Scope(d)
	defer free()
	on, err := On(x, engine.Exact(within))
	if err != nil {
		return err
	}
	return work(on)
}

// write writes the weights.
func (e *Encoder) write(path string) error {
	if e.spec.Weights != "" {
		return atomicfile.Copy(path, e.spec.Weights)
	}
	there := e.spec
	there.Weights = path
	if _, err := openSaved(there); err == nil { // an earlier run wrote it
		return nil
	}
	return e.again(func(r checkpoint.Reader) error {
		var tensors []checkpoint.Tensor
		for _, name := range e.made.info.Tensors {
			info, err := r.Info(name)
			if err != nil {
				return err
			}
			raw, err := r.Bytes(name)
			if err != nil {
				return err
			}
			tensors = append(tensors, checkpoint.Tensor{Info: info, Data: raw})
		}
		return checkpoint.WriteSafetensors(path, tensors, e.metadata())
	})
}

// metadata is that of the weights' file.
func (e *Encoder) metadata() map[string]string {
	return map[string]string{"format": "pt", metadataConfig: string(e.made.info.Config)}
}

// Spec implements [regions.Extractor].
func (e *Encoder) Spec() regions.Spec { return e.spec }

// Dim implements [regions.Extractor].
func (e *Encoder) Dim() int { return e.spec.Dim }

// Network returns the network.
func (e *Encoder) Network() vision.Network { return e.made.network }

// Prepare implements [regions.Extractor].
func (e *Encoder) Prepare(p *picture.Picture) *picture.Picture { return e.prepare.Prepare(p) }

// Pixels returns a prepared picture as the network reads it.
func (e *Encoder) Pixels(p *picture.Picture) vision.Pixels { return e.prepare.Pixels(p) }

// Extract implements [regions.Extractor]. A picture in which a detector finds nothing is one region.
func (e *Encoder) Extract(p *picture.Picture, width, height int, dst *regions.Image) error {
	d := e.device()
	defer e.release(d)
	var out vision.Output
	err := engine.Alone("a picture seen by "+e.spec.Architecture, func() (err error) {
		out, err = e.made.network.Run(d, e.prepare.Pixels(p))
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", e.spec.Architecture, err)
	}
	if len(out.Boxes) == 0 && len(out.Global) > 0 {
		out.Boxes, out.Features, out.Classes = []float32{0, 0, 1, 1}, out.Global, uniform(len(e.spec.Classes))
	}
	e.place(dst, out.Boxes, width, height)
	dst.Features, dst.Global, dst.Classes = append(dst.Features[:0], out.Features...), append(dst.Global[:0], out.Global...), append(dst.Classes[:0], out.Classes...)
	if err := dst.Check(e.spec.Dim); err != nil {
		return fmt.Errorf("what %s computes is of no use: %w", e.spec.Architecture, err)
	}
	return nil
}

// place sets an image's size and boxes, which are shares of what the network read of a picture of width x height.
func (e *Encoder) place(dst *regions.Image, boxes []float32, width, height int) {
	dst.Width, dst.Height = float64(width), float64(height)
	dst.Boxes = append(dst.Boxes[:0], boxes...)
	e.prepare.Boxes(dst.Boxes, width, height)
}

// uniform returns the probabilities of n classes of which nothing is known.
func uniform(n int) []float32 {
	p := make([]float32, n)
	for i := range p {
		p[i] = 1 / float32(n)
	}
	return p
}

// device returns a device that nobody else has.
func (e *Encoder) device() engine.Device {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.free)
	switch {
	case n == 0 && e.base != nil:
		return e.base.Fork()
	case n == 0:
		return device.CPU(1)
	}
	d := e.free[n-1]
	e.free = e.free[:n-1]
	return d
}

func (e *Encoder) release(d engine.Device) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.free = append(e.free, d)
}
