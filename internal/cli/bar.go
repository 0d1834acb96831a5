package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// bar is a line of a terminal that says how far work has come:
//
//	scoring  45% [===>    ] (45/100, 4/s) [12s:15s]
//
// In the last brackets is the time so far, and the time left at the mean speed.
type bar struct {
	w     io.Writer
	title string
	total int // -1 if it is not known
	width int // columns of what is in the first brackets
	speed bool
	now   func() time.Time

	done, from   int // from: what was done before it began
	began, drawn time.Time
}

// redraw is how long a bar stands before it is drawn again.
const redraw = 100 * time.Millisecond

func newBar(w io.Writer, title string, total, width int, speed bool, now func() time.Time) *bar {
	b := &bar{w: w, title: title, total: total, width: width, speed: speed, now: now, began: now()}
	b.draw()
	return b
}

// describe sets what stands before the bar.
func (b *bar) describe(title string) {
	b.title = title
	b.set(b.done)
}

// set says how much is done.
func (b *bar) set(done int) {
	b.done = done
	if b.now().Sub(b.drawn) >= redraw {
		b.draw()
	}
}

func (b *bar) draw() {
	b.drawn = b.now()
	passed := b.drawn.Sub(b.began)
	speed := ""
	if perSecond := float64(b.done-b.from) / passed.Seconds(); b.speed && passed > 0 && b.done > b.from {
		if speed = fmt.Sprintf(", %.0f/s", perSecond); perSecond < 1 {
			speed = fmt.Sprintf(", %.0f/min", 60*perSecond)
		}
	}
	line := fmt.Sprintf("%s (%d%s) [%v]", b.title, b.done, speed, passed.Truncate(time.Second))
	if b.total > 0 {
		filled := min(b.done, b.total) * b.width / b.total
		inside := strings.Repeat("=", filled)
		if filled < b.width {
			inside += ">" + strings.Repeat(" ", b.width-filled-1)
		}
		var left time.Duration
		if b.done > b.from {
			left = time.Duration(float64(passed) * float64(max(0, b.total-b.done)) / float64(b.done-b.from))
		}
		line = fmt.Sprintf("%s %3d%% [%s] (%d/%d%s) [%v:%v]", b.title, min(b.done, b.total)*100/b.total, inside, b.done, b.total, speed,
			passed.Truncate(time.Second), left.Truncate(time.Second))
	}
	fmt.Fprintf(b.w, "\r%s\x1b[K", line)
}

// wipe takes the bar off the terminal.
func (b *bar) wipe() { fmt.Fprint(b.w, "\r\x1b[K") }
