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

// family is what the models of one model_type of transformers have of their own.
type family struct {
	prefix    string // of the encoder's names in a model with a head
	front     int    // rows that the position table lacks in front of the first token's
	transform string // modules of the language head
	norm      string
	output    string
}

// families by model_type.
var families = map[string]family{
	"bert":    {"bert.", FirstPosition, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions"},
	"roberta": {"roberta.", 0, "lm_head.dense", "lm_head.layer_norm", "lm_head"},
}

// Names of the embeddings in transformers.
const (
	theirWords     = "embeddings.word_embeddings.weight"
	theirPositions = "embeddings.position_embeddings.weight"
	theirTypes     = "embeddings.token_type_embeddings.weight"
)

// theirLayers are the modules of encoder.layer.I by transformers' names, and what the reference
// calls them in encoder_layer_I.
var theirLayers = []module{
	{"attention.self.query", "multi_head_att_query_fc", true},
	{"attention.self.key", "multi_head_att_key_fc", true},
	{"attention.self.value", "multi_head_att_value_fc", true},
	{"attention.output.dense", "multi_head_att_output_fc", true},
	{"attention.output.LayerNorm", "post_att", false},
	{"intermediate.dense", "ffn_fc_0", true},
	{"output.dense", "ffn_fc_1", true},
	{"output.LayerNorm", "post_ffn", false},
}

// module is a pair of tensors, a weight and a bias, by both names.
type module struct {
	theirs, ours string
	linear       bool // an affine map, whose weight is [out,in] there; otherwise a layer norm
}

// left says why tensors of transformers whose name has this part are left out; the first that fits counts.
var left = []struct{ part, reason string }{
	{"pooler.", "it was trained with tanh, where UNIMO has ReLU"},
	{"token_type_embeddings.", "its first row is in the position embedding; texts have no other type here"},
	{"seq_relationship.", "UNIMO does not predict the next sentence"},
	{"decoder.weight", "the head shares the word embedding"},
	{"decoder.bias", "the head's own bias has the same values"},
	{"", "UNIMO has no such part"},
}

// IsHuggingFace says whether r holds the weights of an encoder as Hugging Face's transformers name
// them: [ImportHuggingFace] reads it or says why it cannot.
func IsHuggingFace(r checkpoint.Reader) bool {
	_, ok := theirPrefix(r)
	return ok
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

// ImportHuggingFace returns a checkpoint of Hugging Face's transformers, RoBERTa's or BERT's shape, as this
// program's: the configuration, a reader over r under the reference's names, and the tensors that it leaves out.
// Closing the reader closes r. Task heads are not taken over.
//
// Affine weights are transposed when they are asked for. The embedding of token type 0, which every
// token has here, is added to the position embedding; BERT's gets two rows in front, as positions start at 2 here.
// An encoder that is not UNIMO's, an incomplete one, or one of other sizes than cfgJSON says, is an error.
func ImportHuggingFace(cfgJSON []byte, r checkpoint.Reader) (Config, checkpoint.Reader, []LeftOut, error) {
	prefix, ok := theirPrefix(r)
	if !ok {
		return Config{}, nil, nil, fmt.Errorf("%s has no tensor %s: it is not a checkpoint of Hugging Face's transformers", r.Path(), theirWords)
	}
	cfg, kind, err := theirConfig(cfgJSON, r, prefix)
	if err != nil {
		return Config{}, nil, nil, err
	}
	im := &imported{Reader: r, sources: map[string]source{}}
	unused, err := im.rename(cfg, kind, prefix)
	if err != nil {
		return Config{}, nil, nil, fmt.Errorf("%s: %w", r.Path(), err)
	}
	cfg.MaxPositions += kind.front
	cfg.ProblemType = Generation // its parameters are all that can be imported
	report, err := nn.Compare(Specs(cfg), im)
	if err != nil {
		return Config{}, nil, nil, fmt.Errorf("%s: %w", r.Path(), err)
	}
	for _, name := range report.Missing {
		if !strings.HasPrefix(name, "mask_lm_") { // the language head's
			return Config{}, nil, nil, fmt.Errorf("%s has no tensor for %s: it is incomplete, or not a checkpoint of the %d layers that its configuration says", r.Path(), name, cfg.Layers)
		}
	}
	cfg.ProblemType = ""
	return cfg, im, unused, nil
}

// theirDefaults are what transformers takes for keys that a configuration lacks, as those of before the library's version 4 do.
var theirDefaults = map[string]string{
	"hidden_size": "768", "num_hidden_layers": "12", "num_attention_heads": "12", "intermediate_size": "3072", "hidden_act": `"gelu"`,
	"hidden_dropout_prob": "0.1", "attention_probs_dropout_prob": "0.1", "max_position_embeddings": "512", "initializer_range": "0.02", "layer_norm_eps": "1e-12",
	"position_embedding_type": `"absolute"`, "tie_word_embeddings": "true", "is_decoder": "false",
}

// theirConfig reads a configuration of transformers, of a model whose encoder's names follow prefix, and keeps what
// the encoder needs.
func theirConfig(raw []byte, r checkpoint.Reader, prefix string) (Config, family, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return Config{}, family{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	keys := map[string]json.RawMessage{}
	for key, value := range theirDefaults {
		keys[key] = json.RawMessage(value)
	}
	for _, key := range slices.Concat(slices.Collect(maps.Keys(theirDefaults)), []string{"model_type", "vocab_size", "pad_token_id"}) {
		if value, ok := all[key]; ok && string(value) != "null" {
			keys[key] = value
		}
	}
	if info, err := r.Info(prefix + theirWords); keys["vocab_size"] == nil && err == nil && len(info.Shape) == 2 {
		keys["vocab_size"] = json.RawMessage(fmt.Sprint(info.Shape[0]))
	}
	theirs := struct {
		ModelType        string `json:"model_type"`
		IntermediateSize int    `json:"intermediate_size"`
		HiddenAct        string `json:"hidden_act"`
		Position         string `json:"position_embedding_type"`
		Padding          *int   `json:"pad_token_id"`
		Decoder          bool   `json:"is_decoder"`
	}{}
	raw, err := json.Marshal(keys)
	if err == nil {
		err = json.Unmarshal(raw, &theirs)
	}
	if err != nil {
		return Config{}, family{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	if theirs.ModelType == "" {
		theirs.ModelType = theirType(r, prefix)
	}
	kind, ok := families[theirs.ModelType]
	switch types := strings.Join(slices.Sorted(maps.Keys(families)), " and "); {
	case !ok && theirs.ModelType == "":
		return Config{}, family{}, fmt.Errorf("config.json has no model_type, and the tensors' names (%s...) do not tell it; of Hugging Face's models those of type %s can be imported: if it is one, add \"model_type\"", prefix, types)
	case !ok:
		return Config{}, family{}, fmt.Errorf("model_type is %q; of Hugging Face's models those of type %s can be imported", theirs.ModelType, types)
	}
	if theirs.HiddenAct == "gelu_python" { // the same function under the name of the code that it had
		keys["hidden_act"] = json.RawMessage(`"gelu"`)
	}
	for _, key := range []string{"model_type", "intermediate_size", "position_embedding_type", "pad_token_id", "is_decoder"} {
		delete(keys, key)
	}
	if raw, err = json.Marshal(keys); err != nil {
		return Config{}, family{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	cfg, err := ParseConfig(raw)
	if err != nil {
		return Config{}, family{}, err
	}
	switch {
	case theirs.IntermediateSize != cfg.FFNSize():
		return Config{}, family{}, fmt.Errorf("intermediate_size is %d; UNIMO's layers have four times hidden_size, %d", theirs.IntermediateSize, cfg.FFNSize())
	case theirs.Position != "absolute":
		return Config{}, family{}, fmt.Errorf("position_embedding_type is %q; only \"absolute\" exists in UNIMO", theirs.Position)
	case kind.front == 0 && theirs.Padding != nil && *theirs.Padding != FirstPosition-1: // the position before the first
		return Config{}, family{}, fmt.Errorf("pad_token_id is %d, so that positions start at %d; in UNIMO they start at %d", *theirs.Padding, *theirs.Padding+1, FirstPosition)
	case theirs.Decoder:
		return Config{}, family{}, fmt.Errorf("is_decoder is true; only encoders can be imported")
	}
	if cfg.LayerNormEpsilon == 0 {
		cfg.LayerNormEpsilon = 1e-12
	}
	return cfg, kind, nil
}

// theirType tells the model_type from the tensors, as files from before that key need it: from what stands before the
// encoder's names, from the names of the language head, and else from the token types, of which BERT has two. It is
// empty if they do not tell.
func theirType(r checkpoint.Reader, prefix string) string {
	name := ""
	for kind, f := range families {
		if strings.HasSuffix("."+prefix, "."+f.prefix) {
			return kind
		}
		if _, err := r.Info(strings.TrimSuffix(prefix, f.prefix) + f.output + ".bias"); err == nil {
			name = kind
		}
	}
	if name != "" {
		return name
	}
	for part := range strings.SplitSeq(prefix, ".") {
		if !slices.Contains([]string{"", "0", "auto_model", "model", "module"}, part) { // what others put before any model
			return ""
		}
	}
	info, err := r.Info(prefix + theirTypes)
	switch {
	case err != nil || len(info.Shape) != 2:
	case info.Shape[0] == 2:
		return "bert"
	case info.Shape[0] == 1:
		return "roberta"
	}
	return ""
}

// imported is a checkpoint of transformers under the reference's names.
type imported struct {
	checkpoint.Reader // theirs
	infos             []checkpoint.Info
	sources           map[string]source // by our name
}

// source says where a tensor comes from.
type source struct {
	name      string
	transpose bool
	types     string // of positions: the embedding of token types
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
			take(ours+".w_0", theirs+".weight", source{transpose: true})
			take(ours+".b_0", theirs+".bias", source{})
			return
		}
		take(ours+"_layer_norm_scale", theirs+".weight", source{})
		take(ours+"_layer_norm_bias", theirs+".bias", source{})
	}
	take("word_embedding", prefix+theirWords, source{})
	types := cmp.Or(names[prefix+theirTypes], theirTypes)
	take("pos_embedding", prefix+theirPositions, source{types: types, front: kind.front})
	if info, err := im.Reader.Info(types); err == nil && len(info.Shape) == 2 && info.Shape[0] == 1 {
		used[types] = true // wholly
	}
	both(prefix+"embeddings.LayerNorm", "pre_encoder", false)
	for i := range cfg.Layers {
		for _, m := range theirLayers {
			both(fmt.Sprintf("%sencoder.layer.%d.%s", prefix, i, m.theirs), fmt.Sprintf("encoder_layer_%d_%s", i, m.ours), m.linear)
		}
	}
	both(head+kind.transform, "mask_lm_trans_fc", true)
	both(head+kind.norm, "mask_lm_trans", false)
	take("mask_lm_out_fc.b_0", head+kind.output+".bias", source{})
	take("mask_lm_out_fc.b_0", head+kind.output+".decoder.bias", source{})
	if cfg.UntiedEmbeddings {
		take("mask_lm_out_fc.w_0", head+kind.output+".decoder.weight", source{transpose: true})
	}
	var unused []LeftOut
	for _, info := range im.Reader.Tensors() {
		if used[info.Name] || !info.DType.Float() { // integers are buffers, such as position_ids
			continue
		}
		if strings.Contains(info.Name, "encoder.layer.") {
			return nil, fmt.Errorf("tensor %s has no place in an encoder of %d layers as UNIMO's: its configuration is another one's, or its layers are built otherwise", info.Name, cfg.Layers)
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
		if (s.transpose || ours == "pos_embedding") && len(info.Shape) != 2 {
			return fmt.Errorf("tensor %s has shape %v, want a matrix", s.name, info.Shape)
		}
		if s.transpose {
			info.Shape = []int{info.Shape[1], info.Shape[0]}
		}
		if ours == "pos_embedding" {
			types, err := im.Reader.Info(s.types)
			if err != nil {
				return err
			}
			if len(types.Shape) != 2 || types.Shape[0] < 1 || types.Shape[1] != info.Shape[1] {
				return fmt.Errorf("tensor %s has shape %v, want [types,%d]", s.types, types.Shape, info.Shape[1])
			}
			info.DType, info.Shape = checkpoint.F32, []int{info.Shape[0] + s.front, info.Shape[1]}
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
	if s.types != "" {
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
	types, _, err := checkpoint.Float32s(im.Reader, s.types)
	if err != nil {
		return nil, err
	}
	width := info.Shape[1]
	table := make([]float32, info.Elements())
	for i, x := range rows {
		table[s.front*width+i] = x + types[i%width]
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
