package seq2seq

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/tokenizer"
)

// TestGolden reads the goldens' TSV, encodes and batches it, and compares records and
// padded batches. The other files of the case belong to other readers.
func TestGolden(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("seq2seq.json") {
			t.Skip("not run: the case has no seq2seq.json")
		}
		var file struct{ Cases []readerCase }
		c.JSON(t, "seq2seq.json", &file)
		if len(file.Cases) == 0 {
			t.Fatal("seq2seq.json holds no cases")
		}
		// The reference's tokenizer never lower-cases.
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
	TaskType           string `json:"task_type"`
	TokenizedInput     bool   `json:"tokenized_input"`
	ContinuousPosition bool   `json:"continuous_position"`
	MaxSrcLen          int    `json:"max_src_len"`
	MaxTgtLen          int    `json:"max_tgt_len"`
	DoDecode           bool   `json:"do_decode"`
	TSV                string
	Error              any
	Records            []struct {
		TokenIDs    []int32 `json:"token_ids"`
		TextTypeIDs []int32 `json:"text_type_ids"`
		PositionIDs []int32 `json:"position_ids"`
		RoleIDs     []int32 `json:"role_ids"`
		TurnIDs     []int32 `json:"turn_ids"`
		TgtStartIdx int     `json:"tgt_start_idx"`
		DataID      int     `json:"data_id"`
	}
	File string
}

func (g *readerCase) dialogue() bool { return g.TaskType == "dialog" }

// records reads and encodes the case's file.
func (g *readerCase) records(vocabulary *tokenizer.Tokenizer) ([]Record, error) {
	opt := Options{Kind: KindTSV, Dialogue: g.dialogue(), Texts: TextsPlain, NeedTarget: !g.DoDecode}
	if g.TokenizedInput {
		opt.Texts = TextsIDs
	}
	r := newReader(g.File, opt)
	if err := r.read(strings.NewReader(g.TSV)); err != nil {
		return nil, err
	}
	e := Encoder{Tokenizer: vocabulary, Dialogue: g.dialogue(), ContinuousPositions: g.ContinuousPosition,
		MaxSource: g.MaxSrcLen, MaxTarget: g.MaxTgtLen, TurnTypes: 16}
	encode := e.EncodeAll
	if g.DoDecode {
		encode = e.EncodeSources
	}
	records, _, err := encode(r.out, nil)
	return records, err
}

func (g *readerCase) check(t *testing.T, c golden.Case, vocabulary *tokenizer.Tokenizer) {
	records, err := g.records(vocabulary)
	if g.Error != nil && len(g.Records) == 0 {
		if err == nil {
			t.Errorf("the reference fails with %v, and this does not", g.Error)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != len(g.Records) {
		t.Fatalf("%d records, want %d", len(records), len(g.Records))
	}
	for i, want := range g.Records {
		r := records[i]
		// The reference keeps the last token of the target, which nothing looks at.
		n := len(want.TokenIDs)
		if !g.DoDecode {
			n--
			if labels := want.TokenIDs[want.TgtStartIdx+1:]; !slices.Equal(r.Labels, labels) {
				t.Errorf("record %d has labels %v, want %v", i, r.Labels, labels)
			}
		}
		if !slices.Equal(r.Tokens, want.TokenIDs[:n]) || !slices.Equal(r.Positions, want.PositionIDs[:n]) || r.Source != want.TgtStartIdx || r.Index != want.DataID {
			t.Errorf("record %d is %+v, want %+v", i, r, want)
		}
		if g.dialogue() && (!slices.Equal(r.Roles, want.RoleIDs[:n]) || !slices.Equal(r.Turns, want.TurnIDs[:n])) {
			t.Errorf("record %d has roles %v and turns %v, want %v, %v", i, r.Roles, r.Turns, want.RoleIDs, want.TurnIDs)
		}
		if !g.dialogue() && (r.Roles != nil || r.Turns != nil) {
			t.Errorf("record %d has roles %v and turns %v", i, r.Roles, r.Turns)
		}
	}
	g.checkBatch(t, c, records)
}

// checkBatch compares the padded arrays of the reference's one batch of all records
// with what was packed.
func (g *readerCase) checkBatch(t *testing.T, c golden.Case, records []Record) {
	tensors, err := checkpoint.OpenSafetensors(c.Path(g.File))
	if err != nil {
		t.Fatal(err)
	}
	defer tensors.Close()
	b := pack(records)
	known := map[string][]int32{"src_ids": b.Tokens, "pos_ids": b.Positions}
	if g.dialogue() {
		known["role_ids"], known["turn_ids"] = b.Roles, b.Turns
	}
	for name, packed := range known {
		want, shape := values(t, tensors, name)
		width := shape[1]
		for i := range b.Sources {
			got := packed[b.Offsets[i]:b.Offsets[i+1]]
			for k, v := range got {
				if want[i*width+k] != float64(v) {
					t.Fatalf("%s of sequence %d is %v, want %v", name, i, got, want[i*width:(i+1)*width])
				}
			}
		}
	}
	mask, shape := values(t, tensors, "input_mask")
	for i := range b.Sources {
		n := int(b.Offsets[i+1] - b.Offsets[i])
		for q := range n {
			for k := range n {
				seen := k < max(int(b.Sources[i]), q+1)
				if (mask[(i*shape[1]+q)*shape[2]+k] == 1) != seen {
					t.Fatalf("sequence %d: row %d sees %d: %v", i, q, k, seen)
				}
			}
		}
	}
	if g.DoDecode {
		g.checkDecoding(t, tensors, b)
		return
	}
	// tgt_pos counts rows of the padded batch, tgt_label is what they are asked for.
	label, _ := values(t, tensors, "tgt_label")
	pos, _ := values(t, tensors, "tgt_pos")
	_, shape = values(t, tensors, "src_ids")
	var rows []float64
	for i := range b.Sources {
		for p := b.Sources[i]; p < b.Offsets[i+1]-b.Offsets[i]; p++ {
			rows = append(rows, float64(i*shape[1])+float64(p))
		}
	}
	if !slices.Equal(rows, pos) || len(rows) != len(b.Labels) {
		t.Errorf("target rows are %v, want %v", rows, pos)
	}
	for i, v := range b.Labels {
		if label[i] != float64(v) {
			t.Fatalf("labels are %v, want %v", b.Labels, label)
		}
	}
}

// batch is records behind each other, as the model packs them.
type batch struct{ Tokens, Positions, Roles, Turns, Offsets, Sources, Labels []int32 }

func pack(records []Record) *batch {
	b := &batch{Offsets: []int32{0}}
	for _, r := range records {
		b.Tokens, b.Positions = append(b.Tokens, r.Tokens...), append(b.Positions, r.Positions...)
		b.Roles, b.Turns = append(b.Roles, r.Roles...), append(b.Turns, r.Turns...)
		b.Offsets, b.Sources = append(b.Offsets, int32(len(b.Tokens))), append(b.Sources, int32(r.Source))
		b.Labels = append(b.Labels, r.Labels...)
	}
	return b
}

// checkDecoding compares what decoding starts with.
func (g *readerCase) checkDecoding(t *testing.T, tensors checkpoint.Reader, b *batch) {
	start, _ := values(t, tensors, "tgt_pos")
	e := Encoder{ContinuousPositions: g.ContinuousPosition}
	for i := range b.Sources {
		want := start[i]
		if g.ContinuousPosition {
			want += batches.FirstPosition // the reference decodes at another position than it trained at
		}
		if got := float64(e.TargetPosition(int(b.Sources[i]))); got != want {
			t.Errorf("the target of sequence %d starts at %v, want %v", i, got, want)
		}
	}
	if len(b.Labels) > 0 {
		t.Errorf("labels %v without targets", b.Labels)
	}
}

func values(t *testing.T, tensors checkpoint.Reader, name string) ([]float64, []int) {
	t.Helper()
	info, err := tensors.Info(name)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := tensors.Bytes(name)
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
			t.Fatalf("%s has the type %v", name, info.DType)
		}
	}
	return out, info.Shape
}

// The real files hold what their description says.
func TestRealFiles(t *testing.T) {
	for _, c := range []struct {
		file             string
		kind             Kind
		dialogue         bool
		examples, groups int
	}{
		{"coqa/train_recovered.json", KindCoQA, true, 5540, 400},
		{"coqa/dev_full_stories.json", KindCoQA, true, 789, 60},
		{"squad-qg/src-dev.txt", KindPairs, false, 10570, 0},
	} {
		t.Run(c.file, func(t *testing.T) {
			examples, report, err := ReadFile(golden.Data(t, c.file), Options{Dialogue: c.dialogue, NeedTarget: true})
			if err != nil {
				t.Fatal(err)
			}
			groups := map[string]bool{}
			for _, x := range examples {
				if x.Group != "" {
					groups[x.Group] = true
				}
				if c.dialogue && (len(x.Sources) != 2*x.Turn-1 || x.Knowledge == "") {
					t.Fatalf("turn %d of %s has %d turns of history", x.Turn, x.ID, len(x.Sources))
				}
			}
			if len(examples) != c.examples || len(groups) != c.groups || report.Kind != c.kind || report.InvalidUTF8 > 0 {
				t.Errorf("%d examples of %d groups, %+v", len(examples), len(groups), report)
			}
		})
	}
}
