package embed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Files of a folder of sentence-transformers.
const (
	ModulesFile  = "modules.json" // of a folder that says how its vectors are made
	moduleConfig = "config.json"
	promptsFile  = "config_sentence_transformers.json"
	maxSettings  = 16 << 20 // bytes of one of them
	maxModules   = 64
)

// transformerFiles are the names that the file of the first module has had.
var transformerFiles = []string{
	"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json", "sentence_camembert_config.json",
	"sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json",
}

// recipe is how vectors are made of texts, as a folder of sentence-transformers or the defaults say it.
type recipe struct {
	encoder       string // folder of the encoder
	maxTokens     int    // 0: what the encoder reads
	lowerCase     bool
	pooling       pooling
	includePrompt bool
	prompts       map[string]string
	defaultPrompt string
	stages        []stage
}

// readRecipe reads what dir says. A folder without modules.json says nothing.
func readRecipe(d engine.Device, dir string) (*recipe, error) {
	r := &recipe{encoder: dir, includePrompt: true}
	file := filepath.Join(dir, ModulesFile)
	modules, err := readModules(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	for i, m := range modules {
		kind, path := m.kind[strings.LastIndexByte(m.kind, '.')+1:], filepath.Join(dir, m.path)
		switch {
		case (i == 0) != (kind == "Transformer"):
			err = fmt.Errorf("%s: module %d is %q; a Transformer comes first, and only there", file, i, m.kind)
		case kind == "Transformer":
			r.encoder = path
			err = r.readTransformer(path)
		case kind == "Pooling" && r.pooling == nil && len(r.stages) == 0:
			err = r.readPooling(filepath.Join(path, moduleConfig))
		case kind == "Dense":
			err = r.readDense(d, path)
		case kind == "Normalize":
			r.stages = append(r.stages, normalize{})
		case kind == "Dropout": // does nothing once a model is trained
		default:
			err = fmt.Errorf("%s: module %d is %q; Transformer, one Pooling, Dense, Normalize and Dropout are supported, in this order", file, i, m.kind)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, r.readPrompts(filepath.Join(dir, promptsFile))
}

// module is a part of what makes vectors.
type module struct {
	path string // of its folder, in that of the model
	kind string // its class
}

// readModules reads the list of modules.
func readModules(file string) ([]module, error) {
	var list []struct {
		Path string `json:"path"`
		Type string `json:"type"`
	}
	if err := infile.ReadJSON(file, maxSettings, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 || len(list) > maxModules {
		return nil, fmt.Errorf("%s lists %d modules, want 1 to %d", file, len(list), maxModules)
	}
	modules := make([]module, len(list))
	for i, m := range list {
		modules[i] = module{filepath.FromSlash(m.Path), m.Type}
		if path := modules[i].path; path != "" && !filepath.IsLocal(path) {
			return nil, fmt.Errorf("%s: module %d lies at %q, outside of its folder", file, i, m.Path)
		}
	}
	return modules, nil
}

// readTransformer reads the length and the letter case that the encoder is used with.
func (r *recipe) readTransformer(dir string) error {
	var c struct {
		MaxSeqLength *int `json:"max_seq_length"`
		LowerCase    bool `json:"do_lower_case"`
	}
	var tok struct {
		MaxLength *float64 `json:"model_max_length"` // a number of 31 digits where there is no limit
	}
	for _, name := range transformerFiles {
		err := infile.ReadJSON(filepath.Join(dir, name), maxSettings, &c)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	r.lowerCase = c.LowerCase
	file := filepath.Join(dir, "tokenizer_config.json")
	if err := infile.ReadJSON(file, maxSettings, &tok); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case c.MaxSeqLength != nil && *c.MaxSeqLength < 1:
		return fmt.Errorf("%s: max_seq_length is %d, want 1 or more", dir, *c.MaxSeqLength)
	case c.MaxSeqLength != nil:
		r.maxTokens = *c.MaxSeqLength
	case tok.MaxLength != nil && *tok.MaxLength >= 1 && *tok.MaxLength < 1<<30:
		r.maxTokens = int(*tok.MaxLength)
	}
	return nil
}

// readPooling reads the ways of pooling, in the form of today or in that of before version 5.
func (r *recipe) readPooling(file string) error {
	var c map[string]json.RawMessage
	if err := infile.ReadJSON(file, maxSettings, &c); err != nil {
		return err
	}
	value := func(key string, into any) error {
		if raw, ok := c[key]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return fmt.Errorf("%s: %s: %w", file, key, infile.PlainJSON(err))
			}
		}
		return nil
	}
	var modes []string
	switch raw := c["pooling_mode"]; {
	case len(raw) > 0 && raw[0] == '"':
		modes = make([]string, 1)
		if err := value("pooling_mode", &modes[0]); err != nil {
			return err
		}
	case len(raw) > 0:
		if err := value("pooling_mode", &modes); err != nil {
			return err
		}
	default:
		for _, l := range legacy {
			on := false
			if err := value(l.key, &on); err != nil {
				return err
			}
			if on {
				modes = append(modes, l.mode)
			}
		}
	}
	if len(modes) == 0 {
		modes = []string{Mean}
	}
	var err error
	if r.pooling, err = parsePooling(modes); err == nil && slices.Contains(modes, Pooled) {
		err = names.Unknown(poolingKind, Pooled, nil) // no name of theirs
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return value("include_prompt", &r.includePrompt)
}

// readDense reads a dense layer and its weights.
func (r *recipe) readDense(d engine.Device, dir string) error {
	file := filepath.Join(dir, moduleConfig)
	c := struct {
		In         int    `json:"in_features"`
		Out        int    `json:"out_features"`
		Activation string `json:"activation_function"`
		Input      string `json:"module_input_name"`
		Output     string `json:"module_output_name"`
		Residual   bool   `json:"use_residual"`
	}{Activation: "torch.nn.modules.activation.Tanh"}
	if err := infile.ReadJSON(file, maxSettings, &c); err != nil {
		return err
	}
	activation := c.Activation[strings.LastIndexByte(c.Activation, '.')+1:]
	_, known := activations[activation]
	switch {
	case !known || !strings.HasPrefix(c.Activation, "torch.nn."):
		return fmt.Errorf("%s: activation_function is %q; those of torch.nn that are supported are Identity, Tanh, ReLU, Sigmoid and GELU", file, c.Activation)
	case c.Residual:
		return fmt.Errorf("%s: use_residual is not supported", file)
	case c.Input != "" && c.Input != "sentence_embedding" || c.Output != "" && c.Output != "sentence_embedding":
		return fmt.Errorf("%s: it goes from %q to %q; only sentence_embedding is supported", file, c.Input, c.Output)
	case r.pooling == nil:
		return fmt.Errorf("%s: a Dense before the Pooling is not supported", file)
	}
	weights, err := checkpoint.Open(dir)
	if err != nil {
		return err
	}
	defer weights.Close()
	l, err := openDense(d, weights, "linear.weight", "linear.bias", activation, true)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	l.name = dir
	if l.in != c.In || l.out != c.Out {
		return fmt.Errorf("%s says in_features %d and out_features %d, but its weights go from %d to %d", file, c.In, c.Out, l.in, l.out)
	}
	r.stages = append(r.stages, l)
	return nil
}

// readPrompts reads what may be put before texts.
func (r *recipe) readPrompts(file string) error {
	var c struct {
		Prompts map[string]*string `json:"prompts"`
		Default *string            `json:"default_prompt_name"`
	}
	if err := infile.ReadJSON(file, maxSettings, &c); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	r.prompts = map[string]string{}
	for name, text := range c.Prompts {
		if text != nil {
			r.prompts[name] = *text
		}
	}
	if c.Default != nil {
		if _, ok := c.Prompts[*c.Default]; !ok {
			return fmt.Errorf("%s: default_prompt_name is %q, which is none of its prompts", file, *c.Default)
		}
		r.defaultPrompt = *c.Default
	}
	return nil
}
