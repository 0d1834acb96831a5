package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/checkpoint"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/modeldir"
	"github.com/unimo-go/unimo/internal/tokenizer"
)

// conversion is what "unimo convert --json" prints.
type conversion struct {
	Source       string `json:"source"`
	SourceFormat string `json:"source_format"`
	Destination  string `json:"destination"`
	Format       string `json:"format"`
	Tensors      int    `json:"tensors"`
	Parameters   int    `json:"parameters"`

	NotConverted []string `json:"not_converted,omitempty"` // files that hold no tensor this program can read
}

func (a *app) convertCommand() *cobra.Command {
	var format string
	var beside companions
	c := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Convert a checkpoint between Paddle's format and safetensors",
		Long: `Convert a checkpoint between the reference's format (Paddle: a folder with one
file per variable, or a .tar.gz of it as released) and safetensors. SRC is
recognised by its content. Names, types, shapes and bytes of the tensors stay as
they are. A folder with model.safetensors also gets config.json and the vocabulary,
from SRC if it has them, or from --size or --config and --vocab.

DST must not exist. Its name decides the format: *.safetensors, *.tar.gz, or a
folder in the other format than SRC's; --format decides it explicitly:
  safetensors         one file
  safetensors-folder  a folder with model.safetensors
  paddle              a folder with one file per variable
  paddle-tar.gz       a compressed archive of such a folder`,
		Example: `  unimo convert unimo_base_en.tar.gz unimo_base_en --size base --vocab dict
  unimo convert RUN/best/model.safetensors mine.tar.gz
  unimo convert --format paddle DIR.tar.gz DIR`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return a.convert(args[0], args[1], checkpoint.Format(format), beside)
		},
	}
	c.Flags().StringVar(&beside.size, "size", "", "config.json to write: mini, base or large")
	c.Flags().StringVar(&beside.config, "config", "", "config.json to copy")
	c.Flags().StringVar(&beside.vocab, "vocab", "", "folder with the vocabulary to copy")
	c.MarkFlagsMutuallyExclusive("size", "config")
	c.Flags().StringVar(&format, "format", "", "format of DST (default: by its name)")
	return c
}

// companions say what to put beside the weights of a model's folder.
type companions struct{ size, config, vocab string }

// load finds the files: those asked for, otherwise the source's own. What there is
// not stays nil.
func (c companions) load(source string) (cfg *model.Config, tok *tokenizer.Tokenizer, err error) {
	read := func(path string) error {
		found, err := model.ReadConfig(path)
		cfg = &found
		return err
	}
	own := filepath.Join(source, modeldir.Config)
	switch {
	case c.size != "":
		found, ok := model.Sizes[c.size]
		if !ok {
			return nil, nil, usagef("unknown size %q: choose mini, base or large", c.size)
		}
		cfg = &found
	case c.config != "":
		err = read(c.config)
	case isFile(own):
		err = read(own)
	}
	if err != nil {
		return nil, nil, err
	}
	if c.vocab != "" {
		tok, err = tokenizer.Load(c.vocab)
	} else if found, absent := tokenizer.Load(source); absent == nil {
		tok = found
	}
	if err == nil && cfg != nil && tok != nil {
		err = modeldir.CheckVocabulary(tok, *cfg)
	}
	return cfg, tok, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (a *app) convert(source, destination string, format checkpoint.Format, beside companions) error {
	source = modeldir.Resolve(source)
	cfg, tok, err := beside.load(source)
	if err != nil {
		return err
	}
	r, err := checkpoint.Open(source)
	if err != nil {
		return err
	}
	defer r.Close()
	if format == "" {
		format = checkpoint.GuessFormat(destination, r)
	}
	if format != checkpoint.FormatSafetensorsFolder && beside != (companions{}) {
		return usagef("--size, --config and --vocab are for a folder with model.safetensors, not for %s (%s)", destination, format)
	}
	if err := checkpoint.Convert(r, destination, format); err != nil {
		return err
	}
	if format == checkpoint.FormatSafetensorsFolder {
		if err := modeldir.SaveCompanions(destination, cfg, tok); err != nil {
			return errors.Join(err, os.RemoveAll(destination)) // it was not there before
		}
	}
	result := conversion{Source: source, SourceFormat: r.Format(), Destination: destination, Format: string(format)}
	for _, info := range r.Tensors() {
		result.Tensors++
		result.Parameters += info.Elements()
	}
	for _, f := range r.Files() {
		if modeldir.IsCompanion(f.Name) {
			continue
		}
		a.log.Warn("not converted", "file", f.Name, "reason", f.Reason)
		result.NotConverted = append(result.NotConverted, f.Name)
	}
	if a.json {
		return a.printJSON(result)
	}
	_, err = fmt.Fprintf(a.stdout, "%s (%s): %d tensors, %d values, from %s (%s)\n",
		destination, format, result.Tensors, result.Parameters, source, r.Format())
	return err
}
