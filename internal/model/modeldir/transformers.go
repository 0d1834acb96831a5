package modeldir

import (
	_ "embed"
	"encoding/json"
	"maps"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/model"
)

// A model's folder holds what Hugging Face's transformers need to open it: a few keys of config.json, and
// two small files of Python that compute the text encoder and its head.

//go:embed configuration_unimo.py
var configurationPython []byte

//go:embed modeling_unimo.py
var modelingPython []byte

// pythonFiles are the files by name.
var pythonFiles = map[string][]byte{"configuration_unimo.py": configurationPython, "modeling_unimo.py": modelingPython}

// forTransformers returns cfg with the keys that lead transformers to the files.
func forTransformers(cfg model.Config) model.Config {
	// A model without a head for classes has that class too: it says what the model is instead.
	classes := map[string]string{
		"AutoConfig": "configuration_unimo.UnimoConfig", "AutoModel": "modeling_unimo.UnimoModel",
		"AutoModelForSequenceClassification": "modeling_unimo.UnimoForSequenceClassification",
	}
	architecture := "UnimoModel"
	if cfg.ProblemType == model.Classification || cfg.ProblemType == model.Regression {
		architecture = "UnimoForSequenceClassification"
	}
	cfg.Extra = maps.Clone(cfg.Extra)
	if cfg.Extra == nil {
		cfg.Extra = map[string]json.RawMessage{}
	}
	for key, value := range map[string]any{"model_type": "unimo", "architectures": []string{architecture}, "auto_map": classes} {
		cfg.Extra[key], _ = json.Marshal(value) // texts always encode
	}
	return cfg
}

// notForTransformers returns cfg without the keys that lead transformers to the files.
func notForTransformers(cfg model.Config) model.Config {
	cfg = forTransformers(cfg)
	delete(cfg.Extra, "architectures")
	delete(cfg.Extra, "auto_map")
	return cfg
}

// savePython writes the files of Python into the folder dir.
func savePython(dir string) error {
	for name, content := range pythonFiles {
		if err := replace(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return nil
}
