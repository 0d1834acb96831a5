package entail

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/entailment"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/tokenizer"
)

// The reference's lines give the tokens that its reader makes of them, whole or cut.
func TestReferenceTokens(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("visual_entailment.json") {
			t.Skip("not run: the case has no lines of visual entailment")
		}
		tok, err := tokenizer.Load(golden.Data(t, "unimo-dict"))
		if err != nil {
			t.Fatal(err)
		}
		var g struct {
			Lines   []string
			Records []struct {
				Line   int
				Max    int     `json:"max_seq_len"`
				Tokens []int32 `json:"token_ids"`
			}
		}
		c.JSON(t, "visual_entailment.json", &g)
		file := filepath.Join(t.TempDir(), "lines")
		write(t, file, strings.Join(g.Lines, "\n"))
		set, err := entailment.Read(file, entailment.Options{Labels: entailment.Labels})
		if err != nil {
			t.Fatal(err)
		}
		defer set.Images.Close()
		cuts := 0
		for _, want := range g.Records {
			x := set.Examples[want.Line]
			list, cut, err := records([]entailment.Example{x}, images.Captions{Tokenizer: tok, MaxLen: want.Max})
			if err != nil || !slices.Equal(list[0].Tokens, want.Tokens) || (cut == 1) != (len(want.Tokens) < len(x.Tokens)) {
				t.Errorf("line %d, %d tokens at most: %+v (%d cut), %v, want %v", want.Line, want.Max, list, cut, err, want.Tokens)
			}
			cuts += cut
		}
		if cuts == 0 {
			t.Error("no record is cut")
		}
	})
}
