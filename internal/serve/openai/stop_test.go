package openai

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// However a text is cut into pieces, no sequence is passed on, and nothing is lost before it. Of several sequences the one that is whole first
// ends the text.
func TestStopper(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abc"[r.IntN(3)]
		}
		return string(b)
	}
	for range 3000 {
		text := word(r.IntN(20))
		s := stopper{}
		for range r.IntN(4) {
			s.stops = append(s.stops, word(1+r.IntN(4)))
		}
		got, stopped := "", false
		for rest := text; rest != "" && !stopped; {
			n := 1 + r.IntN(len(rest))
			var piece string
			piece, stopped = s.next(rest[:n])
			got, rest = got+piece, rest[n:]
		}
		if !stopped {
			got += s.rest()
		}
		meets := ""
		for _, stop := range s.stops {
			if strings.Contains(text, stop) {
				meets = stop
			}
			if strings.Contains(got, stop) {
				t.Fatalf("%q with %q: %q", text, s.stops, got)
			}
		}
		if stopped != (meets != "") || !strings.HasPrefix(text, got) || !stopped && got != text {
			t.Fatalf("%q with %q: %q, stopped %t", text, s.stops, got, stopped)
		}
		if first, _, _ := strings.Cut(text, meets); len(s.stops) == 1 && stopped && got != first {
			t.Fatalf("%q with %q: %q, want %q", text, s.stops, got, first)
		}
	}
}
