package train

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// eventLog appends to log.jsonl: one JSON object a line, with "event" and "time".
type eventLog struct {
	f    *os.File
	path string
}

// openLog opens the log to continue at size: what a run wrote after its last
// snapshot is written again by the steps that are repeated.
func (d *Dir) openLog(size int64) (*eventLog, error) {
	path := d.Log()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() > size {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open log %s: %w", path, err)
	}
	return &eventLog{f, path}, nil
}

// write appends an event with the fields of body, a struct or a map.
func (l *eventLog) write(event string, body any) error {
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
		Epoch     float64 `json:"epoch"`
		Loss      float64 `json:"loss"`
		Parts     Numbers `json:"parts,omitempty"`
		Rate      float64 `json:"learning_rate"`
		Norm      float64 `json:"grad_norm"`
		PerSecond float64 `json:"tokens_per_second"`
	}{e.Step, e.Epoch, e.Loss, e.Parts, e.LearningRate, e.GradNorm, float64(e.Tokens) / max(1e-9, e.Seconds)})
}

// size flushes the log and returns its length.
func (l *eventLog) size() (int64, error) {
	if err := l.f.Sync(); err != nil {
		return 0, fmt.Errorf("write log: %w", err)
	}
	return l.f.Seek(0, io.SeekCurrent)
}

func (l *eventLog) Close() error { return l.f.Close() }

// History is what log.jsonl tells about a run, for curves.
type History struct {
	Steps []struct {
		Step                    int
		Loss, Rate, Norm, Speed float64
		Parts                   Numbers // means over the batches since the line before
	}
	Evals []struct {
		Step    int
		Metrics Numbers
	}
}

// ReadHistory reads a run's log. Lines it does not know are passed over.
func ReadHistory(d *Dir) (History, error) {
	f, err := os.Open(d.Log())
	if err != nil {
		return History{}, fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	var h History
	for dec := json.NewDecoder(f); ; {
		var line struct {
			Event   string  `json:"event"`
			Step    int     `json:"step"`
			Loss    Number  `json:"loss"`
			Parts   Numbers `json:"parts"`
			Rate    float64 `json:"learning_rate"`
			Norm    Number  `json:"grad_norm"`
			Speed   float64 `json:"tokens_per_second"`
			Metrics Numbers `json:"metrics"`
		}
		if err := dec.Decode(&line); err == io.EOF {
			return h, nil
		} else if err != nil {
			return h, fmt.Errorf("read log %s: %w", d.Log(), err)
		}
		switch line.Event {
		case "step":
			h.Steps = append(h.Steps, struct {
				Step                    int
				Loss, Rate, Norm, Speed float64
				Parts                   Numbers
			}{line.Step, float64(line.Loss), line.Rate, float64(line.Norm), line.Speed, line.Parts})
		case "eval":
			h.Evals = append(h.Evals, struct {
				Step    int
				Metrics Numbers
			}{line.Step, line.Metrics})
		}
	}
}
