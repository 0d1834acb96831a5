package write

import "testing"

// A page says how the texts that it shows were chosen.
func TestSamplesNote(t *testing.T) {
	right := func(g Generated) bool { return g.Text == "yes" }
	all := []Generated{{Text: "yes"}, {Text: "no"}, {Text: "yes"}}
	if got, want := samplesNote(all, right), "All 3 texts; 2 of the 3 match their reference."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	all = append(all, make([]Generated, 60)...)
	if got, want := samplesNote(all, right), "40 of 63 texts, at even distances in the data; 2 of the 63 match their reference."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
