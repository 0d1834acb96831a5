package model

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// tinyGenerator is a generator small enough to differentiate numerically.
func tinyGenerator() Config {
	cfg := tiny()
	cfg.ProblemType, cfg.NumLabels = Generation, 0
	return cfg
}

// tinyTarget is sources of 3, 1 and 2 tokens with targets of 2, 1 and 0, and their labels.
func tinyTarget() (Text, []int32) {
	return Text{
		Tokens:    []int32{0, 6, 3, 0, 5, 4, 0, 1, 5},
		Positions: []int32{2, 3, 4, 2, 3, 2, 2, 2, 3},
		Offsets:   []int32{0, 5, 7, 9},
		Sources:   []int32{3, 1, 2},
	}, []int32{5, 6, 2}
}

func asDialogue(text Text) Text {
	text.Roles = []int32{1, 2, 2, 0, 0, 0, 0, 1, 1}
	text.Turns = []int32{1, 0, 0, 0, 0, 1, 0, 2, 2}
	return text
}

// The whole model against float64: its logits, its loss, and every gradient against central
// differences, without and with dropout.
func TestGeneratorLossAndGradients(t *testing.T) {
	for _, c := range []struct {
		name      string
		edit      func(*Config)
		smoothing float32
		drops     int // dropouts in a pass
	}{
		{"tied", func(*Config) {}, 0, 0},
		{"smoothed", func(*Config) {}, 0.1, 0},
		{"untied", func(c *Config) { c.UntiedEmbeddings = true }, 0.1, 0},
		{"dialogue", func(c *Config) { c.ProblemType, c.TurnTypes, c.Layers = Dialogue, 4, 1 }, 0.1, 0},
		{"dropout", func(c *Config) { c.HiddenDropout, c.AttentionDropout = 0.2, 0.3 }, 0.1, 7},
		{"no layer", func(c *Config) { c.Layers = 0 }, 0, 0},
		{"PaddleNLP's", func(c *Config) { c.HiddenAct, c.SegmentTypes = "relu", 2 }, 0.1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := tinyGenerator()
			c.edit(&cfg)
			text, labels := tinyTarget()
			if cfg.ProblemType == Dialogue {
				text = asDialogue(text)
			}
			d := &dropWatch{Device: cpu.New()}
			g := newGenerator(t, d, cfg, 1)
			r := &reference{cfg: cfg, params: scatter(d, g.Params)}
			tape := autograd.NewTape(d, autograd.Seed{Key: 3, Pass: 1})
			loss := g.Loss(tape, Input{Text: text}, labels, c.smoothing)
			if len(d.masks) != c.drops {
				t.Fatalf("%d dropouts, want %d", len(d.masks), c.drops)
			}
			r.masks = d.masks
			if got, want := float64(read(d, loss)[0]), r.nextLoss(text, labels, float64(c.smoothing)); !(math.Abs(got-want) <= outputTolerance*want) {
				t.Errorf("loss is %g, want %g", got, want)
			}
			tape.Backward(loss, 1)
			testGradients(t, d, g.Params, func(name string) []float64 {
				return r.gradient(name, func() float64 { return r.nextLoss(text, labels, float64(c.smoothing)) })
			})
		})
	}
}

// Decoding step by step, with keys and values from the cache, gives the logits of reading
// source and target at once.
func TestCachedEqualsWhole(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
	}{
		{"tied", func(*Config) {}},
		{"untied", func(c *Config) { c.UntiedEmbeddings = true }},
		{"dialogue", func(c *Config) { c.ProblemType = Dialogue }},
		{"PaddleNLP's", func(c *Config) { c.HiddenAct, c.SegmentTypes = "relu", 2 }},
		{"no layer", func(c *Config) { c.Layers = 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := tinyGenerator()
			c.edit(&cfg)
			d := cpu.New()
			g := newGenerator(t, d, cfg, 1)
			scatter(d, g.Params)
			text, _ := tinyTarget()
			if cfg.ProblemType == Dialogue {
				text = asDialogue(text)
			}
			tape := autograd.NewInference(d)
			want := read(d, g.Logits(tape, Input{Text: text})) // of tokens 3, 4 and 6
			tape.Release()

			source := func(rows ...int) (s Text) {
				for _, row := range rows {
					s.Tokens, s.Positions = append(s.Tokens, text.Tokens[row]), append(s.Positions, text.Positions[row])
					if text.Roles != nil {
						s.Roles, s.Turns = append(s.Roles, text.Roles[row]), append(s.Turns, text.Turns[row])
					}
				}
				s.Offsets = []int32{0, int32(len(rows))}
				return s
			}
			cache := g.NewCache(d, 4, 3)
			defer cache.Free()
			ctx := context.Background()
			// The second source is read apart from the first, and neither slots nor sources are in order.
			for row, s := range map[int]Text{0: source(5), 1: source(0, 1, 2)} {
				if err := g.Encode(ctx, tape, cache, Input{Text: s}, row); err != nil {
					t.Fatal(err)
				}
			}
			first, err := g.Next(ctx, tape, cache, Step{
				Tokens: []int32{0, 0}, Positions: []int32{2, 2}, Slots: []int32{2, 0},
				Seen: engine.CachedAttention{Hypotheses: []int32{0, 1, 2}, Sources: []int32{0, 1, 4}, Paths: []int32{2, 0}, Steps: 1},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := read(d, first)
			tape.Release()
			second, err := g.Next(ctx, tape, cache, Step{
				Tokens: []int32{5}, Positions: []int32{3}, Slots: []int32{1},
				Seen: engine.CachedAttention{Hypotheses: []int32{0, 0, 1}, Sources: []int32{0, 1, 4}, Paths: []int32{0, 1}, Steps: 2},
			})
			if err != nil {
				t.Fatal(err)
			}
			v := cfg.VocabSize
			got = slices.Concat(got[v:], read(d, second), got[:v])
			for i, x := range got {
				if !(math.Abs(float64(x-want[i])) < 1e-5) {
					t.Errorf("logits are\n%v, want\n%v", got, want)
					break
				}
			}
		})
	}
}

func TestDecodingStopsWithItsContext(t *testing.T) {
	d := cpu.New()
	g := newGenerator(t, d, tinyGenerator(), 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cache, tape := g.NewCache(d, 1, 1), autograd.NewInference(d)
	source := Text{Tokens: []int32{0}, Positions: []int32{2}, Offsets: []int32{0, 1}}
	if err := g.Encode(ctx, tape, cache, Input{Text: source}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("encode: %v", err)
	}
	one := []int32{0, 1}
	step := Step{Tokens: one[:1], Positions: []int32{2}, Slots: one[:1], Seen: engine.CachedAttention{Hypotheses: one, Sources: one, Paths: one[:1], Steps: 1}}
	if _, err := g.Next(ctx, tape, cache, step); !errors.Is(err, context.Canceled) {
		t.Errorf("next: %v", err)
	}
}

func TestOpenGeneratorNeedsALanguageHead(t *testing.T) {
	d := cpu.New()
	g := newGenerator(t, d, tinyGenerator(), 1)
	classifier := newModel(t, d, tiny(), 1)
	dialogue, untied := tinyGenerator(), tinyGenerator()
	dialogue.ProblemType, untied.UntiedEmbeddings = Dialogue, true
	if opened, err := Open[*Generator](d, tinyGenerator(), reader(t, d, g.Params, keep)); err != nil || len(opened.Params) != len(g.Params) {
		t.Errorf("a whole model: %v", err)
	}
	for _, c := range []struct {
		name string
		cfg  Config
		r    checkpoint.Reader
		want []string
	}{
		{"a classifier", tiny(), reader(t, d, classifier.Params, keep), []string{`problem_type is "single_label_classification"`, "this model classifies texts", "fine-tune"}},
		{"a classifier's tensors", tinyGenerator(), reader(t, d, classifier.Params, keep), []string{"mask_lm_trans_fc.w_0 and 4 others are missing", "for generation", "fine-tune"}},
		{"no tables of roles", dialogue, reader(t, d, g.Params, keep), []string{"role_embedding and 1 others are missing", "for dialogue"}},
		{"tied", untied, reader(t, d, g.Params, keep), []string{"mask_lm_out_fc.w_0 and 0 others"}},
		{"another shape", tinyGenerator(), reader(t, d, g.Params, reshaped("mask_lm_out_fc.b_0", 1, 7)), []string{"mask_lm_out_fc.b_0", "[1 7]", "[7]"}},
	} {
		_, err := Open[*Generator](d, c.cfg, c.r)
		for _, part := range c.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v does not say %q", c.name, err, part)
			}
		}
	}
	if _, err := New[*Classifier](d, tinyGenerator(), 1); err == nil || !strings.Contains(err.Error(), "writes text") {
		t.Errorf("a generator as a classifier: %v", err)
	}
	if _, err := New[*Generator](d, tiny(), 1); err == nil {
		t.Error("a classifier as a generator")
	}
}

func TestTargetCheck(t *testing.T) {
	dialogue := tinyGenerator()
	dialogue.ProblemType, dialogue.TurnTypes = Dialogue, 4
	text, _ := tinyTarget()
	if err := text.Check(tinyGenerator()); err != nil {
		t.Fatal(err)
	}
	if err := asDialogue(text).Check(dialogue); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		cfg        Config
		edit       func(*Text)
	}{
		{"a source too few", "3 sequences have 2 sources", tinyGenerator(), func(x *Text) { x.Sources = x.Sources[:2] }},
		{"a source too long", "sequence 1 has 2 tokens, but 3 in its source", tinyGenerator(), func(x *Text) { x.Sources[1] = 3 }},
		{"an empty source", "sequence 0 has 5 tokens, but 0 in its source", tinyGenerator(), func(x *Text) { x.Sources[0] = 0 }},
		{"roles without tables", "not one for dialogue", tinyGenerator(), func(x *Text) { *x = asDialogue(*x) }},
		{"no roles", "9 tokens have 0 roles and 0 turns", dialogue, func(*Text) {}},
		{"a turn too few", "9 tokens have 9 roles and 8 turns", dialogue, func(x *Text) { *x = asDialogue(*x); x.Turns = x.Turns[:8] }},
		{"an unknown role", "token 2 has role 3, but the model has 3 (role_type_size)", dialogue, func(x *Text) { *x = asDialogue(*x); x.Roles[2] = 3 }},
		{"an old turn", "token 5 has turn 4, but the model has 4; leave out the oldest turns", dialogue, func(x *Text) { *x = asDialogue(*x); x.Turns[5] = 4 }},
		{"a negative turn", "token 0 has turn -1", dialogue, func(x *Text) { *x = asDialogue(*x); x.Turns[0] = -1 }},
	} {
		text, _ := tinyTarget()
		c.edit(&text)
		if err := text.Check(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestTiedEmbeddingsInJSON(t *testing.T) {
	for raw, untied := range map[string]bool{"": false, `"tie_word_embeddings": true,`: false, `"tie_word_embeddings": false,`: true} {
		c, err := ParseConfig([]byte(`{` + raw + `"vocab_size": 7, "hidden_size": 6, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 6}`))
		if err != nil || bool(c.UntiedEmbeddings) != untied {
			t.Errorf("%s: untied is %v, want %v (%v)", raw, c.UntiedEmbeddings, untied, err)
		}
		out, err := c.JSON()
		if err != nil || strings.Contains(string(out), `"tie_word_embeddings": false`) != untied || strings.Contains(string(out), "true") {
			t.Errorf("%s: written as %s (%v)", raw, out, err)
		}
	}
	if _, err := ParseConfig([]byte(`{"tie_word_embeddings": 1}`)); err == nil {
		t.Error("a number was taken for a boolean")
	}
}
