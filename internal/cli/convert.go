package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

// conversion is what "unimo convert --json" prints.
type conversion struct {
	Source       string `json:"source"`
	SourceFormat string `json:"source_format"`
	Destination  string `json:"destination"`
	Format       string `json:"format"`
	Tensors      int    `json:"tensors"`
	Parameters   int    `json:"parameters"`

	NotConverted []string        `json:"not_converted,omitempty"` // files that hold no tensor this program can read
	LeftOut      []model.LeftOut `json:"left_out,omitempty"`      // tensors of another library's model
}

func (a *app) convertCommand() *cobra.Command {
	var format, dtype string
	var beside companions
	c := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Convert a checkpoint between formats, or from another library",
		Long: `Convert a checkpoint between the reference's format (Paddle: a folder with one
file per variable, or a .tar.gz of it as released) and safetensors, or from
PyTorch's and Paddle 2's, which are only read: a file of torch.save or paddle.save
that holds a state dict (.pdparams), or a folder with pytorch_model.bin or
model_state.pdparams. Nothing in such a file is run. SRC is recognised by
its content. Names, types, shapes and bytes of the tensors stay as they are, unless
--dtype names another type: float16 takes half the bytes of float32, and rounds the
weights to three digits. A folder with model.safetensors also gets config.json and
the vocabulary, from SRC if it has them, or from --size or --config and --vocab; and
from SRC what else a finished model needs, and its README.md.

SRC may also be the folder of a BERT (MiniLM), RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA or
DistilBERT as Hugging Face's transformers writes it, with config.json and model.safetensors or
pytorch_model.bin, or of a UNIMO as PaddleNLP writes it. It becomes a model of this
program: tensors get its names, weights are transposed. What has no place is said.

DST must not exist. Its name decides the format: *.safetensors, *.tar.gz, or a
folder, whose name has no other ending: in the other format than SRC's, or with
--dtype one with model.safetensors. --format decides it explicitly:
  safetensors         one file
  safetensors-folder  a folder with model.safetensors
  paddle              a folder with one file per variable
  paddle-tar.gz       a compressed archive of such a folder`,
		Example: `  unimo convert unimo_base_en.tar.gz unimo_base_en --size base --vocab dict
  unimo convert RUN/best/model.safetensors mine.tar.gz
  unimo convert --dtype float16 RUN small
  unimo convert roberta-base unimo-from-roberta
  unimo convert unimo-text-1.0-summary summariser
  unimo convert pytorch_model.bin model.safetensors
  unimo convert --format paddle DIR.tar.gz DIR`,
		Args: needs("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.convert(c.Context(), args[0], args[1], checkpoint.Format(format), dtype, beside)
		},
	}
	c.Flags().StringVar(&beside.size, "size", "", "config.json to write: mini, base or large")
	c.Flags().StringVar(&beside.config, "config", "", "config.json to copy")
	c.Flags().StringVar(&beside.vocab, "vocab", "", "folder with the vocabulary to copy")
	exclusive(c, "size", "config")
	c.Flags().StringVar(&format, "format", "", "format of DST (default: by its name)")
	c.Flags().StringVar(&dtype, "dtype", "", "type of the weights: float16, bfloat16 or float32 (default: as they are)")
	return c
}

// companions say what to put beside the weights of a model's folder.
type companions struct{ size, config, vocab string }

// load finds the files: those asked for, otherwise the source's own. What there is
// not stays nil; reason says why the source's vocabulary cannot be read, where it should be.
func (c companions) load(source string, from *modeldir.Checkpoint) (cfg *model.Config, tok *tokenizer.Tokenizer, reason, err error) {
	switch {
	case c.size != "":
		found, ok := model.Sizes[c.size]
		if !ok {
			return nil, nil, nil, choice("size", c.size, run.Sizes()...)
		}
		cfg = &found
	case c.config != "":
		if cfg, err = readConfig(c.config); err != nil {
			return nil, nil, nil, err
		}
	default:
		cfg = from.Config
	}
	if c.vocab != "" {
		tok, err = from.Vocabulary(c.vocab)
	} else if info, absent := os.Stat(source); absent == nil && info.IsDir() {
		if tok, reason = from.Vocabulary(source); errors.Is(reason, tokenizer.ErrNoVocabulary) && !from.Imported {
			reason = nil
		}
	}
	return cfg, tok, reason, err
}

// weightTypes are the types that weights can be converted to.
var weightTypes = map[string]checkpoint.DType{"float16": checkpoint.F16, "bfloat16": checkpoint.BF16, "float32": checkpoint.F32}

// openSource opens what is to be converted or shown: a file as it is, a folder with its
// configuration, and imported if it is another library's.
func openSource(path string) (*modeldir.Checkpoint, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return modeldir.OpenCheckpoint(path)
	}
	weights, err := modeldir.OpenWeights(path)
	return &modeldir.Checkpoint{Weights: weights}, err
}

func (a *app) convert(ctx context.Context, source, destination string, format checkpoint.Format, dtype string, beside companions) error {
	if dtype != "" {
		if err := choice("dtype", dtype, slices.Sorted(maps.Keys(weightTypes))...); err != nil {
			return err
		}
	}
	if format != "" {
		if err := choice("format", string(format), formatNames()...); err != nil {
			return err
		}
	}
	if err := checkModel(source); err != nil {
		return err
	}
	if _, err := newPath(destination); err != nil {
		return err
	}
	source = modeldir.Resolve(source)
	from, err := openSource(source)
	if err != nil {
		return err
	}
	r := from.Weights
	defer r.Close()
	if from.Imported && beside.size+beside.config != "" {
		return usagef("--size and --config are not for a model of another library, as %s is: its own %s is converted", source, modeldir.ConfigFile)
	}
	cfg, tok, reason, err := beside.load(source, from)
	if err != nil {
		return err
	}
	if reason != nil {
		a.log.Warn(fmt.Sprintf("the weights are converted without their vocabulary, which cannot be read: %v; name the folder of one with --vocab", reason))
	}
	if format == "" {
		var ok bool
		if format, ok = checkpoint.GuessFormat(destination, r); !ok {
			return usagef("convert to %s: nothing is written in the format that this ending names; end the name with .safetensors or .tar.gz, name a folder, or add --format", destination)
		}
		if format == checkpoint.FormatPaddle && (from.Imported || dtype != "") {
			format = checkpoint.FormatSafetensorsFolder
		}
	}
	if format != "" && format != checkpoint.FormatSafetensorsFolder && beside != (companions{}) {
		return usagef("--size, --config and --vocab are for a folder with model.safetensors, not for %s (%s)", destination, format)
	}
	if cfg != nil && tok != nil {
		fitted, weights, err := modeldir.FitVocabulary(tok, *cfg, r)
		if err != nil {
			return err
		}
		if format == checkpoint.FormatSafetensorsFolder && fitted.VocabSize < cfg.VocabSize {
			a.log.Warn(fmt.Sprintf("the model has rows for %d words and the vocabulary has %d: the rest is cut", cfg.VocabSize, fitted.VocabSize))
			cfg, r = &fitted, weights
		}
	}
	if dtype != "" {
		if r, err = checkpoint.Cast(r, weightTypes[dtype]); err != nil {
			return err
		}
	}
	if format == checkpoint.FormatSafetensorsFolder {
		more := func(dir string) error { return embed.CopyRecipe(dir, source) }
		if from.Config == nil { // the weights alone
			more = nil
		}
		left, err := modeldir.Write(ctx, destination, r, modeldir.Beside{Config: cfg, Tokenizer: tok, From: from.Kept(source), OtherWeights: dtype != "", More: more})
		if err != nil {
			return err
		}
		a.warnLeft(left)
	} else if err := checkpoint.Convert(ctx, r, destination, format); err != nil {
		return err
	}
	result := conversion{Source: source, SourceFormat: string(r.Format()), Destination: destination, Format: string(format), LeftOut: from.LeftOut}
	for _, info := range r.Tensors() {
		result.Tensors++
		result.Parameters += info.Elements()
	}
	for _, f := range r.Files() {
		if modeldir.IsCompanion(f.Name) {
			continue
		}
		a.log.Warn(fmt.Sprintf("%s is not converted: %s", f.Name, f.Reason))
		result.NotConverted = append(result.NotConverted, f.Name)
	}
	for _, l := range from.LeftOut {
		a.log.Warn(fmt.Sprintf("tensor %s is left out: %s", l.Name, l.Reason))
	}
	if a.json {
		return a.printJSON(result)
	}
	_, err = printable.Fprintf(a.stdout, "%s (%s): %d tensors, %d values, from %s (%s)\n",
		destination, format, result.Tensors, result.Parameters, source, r.Format())
	return err
}

// warnLeft says which files of a model do not belong to its new weights.
func (a *app) warnLeft(files []string) {
	for _, name := range files {
		a.log.Warn(fmt.Sprintf("%s is left out: it belongs to the weights as they were; make one for these with 'unimo evaluate TASK --calibrate'", name))
	}
}
