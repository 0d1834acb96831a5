package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Config is a model's config.json. Field names are the reference's; those of the
// task head are the ones Hugging Face users know. Fields this program does not
// know are kept in Extra and written back.
type Config struct {
	VocabSize        int     `json:"vocab_size"`
	HiddenSize       int     `json:"hidden_size"`
	Layers           int     `json:"num_hidden_layers"`
	Heads            int     `json:"num_attention_heads"`
	MaxPositions     int     `json:"max_position_embeddings"` // two more than the longest text
	HiddenAct        string  `json:"hidden_act"`
	PoolerAct        string  `json:"pooler_act,omitempty"` // of the pooled first token of a text; "" means relu
	HiddenDropout    float32 `json:"hidden_dropout_prob"`
	AttentionDropout float32 `json:"attention_probs_dropout_prob"`
	InitRange        float64 `json:"initializer_range"`
	PlaceInitRange   float64 `json:"location_initializer_range,omitempty"` // of the weights of where regions are; 0 means InitRange
	LayerNormEpsilon float64 `json:"layer_norm_eps,omitempty"`             // 0 means 1e-5, as in UNIMO and RoBERTa

	ImageEmbeddingSize int `json:"image_embedding_size,omitempty"` // of a region feature
	ContrastSize       int `json:"contrast_size,omitempty"`        // of the vectors of images and texts alone; 0: none
	// ImageExtractor is what the model knows images by, the brief of its spec; nil: features from elsewhere, or not known.
	ImageExtractor *regions.Spec `json:"image_extractor,omitempty"`
	RegionClasses  int           `json:"region_classes,omitempty"`  // pre-training only; 0: classes are not predicted
	SegmentTypes   int           `json:"type_vocab_size,omitempty"` // of tokens: 0 those of a text, 1 those of what it is paired with or of a target; 0: tokens have none
	RoleTypes      int           `json:"role_type_size,omitempty"`  // dialogue only; 0 means 3
	TurnTypes      int           `json:"turn_type_size,omitempty"`  // dialogue only; 0 means 16

	// NoSpecials keeps [UNK], [PAD] and [CLS] out of the texts that the model writes, as PaddleNLP's UNIMO does.
	NoSpecials bool `json:"no_special_tokens,omitempty"`

	// UntiedEmbeddings gives a generator's head weights of its own instead of the word
	// embedding. In JSON it is tie_word_embeddings, its opposite.
	UntiedEmbeddings opposite `json:"tie_word_embeddings,omitempty"`

	// MaxSeqLen is the longest text in tokens that the model was fine-tuned on, and that it reads of one; 0: what its
	// positions allow.
	MaxSeqLen int `json:"max_seq_len,omitempty"`
	// PairSeparators are those between the two texts of a pair; 0 means one.
	PairSeparators int `json:"pair_separators,omitempty"`

	NumLabels   int    `json:"num_labels,omitempty"`
	ProblemType string `json:"problem_type,omitempty"` // see the constants
	Task        string `json:"finetuning_task,omitempty"`
	ID2Label    Labels `json:"id2label,omitempty"`
	// A regression's score is its output times ScoreScale plus ScoreMean; without a scale it is the output.
	ScoreMean  float64 `json:"score_mean,omitempty"`
	ScoreScale float64 `json:"score_scale,omitempty"`

	// Tasks are those of a model for several, whose fields the others are the common ones of: see [Config.ForTask].
	Tasks []TaskConfig `json:"tasks,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // unknown fields as they were
}

// Values of Config.ProblemType; those of classifiers are as in Hugging Face's
// configurations. An empty value means an encoder without a head.
const (
	Classification = "single_label_classification"
	Regression     = "regression"
	Generation     = "generation"                // text from text
	Dialogue       = "dialogue"                  // the same with roles and turns
	Captioning     = "captioning"                // text from an image, the names of objects in it, and text
	Entailment     = "entailment"                // classes of images with texts
	Answering      = "visual_question_answering" // scores of answers to questions about images
	FreeAnswering  = "free_answering"            // answers, word by word, to questions about images
	Retrieval      = "retrieval"                 // scores of images with texts
	Pretraining    = "pretraining"
	MultiTask      = "multi" // several of these: see [Config.Tasks]
)

// opposite is a boolean that JSON shows negated, so that its zero value can stand for a
// field whose default is true.
type opposite bool

// MarshalJSON implements [json.Marshaler].
func (o opposite) MarshalJSON() ([]byte, error) { return json.Marshal(!bool(o)) }

// UnmarshalJSON implements [json.Unmarshaler].
func (o *opposite) UnmarshalJSON(raw []byte) error {
	shown := !bool(*o)
	if err := json.Unmarshal(raw, &shown); err != nil {
		return err
	}
	*o = opposite(!shown)
	return nil
}

// Base and Large are the released sizes, Mini the small one for laptops. Mini's
// vocabulary size is a default that its own tokenizer replaces.
var (
	Base = Config{
		VocabSize: 50265, HiddenSize: 768, Layers: 12, Heads: 12, MaxPositions: 514,
		HiddenAct: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1, InitRange: 0.02, ImageEmbeddingSize: 2048,
	}
	Large = Config{
		VocabSize: 50265, HiddenSize: 1024, Layers: 24, Heads: 16, MaxPositions: 514,
		HiddenAct: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1, InitRange: 0.02, ImageEmbeddingSize: 2048,
	}
	Mini = Config{
		VocabSize: 16000, HiddenSize: 192, Layers: 3, Heads: 6, MaxPositions: 258,
		HiddenAct: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1, InitRange: 0.02, ImageEmbeddingSize: 2048,
	}
)

// Sizes are the presets by name.
var Sizes = map[string]Config{"mini": Mini, "base": Base, "large": Large}

// MaxTokens is the length of the longest sequence the position table covers,
// special tokens included.
func (c Config) MaxTokens() int { return c.MaxPositions - FirstPosition }

// TextTokens is the length of the longest text that a finished model reads, special tokens included.
func (c Config) TextTokens() int { return cmp.Or(c.MaxSeqLen, c.MaxTokens()) }

// WithTextTokens returns the configuration of a model that reads texts of up to n tokens.
func (c Config) WithTextTokens(n int) (Config, error) {
	if n > c.MaxTokens() {
		return c, fmt.Errorf("max_seq_len is %d, but the model reads at most %d tokens", n, c.MaxTokens())
	}
	c.MaxSeqLen = n
	return c, nil
}

// FFNSize is the inner width of the feed-forward layers: 4H in every UNIMO.
func (c Config) FFNSize() int { return 4 * c.HiddenSize }

// NormEpsilon is what layer norms add to the variance.
func (c Config) NormEpsilon() float32 { return float32(cmp.Or(c.LayerNormEpsilon, 1e-5)) }

// roles and turns are the lengths of the dialogue's tables. With knowledge the
// reference's recipe has 3 roles; its default of 2 is too few then.
func (c Config) roles() int { return cmp.Or(c.RoleTypes, 3) }
func (c Config) turns() int { return cmp.Or(c.TurnTypes, 16) }

// WithoutHead returns the configuration of the encoder: what heads of other tasks made of it is gone.
func (c Config) WithoutHead() Config {
	c.Task, c.ProblemType, c.NumLabels, c.ID2Label, c.RegionClasses, c.ScoreMean, c.ScoreScale, c.Tasks = "", "", 0, nil, 0, 0, 0, nil
	c.MaxSeqLen, c.PairSeparators, c.PoolerAct = 0, 0, ""
	return c
}

// Score returns the score that an output of a regression means.
func (c Config) Score(output float32) float32 {
	if c.ScoreScale == 0 {
		return output
	}
	return float32(float64(output)*c.ScoreScale + c.ScoreMean)
}

// Target returns the output that means a score, the opposite of Score.
func (c Config) Target(score float32) float32 {
	if c.ScoreScale == 0 {
		return score
	}
	return float32((float64(score) - c.ScoreMean) / c.ScoreScale)
}

// Label returns the name of a class: id2label's, or the number.
func (c Config) Label(class int) string {
	id := fmt.Sprint(class)
	if name, ok := c.ID2Label[id]; ok {
		return name
	}
	return id
}

// Values of Config.HiddenAct and Config.PoolerAct.
const (
	actGELU = "gelu" // exact, with the error function
	actReLU = "relu"
	actTanh = "tanh"
)

// Upper bounds on what a configuration may ask for. They are far above any known
// model and keep a hostile file from asking for the machine's memory.
const (
	maxHidden    = 1 << 14
	maxLayers    = 1 << 9
	maxVocab     = 1 << 22
	maxPositions = 1 << 20
	maxLabels    = 1 << 16
	minText      = 3 // the special tokens of a pair
)

// Validate returns an error that names the first field with an impossible value.
func (c Config) Validate() error {
	bound := func(field string, value, low, high int) error {
		if value < low || value > high {
			return fmt.Errorf("%s is %d, want %d to %d", field, value, low, high)
		}
		return nil
	}
	for _, err := range []error{
		bound("vocab_size", c.VocabSize, 1, maxVocab),
		bound("hidden_size", c.HiddenSize, 1, maxHidden),
		bound("num_hidden_layers", c.Layers, 0, maxLayers),
		bound("num_attention_heads", c.Heads, 1, maxHidden),
		bound("max_position_embeddings", c.MaxPositions, FirstPosition+1, maxPositions),
		bound("num_labels", c.NumLabels, 0, maxLabels),
		bound("image_embedding_size", c.ImageEmbeddingSize, 0, maxHidden),
		bound("contrast_size", c.ContrastSize, 0, maxHidden),
		bound("region_classes", c.RegionClasses, 0, maxLabels),
		bound("pair_separators", c.PairSeparators, 0, 2),
		bound("type_vocab_size", c.SegmentTypes, 0, maxPositions),
		bound("role_type_size", c.RoleTypes, 0, maxPositions),
		bound("turn_type_size", c.TurnTypes, 0, maxPositions),
	} {
		if err != nil {
			return err
		}
	}
	if n := c.MaxSeqLen; n != 0 {
		if err := bound("max_seq_len", n, minText, c.MaxTokens()); err != nil {
			return err
		}
	}
	if c.HiddenSize%c.Heads != 0 {
		return fmt.Errorf("hidden_size %d is not divisible by num_attention_heads %d", c.HiddenSize, c.Heads)
	}
	if c.form().images != unread && c.ImageEmbeddingSize == 0 {
		return fmt.Errorf("image_embedding_size is not set, but problem_type is %q; set it to the length of a region's feature", c.ProblemType)
	}
	if c.HiddenAct != actGELU && c.HiddenAct != actReLU {
		return fmt.Errorf("hidden_act is %q; UNIMO has \"gelu\", and \"relu\" in PaddleNLP", c.HiddenAct)
	}
	if err := c.validatePooler(); err != nil {
		return err
	}
	for _, p := range []struct {
		field string
		value float32
	}{{"hidden_dropout_prob", c.HiddenDropout}, {"attention_probs_dropout_prob", c.AttentionDropout}} {
		if !(p.value >= 0 && p.value < 1) {
			return fmt.Errorf("%s is %v, want 0 or more and less than 1", p.field, p.value)
		}
	}
	if !(c.InitRange >= 0 && c.InitRange < 10) {
		return fmt.Errorf("initializer_range is %v, want 0 to 10", c.InitRange)
	}
	if !(c.PlaceInitRange >= 0 && c.PlaceInitRange < 100) {
		return fmt.Errorf("location_initializer_range is %v, want 0 to 100", c.PlaceInitRange)
	}
	if !(c.ScoreScale >= 0 && c.ScoreScale <= math.MaxFloat32) || !(math.Abs(c.ScoreMean) <= math.MaxFloat32) {
		return fmt.Errorf("score_mean is %v and score_scale %v, want numbers, the scale 0 or more", c.ScoreMean, c.ScoreScale)
	}
	if !(c.LayerNormEpsilon >= 0 && c.LayerNormEpsilon < 1) {
		return fmt.Errorf("layer_norm_eps is %v, want 0 or more and less than 1", c.LayerNormEpsilon)
	}
	if c.ImageExtractor != nil {
		if err := c.ImageExtractor.Validate(); err != nil {
			return fmt.Errorf("image_extractor: %w", err)
		}
	}
	if c.NumLabels > 0 {
		if err := c.ID2Label.check(c.NumLabels); err != nil {
			return err
		}
	}
	return c.validateTasks()
}

// maxConfigSize bounds config.json; real ones have a kilobyte.
const maxConfigSize = 16 << 20

// ReadConfig reads and validates a config.json.
func ReadConfig(path string) (Config, error) {
	raw, err := ReadConfigFile(path)
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// ReadConfigFile returns the content of a config.json, for [ParseConfig] or [ImportHuggingFace].
func ReadConfigFile(path string) ([]byte, error) {
	raw, err := infile.Read(path, maxConfigSize)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return infile.TrimMark(raw), nil
}

// ParseConfig decodes and validates the content of a config.json. Fields that the
// reference leaves out take the values it assumes. Names are taken exactly: by
// itself the decoder would also fill vocab_size from "Vocab_Size".
func ParseConfig(raw []byte) (Config, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return Config{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	c := Config{HiddenAct: "gelu", InitRange: 0.02}
	names, known := c.fields(), map[string]json.RawMessage{}
	for key, value := range all {
		if slices.Contains(names, key) {
			known[key] = value
			continue
		}
		if c.Extra == nil {
			c.Extra = map[string]json.RawMessage{}
		}
		c.Extra[key] = value
	}
	own, err := json.Marshal(known)
	if err != nil {
		return Config{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	if err := json.Unmarshal(own, &c); err != nil {
		return Config{}, fmt.Errorf("not a model configuration: %w", infile.PlainJSON(err))
	}
	return c, c.Validate()
}

// fields lists the names of the struct's own JSON fields.
func (c Config) fields() []string {
	return []string{
		"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
		"hidden_act", "pooler_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "location_initializer_range", "layer_norm_eps",
		"image_embedding_size", "contrast_size", "image_extractor", "region_classes", "type_vocab_size", "role_type_size", "turn_type_size", "no_special_tokens", "tie_word_embeddings",
		"max_seq_len", "pair_separators", "num_labels", "problem_type", "finetuning_task", "id2label", "score_mean", "score_scale", "tasks",
	}
}

// JSON encodes the configuration, the unknown fields after the known ones. Equal
// configurations give equal bytes. An unknown field stays on its line: indented,
// one of great depth would grow with the square of its size.
func (c Config) JSON() ([]byte, error) {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(raw, []byte("\n}")))
	for _, key := range slices.Sorted(maps.Keys(c.Extra)) {
		name, _ := json.Marshal(key) // a string always encodes
		b.WriteString(",\n  ")
		b.Write(name)
		b.WriteString(": ")
		if err := json.Compact(&b, c.Extra[key]); err != nil {
			return nil, fmt.Errorf("encode configuration: field %s: %w", key, err)
		}
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

// String names the size of the model (layers x hidden, heads, vocabulary) and what it is for.
func (c Config) String() string {
	size := fmt.Sprintf("%d layers x %d hidden, %d heads, vocabulary %d, up to %d tokens", c.Layers, c.HiddenSize, c.Heads, c.VocabSize, c.MaxTokens())
	if p := c.Pooler(); p != actReLU {
		size += ", pooler with " + p
	}
	if about := c.About(); about != "" {
		return size + ", " + about
	}
	return size
}

// About says what the model is for; "" for an encoder alone.
func (c Config) About() string {
	if f := c.form(); f.detail != nil {
		return f.detail(c)
	}
	return c.ProblemType
}
