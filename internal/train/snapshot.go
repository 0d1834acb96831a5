package train

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/optim"
)

// keepSnapshots is how many snapshots stay: the newest, and one more in case the
// disk loses the newest.
const keepSnapshots = 2

// Space returns how much disk a run needs at most whose parameters and moments have that many bytes: snapshots, one more while
// it is written, and the two models.
func Space(parameters, moments int64) int64 {
	const models = 2
	return (keepSnapshots+1)*(parameters+moments) + models*parameters
}

// Used returns how much of this a run in the folder root has already.
func Used(root string) int64 {
	d := &Dir{root: root}
	var sum int64
	for _, dir := range []string{d.snapshots(), d.Best(), d.Last()} {
		entries, _ := os.ReadDir(dir) // none if it is not there
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				sum += info.Size()
			}
		}
	}
	return sum
}

func snapshotName(step int) string { return fmt.Sprintf("step-%08d.safetensors", step) }

// castagnoli is the CRC that processors compute in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the CRC-32C of a snapshot's position and tensors.
func checksum(position string, c content) (string, error) {
	sum := crc32.Checksum([]byte(position), castagnoli)
	for i := range c.infos {
		data, err := c.fetch(i)
		if err != nil {
			return "", err
		}
		sum = crc32.Update(sum, castagnoli, data)
	}
	return strconv.FormatUint(uint64(sum), 16), nil
}

// content is what a snapshot has besides its position. The data of a tensor are valid until others are fetched.
type content struct {
	infos []checkpoint.Info
	fetch func(i int) ([]byte, error)
}

// Keys of a snapshot's metadata. Before keySum there was keyOldSum, which does not cover the position.
const (
	keyPosition = "state"
	keySum      = "crc32c_state_tensors"
	keyOldSum   = "crc32c"
)

// snapshot saves everything, the model in last/ included.
func (t *Trainer) snapshot(log *eventLog) error {
	if err := t.writeSnapshot(log); err != nil {
		return err
	}
	return t.saveLast()
}

// saveBest writes the model as it is, which the newest evaluation found to be the best, into best/.
func (t *Trainer) saveBest() error {
	t.adam.Settle()
	if !t.leads() {
		return nil
	}
	return t.Task.Save(t.Dir.Best(), t.bestNote())
}

// saveLast writes the model as it is into last/.
func (t *Trainer) saveLast() error {
	t.adam.Settle()
	if !t.leads() {
		return nil
	}
	return t.Task.Save(t.Dir.Last(), t.lastNote())
}

func (t *Trainer) bestNote() Note { return Note{t.state.BestStep, &t.state.Best, true} }

func (t *Trainer) lastNote() Note {
	note := Note{Step: t.state.Step}
	if t.state.LastStep == t.state.Step {
		note.Evaluation = &t.state.Last
	}
	return note
}

// mend makes best/ and last/ what the restored state says they are. They are not where a process
// ended between a snapshot and them, or where somebody removed or damaged them. A best model that
// cannot be had again is given up: the next evaluation finds another, so that the run can be finished.
func (t *Trainer) mend() error {
	if t.state.Step == 0 {
		return nil
	}
	if step, err := t.Task.Repair(t.Dir.Last(), t.lastNote()); err != nil || step != t.state.Step {
		if err := errors.Join(os.RemoveAll(t.Dir.Last()), t.saveLast()); err != nil {
			return err
		}
	}
	step, err := t.Task.Repair(t.Dir.Best(), t.bestNote())
	switch {
	case t.state.BestStep == 0 && err == nil:
		return nil
	case t.state.BestStep == 0: // what is in its place must not be in the way of the first
		return os.RemoveAll(t.Dir.Best())
	case err == nil && (step == t.state.BestStep || step > t.state.Step):
		return nil // of a later step: the run comes to that evaluation again
	case t.state.BestStep == t.state.Step:
		return errors.Join(os.RemoveAll(t.Dir.Best()), t.saveBest())
	case err == nil:
		err = fmt.Errorf("%s holds the model of step %d", t.Dir.Best(), step)
	case step > 0:
		return err // the model is there, and what is beside it would fail again after the training
	default: // so that the next best model can be written, whatever is in its place
		if err := os.RemoveAll(t.Dir.Best()); err != nil {
			return fmt.Errorf("make room for the best model: %w", err)
		}
	}
	t.Log.Warn(fmt.Sprintf("the best model so far, of step %d, is gone: the best is now chosen among the evaluations from here on", t.state.BestStep), "error", err)
	t.state.Best, t.state.BestStep, t.state.Worse = Evaluation{}, 0, 0
	if t.state.LastStep == t.state.Step {
		t.state.LastStep = 0 // it is repeated
	}
	return nil
}

// writeSnapshot writes a snapshot, unless the newest one has everything already, and removes those
// that are no longer needed.
func (t *Trainer) writeSnapshot(log *eventLog) error {
	if t.saved.Step == t.state.Step && t.saved.LastStep == t.state.LastStep {
		return nil
	}
	t.adam.Settle()
	var stream []byte
	var err error
	if s, ok := t.Task.(Streamer); ok {
		if stream, err = s.StreamState(); err != nil {
			err = fmt.Errorf("save snapshot: %w", err)
		}
	}
	if err := t.alike(stream, err); err != nil {
		return err
	}
	if err := t.together(func(c content) error { return t.store(log, c) }, stream); err != nil {
		return err
	}
	t.saved, t.savedAt = t.state, t.now()
	t.Observer.Saved(t.state.Step)
	return nil
}

// together has the first rank do something with the content of a snapshot. Where moments are divided, the others give it theirs as it fetches them.
func (t *Trainer) together(do func(c content) error, stream []byte) error {
	parts := t.stored()
	c := t.content(parts, stream)
	if !slices.ContainsFunc(parts, func(p part) bool { return p.divided }) {
		if t.leads() {
			return do(c)
		}
		return nil
	}
	const over = -1
	next := make([]int32, 1)
	tell := func(i int32) error {
		next[0] = i
		return t.Group.Broadcast(collective.Bytes(next), 0)
	}
	if !t.leads() {
		for {
			if err := tell(over); err != nil {
				return err
			}
			if next[0] == over {
				return nil
			}
			if err := t.whole(parts[next[0]]); err != nil {
				return err
			}
		}
	}
	local := c.fetch
	c.fetch = func(i int) ([]byte, error) {
		if i < len(parts) && parts[i].divided {
			if err := errors.Join(tell(int32(i)), t.whole(parts[i])); err != nil {
				return nil, fmt.Errorf("collect %s: %w", parts[i].name, err)
			}
		}
		return local(i)
	}
	return errors.Join(do(c), tell(over))
}

// whole collects a moment from the ranks that have its rows, in the memory of its parameter's gradient, which is of no use between two steps.
func (t *Trainer) whole(p part) error {
	values, own := engine.Values(t.Device, p.whole), engine.Values(t.Device, p.value)
	copy(values[t.exchange.rows(p.param)[0]*p.whole.Cols:], own)
	t.Device.Write(p.whole, values)
	return t.exchange.gather([]int{p.param}, func(int) *engine.Tensor { return p.whole })
}

// store writes a snapshot with this content.
func (t *Trainer) store(log *eventLog, c content) error {
	size, err := log.size()
	if err != nil {
		return err
	}
	t.state.LogSize = size
	position, err := json.Marshal(t.state)
	if err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	if _, err := os.Stat(t.Dir.root); err != nil { // a folder that was removed is not made again: its lock is gone
		return fmt.Errorf("save snapshot: %w", err)
	}
	if err := atomicfile.Mkdir(t.Dir.snapshots()); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	sum, err := checksum(string(position), c)
	if err != nil {
		return err
	}
	metadata := map[string]string{keyPosition: string(position), keySum: sum}
	if err := checkpoint.WriteSafetensorsFrom(t.Dir.snapshot(t.state.Step), c.infos, metadata, c.fetch); err != nil {
		return err
	}
	return t.prune()
}

// alike compares what the ranks have computed: processes whose tensors, or streams, drifted apart must not go on. Of moments that are
// divided there is nothing to compare.
func (t *Trainer) alike(stream []byte, err error) error {
	if t.Group.Size() == 1 {
		return err
	}
	parts := slices.DeleteFunc(t.stored(), func(p part) bool { return p.divided })
	sum, failed := checksum("", t.content(parts, stream))
	sums, err := collective.Gather(t.Group, sum, errors.Join(err, failed))
	if err != nil {
		return err
	}
	for rank, sum := range sums {
		if sum != sums[0] {
			return t.agree(fmt.Errorf("after step %d rank %d has computed other numbers than rank 0; look at its machine (memory, processor), then go on from the newest snapshot with --resume", t.state.Step, rank))
		}
	}
	return nil
}

// resume goes on from the newest snapshot, which the first rank reads. It gives the others what it has.
func (t *Trainer) resume() error {
	state, err := collective.First(t.Group, func() (state, error) {
		err := t.restore()
		if err == nil {
			err = t.mend()
		}
		return t.state, err
	})
	if err != nil || t.Group.Size() == 1 || state.Step == 0 {
		return err
	}
	var stream []byte
	streamer, streams := t.Task.(Streamer)
	if streams && t.leads() {
		stream, err = streamer.StreamState()
	}
	if stream, err = collective.Tell(t.Group, stream, err); err != nil {
		return err
	}
	if err := t.give(); err != nil {
		return fmt.Errorf("give the snapshot to all ranks: %w", err)
	}
	if !t.leads() {
		t.state, t.saved = state, state
		t.adam.Resume(state.Step)
		if streams {
			err = streamer.RestoreStream(stream)
		}
	}
	return t.agree(err)
}

// give gives all ranks the parameters and moments that the first one has read; of divided moments their own rows, which it reads again.
func (t *Trainer) give() error {
	var snapshot checkpoint.Reader
	parts := t.stored()
	if t.leads() && slices.ContainsFunc(parts, func(p part) bool { return p.divided }) {
		var err error
		if snapshot, err = checkpoint.Open(t.restored); err != nil {
			return err
		}
		defer snapshot.Close()
	}
	for _, p := range parts {
		if p.divided && t.leads() {
			if err := t.read(p, snapshot); err != nil {
				return err
			}
		}
		values := engine.Values(t.Device, p.whole)
		if err := collective.BroadcastPieces(t.Group, collective.Bytes(values)); err != nil {
			return err
		}
		if p.divided {
			rows := t.exchange.rows(p.param)
			values = values[rows[0]*p.whole.Cols : rows[1]*p.whole.Cols]
		}
		t.Device.Write(p.value, values)
	}
	return nil
}

// nameStream is the tensor of bytes that says where a [Streamer] is: its state may be larger
// than what the file's header has room for.
const nameStream = "__stream__"

// part is a tensor of a snapshot.
type part struct {
	name    string
	param   int
	value   *engine.Tensor // as this rank has it
	whole   *engine.Tensor // as large as the parameter; value, unless that is divided
	bits    optim.Bits     // of the elements: two moments may share a tensor
	divided bool           // value is the rank's own rows of a moment
}

// stored lists parameters and moments by name.
func (t *Trainer) stored() []part {
	var parts []part
	for i, p := range t.Task.Params() {
		parts = append(parts, part{name: p.Name, param: i, value: p.Value, whole: p.Value})
		for _, m := range t.adam.Moments(i) {
			whole := m.Value
			if t.exchange.divided[i] {
				whole = t.grads[i].Tensor()
			}
			parts = append(parts, part{p.Name + m.Suffix, i, m.Value, whole, m.Bits, t.exchange.divided[i]})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.name, b.name) })
	return parts
}

// info describes a part as it is stored.
func (p part) info() checkpoint.Info {
	info := checkpoint.Info{Name: p.name, DType: checkpoint.F32, Shape: []int{p.whole.Rows, p.whole.Cols}}
	if p.bits != optim.Whole {
		info.DType = checkpoint.BF16
	}
	return info
}

// bytes returns a part as it is stored: in its memory where the device allows it, or halves of its elements in that of the parameter's
// gradient, which is of no use between two steps.
func (t *Trainer) bytes(p part) []byte {
	values := engine.Values(t.Device, p.whole)
	if p.bits == optim.Whole {
		return checkpoint.FromFloat32(p.name, p.info().Shape, values).Data
	}
	memory := collective.Bytes(engine.Values(t.Device, t.grads[p.param].Tensor()))[:2*len(values)]
	for i, v := range values { // which may be the same memory: what is written lies before what is read next
		half := uint16(math.Float32bits(v) >> p.shift())
		if at := memory[2*i:]; binary.LittleEndian.Uint16(at) != half { // else a page of rows that nobody has looked up would be made
			binary.LittleEndian.PutUint16(at, half)
		}
	}
	return memory
}

// shift is where the bits of a half begin.
func (p part) shift() int {
	if p.bits == optim.UpperHalf {
		return 16
	}
	return 0
}

// read sets a part, as it is whole, to what a snapshot has.
func (t *Trainer) read(p part, r checkpoint.Reader) error {
	values := engine.Values(t.Device, p.whole)
	if p.bits == optim.Whole {
		if err := checkpoint.ReadFloat32s(values, r, p.name); err != nil {
			return err
		}
	} else {
		data, err := r.Bytes(p.name)
		if err != nil {
			return err
		}
		for i, v := range values {
			other := math.Float32bits(v) &^ (0xffff << p.shift())
			values[i] = math.Float32frombits(other | uint32(binary.LittleEndian.Uint16(data[2*i:]))<<p.shift())
		}
	}
	t.Device.Write(p.whole, values)
	return nil
}

// content returns parts, and the stream if there is one.
func (t *Trainer) content(parts []part, stream []byte) content {
	var c content
	for _, p := range parts {
		c.infos = append(c.infos, p.info())
	}
	if _, ok := t.Task.(Streamer); ok {
		c.infos = append(c.infos, checkpoint.Info{Name: nameStream, DType: checkpoint.U8, Shape: []int{len(stream)}})
	}
	c.fetch = func(i int) ([]byte, error) {
		if i == len(parts) {
			return stream, nil
		}
		return t.bytes(parts[i]), nil
	}
	return c
}

// prune removes all but the newest snapshots.
func (t *Trainer) prune() error {
	files, err := t.Dir.listSnapshots()
	if err != nil {
		return err
	}
	for _, file := range files[min(keepSnapshots, len(files)):] {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove old snapshot: %w", err)
		}
	}
	return nil
}

// listSnapshots returns the snapshots' paths, the newest first.
func (d *Dir) listSnapshots() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(d.snapshots(), "step-*.safetensors"))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	slices.Sort(files) // the step is zero-padded
	slices.Reverse(files)
	return files, nil
}

// HasSnapshot says whether the run in the folder root can be resumed after a step.
func HasSnapshot(root string) bool {
	files, err := (&Dir{root: root}).listSnapshots()
	return err == nil && len(files) > 0
}

// restore loads the newest snapshot. One that is damaged is passed over with a
// warning; if all are, that is an error. Without any, training starts anew.
func (t *Trainer) restore() error {
	files, err := t.Dir.listSnapshots()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		t.Log.Info("nothing has been saved yet: starting from the beginning")
		return nil
	}
	var failures []error
	for _, file := range files {
		if err := t.load(file); err != nil {
			t.Log.Warn(fmt.Sprintf("a snapshot is damaged; the one before is tried: %v", err))
			failures = append(failures, err)
			continue
		}
		t.Log.Info(fmt.Sprintf("resuming after step %d of %d", t.state.Step, t.total))
		return nil
	}
	return errors.Join(failures...)
}

// load sets parameters, moments, position and the stream to those of a snapshot. After an
// error the values are undefined.
func (t *Trainer) load(file string) error {
	r, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	meta := r.Metadata()
	parts := t.stored()
	streamer, streams := t.Task.(Streamer)
	stored := slices.DeleteFunc(r.Tensors(), func(i checkpoint.Info) bool { return streams && i.Name == nameStream })
	if len(stored) != len(parts) {
		return fmt.Errorf("snapshot %s has %d tensors, want %d", file, len(stored), len(parts))
	}
	for i, info := range stored { // both are sorted by name
		want := parts[i].info()
		if info.Name != want.Name || info.DType != want.DType || !slices.Equal(info.Shape, want.Shape) {
			return fmt.Errorf("snapshot %s has %s %v %v, want %s %v %v", file, info.Name, info.DType, info.Shape, want.Name, want.DType, want.Shape)
		}
	}
	var stream []byte
	if streams {
		if stream, err = r.Bytes(nameStream); err != nil {
			return err
		}
	}
	c := t.content(parts, stream)
	local := c.fetch
	c.fetch = func(i int) ([]byte, error) {
		if i < len(parts) {
			if err := t.read(parts[i], r); err != nil {
				return nil, err
			}
		}
		return local(i)
	}
	want, covered := meta[keySum], meta[keyPosition]
	if old, ok := meta[keyOldSum]; ok && want == "" {
		want, covered = old, ""
	}
	sum, err := checksum(covered, c)
	if err != nil {
		return err
	}
	if sum != want {
		return fmt.Errorf("snapshot %s: checksum is %s, want %q", file, sum, want)
	}
	var position state
	if err := json.Unmarshal([]byte(meta[keyPosition]), &position); err != nil {
		return fmt.Errorf("snapshot %s: state: %w", file, infile.PlainJSON(err))
	}
	if streams {
		if err := streamer.RestoreStream(stream); err != nil {
			return fmt.Errorf("snapshot %s: go on with the data: %w", file, err)
		}
	}
	t.state, t.saved, t.restored = position, position, file
	t.adam.Resume(position.Step)
	return nil
}
