package labelled

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/tokenizer"
)

// TestGoldenClassification reads the goldens' TSV, encodes and batches it and
// compares records and padded batches. The other files of the case belong to
// other readers.
func TestGoldenClassification(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("classification.json") {
			t.Skip("not run: the case has no classification.json")
		}
		var file struct{ Cases []readerCase }
		c.JSON(t, "classification.json", &file)
		if len(file.Cases) == 0 {
			t.Fatal("classification.json holds no cases")
		}
		// The reference's tokenizer never lower-cases, whatever it is told.
		vocabulary, err := tokenizer.Load(golden.Data(t, "unimo-dict"))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range file.Cases {
			t.Run(strings.TrimSuffix(g.File, ".safetensors"), func(t *testing.T) { g.check(t, c, vocabulary.WithLowerCase(false)) })
		}
	})
}

type readerCase struct {
	Kind, Reader, TSV string
	MaxSeqLen         int  `json:"max_seq_len"`
	BatchSize         int  `json:"batch_size"`
	InTokens          bool `json:"in_tokens"`
	NBatches          int  `json:"n_batches"`
	Records           []struct {
		TokenIDs    []int32 `json:"token_ids"`
		PositionIDs []int32 `json:"position_ids"`
		LabelID     string  `json:"label_id"`
		QID         *string
	}
	File string
}

func (g *readerCase) check(t *testing.T, c golden.Case, vocabulary *tokenizer.Tokenizer) {
	examples, _, err := ReadFrom(strings.NewReader(g.TSV), g.File, g.schema(t), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	encoder := Encoder{Tokenizer: vocabulary, MaxLen: g.MaxSeqLen}
	records, _ := encoder.EncodeAll(examples)
	if len(records) != len(g.Records) {
		t.Fatalf("%d records, want %d", len(records), len(g.Records))
	}
	for i, want := range g.Records {
		r := records[i]
		if !slices.Equal(r.Tokens, want.TokenIDs) {
			t.Errorf("record %d is %v, want %v", i, r.Tokens, want.TokenIDs)
		}
		if want.QID != nil && r.ID != *want.QID {
			t.Errorf("record %d has id %q, want %q", i, r.ID, *want.QID)
		}
		if label, err := strconv.ParseFloat(want.LabelID, 32); err != nil || float32(label) != labelOf(r, g.regression()) {
			t.Errorf("record %d has label %v, want %s", i, labelOf(r, g.regression()), want.LabelID)
		}
	}

	tensors, err := checkpoint.OpenSafetensors(c.Path(g.File))
	if err != nil {
		t.Fatal(err)
	}
	defer tensors.Close()
	plan := batches.Plan(Lengths(records), batches.Sequence(len(records)), g.BatchSize, g.InTokens)
	if len(plan) != g.NBatches {
		t.Fatalf("%d batches, want %d", len(plan), g.NBatches)
	}
	for k, idx := range plan {
		b := pack(records, idx)
		for i, r := range idx { // positions are not in a Record
			if got, want := b.Positions[b.Offsets[i]:b.Offsets[i+1]], g.Records[r].PositionIDs; !slices.Equal(got, want) {
				t.Errorf("record %d has positions %v, want %v", r, got, want)
			}
		}
		g.checkBatch(t, tensors, fmt.Sprintf("batch%d.", k), b, idx, records)
	}
}

// batch is records behind each other, as the model packs them.
type batch struct {
	Tokens, Positions, Offsets, Classes []int32
	Scores                              []float32
}

func pack(records []Record, idx []int) *batch {
	b := &batch{Offsets: []int32{0}}
	for _, i := range idx {
		r := &records[i]
		for p, id := range r.Tokens {
			b.Tokens, b.Positions = append(b.Tokens, id), append(b.Positions, int32(batches.FirstPosition+p))
		}
		b.Offsets = append(b.Offsets, int32(len(b.Tokens)))
		b.Classes, b.Scores = append(b.Classes, int32(r.Class)), append(b.Scores, r.Score)
	}
	return b
}

// checkBatch compares the tensors of one batch of the reference.
func (g *readerCase) checkBatch(t *testing.T, tensors checkpoint.Reader, prefix string, b *batch, idx []int, records []Record) {
	t.Helper()
	labels := widen(b.Classes)
	if g.regression() {
		labels = widen(b.Scores)
	}
	ids := make([]float64, 0, len(idx))
	for _, r := range idx {
		if id, err := strconv.Atoi(records[r].ID); err == nil {
			ids = append(ids, float64(id))
		}
	}
	known := map[string][]float64{
		"token_ids":    padded(b.Tokens, b.Offsets),
		"position_ids": padded(b.Positions, b.Offsets),
		"input_mask":   pairMask(b.Offsets),
		"labels":       labels,
		"qids":         ids,
	}
	var compared []string
	for _, info := range tensors.Tensors() {
		name, mine := strings.CutPrefix(info.Name, prefix)
		if !mine {
			continue
		}
		got, ok := known[name]
		if name == "text_type_ids" {
			continue // no model here reads them
		}
		if !ok {
			t.Logf("not run: nothing here is called %s", info.Name)
			continue
		}
		compared = append(compared, name)
		if want := tensorValues(t, tensors, info); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", info.Name, got, want)
		}
	}
	// The reference batches the ids of examples only where the file has them.
	want := []string{"input_mask", "labels", "position_ids", "token_ids"}
	if len(ids) > 0 {
		want = append(want, "qids")
	}
	slices.Sort(want)
	slices.Sort(compared)
	if !slices.Equal(compared, want) {
		t.Errorf("compared %v of %s, want %v", compared, prefix, want)
	}
}

// TestGoldenPadding compares the understanding part of the batching primitives:
// padded ids, mask, positions and lengths.
func TestGoldenPadding(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("batching.json") {
			t.Skip("not run: the case has no batching.json")
		}
		var file struct {
			Insts [][]int32
			File  string
		}
		c.JSON(t, "batching.json", &file)
		tensors, err := checkpoint.OpenSafetensors(c.Path(file.File))
		if err != nil {
			t.Fatal(err)
		}
		defer tensors.Close()
		records := make([]Record, len(file.Insts))
		for i, tokens := range file.Insts {
			records[i] = Record{Tokens: tokens}
		}
		b := pack(records, batches.Sequence(len(records)))
		fromZero := make([]int32, len(b.Positions)) // the primitive counts from 0, the reader from 2
		for i, p := range b.Positions {
			fromZero[i] = p - batches.FirstPosition
		}
		mask := make([]int32, len(b.Tokens))
		for i := range mask {
			mask[i] = 1
		}
		for name, got := range map[string][]float64{
			"nlu_ids":      padded(b.Tokens, b.Offsets),
			"nlu_pos":      padded(fromZero, b.Offsets),
			"nlu_mask":     paddedWith(mask, b.Offsets, 0),
			"nlu_seq_lens": widen(Lengths(records)),
		} {
			info, err := tensors.Info(name)
			if err != nil {
				t.Error(err)
				continue
			}
			if want := tensorValues(t, tensors, info); !slices.Equal(got, want) {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}

func (g *readerCase) regression() bool { return g.Reader == "RegressionReader" }

// schema is what the file's own header and labels ask for.
func (g *readerCase) schema(t *testing.T) Schema {
	t.Helper()
	header, _, _ := strings.Cut(g.TSV, "\n")
	s := Schema{Pair: slices.Contains(strings.Split(strings.TrimRight(header, "\r"), "\t"), "text_b")}
	if g.regression() {
		s.Regression, s.MinScore, s.MaxScore = true, -math.MaxFloat32, math.MaxFloat32
		return s
	}
	classes := 2
	for _, r := range g.Records {
		id, err := strconv.Atoi(r.LabelID)
		if err != nil {
			t.Fatal(err)
		}
		classes = max(classes, id+1)
	}
	for id := range classes {
		s.Labels = append(s.Labels, strconv.Itoa(id))
	}
	return s
}

func labelOf(r Record, regression bool) float32 {
	if regression {
		return r.Score
	}
	return float32(r.Class)
}

// padded lays packed rows out as the reference does: [B, longest], filled with 1,
// the id of [PAD].
func padded(packed, offsets []int32) []float64 { return paddedWith(packed, offsets, 1) }

func paddedWith(packed, offsets []int32, fill float64) []float64 {
	var out []float64
	width := longestOf(offsets)
	for i := range len(offsets) - 1 {
		row := widen(packed[offsets[i]:offsets[i+1]])
		for len(row) < width {
			row = append(row, fill)
		}
		out = append(out, row...)
	}
	return out
}

// pairMask is the attention mask [B, longest, longest] of packed sequences.
func pairMask(offsets []int32) []float64 {
	width := longestOf(offsets)
	out := make([]float64, (len(offsets)-1)*width*width)
	for i := range len(offsets) - 1 {
		n := int(offsets[i+1] - offsets[i])
		for q := range n {
			for k := range n {
				out[(i*width+q)*width+k] = 1
			}
		}
	}
	return out
}

func longestOf(offsets []int32) int {
	longest := int32(0)
	for i := range len(offsets) - 1 {
		longest = max(longest, offsets[i+1]-offsets[i])
	}
	return int(longest)
}

func widen[T int | int32 | float32](values []T) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

func tensorValues(t *testing.T, tensors checkpoint.Reader, info checkpoint.Info) []float64 {
	t.Helper()
	raw, err := tensors.Bytes(info.Name)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, info.Elements())
	for i := range out {
		switch info.DType {
		case checkpoint.I64:
			out[i] = float64(int64(binary.LittleEndian.Uint64(raw[8*i:])))
		case checkpoint.F32:
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		default:
			t.Fatalf("%s has the type %v", info.Name, info.DType)
		}
	}
	return out
}
