package seq2seq

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawExamples draws examples as a reader gives them.
func drawExamples(t *rapid.T, dialogue bool, text *rapid.Generator[string]) []Example {
	filled := rapid.Map(text, func(s string) string { return "x" + s })
	width := rapid.IntRange(1, 3).Draw(t, "width")
	var out []Example
	for i := range rapid.IntRange(1, 4).Draw(t, "n") {
		x := Example{Sources: append([]string{filled.Draw(t, "first")}, rapid.SliceOfN(text, width-1, width-1).Draw(t, "rest")...), Line: i + 1, File: "file"}
		if dialogue {
			x.Knowledge = text.Draw(t, "knowledge")
		}
		if x.HasTarget = rapid.Bool().Draw(t, "target?"); x.HasTarget {
			x.Target = filled.Draw(t, "target")
		}
		out = append(out, x)
	}
	return out
}

func readBack(t *rapid.T, kind Kind, dialogue bool, write func(io.Writer) error) []Example {
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	r := newReader("file", Options{Kind: kind, Dialogue: dialogue})
	if err := r.read(strings.NewReader(b.String())); err != nil {
		t.Fatalf("%v in %q", err, b.String())
	}
	return r.out
}

func TestJSONLinesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dialogue := rapid.Bool().Draw(t, "dialogue")
		want := drawExamples(t, dialogue, rapid.String())
		for i := range want {
			x := &want[i]
			x.ID, x.Domain, x.Group = rapid.String().Draw(t, "id"), rapid.String().Draw(t, "domain"), rapid.String().Draw(t, "group")
			x.Turn, x.IDs = rapid.IntRange(0, 20).Draw(t, "turn"), rapid.Bool().Draw(t, "ids")
			if more := rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "references"); x.HasTarget && len(more) > 0 {
				x.References = append([]string{x.Target}, more...)
			}
		}
		got := readBack(t, KindJSONLines, dialogue, func(w io.Writer) error { return WriteJSONLines(w, want, dialogue) })
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestTSVRoundTrip(t *testing.T) {
	text := rapid.StringOf(rapid.RuneFrom([]rune(`ab "'ü ,[]`)))
	rapid.Check(t, func(t *rapid.T) {
		dialogue := rapid.Bool().Draw(t, "dialogue")
		want := drawExamples(t, dialogue, text)
		got := readBack(t, KindTSV, dialogue, func(w io.Writer) error { return WriteTSV(w, want, dialogue, nil) })
		for i := range want {
			want[i].Line++ // after the header
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

// A file of ids encodes to the records of the text it was made of.
func TestIDsRoundTrip(t *testing.T) {
	text := rapid.Map(rapid.StringOf(rapid.RuneFrom([]rune("ab "))), func(s string) string { return s + "c" })
	rapid.Check(t, func(t *rapid.T) {
		dialogue := rapid.Bool().Draw(t, "dialogue")
		want := drawExamples(t, dialogue, text)
		got := readBack(t, KindTSV, dialogue, func(w io.Writer) error { return WriteTSV(w, want, dialogue, letters{}) })
		e := Encoder{Tokenizer: letters{}, Dialogue: dialogue, MaxSource: 30, MaxTarget: 10, TurnTypes: 16}
		a, _, errA := e.EncodeSources(want, nil)
		b, _, errB := e.EncodeSources(got, nil)
		if errA != nil || errB != nil || len(a) != len(b) {
			t.Fatalf("%d and %d records, %v, %v", len(a), len(b), errA, errB)
		}
		for i := range a {
			if !got[i].IDs || !slices.Equal(a[i].Tokens, b[i].Tokens) {
				t.Fatalf("example %d is %v, its ids give %v", i, a[i], b[i])
			}
		}
	})
}

func TestWriteErrors(t *testing.T) {
	one := Example{Sources: []string{"a"}, Target: "t", HasTarget: true, File: "f", Line: 3}
	with := func(change func(*Example)) Example { x := one; change(&x); return x }
	for _, c := range []struct {
		examples []Example
		dialogue bool
		coder    Coder
		want     string
	}{
		{nil, false, nil, "no examples"},
		{[]Example{with(func(x *Example) { x.Sources = []string{"a [SEP] b"} })}, true, nil, "f:3: the turn"},
		{[]Example{with(func(x *Example) { x.Target = "" })}, false, letters{}, "f:3: a text is empty"},
		{[]Example{with(func(x *Example) { x.Target = "\x00" })}, false, nil, "f:3: a text has a NUL byte"},
		{[]Example{one, with(func(x *Example) { x.IDs = true })}, false, nil, "f:3: is of ids"},
		{[]Example{one, with(func(x *Example) { x.Sources = []string{"a", "b"} })}, false, nil, "f:3: has 2 sources, the first example has 1"},
	} {
		if err := WriteTSV(io.Discard, c.examples, c.dialogue, c.coder); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	long := with(func(x *Example) { x.Target = strings.Repeat("a", 16<<20) })
	if err := WriteJSONLines(io.Discard, []Example{long}, false); err == nil || !strings.Contains(err.Error(), "f:3: makes a line of") {
		t.Errorf("got %v", err)
	}
	var b strings.Builder
	if err := WriteTSV(&b, []Example{with(func(x *Example) { x.Sources = []string{"a\tb\r\nc\xff"} })}, false, nil); err != nil || b.String() != "src\ttgt\na b  c\xff\tt\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

// No group is on both sides of a split, nothing is lost, the order stays, and the same
// arguments give the same split.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var examples []Example
		for i, g := range rapid.SliceOfN(rapid.IntRange(0, 9), 2, 60).Draw(t, "groups") {
			x := Example{Sources: []string{fmt.Sprint(g)}, Line: i + 1}
			if g%2 == 0 {
				x.Group = fmt.Sprint(g)
			}
			examples = append(examples, x)
		}
		fraction, seed := rapid.Float64Range(0.01, 0.99).Draw(t, "fraction"), rapid.Uint64().Draw(t, "seed")
		first, second, groups, err := Split(examples, fraction, seed)
		if err != nil {
			if slices.ContainsFunc(examples, func(x Example) bool { return x.groupKey() != examples[0].groupKey() }) {
				t.Fatal(err)
			}
			return
		}
		again, _, _, _ := Split(examples, fraction, seed)
		if len(first) == 0 || len(second) == 0 || len(groups) == 0 || len(first)+len(second) != len(examples) || !reflect.DeepEqual(first, again) {
			t.Fatalf("%d and %d of %d examples", len(first), len(second), len(examples))
		}
		ascending := func(part []Example) bool {
			return slices.IsSortedFunc(part, func(a, b Example) int { return a.Line - b.Line })
		}
		keys := map[string]bool{}
		for _, x := range first {
			keys[x.groupKey()] = true
		}
		for _, x := range second {
			if keys[x.groupKey()] {
				t.Fatalf("%q is on both sides", x.groupKey())
			}
		}
		if !ascending(first) || !ascending(second) {
			t.Fatal("the order has changed")
		}
	})
	for _, fraction := range []float64{0, 1, -1, 2} {
		if _, _, _, err := Split([]Example{{Group: "a"}, {Group: "b"}}, fraction, 1); err == nil {
			t.Errorf("fraction %v passes", fraction)
		}
	}
}

func TestGroupRuns(t *testing.T) {
	var examples []Example
	for i := range 450 {
		source := fmt.Sprint(i / 3) // three questions a sentence
		if i == 430 {
			source = "0" // the first sentence again
		}
		examples = append(examples, Example{Sources: []string{source}, Line: i + 1})
	}
	GroupRuns(examples)
	groupOf := map[string]string{}
	groups := map[string]int{}
	for _, x := range examples {
		if g, ok := groupOf[x.Sources[0]]; ok && g != x.Group {
			t.Fatalf("source %s is of %s and %s", x.Sources[0], g, x.Group)
		}
		groupOf[x.Sources[0]] = x.Group
		groups[x.Group]++
	}
	if want := map[string]int{"lines 1-102": 102 + 42, "lines 103-204": 102, "lines 205-306": 102, "lines 307-408": 102}; !reflect.DeepEqual(groups, want) {
		t.Errorf("groups are %v", groups)
	}
}
