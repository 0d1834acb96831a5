package decode

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/tokenizer"
)

// scoreTolerance is what scores may differ by from the reference's.
const scoreTolerance = 1e-4

// decodingCase is a case's beam_results.json.
type decodingCase struct {
	StartsWord []int `json:"is_full_token"`
	Results    []struct {
		BeamSize      int     `json:"beam_size"`
		LengthPenalty float64 `json:"length_penalty"`
		MinLength     int     `json:"min_out_len"`
		MaxLength     int     `json:"max_out_len"`
		BlockTrigrams bool    `json:"block_trigram"`
		Continuous    bool    `json:"continuous_position"`
		Sources       []struct {
			Hypotheses []struct {
				IDs    []int32   `json:"ids"`
				Scores []float64 `json:"step_scores"`
				Score  float64   `json:"score"`
			} `json:"hypotheses"`
			Score    float64 `json:"best_score"`
			IDs      []int32 `json:"best_ids"`
			Finished bool    `json:"best_finished"`
			Text     string  `json:"text"`
		} `json:"sources"`
	} `json:"results"`
}

func TestGoldenDecode(t *testing.T) {
	for kind, problem := range map[string]string{
		"seq2seq_decode": model.Generation, "seq2seq_decode_dialog": model.Dialogue, "img2txt_decode": model.Captioning,
	} {
		t.Run(kind, func(t *testing.T) {
			golden.Run(t, kind, func(t *testing.T, c golden.Case) {
				d, v := goldenDecoder(t, c, problem)
				if problem == model.Captioning {
					d.End = v.SEP()
				}
				var want decodingCase
				c.JSON(t, "beam_results.json", &want)
				for id, starts := range want.StartsWord {
					if got := v.StartsWord(int32(id)); got != (starts == 1) {
						t.Errorf("token %d starts a word: %v", id, got)
					}
				}
				testGoldenBeams(t, c, d, want)
				testGoldenGreedy(t, c, d)
			})
		})
	}
}

// goldenDecoder opens the model of a case with the vocabulary of the tiny models.
func goldenDecoder(t *testing.T, c golden.Case, problem string) (*Decoder, *tokenizer.Tokenizer) {
	t.Helper()
	cfg, err := model.ReadConfig(c.Path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ProblemType = problem
	dev := cpu.New()
	m, err := model.Open[*model.Generator](dev, cfg, c.Tensors(t, "weights.safetensors").Reader())
	if err != nil {
		t.Fatal(err)
	}
	dir, bpe := t.TempDir(), golden.BPE(t)
	for name, path := range map[string]string{
		"vocab.txt":    filepath.Join(golden.Root(t), "tiny_vocab.txt"),
		"encoder.json": filepath.Join(bpe, "unimo_en.encoder.json"),
		"vocab.bpe":    filepath.Join(bpe, "unimo_en.vocab.bpe"),
	} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return New(dev, m, v), v
}

// goldenSources returns the sources of a case, which it pads: texts, or images with the names of their objects.
func goldenSources(t *testing.T, c golden.Case, continuous bool) []Source {
	t.Helper()
	in := c.Tensors(t, "inputs.safetensors")
	mask, length := in.Floats("input_mask"), in.Shape("input_mask")[1]
	sources := make([]Source, in.Shape("input_mask")[0])
	for i := range sources {
		s := &sources[i]
		// Positions from first on that are no padding: they attend to themselves.
		valid := func(first, n int) (rows []int) {
			for j := range n {
				if row := i*length + first + j; mask[row*length+first+j] == 1 {
					rows = append(rows, i*n+j)
				}
			}
			return rows
		}
		words := func(rows []int, ids, positions string) (text model.Text) {
			for _, row := range rows {
				text.Tokens = append(text.Tokens, int32(in.Ints(ids)[row]))
				text.Positions = append(text.Positions, int32(in.Ints(positions)[row]))
			}
			text.Offsets = []int32{0, int32(len(rows))}
			return text
		}
		s.TargetPosition = int32(in.Ints("tgt_pos")[i])
		if in.Has("image_embedding") {
			regions := in.Shape("image_embedding")
			rows := valid(0, regions[1])
			for _, row := range rows {
				s.Images.Features = append(s.Images.Features, in.Floats("image_embedding")[row*regions[2]:][:regions[2]]...)
				s.Images.Locations = append(s.Images.Locations, in.Floats("image_loc")[row*model.LocationSize:][:model.LocationSize]...)
			}
			s.Images.Offsets = []int32{0, int32(len(rows))}
			s.Objects = words(valid(regions[1], in.Shape("obj_token_ids")[1]), "obj_token_ids", "obj_pos_ids")
			continue
		}
		rows := valid(0, length)
		s.Text = words(rows, "src_ids", "pos_ids")
		for _, row := range rows {
			if in.Has("role_ids") {
				s.Text.Roles = append(s.Text.Roles, int32(in.Ints("role_ids")[row]))
				s.Text.Turns = append(s.Text.Turns, int32(in.Ints("turn_ids")[row]))
			}
		}
		if continuous { // as the reference decodes: the source's positions are 2, 3, ..., the target's start at its length
			for j := range s.Text.Positions {
				s.Text.Positions[j] = model.FirstPosition + int32(j)
			}
			s.TargetPosition = int32(len(rows))
		}
	}
	return sources
}

func testGoldenBeams(t *testing.T, c golden.Case, d *Decoder, want decodingCase) {
	t.Helper()
	if len(want.Results) == 0 {
		t.Error("the case has no settings")
	}
	for _, r := range want.Results {
		o := Default
		o.BeamSize, o.LengthPenalty, o.MinLength, o.MaxLength, o.BlockTrigrams = r.BeamSize, r.LengthPenalty, r.MinLength, r.MaxLength, r.BlockTrigrams
		name := fmt.Sprintf("%+v continuous %v", o, r.Continuous)
		results, err := d.Run(context.Background(), goldenSources(t, c, r.Continuous), o, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(results) != len(r.Sources) {
			t.Fatalf("%s: %d results, want %d", name, len(results), len(r.Sources))
		}
		for i, source := range r.Sources {
			place := fmt.Sprintf("%s: source %d", name, i)
			got := results[i]
			if len(got.Hypotheses) != len(source.Hypotheses) {
				t.Errorf("%s: %d hypotheses, want %d", place, len(got.Hypotheses), len(source.Hypotheses))
				continue
			}
			for j, h := range source.Hypotheses {
				g := got.Hypotheses[j]
				ids := append([]int32{d.vocabulary.CLS()}, g.IDs...)
				if g.Finished {
					ids = append(ids, d.End)
				}
				if !slices.Equal(ids, h.IDs) {
					t.Errorf("%s: hypothesis %d is %v, want %v", place, j, ids, h.IDs)
					continue
				}
				near(t, place, append([]float64{0}, g.Scores...), h.Scores)
				near(t, place, []float64{g.Score}, []float64{h.Score})
			}
			best := got.Best()
			near(t, place+": best", []float64{best.Score}, []float64{source.Score})
			ids := slices.DeleteFunc(slices.Clone(best.IDs), func(id int32) bool { return special(d.vocabulary, id) })
			if !slices.Equal(ids, source.IDs) || best.Finished != source.Finished {
				t.Errorf("%s: best is %v (finished: %v), want %v (%v)", place, ids, best.Finished, source.IDs, source.Finished)
			}
			if text := Text(d.vocabulary, best.IDs); text != source.Text {
				t.Errorf("%s: text %q, want %q", place, text, source.Text)
			}
		}
	}
}

func near(t *testing.T, name string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d scores, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= scoreTolerance) {
			t.Errorf("%s: score %d is %g, want %g", name, i, got[i], want[i])
		}
	}
}

// logitWatch is a device that keeps the logits of which the largest are asked for.
type logitWatch struct {
	engine.Device
	logits []float32
}

func (w *logitWatch) TopK(ids []int32, values []float32, logSums []float64, x *engine.Tensor, k int, except int32) {
	w.logits = append(w.logits, engine.Values(w.Device, x)...)
	w.Device.TopK(ids, values, logSums, x, k, except)
}

func (w *logitWatch) Fork() engine.Device { return w }

// testGoldenGreedy compares the logits of every step where no text may end.
func testGoldenGreedy(t *testing.T, c golden.Case, d *Decoder) {
	t.Helper()
	want := c.Tensors(t, "greedy.safetensors")
	shape := want.Shape("step_logits")
	b, steps, v := shape[0], shape[1], shape[2]
	watch := &logitWatch{Device: d.dev}
	watched := &Decoder{End: d.End, dev: watch, model: d.model, vocabulary: d.vocabulary, tapes: autograd.NewPool(watch)}
	o := Default
	o.BeamSize, o.MinLength, o.MaxLength = 1, steps, steps
	sources := goldenSources(t, c, false)
	results, err := watched.Run(context.Background(), sources, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := cut(d.model.Config, o, sources, nil)
	if err != nil || len(batches) != 1 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	logits := make([]float32, b*steps*v)
	for row, source := range batches[0] {
		for step := range steps {
			copy(logits[(source*steps+step)*v:][:v], watch.logits[(step*b+row)*v:])
		}
		var ids []int32
		for _, id := range want.Ints("ids")[source*(steps+1):][1 : steps+1] {
			ids = append(ids, int32(id))
		}
		if got := results[source].Best().IDs; !slices.Equal(got, ids) {
			t.Errorf("greedy: source %d is %v, want %v", source, got, ids)
		}
	}
	golden.Near(t, "step logits", logits, want.Floats("step_logits"), 1e-5)
}
