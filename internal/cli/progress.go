package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// progress shows how work goes on: a bar on a terminal; elsewhere, as in a file or under nohup, a
// line a minute, the first of a stage soon. Evaluations are lines on both. It implements run.Observer.
type progress struct {
	app      *app
	metric   string // that chooses the best model
	onDev    string // what is evaluated on
	width    int    // columns of the terminal
	bar      *bar
	stage    string
	training bool
	now      func() time.Time

	began     time.Time // of the stage
	first     int       // what was done then
	said      time.Time // of the newest line
	estimated bool      // how long it takes has been said
	rate      float64   // tokens a second, smoothed
}

// Where no bar is shown, a line is printed so often, and the first one of a stage so soon.
const (
	everyMinute = time.Minute
	firstLine   = 10 * time.Second
)

func (a *app) newProgress() *progress {
	p := &progress{app: a, metric: "loss", onDev: "on dev", width: a.stderr.columns(), now: time.Now}
	p.begin("")
	return p
}

// trains says what is trained, whose metric is shown.
func (p *progress) trains(t *run.Task) {
	p.metric, p.onDev = t.Metric, "on "+t.ChosenOn()
}

// begin begins a stage.
func (p *progress) begin(name string) {
	p.finish()
	p.stage, p.began, p.first = name, p.now(), 0
	p.said = p.began.Add(firstLine - everyMinute)
}

// start begins a stage of total items, -1 if that is not known.
func (p *progress) start(total int, name string) {
	p.begin(name)
	p.draw(total)
}

func (p *progress) draw(total int) {
	if !p.app.stderr.terminal() {
		return
	}
	p.app.stderr.status("")
	p.bar = newBar(p.app.stderr.bar(), p.stage, total, p.barWidth(), p.stage != stageTraining, p.now) // the speed of training is in tokens
	p.bar.from = p.first
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
		p.bar.wipe()
		p.bar = nil
	}
	p.app.stderr.status("")
	p.training = false
}

// line prints a line if a minute has passed without one and no bar is shown.
func (p *progress) line(text func() string) {
	if p.bar != nil || p.now().Sub(p.said) < everyMinute {
		return
	}
	p.said = p.now()
	fmt.Fprintln(p.app.stderr, text())
}

// pace says how many items are done in a second; "" if nothing can be said.
func (p *progress) pace(done int) string {
	took := p.now().Sub(p.began).Seconds()
	if done <= p.first || took <= 0 {
		return ""
	}
	rate, digits := float64(done-p.first)/took, 0
	if rate < 10 {
		digits = 1
	}
	return fmt.Sprintf(", %.*f/s", digits, rate)
}

// left says how long the rest takes, if it goes on as it went; "" if nothing can be said.
func (p *progress) left(done, total int) string {
	if done <= p.first || total <= done {
		return ""
	}
	return ", " + span(p.remaining(done, total)) + " left"
}

func (p *progress) remaining(done, total int) time.Duration {
	return time.Duration(float64(p.now().Sub(p.began)) / float64(done-p.first) * float64(total-done))
}

// span writes a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", max(1, d.Seconds()))
	case d < 90*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 72*time.Hour:
		d = d.Round(10 * time.Minute)
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// Stage implements run.Observer.
func (p *progress) Stage(name string) {
	p.begin(name)
	p.app.stderr.status(name)
	if name == stageTraining {
		p.app.ending.CompareAndSwap(nil, &saves) // ranks have their own
		p.estimated = false
	}
	if strings.HasPrefix(name, run.StageCompiling) {
		p.app.ending.CompareAndSwap(&saves, &breaksOff)
	} else {
		p.app.ending.CompareAndSwap(&breaksOff, &saves)
	}
}

// stageTraining is the stage in which an interruption saves.
const stageTraining = "training"

// Tick implements run.Observer.
func (p *progress) Tick(done, total int) {
	if p.bar == nil {
		p.draw(total)
	}
	if p.bar != nil {
		p.bar.set(done)
		if total >= 0 && done >= total {
			p.finish()
		}
		return
	}
	if total < 0 {
		p.line(func() string { return fmt.Sprintf("%s: %d", p.stage, done) })
		return
	}
	p.line(func() string {
		return fmt.Sprintf("%s %d/%d%s%s", p.stage, done, total, p.pace(done), p.left(done, total))
	})
}

// counted says how far a stage of unknown length has come.
func (p *progress) counted(n int) {
	if p.bar != nil {
		p.bar.set(n)
		return
	}
	p.line(func() string { return fmt.Sprintf("%s: %d", p.stage, n) })
}

// Step implements train.Observer.
func (p *progress) Step(e train.StepEvent) {
	if !p.training {
		p.begin(stageTraining)
		p.said = p.began
		p.draw(e.Total)
		p.training, p.first = true, e.Step // the first step also makes what later ones use again
	}
	speed := float64(e.Tokens) / max(1e-9, e.Seconds)
	if p.rate == 0 {
		p.rate = speed
	}
	p.rate += (speed - p.rate) / 20
	p.estimate(e)
	if p.bar != nil {
		p.bar.describe(p.describe(e))
		p.bar.set(e.Step)
		return
	}
	p.line(func() string {
		return fmt.Sprintf("step %d/%d, loss %.4g, %.0f tok/s%s", e.Step, e.Total, e.Loss, p.rate, p.left(e.Step, e.Total))
	})
}

// Once training has taken so long and so many steps, it is said how long the rest will take.
const (
	measuredFor   = 2 * time.Second
	measuredSteps = 3
)

func (p *progress) estimate(e train.StepEvent) {
	if p.estimated || e.Step-p.first < measuredSteps || p.now().Sub(p.began) < measuredFor {
		return
	}
	p.estimated = true
	fmt.Fprintf(p.app.stderr, "about %s for %d steps, without evaluations\n", span(p.remaining(e.Step, e.Total)), e.Total-e.Step)
}

// Evaluating implements train.Observer.
func (p *progress) Evaluating(done, total int) {
	if p.bar != nil {
		p.bar.describe(fmt.Sprintf("evaluating %d/%d", done, total))
		return
	}
	p.line(func() string { return fmt.Sprintf("evaluating %d/%d", done, total) })
}

// Evaluated implements train.Observer.
func (p *progress) Evaluated(step int, e train.Evaluation, best bool) {
	text := fmt.Sprintf("step %d: %s %.4f", step, p.metric, float64(e.Metrics[p.metric]))
	if e.How != "" {
		text += " " + e.How
	}
	if loss, ok := e.Metrics["loss"]; ok && p.metric != "loss" {
		text += fmt.Sprintf(", loss %.4f", float64(loss))
	}
	text += " " + p.onDev
	if n, ok := e.Metrics["examples"]; ok && n < run.FewExamples {
		text += fmt.Sprintf(", %.0f examples only", float64(n))
	}
	if best {
		text += " (best so far)"
	}
	p.said = p.now()
	fmt.Fprintln(p.app.stderr, text)
}

// Saved implements train.Observer.
func (p *progress) Saved(int) {}
