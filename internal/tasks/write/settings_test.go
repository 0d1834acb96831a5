package write

import (
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
)

// The recipes are the reference's (script/seq2seq), base and large. Those of mini are our own.
func TestRecipes(t *testing.T) {
	type search struct {
		beam    int
		penalty float64
	}
	for _, c := range []struct {
		task, metric, scored     string
		source, target           int
		batch, epochs            int
		baseRate, largeRate      float64
		least, most              int
		base, large              search
		blockTrigram, isDialogue bool
	}{
		{"cnn-dailymail", "rouge-l", "rouge", 512, 128, 8, 20, 4e-5, 2e-5, 20, 128, search{5, 0.6}, search{6, 1.2}, true, false},
		{"coqa", "f1", "coqa", 480, 32, 8, 20, 1e-5, 8e-6, 0, 30, search{3, 0}, search{3, 0}, false, true},
		{"gigaword", "rouge-l", "rouge", 128, 32, 32, 10, 3e-5, 3e-5, 5, 32, search{5, 0.6}, search{6, 1.2}, false, false},
		{"squad-qg", "bleu-4", "all-qg", 416, 96, 8, 20, 1.25e-5, 5e-6, 5, 48, search{5, 1}, search{6, 1.2}, false, false},
	} {
		p, k := kindOf(t, c.task)
		if p.Metric != c.metric || p.Lower || k.Scored != c.scored || k.Data.Dialogue != c.isDialogue || p.Command != "finetune" || p.Title == "" {
			t.Errorf("%s: %+v, %+v", c.task, p, k)
		}
		if want := map[bool]string{true: model.Dialogue, false: model.Generation}[c.isDialogue]; k.Problem() != want {
			t.Errorf("%s is %s, want %s", c.task, k.Problem(), want)
		}
		for _, size := range []string{"base", "large", "mini"} {
			s := defaults(t, c.task, size)
			rate, found, batch, epochs := c.baseRate, c.base, c.batch, c.epochs
			switch size {
			case "large":
				rate, found = c.largeRate, c.large
			case "mini":
				rate, batch, epochs = 1e-3, 32, 5
				if s.VocabSize != 8000 {
					t.Errorf("%s: a vocabulary of %d", c.task, s.VocabSize)
				}
			}
			got := []any{s.BatchSize, s.Epochs, s.LearningRate, s.LRScheduler, s.WarmupProportion, s.WeightDecay, s.LabelSmooth, s.HiddenDropout, s.AttentionDropout,
				s.MaxSrcLen, s.MaxTgtLen, s.ContinuousPosition, s.BeamSize, s.LengthPenalty, s.MinOutLen, s.MaxOutLen, s.BlockTrigram, s.DecodeExamples, s.DecodeMemory}
			want := []any{batch, epochs, rate, "linear_warmup_decay", 0.06, 0.01, 0.1, float32(0.1), float32(0.1),
				c.source, c.target, false, found.beam, found.penalty, c.least, c.most, c.blockTrigram, 500, 1024}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s:\n%v, want\n%v", c.task, size, got, want)
			}
		}
	}
	_, k := kindOf(t, "coqa")
	if cfg := k.Size(model.Mini); cfg.MaxPositions != 514 || cfg.HiddenSize != model.Mini.HiddenSize {
		t.Errorf("a passage has %d positions", cfg.MaxPositions)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"max_src_len=2":      "max_src_len is 2, want 3 or more",
		"max_src_len=3":      "",
		"max_tgt_len=2":      "max_tgt_len is 2, want 3 or more",
		"max_tgt_len=3":      "",
		"label_smooth=1":     "label_smooth is 1, want 0 or more and less than 1",
		"label_smooth=-0.1":  "label_smooth is -0.1",
		"label_smooth=0":     "",
		"decode_examples=-1": "decode_examples is -1, want 0 or more",
		"decode_examples=0":  "",
		"decode_memory=0":    "decode_memory is 0, want 1 or more",
		"batch_size=0":       "batch_size is 0, want 1 or more",
	} {
		if err := defaults(t, "gigaword", "base", set).Validate(func(string) bool { return false }); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}

// A model with few positions reads and writes shorter texts; one with many does not make them longer.
func TestAdopt(t *testing.T) {
	for positions, want := range map[int][2]int{22: {20, 20}, 102: {100, 32}, 1000: {128, 32}} {
		s, cfg := defaults(t, "gigaword", "base"), model.Base
		cfg.MaxPositions = positions
		if s.Adopt(cfg); s.MaxSrcLen != want[0] || s.MaxTgtLen != want[1] {
			t.Errorf("of %d positions: %d and %d, want %v", positions, s.MaxSrcLen, s.MaxTgtLen, want)
		}
	}
}

// The model of a dialogue has roles and turns, and its own where it has them; other models have none.
func TestHead(t *testing.T) {
	own := model.Base
	own.RoleTypes, own.TurnTypes = 2, 5
	for _, c := range []struct {
		task, set    string
		cfg          model.Config
		roles, turns int
		err          string
	}{
		{task: "coqa", cfg: model.Base, roles: 3, turns: 16},
		{task: "coqa", cfg: own, roles: 2, turns: 5},
		{task: "gigaword", cfg: own},
		{task: "gigaword", cfg: model.Mini, set: "max_src_len=257", err: "max_src_len is 257, but the model has positions for 256 tokens"},
		{task: "gigaword", cfg: model.Mini, set: "max_tgt_len=257", err: "max_tgt_len is 257, but the model has positions for 256 tokens"},
		{task: "gigaword", cfg: model.Mini, set: "max_out_len=257", err: "max_out_len is 257, want 1 to 256"},
		{task: "gigaword", cfg: model.Mini, set: "beam_size=0", err: "beam_size is 0"},
	} {
		env, _ := logged()
		j := jobOf(t, c.task, env)
		if c.set != "" {
			if err := settings.Set(j.settings, c.set); err != nil {
				t.Fatal(err)
			}
		}
		cfg, err := j.Head(c.cfg)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err == nil && (cfg.RoleTypes != c.roles || cfg.TurnTypes != c.turns) {
			t.Errorf("%s %s: %d roles and %d turns, %v", c.task, c.set, cfg.RoleTypes, cfg.TurnTypes, err)
		}
	}
}
