package model

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// contents returns the values of all parameters by name.
func contents(m *Classifier) map[string][]float32 {
	all := map[string][]float32{}
	for _, p := range m.Params {
		all[p.Name] = read(m.dev, p.Var)
	}
	return all
}

func equal(a, b map[string][]float32) bool { return maps.EqualFunc(a, b, slices.Equal) }

func TestInitialValuesAreAFunctionOfSeedAndName(t *testing.T) {
	d := cpu.New()
	cfg := tiny()
	first := contents(newModel(t, d, cfg, 5))
	if !equal(first, contents(newModel(t, d, cfg, 5))) {
		t.Error("the same seed gave other values")
	}
	other := contents(newModel(t, d, cfg, 6))
	larger := cfg
	larger.Layers, larger.NumLabels, larger.MaxPositions = 3, 2, 9
	beside := contents(newModel(t, d, larger, 5))
	drawn := map[float32]string{} // the first value: the parameter that has it
	for _, s := range Specs(cfg) {
		if slices.Equal(first[s.Name], other[s.Name]) != (s.Init != TruncatedNormal && s.Init != PlaceNormal) {
			t.Errorf("%s with another seed: %v and %v", s.Name, first[s.Name][:2], other[s.Name][:2])
		}
		if values, ok := beside[s.Name]; ok && len(values) == len(first[s.Name]) && !slices.Equal(values, first[s.Name]) {
			t.Errorf("%s depends on what else the model has", s.Name)
		}
		if s.Init == TruncatedNormal || s.Init == PlaceNormal {
			value := first[s.Name][0]
			if twin, ok := drawn[value]; ok {
				t.Errorf("%s and %s start alike", s.Name, twin)
			}
			drawn[value] = s.Name
		}
	}
}

// Edits of a checkpoint for reader.
func keep(t checkpoint.Tensor) []checkpoint.Tensor { return []checkpoint.Tensor{t} }

func without(name string) func(checkpoint.Tensor) []checkpoint.Tensor {
	return func(t checkpoint.Tensor) []checkpoint.Tensor {
		if t.Name == name {
			return nil
		}
		return keep(t)
	}
}

// reshaped gives a tensor another shape of as many elements.
func reshaped(name string, shape ...int) func(checkpoint.Tensor) []checkpoint.Tensor {
	return func(t checkpoint.Tensor) []checkpoint.Tensor {
		if t.Name == name {
			t.Shape = shape
		}
		return keep(t)
	}
}

func with(name string) func(checkpoint.Tensor) []checkpoint.Tensor {
	return func(t checkpoint.Tensor) []checkpoint.Tensor {
		if t.Name == "word_embedding" {
			return []checkpoint.Tensor{t, checkpoint.FromFloat32(name, []int{1}, []float32{1})}
		}
		return keep(t)
	}
}

func TestLoad(t *testing.T) {
	d := cpu.New()
	source := newModel(t, d, tiny(), 1)
	scatter(source.dev, source.Params)
	want := contents(source)

	m := newModel(t, d, tiny(), 2)
	report, err := m.Params.Load(d, reader(t, source.dev, source.Params, keep))
	if err != nil || len(report.Missing)+len(report.Unused) > 0 {
		t.Errorf("the same architecture: %v, %+v", err, report)
	}
	if !equal(contents(m), want) {
		t.Error("the loaded values differ")
	}

	m = newModel(t, d, tiny(), 2)
	initial := contents(m)
	report, err = m.Params.Load(d, reader(t, source.dev, source.Params, without("pos_embedding")))
	if err != nil || !slices.Equal(report.Missing, []string{"pos_embedding"}) || len(report.Unused) > 0 {
		t.Errorf("a tensor too few: %v, %+v", err, report)
	}
	if got := contents(m); !slices.Equal(got["pos_embedding"], initial["pos_embedding"]) || !slices.Equal(got["word_embedding"], want["word_embedding"]) {
		t.Error("a missing parameter should keep its initial value, the others not")
	}

	report, err = m.Params.Load(d, reader(t, source.dev, source.Params, with("mask_lm_out_fc.b_0")))
	if err != nil || !slices.Equal(report.Unused, []string{"mask_lm_out_fc.b_0"}) || len(report.Missing) > 0 {
		t.Errorf("a tensor too many: %v, %+v", err, report)
	}

	m = newModel(t, d, tiny(), 2)
	_, err = m.Params.Load(d, reader(t, source.dev, source.Params, reshaped("encoder_layer_1_ffn_fc_1.w_0", 6, 24)))
	for _, part := range []string{"encoder_layer_1_ffn_fc_1.w_0", "[6 24]", "[24 6]", "config.json"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("another shape: error %v does not say %s", err, part)
		}
	}
	if !equal(contents(m), initial) {
		t.Error("a tensor of another shape: something was changed")
	}
}

func TestOpenNeedsAWholeModel(t *testing.T) {
	d := cpu.New()
	m := newModel(t, d, tiny(), 1)
	encoder := tiny()
	encoder.NumLabels, encoder.ProblemType = 0, ""
	regression := tiny()
	regression.NumLabels, regression.ProblemType = 1, Regression
	for _, c := range []struct {
		name string
		cfg  Config
		edit func(checkpoint.Tensor) []checkpoint.Tensor
		want []string
	}{
		{"no head in the configuration", encoder, keep, []string{"problem_type is not set", "fine-tune"}},
		{"another head", regression, keep, []string{"cls_out_1_w and 1 others are missing", "regression with 1 outputs", "fine-tune"}},
		{"a tensor missing", tiny(), without("pos_embedding"), []string{"pos_embedding and 0 others are missing"}},
		{"another shape", tiny(), reshaped("pos_embedding", 36), []string{"pos_embedding", "[36]", "[6 6]"}},
	} {
		_, err := Open[*Classifier](d, c.cfg, reader(t, m.dev, m.Params, c.edit))
		for _, part := range c.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v does not say %q", c.name, err, part)
			}
		}
	}
	integers := func(x checkpoint.Tensor) []checkpoint.Tensor {
		if x.Name == "pos_embedding" {
			x.DType = checkpoint.I32
		}
		return keep(x)
	}
	if _, err := Open[*Classifier](d, tiny(), reader(t, m.dev, m.Params, integers)); err == nil || !strings.Contains(err.Error(), "pos_embedding") {
		t.Errorf("integers for weights: %v", err)
	}
}

func TestHeadsFitTheProblem(t *testing.T) {
	for _, c := range []struct {
		problem string
		labels  int
		ok      bool
	}{
		{Classification, 2, true}, {Classification, 3, true}, {Classification, 1, false}, {Classification, 0, false},
		{Regression, 1, true}, {Regression, 0, false}, {Regression, 2, false},
		{"", 2, false}, {"translation", 2, false},
	} {
		cfg := tiny()
		cfg.ProblemType, cfg.NumLabels = c.problem, c.labels
		if _, err := New[*Classifier](cpu.New(), cfg, 1); (err == nil) != c.ok {
			t.Errorf("%q with %d labels: %v", c.problem, c.labels, err)
		}
	}
}

func TestArchitectures(t *testing.T) {
	cfg := tiny()
	cfg.Layers, cfg.ImageEmbeddingSize = 1, 10
	cfg.ProblemType = Dialogue // the name decides, not what the configuration is for
	base := strings.Fields(`word_embedding pos_embedding pre_encoder_layer_norm_scale pre_encoder_layer_norm_bias
		encoder_layer_0_multi_head_att_query_fc.w_0 encoder_layer_0_multi_head_att_query_fc.b_0
		encoder_layer_0_multi_head_att_key_fc.w_0 encoder_layer_0_multi_head_att_key_fc.b_0
		encoder_layer_0_multi_head_att_value_fc.w_0 encoder_layer_0_multi_head_att_value_fc.b_0
		encoder_layer_0_multi_head_att_output_fc.w_0 encoder_layer_0_multi_head_att_output_fc.b_0
		encoder_layer_0_post_att_layer_norm_scale encoder_layer_0_post_att_layer_norm_bias
		encoder_layer_0_ffn_fc_0.w_0 encoder_layer_0_ffn_fc_0.b_0 encoder_layer_0_ffn_fc_1.w_0 encoder_layer_0_ffn_fc_1.b_0
		encoder_layer_0_post_ffn_layer_norm_scale encoder_layer_0_post_ffn_layer_norm_bias`)
	const (
		text     = " pooled_fc_text.w_0 pooled_fc_text.b_0"
		regions  = " image_emb.w_0 image_emb.b_0 image_loc.w_0 image_loc.b_0 v_pre_encoder_layer_norm_scale v_pre_encoder_layer_norm_bias"
		image    = regions + " pooled_fc_image.w_0 pooled_fc_image.b_0"
		language = " mask_lm_trans_fc.w_0 mask_lm_trans_fc.b_0 mask_lm_trans_layer_norm_scale mask_lm_trans_layer_norm_bias mask_lm_out_fc.b_0"
	)
	more := map[string]string{
		"text-encoder":   text,
		"classification": text + " cls_out_3_w cls_out_3_b",
		"regression":     text + " cls_out_1_w cls_out_1_b",
		"retrieval":      text + image + " match_fc.w_0 match_fc.b_0",
		"answering":      text + image + " cls_out_w_0 cls_out_b_0 cls_out_w_1 cls_out_b_1",
		"entailment":     text + image + " cls_out_w_0 cls_out_b_0 cls_out_w_1 cls_out_b_1",
		"generation":     language,
		"dialogue":       language + " role_embedding turn_embedding",
		"captioning":     language + regions,
		"free-answering": language + regions,
		"pretrained":     text + image + language,
		"pretraining": text + image + language + " match_fc.w_0 match_fc.b_0 mask_region_trans_fc.w_0 mask_region_trans_fc.b_0" +
			" mask_region_trans_layer_norm_scale mask_region_trans_layer_norm_bias mask_region_feature_fc.w_0 mask_region_feature_fc.b_0",
	}
	if got, want := Architectures(), slices.Sorted(maps.Keys(more)); !slices.Equal(got, want) {
		t.Errorf("architectures %v, want %v", got, want)
	}
	shapes := map[string][]int{
		"word_embedding": {7, 6}, "pos_embedding": {6, 6}, "encoder_layer_0_ffn_fc_0.w_0": {6, 24}, "encoder_layer_0_ffn_fc_0.b_0": {24},
		"image_emb.w_0": {10, 6}, "image_loc.w_0": {5, 6}, "cls_out_3_w": {6, 3}, "cls_out_1_w": {6, 1}, "match_fc.w_0": {6, 1},
		"cls_out_w_0": {6, 2048}, "cls_out_w_1": {2048, 3}, "mask_lm_out_fc.b_0": {7}, "mask_region_feature_fc.w_0": {6, 10}, "role_embedding": {3, 6}, "turn_embedding": {16, 6},
	}
	for name, fields := range more {
		specs, err := Architecture(name, cfg)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range specs {
			names = append(names, s.Name)
			if shape, ok := shapes[s.Name]; ok && !slices.Equal(s.Shape, shape) {
				t.Errorf("%s: %s is %v, want %v", name, s.Name, s.Shape, shape)
			}
		}
		want := append(slices.Clone(base), strings.Fields(fields)...)
		slices.Sort(names)
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("%s has\n%v, want\n%v", name, names, want)
		}
	}
	cfg.ContrastSize = 4
	specs, err := Architecture("retrieval", cfg)
	if last := specs[len(specs)-1]; err != nil || last.Name != "contrast_fc_image.b_0" || !slices.Equal(last.Shape, []int{4}) {
		t.Errorf("with vectors, retrieval ends with %v (%v)", last, err)
	}
	cfg.RegionClasses = 5
	specs, err = Architecture("pretraining", cfg)
	if last := specs[len(specs)-1]; err != nil || last.Name != "mask_region_class_fc.b_0" || !slices.Equal(last.Shape, []int{5}) {
		t.Errorf("with classes, pretraining ends with %v (%v)", last, err)
	}
	if _, err := Architecture("vision", cfg); err == nil || !strings.Contains(err.Error(), "retrieval") {
		t.Errorf("an unknown architecture: %v", err)
	}
}

func TestParameterCounts(t *testing.T) {
	count := func(name string, cfg Config) int {
		specs, err := Architecture(name, cfg)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range specs {
			n += s.Elements()
		}
		return n
	}
	encoder := func(c Config) int {
		h := c.HiddenSize
		layer := 4*(h*h+h) + (h*4*h + 4*h) + (4*h*h + h) + 4*h
		return (c.VocabSize+c.MaxPositions)*h + 2*h + c.Layers*layer + h*h + h
	}
	for name, cfg := range Sizes {
		if got, want := count("text-encoder", cfg), encoder(cfg); got != want {
			t.Errorf("%s has %d parameters, want %d", name, got, want)
		}
	}
	// RoBERTa base has the same encoder, and 124,645,632 parameters with its one token type.
	if got, want := count("text-encoder", Base), 124_645_632-768; got != want {
		t.Errorf("base has %d parameters, want %d", got, want)
	}
	m := newModel(t, cpu.New(), tiny(), 1)
	if got, want := m.Params.Count(), count("classification", tiny()); got != want {
		t.Errorf("the model counts %d parameters, want %d", got, want)
	}
}
