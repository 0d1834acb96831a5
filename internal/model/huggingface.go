package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/nn"
)

// LeftOut is a tensor of another library's checkpoint that has no place here.
type LeftOut struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// family is what the models of one model_type have of their own. Names of tensors are without what stands before the
// encoder's names.
type family struct {
	prefix   string            // of the encoder's names in a model with a head
	front    int               // rows that the position table lacks in front of the first token's
	norm     string            // of the embeddings
	layer    string            // what stands before the names of a layer's modules, with its number
	modules  []module          // of a layer
	untyped  bool              // all tokens of its texts are of type 0
	bare     bool              // and there is no table of types
	relu     bool              // it may be the activation, of the language head too
	inOut    bool              // affine weights are [in,out], as ours
	head     head              // the language head, with prefix
	classes  classes           // what its classifiers of texts have behind the encoder
	config   map[string]string // keys of config.json by other names: theirs -> transformers'
	defaults map[string]string // of keys that config.json lacks, where they are not BERT's
}

// head has the names of a language head's tensors and modules.
type head struct {
	transform, norm string
	bias            []string // of the output; the first that is there
	weight          string   // of the output, where it is not the word embedding
}

// classes has the modules of a classifier of texts: a pooler with its activation, and the output. The pooler may be one of the
// encoder, with which it was trained.
type classes struct {
	pooler, act, out string
	ofEncoder        bool
	separators       int // between the texts of a pair
}

// families by model_type. PaddleNLP's UNIMO is known by its tensors: the key of its config.json says "bert" or "unimo".
var families = map[string]family{
	"bert": {
		prefix: "bert.", front: FirstPosition, norm: "embeddings.LayerNorm", layer: "encoder.layer.%d.", modules: bertLayer, relu: true,
		classes: classes{pooler: "pooler.dense", act: actTanh, out: "classifier", ofEncoder: true},
		head:    head{"cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", []string{"cls.predictions.bias", "cls.predictions.decoder.bias"}, "cls.predictions.decoder.weight"},
	},
	"camembert": roberta,
	"distilbert": {
		prefix: "distilbert.", front: FirstPosition, untyped: true, bare: true, norm: "embeddings.LayerNorm", layer: "transformer.layer.%d.", modules: distilLayer, relu: true,
		classes: classes{pooler: "pre_classifier", act: actReLU, out: "classifier"},
		head:    head{"vocab_transform", "vocab_layer_norm", []string{"vocab_projector.bias"}, "vocab_projector.weight"},
		config: map[string]string{
			"dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads", "hidden_dim": "intermediate_size",
			"activation": "hidden_act", "dropout": "hidden_dropout_prob", "attention_dropout": "attention_probs_dropout_prob",
		},
		defaults: map[string]string{"num_hidden_layers": "6"},
	},
	"electra": {
		prefix: "electra.", front: FirstPosition, norm: "embeddings.LayerNorm", layer: "encoder.layer.%d.", modules: bertLayer,
		classes:  classes{pooler: "classifier.dense", act: actGELU, out: "classifier.out_proj"},
		head:     head{"generator_predictions.dense", "generator_predictions.LayerNorm", []string{"generator_lm_head.bias"}, "generator_lm_head.weight"},
		defaults: map[string]string{"hidden_size": "256", "num_attention_heads": "4", "intermediate_size": "1024", "embedding_size": "128"},
	},
	"roberta": roberta,
	unimoText: {
		prefix: "unimo.", front: FirstPosition, norm: "encoder_norm", layer: "encoder.layers.%d.", modules: paddleLayer, relu: true, inOut: true,
		head:     head{"lm_head.transform", "lm_head.layer_norm", []string{"lm_head.decoder_bias"}, ""},
		defaults: map[string]string{"hidden_act": `"relu"`, "vocab_size": "18000", "max_position_embeddings": "513", "type_vocab_size": "4", "layer_norm_eps": "1e-5"},
	},
	"xlm-roberta": roberta,
}

var roberta = family{
	prefix: "roberta.", untyped: true, norm: "embeddings.LayerNorm", layer: "encoder.layer.%d.", modules: bertLayer,
	classes: classes{pooler: "classifier.dense", act: actTanh, out: "classifier.out_proj", separators: 2},
	head:    head{"lm_head.dense", "lm_head.layer_norm", []string{"lm_head.bias", "lm_head.decoder.bias"}, "lm_head.decoder.weight"},
}

// unimoText is what this program calls PaddleNLP's UNIMO.
const unimoText = "unimo-text"

// notUNIMO says of models of some types why they cannot be imported.
var notUNIMO = map[string]string{
	"albert": ", whose layers share their weights", "deberta": relative, "deberta-v2": relative, "mpnet": relative, "xlnet": relative, "t5": relative, "mt5": relative,
	"vit": sees, "dinov2": sees, "dinov2_with_registers": sees, "clip": sees, "clip_vision_model": sees, "siglip": sees, "siglip_vision_model": sees,
	"efficientnet": sees, "mobilenet_v2": sees, "resnet": sees,
	"modernbert": rotary, "nomic_bert": rotary, "roformer": rotary, "gpt2": decoder, "opt": decoder, "llama": decoder, "bart": decoder, "mbart": decoder,
}

const (
	relative = ", whose positions are relative"
	rotary   = ", whose positions turn queries and keys"
	sees     = ", which sees pictures and goes to --extractor"
	decoder  = ", which is or has a decoder"
)

// Names of the embeddings, everywhere.
const (
	theirWords     = "embeddings.word_embeddings.weight"
	theirPositions = "embeddings.position_embeddings.weight"
	theirTypes     = "embeddings.token_type_embeddings.weight"
)

// module is a pair of tensors, a weight and a bias, by both names.
type module struct {
	theirs, ours string
	linear       bool // an affine map, whose weight is [out,in] there; otherwise a layer norm
}

// The modules of a layer by others' names, and what the reference calls them in encoder_layer_I.
var (
	bertLayer = []module{
		{"attention.self.query", "multi_head_att_query_fc", true},
		{"attention.self.key", "multi_head_att_key_fc", true},
		{"attention.self.value", "multi_head_att_value_fc", true},
		{"attention.output.dense", "multi_head_att_output_fc", true},
		{"attention.output.LayerNorm", "post_att", false},
		{"intermediate.dense", "ffn_fc_0", true},
		{"output.dense", "ffn_fc_1", true},
		{"output.LayerNorm", "post_ffn", false},
	}
	distilLayer = []module{
		{"attention.q_lin", "multi_head_att_query_fc", true},
		{"attention.k_lin", "multi_head_att_key_fc", true},
		{"attention.v_lin", "multi_head_att_value_fc", true},
		{"attention.out_lin", "multi_head_att_output_fc", true},
		{"sa_layer_norm", "post_att", false},
		{"ffn.lin1", "ffn_fc_0", true},
		{"ffn.lin2", "ffn_fc_1", true},
		{"output_layer_norm", "post_ffn", false},
	}
	paddleLayer = []module{
		{"self_attn.q_proj", "multi_head_att_query_fc", true},
		{"self_attn.k_proj", "multi_head_att_key_fc", true},
		{"self_attn.v_proj", "multi_head_att_value_fc", true},
		{"self_attn.out_proj", "multi_head_att_output_fc", true},
		{"norm1", "post_att", false},
		{"linear1", "ffn_fc_0", true},
		{"linear2", "ffn_fc_1", true},
		{"norm2", "post_ffn", false},
	}
)

// left says why tensors whose name has this part are left out; the first that fits counts.
var left = []struct{ part, reason string }{
	{"pooler.", "classifiers of its kind have no use for it: they begin with a new layer"},
	{"token_type_embeddings.", "its first row is in the position embedding; texts have no other type there either"},
	{"seq_relationship.", "UNIMO does not predict the next sentence"},
	{"decoder.weight", "the head shares the word embedding"},
	{"decoder_weight", "the head shares the word embedding"},
	{"vocab_projector.weight", "the head shares the word embedding"},
	{"generator_lm_head.weight", "the head shares the word embedding"},
	{"discriminator_predictions.", "UNIMO does not tell replaced words"},
	{"decoder.bias", "the head's own bias has the same values"},
	{"", "UNIMO has no such part"},
}

// IsHuggingFace says whether r holds the weights of an encoder as Hugging Face's transformers name
// them: [ImportHuggingFace] reads it or says why it cannot.
func IsHuggingFace(r checkpoint.Reader) bool {
	_, ok := theirPrefix(r)
	return ok
}

// IsForeign says whether cfgJSON is the configuration of a model of transformers and r does not hold UNIMO's weights:
// [ImportHuggingFace] says what it is.
func IsForeign(cfgJSON []byte, r checkpoint.Reader) bool {
	_, err := r.Info("word_embedding")
	return err != nil && IsForeignConfig(cfgJSON)
}

// IsForeignConfig says whether cfgJSON is the configuration of a model of transformers. Those from before model_type, and others that
// lack it, do not say so: their tensors do.
func IsForeignConfig(cfgJSON []byte) bool {
	kind := TypeOf(cfgJSON)
	return kind != "" && kind != "unimo"
}

// TypeOf is the model_type of a configuration, "" where it has none.
func TypeOf(cfgJSON []byte) string {
	var c struct {
		Type string `json:"model_type"`
	}
	if json.Unmarshal(cfgJSON, &c) != nil {
		return ""
	}
	return c.Type
}

// theirPrefix returns what stands before the encoder's names.
func theirPrefix(r checkpoint.Reader) (string, bool) {
	for _, info := range r.Tensors() {
		if prefix, ok := strings.CutSuffix(info.Name, theirWords); ok {
			return prefix, true
		}
	}
	return "", false
}

// ImportHuggingFace returns a checkpoint of Hugging Face's transformers, or of PaddleNLP's UNIMO, as this
// program's: the configuration, a reader over r under the reference's names, and the tensors that it leaves out.
// Closing the reader closes r. BERT's pooler is taken over, with its activation in the configuration, and so is the head of a
// classifier of texts, or of one that gives them a score; [NewHead] leaves it out. Other heads are not.
//
// Affine weights are transposed when they are asked for. The embedding of token type 0, which every token of a text
// alone has, is added to the position embedding, and subtracted from those of the other types; the table of positions
// gets two rows in front where positions do not start at 2, as here.
// An encoder that is not UNIMO's, an incomplete one, or one of other sizes than cfgJSON says, is an error. Without a
// cfgJSON only UNIMO is imported.
func ImportHuggingFace(cfgJSON []byte, r checkpoint.Reader) (Config, checkpoint.Reader, []LeftOut, error) {
	if cfgJSON == nil {
		if cfgJSON, _ = guessedConfig(r); cfgJSON == nil {
			return Config{}, nil, nil, fmt.Errorf("%s holds a model of another library, which is not complete without its config.json; give the folder that has both", r.Path())
		}
	}
	prefix, ok := theirPrefix(r)
	if !ok {
		if all, err := theirKeys(cfgJSON); err == nil {
			if _, err = theirType(all, r, "-"); err != nil {
				return Config{}, nil, nil, err
			}
		}
		return Config{}, nil, nil, fmt.Errorf("%s has no tensor %s: it is not a checkpoint of Hugging Face's transformers", r.Path(), theirWords)
	}
	cfg, kind, err := theirConfig(cfgJSON, r, prefix)
	if err != nil {
		return Config{}, nil, nil, err
	}
	im := &imported{Reader: r, sources: map[string]source{}}
	if cfg, im.headless, err = kind.withClasses(cfg, cfgJSON, r, prefix); err != nil {
		return Config{}, nil, nil, fmt.Errorf("%s: %w", r.Path(), err)
	}
	unused, err := im.rename(cfg, kind, prefix)
	if err != nil {
		return Config{}, nil, nil, fmt.Errorf("%s: %w", r.Path(), err)
	}
	cfg.MaxPositions += kind.front
	task := cfg.ProblemType
	cfg.ProblemType = Generation // the encoder and the language head
	specs := Specs(cfg)
	if im.sources[pooledText+".w_0"].name != "" {
		newPooler(nn.List(&specs), cfg)
		if cfg.PoolerAct = kind.classes.act; cfg.PoolerAct == actReLU {
			cfg.PoolerAct = "" // the default
		}
	}
	if task != "" {
		newOutput(nn.List(&specs), cfg)
	}
	report, err := nn.Compare(specs, im)
	if err != nil {
		return Config{}, nil, nil, fmt.Errorf("%s: %w", r.Path(), err)
	}
	writes := cfg.NoSpecials // it is a model that writes texts, if it has its language head
	for _, name := range report.Missing {
		writes = false
		if !strings.HasPrefix(name, "mask_lm_") { // the language head's
			return Config{}, nil, nil, fmt.Errorf("%s has no tensor for %s: it is incomplete, or not a checkpoint of the %d layers that its configuration says", r.Path(), name, cfg.Layers)
		}
	}
	if !writes {
		cfg.ProblemType, cfg.NoSpecials = task, false
	}
	return cfg, im, unused, nil
}

// theirDefaults are what transformers takes for keys that a configuration lacks, as those of before the library's version 4 do.
var theirDefaults = map[string]string{
	"hidden_size": "768", "num_hidden_layers": "12", "num_attention_heads": "12", "intermediate_size": "3072", "hidden_act": `"gelu"`,
	"hidden_dropout_prob": "0.1", "attention_probs_dropout_prob": "0.1", "max_position_embeddings": "512", "type_vocab_size": "2",
	"initializer_range": "0.02", "layer_norm_eps": "1e-12", "position_embedding_type": `"absolute"`, "tie_word_embeddings": "true", "is_decoder": "false",
	"normalize_before": "false",
}

// theirConfig reads a configuration of transformers, of a model whose encoder's names follow prefix, and keeps what
// the encoder needs.
func theirConfig(raw []byte, r checkpoint.Reader, prefix string) (Config, family, error) {
	fail := func(err error) (Config, family, error) { return Config{}, family{}, err }
	all, err := theirKeys(raw)
	if err != nil {
		return fail(err)
	}
	name, err := theirType(all, r, prefix)
	if err != nil {
		return fail(err)
	}
	kind := families[name]
	keys := map[string]json.RawMessage{}
	for key, value := range theirDefaults {
		keys[key] = json.RawMessage(value)
	}
	for key, value := range kind.defaults {
		keys[key] = json.RawMessage(value)
	}
	for key, value := range all {
		key = cmp.Or(kind.config[key], key)
		if _, known := keys[key]; (known || key == "vocab_size" || key == "pad_token_id") && string(value) != "null" {
			keys[key] = value
		}
	}
	if info, err := r.Info(prefix + theirWords); keys["vocab_size"] == nil && err == nil && len(info.Shape) == 2 {
		keys["vocab_size"] = json.RawMessage(fmt.Sprint(info.Shape[0]))
	}
	theirs := struct {
		IntermediateSize int    `json:"intermediate_size"`
		EmbeddingSize    int    `json:"embedding_size"`
		HiddenAct        string `json:"hidden_act"`
		Position         string `json:"position_embedding_type"`
		Padding          *int   `json:"pad_token_id"`
		Decoder          bool   `json:"is_decoder"`
		PreNorm          bool   `json:"normalize_before"`
	}{}
	raw, err = json.Marshal(keys)
	if err == nil {
		err = json.Unmarshal(raw, &theirs)
	}
	if err != nil {
		return fail(fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err)))
	}
	if theirs.HiddenAct == "gelu_python" { // the same function under the name of the code that it had
		keys["hidden_act"] = json.RawMessage(`"gelu"`)
	}
	for _, key := range []string{"intermediate_size", "embedding_size", "position_embedding_type", "pad_token_id", "is_decoder", "normalize_before"} {
		delete(keys, key)
	}
	if kind.untyped {
		delete(keys, "type_vocab_size")
	}
	if raw, err = json.Marshal(keys); err != nil {
		return fail(fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err)))
	}
	cfg, err := ParseConfig(raw)
	if err != nil {
		return fail(err)
	}
	switch {
	case theirs.EmbeddingSize != 0 && theirs.EmbeddingSize != cfg.HiddenSize:
		return fail(fmt.Errorf("embedding_size is %d and hidden_size %d, as in small models of ELECTRA; UNIMO has one size for both; take a model whose sizes are equal, such as electra-base-discriminator", theirs.EmbeddingSize, cfg.HiddenSize))
	case theirs.IntermediateSize != cfg.FFNSize():
		return fail(fmt.Errorf("intermediate_size is %d; UNIMO's layers have four times hidden_size, %d", theirs.IntermediateSize, cfg.FFNSize()))
	case cfg.HiddenAct == actReLU && !kind.relu:
		return fail(fmt.Errorf("hidden_act is %q; of a model of type %s it must be \"gelu\"", cfg.HiddenAct, name))
	case theirs.Position != "absolute":
		return fail(fmt.Errorf("position_embedding_type is %q; only \"absolute\" exists in UNIMO", theirs.Position))
	case theirs.PreNorm:
		return fail(fmt.Errorf("normalize_before is true; UNIMO's layers have their norms behind them"))
	case kind.front == 0 && theirs.Padding != nil && *theirs.Padding != FirstPosition-1: // the position before the first
		return fail(fmt.Errorf("pad_token_id is %d, so that positions start at %d; in UNIMO they start at %d", *theirs.Padding, *theirs.Padding+1, FirstPosition))
	case theirs.Decoder:
		return fail(fmt.Errorf("is_decoder is true; only encoders can be imported"))
	}
	cfg.LayerNormEpsilon = cmp.Or(cfg.LayerNormEpsilon, 1e-12)
	cfg.NoSpecials = name == unimoText
	return cfg, kind, nil
}

// guessedConfig returns the configuration of a UNIMO of PaddleNLP's, whose released files had none beside them: sizes are
// those of the tensors, heads have 64 values as in all released ones, and the rest is the library's default. ok is false
// for another model.
func guessedConfig(r checkpoint.Reader) (raw []byte, ok bool) {
	prefix, _ := theirPrefix(r)
	shape := func(name string) []int {
		info, err := r.Info(prefix + name)
		if err != nil || len(info.Shape) != 2 {
			return []int{0, 0}
		}
		return info.Shape
	}
	layers := 0
	for shape(fmt.Sprintf("encoder.layers.%d.linear1.weight", layers))[0] > 0 {
		layers++
	}
	words, width := shape(theirWords)[0], shape(theirWords)[1]
	if _, err := r.Info(prefix + "encoder_norm.weight"); err != nil || width%guessedHead != 0 || width == 0 {
		return nil, false
	}
	return fmt.Appendf(nil, `{"vocab_size": %d, "hidden_size": %d, "num_hidden_layers": %d, "num_attention_heads": %d, "intermediate_size": %d, "max_position_embeddings": %d, "type_vocab_size": %d}`,
		words, width, layers, width/guessedHead, shape("encoder.layers.0.linear1.weight")[1], shape(theirPositions)[0], shape(theirTypes)[0]), true
}

// guessedHead is the width of an attention head where nothing says it.
const guessedHead = 64

// theirKeys returns the keys of a configuration. PaddleNLP's before its version 2.5, model_config.json, has those of the
// encoder in the arguments of a model with a head.
func theirKeys(raw []byte) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	err := json.Unmarshal(raw, &all)
	if err == nil && all["init_args"] != nil {
		var arguments []map[string]json.RawMessage
		if err = json.Unmarshal(all["init_args"], &arguments); err == nil && len(arguments) > 0 {
			all = arguments[0]
		}
	}
	if err != nil {
		return nil, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	return all, nil
}

// theirType returns the key in families. PaddleNLP's models have names of their own; others say their model_type.
// Files from before that key need the tensors: what stands before the encoder's names tells it, or the names of the
// language head, and else the token types, of which BERT has two.
func theirType(all map[string]json.RawMessage, r checkpoint.Reader, prefix string) (string, error) {
	has := func(name string) bool { _, err := r.Info(name); return err == nil }
	supported := strings.Join(slices.DeleteFunc(slices.Sorted(maps.Keys(families)), func(kind string) bool { return kind == unimoText }), ", ")
	switch {
	case has(prefix + "encoder_norm.weight"):
		return unimoText, nil
	case has(prefix + "encoder.layers.0.self_attn.q_proj.weight"):
		return "", fmt.Errorf("the tensors are those of a model of PaddleNLP's (%s...), of which UNIMO alone can be imported; take the model as Hugging Face's transformers has it", prefix)
	}
	var kind string
	if raw := all["model_type"]; raw != nil {
		if err := json.Unmarshal(raw, &kind); err != nil {
			return "", fmt.Errorf("not a model configuration: model_type: %w", infile.PlainJSON(err))
		}
	}
	if _, ok := families[kind]; ok && kind != unimoText {
		return kind, nil
	}
	if kind != "" {
		return "", fmt.Errorf("model_type is %q%s; of Hugging Face's models those of type %s can be imported", kind, notUNIMO[kind], supported)
	}
	for _, name := range []string{"bert", "distilbert", "electra", "roberta"} {
		f := families[name]
		if strings.HasSuffix("."+prefix, "."+f.prefix) {
			return name, nil
		}
		if kind == "" && has(strings.TrimSuffix(prefix, f.prefix)+f.head.bias[0]) {
			kind = name
		}
	}
	if kind != "" {
		return kind, nil
	}
	plain := true
	for part := range strings.SplitSeq(prefix, ".") { // what others put before any model
		plain = plain && slices.Contains([]string{"", "0", "auto_model", "model", "module"}, part)
	}
	if info, err := r.Info(prefix + theirTypes); plain && err == nil && len(info.Shape) == 2 {
		switch info.Shape[0] {
		case 1:
			return "roberta", nil
		case 2:
			return "bert", nil
		}
	}
	return "", fmt.Errorf("config.json has no model_type, and the tensors' names (%s...) do not tell it; of Hugging Face's models those of type %s can be imported: if it is one, add \"model_type\"", prefix, supported)
}

// withClasses returns the configuration with the head that the model has for texts as wholes, if it has one as this program's. Of
// another why says what it is.
func (k family) withClasses(cfg Config, raw []byte, r checkpoint.Reader, prefix string) (_ Config, why string, err error) {
	c, head := k.classes, strings.TrimSuffix(prefix, k.prefix)
	if !slices.ContainsFunc(r.Tensors(), func(info checkpoint.Info) bool { return c.names(info.Name, head) }) {
		return cfg, "", nil
	}
	var theirs struct {
		Architectures []string `json:"architectures"`
		Problem       string   `json:"problem_type"`
		Labels        Labels   `json:"id2label"`
		NumLabels     int      `json:"num_labels"`
	}
	all, err := theirKeys(raw)
	if err == nil {
		raw, err = json.Marshal(all)
	}
	if err != nil {
		return cfg, "", err
	}
	if err := json.Unmarshal(raw, &theirs); err != nil {
		return cfg, fmt.Sprintf("what config.json says of its head cannot be read: %v", infile.PlainJSON(err)), nil
	}
	const suffix = "ForSequenceClassification"
	if a := theirs.Architectures; len(a) > 0 && !slices.ContainsFunc(a, func(name string) bool { return strings.HasSuffix(name, suffix) }) {
		return cfg, fmt.Sprintf("it is of a %.80s; of heads those of ...%s are used", a[0], suffix), nil
	}
	labels, pooler := 0, c.at(prefix, head)
	for _, name := range []string{head + c.out + ".weight", head + c.out + ".bias"} {
		if info, err := r.Info(name); err == nil && len(info.Shape) > 0 && labels == 0 {
			labels = info.Shape[0]
		}
	}
	var lacking []string
	for _, part := range []struct {
		name  string
		shape []int
	}{
		{pooler + ".weight", []int{cfg.HiddenSize, cfg.HiddenSize}}, {pooler + ".bias", []int{cfg.HiddenSize}},
		{head + c.out + ".weight", []int{max(labels, 1), cfg.HiddenSize}}, {head + c.out + ".bias", []int{max(labels, 1)}},
	} {
		if info, err := r.Info(part.name); err != nil || !slices.Equal(info.Shape, part.shape) || !info.DType.Float() {
			lacking = append(lacking, part.name)
		}
	}
	if lacking != nil {
		return cfg, fmt.Sprintf("of what a ...%s has, this is missing, or of another shape or type: %s", suffix, strings.Join(lacking, ", ")), nil
	}
	named := cmp.Or(theirs.NumLabels, len(theirs.Labels), labels)
	cfg.NumLabels, cfg.ProblemType = labels, Classification
	if labels == 1 {
		cfg.ProblemType = Regression
	}
	switch {
	case named != labels || len(theirs.Labels) > 0 && len(theirs.Labels) != labels:
		why = fmt.Sprintf("config.json names %d labels, but %s has %d", named, head+c.out+".weight", labels)
	case theirs.Labels.check(labels) != nil:
		why = "config.json's " + theirs.Labels.check(labels).Error()
	case len(slices.Compact(slices.Sorted(maps.Values(theirs.Labels)))) < len(theirs.Labels):
		why = "config.json gives several labels the same name"
	case theirs.Problem == "multi_label_classification":
		why = "it gives several labels at once (multi_label_classification), which models here do not"
	case theirs.Problem == Regression && labels > 1:
		why = fmt.Sprintf("it is of a regression with %d values; models here have one", labels)
	case !slices.Contains([]string{"", Classification, Regression}, theirs.Problem):
		why = fmt.Sprintf("its problem_type is %.80q, which models here do not have", theirs.Problem)
	case labels > maxLabels:
		why = fmt.Sprintf("it has %d labels; models here have %d at most", labels, maxLabels)
	}
	if why != "" {
		cfg.NumLabels, cfg.ProblemType = 0, ""
		return cfg, why, nil
	}
	cfg.PairSeparators = c.separators
	if labels > 1 {
		cfg.ID2Label = Labels{}
		for i := range labels {
			id := fmt.Sprint(i)
			cfg.ID2Label[id] = cmp.Or(theirs.Labels[id], "LABEL_"+id)
		}
	}
	return cfg, "", nil
}

// names says whether a tensor's name is one of a head, with what stands before those.
func (c classes) names(name, head string) bool {
	out, _, _ := strings.Cut(c.out, ".")
	return out != "" && strings.HasPrefix(name, head+out+".") || !c.ofEncoder && c.pooler != "" && strings.HasPrefix(name, head+c.pooler+".")
}

// at is the name of the pooler.
func (c classes) at(prefix, head string) string {
	if c.ofEncoder {
		return prefix + c.pooler
	}
	return head + c.pooler
}

// NewHead returns what a model that is fine-tuned starts from: of a checkpoint that [ImportHuggingFace] returned all but the head of its
// task. Closing the reader closes r.
func NewHead(cfg Config, r checkpoint.Reader) (Config, checkpoint.Reader, []LeftOut) {
	im, ok := r.(*imported)
	if !ok || len(im.head) == 0 {
		return cfg, r, nil
	}
	act := cfg.PoolerAct
	if slices.Contains(im.head, pooledText+".w_0") {
		act = ""
	}
	cfg = cfg.WithoutHead()
	cfg.PoolerAct = act
	var left []LeftOut
	for _, name := range im.head {
		left = append(left, LeftOut{im.sources[name].name, "a new head is trained; to go on with this one, convert the model first"})
	}
	return cfg, Without(r, im.head...), left
}

// imported is a checkpoint of transformers under the reference's names.
type imported struct {
	checkpoint.Reader // theirs
	infos             []checkpoint.Info
	sources           map[string]source // by our name
	head              []string          // our names of the tensors of a task's head
	headless          string            // why it has none, though there are tensors of one
}

// Headless says why the head that a checkpoint of [ImportHuggingFace] has for a task is not used; "" if it is, or there is none.
func Headless(r checkpoint.Reader) string {
	if im, ok := r.(*imported); ok {
		return im.headless
	}
	return ""
}

// source says where a tensor comes from.
type source struct {
	name      string
	transpose bool
	table     bool   // it is made of rows: positions, or types
	types     string // of positions: the embedding of token types, unless there are none
	front     int    // and the rows of zeros to put in front
}

// rename fills im with the tensors of its reader, whose encoder's names follow prefix, and returns those without a place.
func (im *imported) rename(cfg Config, kind family, prefix string) ([]LeftOut, error) {
	names := map[string]string{} // as this program expects them -> as they are
	for _, info := range im.Reader.Tensors() {
		names[modern(info.Name)] = info.Name
	}
	head := strings.TrimSuffix(prefix, kind.prefix)
	used := map[string]bool{}
	take := func(ours, theirs string, s source) {
		if name, ok := names[theirs]; ok && im.sources[ours].name == "" {
			used[name], s.name = true, name
			im.sources[ours] = s
		}
	}
	both := func(theirs, ours string, linear bool) {
		if linear {
			take(ours+".w_0", theirs+".weight", source{transpose: !kind.inOut})
			take(ours+".b_0", theirs+".bias", source{})
			return
		}
		take(ours+"_layer_norm_scale", theirs+".weight", source{})
		take(ours+"_layer_norm_bias", theirs+".bias", source{})
	}
	take("word_embedding", prefix+theirWords, source{})
	types := ""
	if !kind.bare {
		types = cmp.Or(names[prefix+theirTypes], theirTypes)
	}
	take("pos_embedding", prefix+theirPositions, source{table: true, types: types, front: kind.front})
	if cfg.SegmentTypes > 1 {
		take("type_embedding", prefix+theirTypes, source{table: true})
	} else if info, err := im.Reader.Info(types); err == nil && len(info.Shape) == 2 && info.Shape[0] == 1 {
		used[types] = true // wholly
	}
	both(prefix+kind.norm, "pre_encoder", false)
	for i := range cfg.Layers {
		for _, m := range kind.modules {
			both(prefix+fmt.Sprintf(kind.layer, i)+m.theirs, fmt.Sprintf("encoder_layer_%d_%s", i, m.ours), m.linear)
		}
	}
	c := kind.classes
	if c.ofEncoder || cfg.ProblemType != "" {
		both(c.at(prefix, head), pooledText, true)
	}
	if cfg.ProblemType != "" {
		out := outputName(cfg)
		take(out+"w", head+c.out+".weight", source{transpose: !kind.inOut})
		take(out+"b", head+c.out+".bias", source{})
		if im.head = []string{out + "w", out + "b"}; !c.ofEncoder {
			im.head = append(im.head, pooledText+".w_0", pooledText+".b_0")
		}
	}
	both(head+kind.head.transform, "mask_lm_trans_fc", true)
	both(head+kind.head.norm, "mask_lm_trans", false)
	for _, bias := range kind.head.bias {
		take("mask_lm_out_fc.b_0", head+bias, source{})
	}
	if cfg.UntiedEmbeddings {
		take("mask_lm_out_fc.w_0", head+kind.head.weight, source{transpose: true})
	}
	layers, _, _ := strings.Cut(prefix+kind.layer, "%")
	var unused []LeftOut
	for _, info := range im.Reader.Tensors() {
		if used[info.Name] || !info.DType.Float() { // integers are buffers, such as position_ids
			continue
		}
		if strings.HasPrefix(info.Name, layers) {
			return nil, fmt.Errorf("tensor %s has no place in an encoder of %d layers as UNIMO's: its configuration is another one's, or its layers are built otherwise", info.Name, cfg.Layers)
		}
		if im.headless != "" && c.names(info.Name, head) {
			unused = append(unused, LeftOut{info.Name, im.headless})
			continue
		}
		for _, l := range left {
			if strings.Contains(info.Name, l.part) {
				unused = append(unused, LeftOut{info.Name, l.reason})
				break
			}
		}
	}
	return unused, im.describe()
}

// modern returns the name that transformers gives a tensor today; files from before have layer
// norms with gamma and beta.
func modern(name string) string {
	if s, ok := strings.CutSuffix(name, "LayerNorm.gamma"); ok {
		return s + "LayerNorm.weight"
	}
	if s, ok := strings.CutSuffix(name, "LayerNorm.beta"); ok {
		return s + "LayerNorm.bias"
	}
	return name
}

// describe sets infos.
func (im *imported) describe() error {
	for _, ours := range slices.Sorted(maps.Keys(im.sources)) {
		s := im.sources[ours]
		info, err := im.Reader.Info(s.name)
		if err != nil {
			return err
		}
		info.Name = ours
		if (s.transpose || s.table) && len(info.Shape) != 2 {
			return fmt.Errorf("tensor %s has shape %v, want a matrix", s.name, info.Shape)
		}
		if s.transpose {
			info.Shape = []int{info.Shape[1], info.Shape[0]}
		}
		if ours == "type_embedding" { // those after the first
			info.DType, info.Shape = checkpoint.F32, []int{info.Shape[0] - 1, info.Shape[1]}
			if info.Shape[0] < 1 {
				return fmt.Errorf("tensor %s has one row, but type_vocab_size is more", s.name)
			}
		}
		if s.front > 0 {
			info.DType, info.Shape = checkpoint.F32, []int{info.Shape[0] + s.front, info.Shape[1]}
		}
		if s.types != "" {
			types, err := im.Reader.Info(s.types)
			if err != nil {
				return err
			}
			if len(types.Shape) != 2 || types.Shape[0] < 1 || types.Shape[1] != info.Shape[1] {
				return fmt.Errorf("tensor %s has shape %v, want [types,%d]", s.types, types.Shape, info.Shape[1])
			}
			info.DType = checkpoint.F32
		}
		im.infos = append(im.infos, info)
	}
	return nil
}

// Tensors implements [checkpoint.Reader].
func (im *imported) Tensors() []checkpoint.Info { return slices.Clone(im.infos) }

// Info implements [checkpoint.Reader].
func (im *imported) Info(name string) (checkpoint.Info, error) {
	i, ok := slices.BinarySearchFunc(im.infos, name, func(info checkpoint.Info, name string) int { return strings.Compare(info.Name, name) })
	if !ok {
		return checkpoint.Info{}, fmt.Errorf("%s: no tensor for %s", im.Path(), name)
	}
	return im.infos[i], nil
}

// Bytes implements [checkpoint.Reader].
func (im *imported) Bytes(name string) ([]byte, error) {
	info, err := im.Info(name)
	if err != nil {
		return nil, err
	}
	s := im.sources[name]
	switch {
	case name == "type_embedding":
		return im.types(info, s)
	case s.types != "" || s.front > 0:
		return im.positions(info, s)
	}
	data, err := im.Reader.Bytes(s.name)
	if err != nil || !s.transpose {
		return data, err
	}
	return transpose(data, info.Shape[0], info.Shape[1], info.DType.Size()), nil
}

// positions returns the table of positions with the embedding of token type 0 in it.
func (im *imported) positions(info checkpoint.Info, s source) ([]byte, error) {
	rows, _, err := checkpoint.Float32s(im.Reader, s.name)
	if err != nil {
		return nil, err
	}
	width := info.Shape[1]
	types := make([]float32, width)
	if s.types != "" {
		if types, _, err = checkpoint.Float32s(im.Reader, s.types); err != nil {
			return nil, err
		}
	}
	table := make([]float32, info.Elements())
	for i, x := range rows {
		table[s.front*width+i] = x + types[i%width]
	}
	return checkpoint.FromFloat32(info.Name, info.Shape, table).Data, nil
}

// types returns what the token types 1, 2, ... have beside type 0, which is in the positions.
func (im *imported) types(info checkpoint.Info, s source) ([]byte, error) {
	rows, _, err := checkpoint.Float32s(im.Reader, s.name)
	if err != nil {
		return nil, err
	}
	width := info.Shape[1]
	table := make([]float32, info.Elements())
	for i := range table {
		table[i] = rows[width+i] - rows[i%width]
	}
	return checkpoint.FromFloat32(info.Name, info.Shape, table).Data, nil
}

// transpose returns the rows x cols matrix whose transpose is data, elements of size bytes. It goes
// by squares, so that what is read together stays in the cache.
func transpose(data []byte, rows, cols, size int) []byte {
	const side = 32
	out := make([]byte, len(data))
	for top := 0; top < rows; top += side {
		for first := 0; first < cols; first += side {
			for i := top; i < min(rows, top+side); i++ {
				for j := first; j < min(cols, first+side); j++ {
					copy(out[(i*cols+j)*size:][:size], data[(j*rows+i)*size:])
				}
			}
		}
	}
	return out
}
