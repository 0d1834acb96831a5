package write

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
)

// A UNIMO of PaddleNLP's, converted as "unimo convert" does it, writes token for token what PaddleNLP's class writes:
// greedily by its own generate; with a beam by the reference's definition over its logits, since PaddleNLP's keeps twice
// as many candidates and sets ended ones aside. internal/model/testdata/paddlenlp.py made the texts.
func TestPaddleNLPWrites(t *testing.T) {
	source := filepath.Join("..", "..", "model", "testdata", "paddlenlp")
	raw, err := os.ReadFile(filepath.Join(source, "generated.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text      string  `json:"text"`
		Source    []int32 `json:"source"`
		MinLength int     `json:"min_length"`
		MaxLength int     `json:"max_length"`
		Beam      int     `json:"beam"`
		Penalty   float64 `json:"length_penalty"`
		IDs       []int32 `json:"ids"`
		Score     float64 `json:"score"`
		Joined    string  `json:"joined"`
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 15 {
		t.Fatalf("%d cases", len(cases))
	}
	g := convertedPaddleNLP(t, source)
	for _, c := range cases {
		x := seq2seq.Example{Sources: []string{c.Text}}
		record, _, err := g.writer.encoder.EncodeSource(x)
		if err != nil || !slices.Equal(record.Tokens, c.Source) {
			t.Errorf("%q: tokens %v, want %v, %v", c.Text, record.Tokens, c.Source, err)
		}
		o := g.Decoding
		o.BeamSize, o.MinLength, o.MaxLength, o.LengthPenalty = c.Beam, c.MinLength, c.MaxLength, c.Penalty
		results, err := g.writer.Decoder.Run(t.Context(), []decode.Source{g.writer.source(record)}, o, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		best := results[0].Best()
		if !slices.Equal(best.IDs, c.IDs) {
			t.Errorf("%q, beam %d: %v, want %v", c.Text, c.Beam, best.IDs, c.IDs)
		}
		if c.Beam > 1 && !(math.Abs(best.Score-c.Score) < 1e-4) {
			t.Errorf("%q: score %g, want %g", c.Text, best.Score, c.Score)
		}
		if text := decode.Text(g.writer.Tokenizer, best.IDs); strings.ReplaceAll(text, " ", "") != c.Joined {
			t.Errorf("%q: text %q, want %q but for spaces", c.Text, text, c.Joined)
		}
	}
}

// convertedPaddleNLP opens a model of PaddleNLP's that was converted.
func convertedPaddleNLP(t *testing.T, source string) *Generator {
	t.Helper()
	from, err := modeldir.OpenCheckpoint(source)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Weights.Close()
	tok, err := from.Vocabulary(source)
	if err != nil {
		t.Fatal(err)
	}
	cfg, weights, err := modeldir.FitVocabulary(tok, *from.Config, from.Weights)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "converted")
	if err := checkpoint.Convert(t.Context(), weights, dir, checkpoint.FormatSafetensorsFolder); err != nil {
		t.Fatal(err)
	}
	if err := modeldir.SaveCompanions(dir, &cfg, tok); err != nil {
		t.Fatal(err)
	}
	g, err := Open(dir, run.Env{Device: cpu.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}
