package cli

import (
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	var out strings.Builder
	at := time.Unix(0, 0)
	now := func() time.Time { return at }
	drawn := func(when time.Duration, change func()) string {
		out.Reset()
		at = time.Unix(0, 0).Add(when)
		change()
		return strings.ReplaceAll(out.String(), "\x1b[K", "|")
	}
	var b *bar
	for _, c := range []struct {
		when   time.Duration
		change func()
		want   string
	}{
		{0, func() { b = newBar(&out, "reading", 200, 8, false, now) }, "\rreading   0% [>       ] (0/200) [0s:0s]|"},
		{50 * time.Millisecond, func() { b.set(1) }, ""},
		{10 * time.Second, func() { b.set(50) }, "\rreading  25% [==>     ] (50/200) [10s:30s]|"},
		{12 * time.Second, func() { b.describe("loss 1.5") }, "\rloss 1.5  25% [==>     ] (50/200) [12s:36s]|"},
		{80 * time.Second, func() { b.set(200) }, "\rloss 1.5 100% [========] (200/200) [1m20s:0s]|"},
		{81 * time.Second, func() { b.set(300) }, "\rloss 1.5 100% [========] (300/200) [1m21s:0s]|"},
		{81 * time.Second, func() { b.wipe() }, "\r|"},
		{90 * time.Second, func() { b = newBar(&out, "lines", -1, 8, true, now) }, "\rlines (0) [0s]|"},
		{95 * time.Second, func() { b.set(7) }, "\rlines (7, 1/s) [5s]|"},
		{105 * time.Second, func() { b.set(8) }, "\rlines (8, 32/min) [15s]|"},
		{200 * time.Second, func() { b = newBar(&out, "fetching", 200, 8, true, now); b.from = 100 }, "\rfetching   0% [>       ] (0/200) [0s:0s]|"},
		{210 * time.Second, func() { b.set(150) }, "\rfetching  75% [======> ] (150/200, 5/s) [10s:10s]|"},
	} {
		if got := drawn(c.when, c.change); got != c.want {
			t.Errorf("after %v: %q, want %q", c.when, got, c.want)
		}
	}
}
