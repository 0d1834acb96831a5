package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// eventLog appends to log.jsonl: one JSON object a line, with "event" and "time". Nothing is written where it is nil.
type eventLog struct {
	f    *os.File
	path string
}

// openLog opens the log to continue at size: what a run wrote after its last
// snapshot is written again by the steps that are repeated.
func (d *Dir) openLog(size int64) (*eventLog, error) {
	path := d.Log()
	info, err := os.Stat(path)
	if err != nil {
		info, err = os.Lstat(path) // a link that leads nowhere
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open log %s: it is no ordinary file; remove it", path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := continueAt(f, size); err != nil {
		f.Close()
		return nil, fmt.Errorf("open log %s: %w", path, err)
	}
	return &eventLog{f, path}, nil
}

// continueAt cuts f off at size. If a line is not whole there, as in a log that was damaged, what
// comes next begins on a line of its own.
func continueAt(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > size {
		if err := f.Truncate(size); err != nil {
			return err
		}
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, end-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.Write([]byte{'\n'})
	return err
}

// write appends an event with the fields of body, a struct or a map.
func (l *eventLog) write(event string, body any) error {
	if l == nil {
		return nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("write log %s: %w", l.path, err)
	}
	line := fmt.Appendf(nil, `{"event":%q,"time":%q`, event, time.Now().UTC().Format(time.RFC3339))
	if len(raw) > len("{}") {
		line = append(append(line, ','), raw[1:]...)
	} else {
		line = append(line, '}')
	}
	if _, err := l.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

func (l *eventLog) step(e StepEvent) error {
	return l.write("step", struct {
		Step      int     `json:"step"`
		Epoch     Number  `json:"epoch"`
		Loss      Number  `json:"loss"`
		Parts     Numbers `json:"parts,omitempty"`
		Rate      Number  `json:"learning_rate"`
		Norm      Number  `json:"grad_norm"`
		PerSecond Number  `json:"tokens_per_second"`
		Seconds   Number  `json:"seconds"`
		Update    Number  `json:"update_seconds"`
		Exchange  Number  `json:"exchange_seconds,omitempty"`
		Wait      Number  `json:"exchange_wait_seconds,omitempty"`
		Hidden    Number  `json:"exchange_hidden_seconds,omitempty"`
	}{e.Step, Number(e.Epoch), Number(e.Loss), e.Parts, Number(e.LearningRate), Number(e.GradNorm), Number(float64(e.Tokens) / max(1e-9, e.Seconds)),
		Number(e.Seconds), Number(e.Update), Number(e.Exchange), Number(e.Wait), Number(e.Hidden)})
}

// LogDone appends to the log that the run is done: its last line, for when every file is written.
func (d *Dir) LogDone(took time.Duration) error {
	info, err := os.Stat(d.Log())
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	log, err := d.openLog(info.Size())
	if err != nil {
		return err
	}
	defer log.Close()
	return log.write("done", map[string]Number{"seconds": Number(took.Seconds())})
}

// size flushes the log and returns its length.
func (l *eventLog) size() (int64, error) {
	if err := atomicfile.Flush(l.f); err != nil {
		return 0, fmt.Errorf("write log: %w", err)
	}
	return l.f.Seek(0, io.SeekCurrent)
}

// Close closes the log.
func (l *eventLog) Close() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}

// History is what log.jsonl tells about a run, for curves.
type History struct {
	Steps []struct {
		Step                    int
		Loss, Rate, Norm, Speed float64
		Parts                   Numbers // means since the line before
	}
	Evals []struct {
		Step    int
		Metrics Numbers
	}
	Unread int // lines that are damaged or too long
}

// maxLine bounds a line of the log; one that the program writes has some hundred bytes.
const maxLine = 1 << 20

// ReadHistory reads a run's log. Lines that it does not know are passed over; those that it
// cannot read too, and counted. A log that is not there has no lines.
func ReadHistory(d *Dir) (History, error) {
	var h History
	f, err := infile.Open(d.Log())
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	for r := bufio.NewReaderSize(f, maxLine); ; {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			line = []byte{'?'} // not readable
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && !h.add(line) {
			h.Unread++
		}
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err != nil {
			return h, fmt.Errorf("read log %s: %w", d.Log(), err)
		}
	}
}

// add takes note of a line, and says whether it could be read.
func (h *History) add(raw []byte) bool {
	var line struct {
		Event   string  `json:"event"`
		Step    int     `json:"step"`
		Loss    Number  `json:"loss"`
		Parts   Numbers `json:"parts"`
		Rate    Number  `json:"learning_rate"`
		Norm    Number  `json:"grad_norm"`
		Speed   Number  `json:"tokens_per_second"`
		Metrics Numbers `json:"metrics"`
	}
	if json.Unmarshal(raw, &line) != nil {
		return false
	}
	switch line.Event {
	case "step":
		h.Steps = append(h.Steps, struct {
			Step                    int
			Loss, Rate, Norm, Speed float64
			Parts                   Numbers
		}{line.Step, float64(line.Loss), float64(line.Rate), float64(line.Norm), float64(line.Speed), line.Parts})
	case "eval":
		h.Evals = append(h.Evals, struct {
			Step    int
			Metrics Numbers
		}{line.Step, line.Metrics})
	}
	return true
}

// Each calls yield for every value: of the steps, then of the evaluations, whose series begin with "dev ".
func (h History) Each(yield func(step int, series string, value float64)) {
	for _, s := range h.Steps {
		yield(s.Step, "loss", s.Loss)
		yield(s.Step, "learning_rate", s.Rate)
		yield(s.Step, "grad_norm", s.Norm)
		yield(s.Step, "tokens_per_second", s.Speed)
		for _, name := range slices.Sorted(maps.Keys(s.Parts)) {
			yield(s.Step, name, float64(s.Parts[name]))
		}
	}
	for _, e := range h.Evals {
		for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
			yield(e.Step, "dev "+name, float64(e.Metrics[name]))
		}
	}
}
