package synth

import (
	"slices"
	"testing"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"The film isn't funny.", "the film is n't funny ."},
		{"  Although the plot’s dull,\tI didn’t hate it! ", "although the plot 's dull , i did n't hate it !"},
		{"it is n't", "it is n't"},
		{"We won't (really)", "we wo n't ( really )"},
		{"it's's", "it 's 's"},
		{"n't 's", "n't 's"},
		{"", ""},
	} {
		if got := Normalise(c.text); got != c.want {
			t.Errorf("Normalise(%q) = %q, want %q", c.text, got, c.want)
		}
	}
	train, heldOut := Opinions(9, 2000, 500)
	for _, o := range slices.Concat(train, heldOut) {
		if got := Normalise(o.Text); got != o.Text {
			t.Errorf("Normalise changes the opinion %q to %q", o.Text, got)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("The film isn't funny.")
	f.Add("a\xff’s ’S")
	f.Fuzz(func(t *testing.T, text string) {
		once := Normalise(text)
		if twice := Normalise(once); twice != once {
			t.Errorf("%q gives %q, and that gives %q", text, once, twice)
		}
	})
}
