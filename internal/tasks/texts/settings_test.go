package texts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

func TestSettings(t *testing.T) {
	o := Search(3, 1.2, 4, 9, true)
	s := NewSettings(20, o)
	if got := s.Options(); got != o || s.MaxTgtLen != 20 || s.LabelSmooth != 0.1 {
		t.Errorf("%+v from %+v", got, s)
	}
	small := model.Mini
	small.MaxPositions = 12
	for _, c := range []struct {
		change func(s *Settings)
		err    string
	}{
		{func(*Settings) {}, ""},
		{func(s *Settings) { s.MaxTgtLen = 2 }, "max_tgt_len is 2, want 3 or more"},
		{func(s *Settings) { s.LabelSmooth = 1 }, "label_smooth is 1, want 0 or more and less than 1"},
		{func(s *Settings) { s.DecodeExamples = -1 }, "decode_examples is -1, want 0 or more"},
		{func(s *Settings) { s.DecodeMemory = 0 }, "decode_memory is 0, want 1 or more"},
	} {
		s := s
		c.change(&s)
		if err := s.Validate(); (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%v, want %q", err, c.err)
		}
	}
	if err := s.Fits(small); err == nil || err.Error() != "max_tgt_len is 20, but the model has positions for 10 tokens" {
		t.Errorf("a model with few positions: %v", err)
	}
	if s.MaxTgtLen, s.MaxOutLen = 10, 11; s.Fits(small) == nil {
		t.Error("a text that is longer than the model's positions is no error")
	}
	if err := s.Fits(model.Mini); err != nil {
		t.Error(err)
	}
}

func TestEvenly(t *testing.T) {
	list := []int{0, 1, 2, 3, 4, 5, 6}
	for n, want := range map[int][]int{3: {0, 2, 4}, 7: list, 8: list} {
		if got := Evenly(list, n); !slices.Equal(got, want) {
			t.Errorf("%d of seven: %v", n, got)
		}
	}
	if got := Decoded(&Settings{}, list); !slices.Equal(got, list) {
		t.Errorf("without a bound: %v", got)
	}
	if got := Decoded(&Settings{DecodeExamples: 2}, list); !slices.Equal(got, []int{0, 3}) {
		t.Errorf("two of seven: %v", got)
	}
}

func TestConfig(t *testing.T) {
	type limits struct {
		Longest int `json:"longest"`
		decode.Options
	}
	usual := limits{7, decode.Default}
	files, err := ConfigFile(limits{9, Search(2, 0, 1, 5, false)})
	if err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]any{
		"":                                      usual,
		string(files["generation_config.json"]): limits{9, Search(2, 0, 1, 5, false)},
		`{"longest":3}`:                         limits{3, decode.Default},
		`{"beam_size":0}`:                       "generation_config.json: beam_size is 0",
		`{"longest":`:                           "generation_config.json",
	} {
		dir, got := t.TempDir(), usual
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := ReadConfig(&run.Opened{Dir: dir, Config: model.Base}, &got, &got.Options)
		if problem, bad := want.(string); bad {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: %v", content, err)
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %+v, %v", content, got, err)
		}
	}
}
