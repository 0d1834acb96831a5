package decode

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		ids  []int32
		want string
	}{
		{nil, ""},
		{[]int32{0, 4, 5, 1, 5, 3, 11}, " abb"},
		{[]int32{4, 2, 5}, " a[SEP]b"},
		{[]int32{8, 9, 10, 5, 9, 8}, " b "},
		{[]int32{6, 7, 6, 7}, "éé"},
		{[]int32{6, 11, 7}, "é"}, // what is removed does not come between
		{[]int32{6, 6, 7, 7, 6}, "\uFFFDé\uFFFD\uFFFD"},
	} {
		if got := Text(tinyPieces, c.ids); got != c.want {
			t.Errorf("%v: %q, want %q", c.ids, got, c.want)
		}
	}
}

// However a text is cut, its pieces together are the text, and no piece but the last ends
// inside a character.
func TestStreamOfText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.Int32Range(0, int32(len(tinyPieces)-1)), 0, 20).Draw(t, "ids")
		s := stream{vocabulary: tinyPieces}
		var got strings.Builder
		for rest := ids; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "next")
			got.WriteString(s.write(rest[:n]))
			rest = rest[n:]
			if pending := string(tinyPieces.Decode(nil, s.pending)); pending != "" && !strings.HasSuffix(pending, "\xc3") {
				t.Fatalf("%q is held back", pending)
			}
		}
		got.WriteString(s.close())
		if want := Text(tinyPieces, ids); got.String() != want {
			t.Fatalf("%v: pieces make %q, the whole is %q", ids, got.String(), want)
		}
	})
}

// What is streamed is the text of the best hypothesis; with one hypothesis every token is told
// as it comes.
func TestStream(t *testing.T) {
	d := newDecoder(t, cpu.New(), tiny(model.Generation))
	r := rand.New(rand.NewPCG(5, 6))
	beam, greedy, sample := Default, Default, Default
	beam.BeamSize, greedy.BeamSize, sample.Sample = 3, 1, true
	early := 0
	for name, o := range map[string]Options{"beam": beam, "greedy": greedy, "sample": sample} {
		o.MaxLength = 15
		for _, source := range randomSources(r, d.model.Config, 20) {
			source.TargetPosition = 0
			var pieces []string
			result, err := d.Stream(context.Background(), source, o, func(piece string) { pieces = append(pieces, piece) })
			if err != nil {
				t.Fatal(err)
			}
			if !same([]Result{result}, run(t, d, []Source{source}, o)) {
				t.Errorf("%s: streaming changes the result", name)
			}
			ids := result.Best().IDs
			if got, want := strings.Join(pieces, ""), Text(tinyPieces, ids); got != want {
				t.Errorf("%s: streamed %q, the text is %q", name, pieces, want)
			}
			if slices.Contains(pieces, "") {
				t.Errorf("%s: an empty piece in %q", name, pieces)
			}
			if o.beams() > 1 {
				if len(pieces) > 1 {
					early++
				}
				continue
			}
			s := stream{vocabulary: tinyPieces}
			var want []string
			for _, id := range ids {
				want = append(want, s.write([]int32{id}))
			}
			want = slices.DeleteFunc(append(want, s.close()), func(piece string) bool { return piece == "" })
			if !slices.Equal(pieces, want) {
				t.Errorf("%s: pieces %q, want %q", name, pieces, want)
			}
		}
	}
	if early == 0 {
		t.Error("no beam search told anything before its end")
	}
}
