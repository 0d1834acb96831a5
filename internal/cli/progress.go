package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/unimo-go/unimo/internal/train"
)

// progress shows how work goes on: a bar on a terminal, nothing else elsewhere but
// a line per evaluation. It implements task.Observer.
type progress struct {
	w        io.Writer
	terminal bool
	width    int // columns of the terminal
	bar      *progressbar.ProgressBar
	stage    string
	training bool
	rate     float64 // tokens a second, smoothed
}

func (a *app) newProgress() *progress {
	p := &progress{w: a.stderr}
	if f, ok := a.stderr.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
		p.width, _, _ = term.GetSize(int(f.Fd())) // 0 where unknown
	}
	return p
}

func (p *progress) start(total int, description string) {
	p.finish()
	if !p.terminal {
		return
	}
	p.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(description),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionShowElapsedTimeOnFinish(),
		progressbar.OptionSetWidth(p.barWidth()), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetTheme(progressbar.ThemeASCII))
}

// Columns that the description with all its fields, the counts and a bar need, and
// those for the short one.
const (
	wideLine   = 120
	narrowLine = 80
)

func (p *progress) barWidth() int {
	if p.width >= wideLine {
		return 24
	}
	return 8
}

// describe returns as many fields of a step as the terminal has room for.
func (p *progress) describe(e train.StepEvent) string {
	switch {
	case p.width >= wideLine:
		return fmt.Sprintf("epoch %.2f  loss %.4f  lr %.2e  %.0f tokens/s", e.Epoch, e.Loss, e.LearningRate, p.rate)
	case p.width >= narrowLine:
		return fmt.Sprintf("loss %.3f  lr %.0e  %.0f tok/s", e.Loss, e.LearningRate, p.rate)
	}
	return fmt.Sprintf("loss %.3f", e.Loss)
}

// finish takes the bar off the terminal.
func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
		p.bar = nil
	}
	p.training = false
}

// Stage implements task.Observer.
func (p *progress) Stage(name string) {
	p.finish()
	p.stage = name
}

// Tick implements task.Observer.
func (p *progress) Tick(done, total int) {
	if !p.terminal {
		return
	}
	if p.bar == nil {
		p.start(total, p.stage)
	}
	p.bar.Set(done)
	if done >= total {
		p.finish()
	}
}

// Step implements train.Observer.
func (p *progress) Step(e train.StepEvent) {
	if !p.terminal {
		return
	}
	if !p.training {
		p.start(e.Total, "training")
		p.training = true
	}
	speed := float64(e.Tokens) / max(1e-9, e.Seconds)
	if p.rate == 0 {
		p.rate = speed
	}
	p.rate += (speed - p.rate) / 20
	p.bar.Describe(p.describe(e))
	p.bar.Set(e.Step)
}

// Evaluating implements train.Observer.
func (p *progress) Evaluating(done, total int) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("evaluating %d/%d", done, total))
	}
}

// Evaluated implements train.Observer.
func (p *progress) Evaluated(step int, e train.Evaluation, best bool) {
	if p.bar != nil {
		p.bar.Clear()
	}
	mark := ""
	if best {
		mark = "  (best so far)"
	}
	score := fmt.Sprintf("score %.4f on dev", float64(e.Score))
	switch loss, ok := e.Metrics["loss"]; {
	case ok && loss == -e.Score: // of pre-training
		score = fmt.Sprintf("loss %.4f on what is held out", float64(loss))
	case ok:
		score = fmt.Sprintf("score %.4f, loss %.4f on dev", float64(e.Score), float64(loss))
	}
	fmt.Fprintf(p.w, "step %d: %s%s\n", step, score, mark)
}

// Saved implements train.Observer.
func (p *progress) Saved(int) {}
