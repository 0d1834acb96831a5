// Package modeldir reads and writes a model's folder, in the form Hugging Face
// users know:
//
//	model.safetensors   parameters under the reference's names
//	config.json         the configuration with the reference's field names
//	encoder.json, vocab.bpe, vocab.txt, tokenizer_config.json   the vocabulary
//	tokenizer.json, configuration_unimo.py, modeling_unimo.py   for Hugging Face's transformers
//	generation_config.json  limits and decoding of a model that generates
//	image_processor.json    how pictures are cut up
//	image_encoder.safetensors   the trained network that sees them, if one does
//	calibration.json        what makes probabilities of its scores
//	README.md           what the model is and how it was made
//
// A folder with vocab.json and merges.txt instead is read as well, and so are
// weights in the reference's own format. [OpenCheckpoint] also reads the folders of
// RoBERTa, BERT and their kin as Hugging Face's transformers writes them, and of UNIMO as PaddleNLP does.
package modeldir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/tokenizer"
)

// Names of files in a model folder.
const (
	WeightsFile   = "model.safetensors"
	ConfigFile    = "config.json"
	CardFile      = "README.md"
	oldConfigFile = "model_config.json"
	// Generation holds the limits and the decoding of a model that generates.
	GenerationFile = "generation_config.json"
	// CalibrationFile makes probabilities of the model's scores.
	CalibrationFile = "calibration.json"
)

// kindFiles are the names of the files beside the weights in which a kind of task keeps what its models need. In a model
// for several tasks the task's name may stand before them.
var kindFiles = []string{GenerationFile, CalibrationFile, regions.SpecFile, regions.WeightsFile}

// isKindFile says whether a kind keeps something in a file of that name.
func isKindFile(name string) bool {
	return slices.ContainsFunc(kindFiles, func(file string) bool { return name == file || strings.HasSuffix(name, "."+file) })
}

// IsCompanion says whether a file of that name belongs beside the weights and is no
// tensor.
func IsCompanion(name string) bool {
	return isKindFile(name) || slices.Contains([]string{ConfigFile, oldConfigFile, CardFile, "tokenizer_config.json", "tokenizer.json", "added_tokens.json", "special_tokens_map.json", "vocab.json", "merges.txt"}, name) || pythonFiles[name] != nil ||
		strings.HasSuffix(name, "encoder.json") || strings.HasSuffix(name, "vocab.bpe") || strings.HasSuffix(name, "vocab.txt")
}

// Content is what a model folder holds.
type Content struct {
	Config    model.Config
	Tokenizer *tokenizer.Tokenizer
	Tensors   []checkpoint.Tensor
	Files     map[string][]byte // what the kind keeps beside the weights, by name: see kindFiles
	Copies    map[string]string // the same, by where it is
	Metadata  map[string]string // of model.safetensors; deterministic
	Beside    *Weights          // of a network that is trained with the model; nil: there is none
	Card      string            // README.md
}

// Weights are a further file of weights in a model folder.
type Weights struct {
	Name     string // of the file
	Tensors  []checkpoint.Tensor
	Metadata map[string]string
}

// Save writes the folder dir, which may exist. The weights are replaced last but
// for the README, so that a folder that held a complete model always does; those of a network beside it come first.
func Save(dir string, c Content) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return err
	}
	if b := c.Beside; b != nil {
		if err := checkpoint.WriteSafetensors(filepath.Join(dir, b.Name), b.Tensors, b.Metadata); err != nil {
			return err
		}
	}
	if err := saveBeside(dir, c); err != nil {
		return err
	}
	if err := removeCalibrations(dir); err != nil { // of other weights
		return err
	}
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, WeightsFile), c.Tensors, c.Metadata); err != nil {
		return err
	}
	return replace(filepath.Join(dir, CardFile), []byte(c.Card))
}

// isCalibration says whether a file of that name makes probabilities of scores.
func isCalibration(name string) bool {
	return name == CalibrationFile || strings.HasSuffix(name, "."+CalibrationFile)
}

func removeCalibrations(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	for _, e := range entries {
		if isCalibration(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("save model: %w", err)
			}
		}
	}
	return nil
}

// saveBeside writes what stands beside the weights, but for the README.
func saveBeside(dir string, c Content) error {
	for name, content := range c.Files {
		if !isKindFile(name) {
			return fmt.Errorf("model %s: %s is the name of no file that a kind keeps; list it in kindFiles", dir, name)
		}
		if err := replace(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	for name, from := range c.Copies {
		if !isKindFile(name) {
			return fmt.Errorf("model %s: %s is the name of no file that a kind keeps; list it in kindFiles", dir, name)
		}
		if err := atomicfile.Copy(filepath.Join(dir, name), from); err != nil {
			return fmt.Errorf("model %s: %w", dir, err)
		}
	}
	c.Config.ImageExtractor = nil
	spec, err := regions.ReadSpec(dir)
	switch {
	case err == nil:
		brief := spec.Brief()
		c.Config.ImageExtractor = &brief
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("model %s: %w", dir, err)
	}
	return SaveCompanions(dir, &c.Config, c.Tokenizer)
}

// Repair writes again what is missing in a folder that [Save] wrote, or is not c's, but for the
// weights, and for the README where c has none.
func Repair(dir string, c Content) error {
	if m, err := Open(dir); err == nil {
		m.Close()
	} else if c.Tokenizer != nil {
		one := c.Tokenizer.SavedFiles()[0] // without which SaveCompanions writes the vocabulary again
		if err := os.Remove(filepath.Join(dir, one)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("repair model folder: %w", err)
		}
	}
	if err := saveBeside(dir, c); err != nil || c.Card == "" {
		return err
	}
	return replace(filepath.Join(dir, CardFile), []byte(c.Card))
}

// SaveCompanions writes what stands beside the weights into the folder dir: the
// configuration and the vocabulary, each unless it is nil.
func SaveCompanions(dir string, cfg *model.Config, tok *tokenizer.Tokenizer) error {
	return saveCompanions(dir, cfg, tok, true)
}

// saveCompanions is SaveCompanions; transformers says whether Hugging Face's may read the weights.
func saveCompanions(dir string, cfg *model.Config, tok *tokenizer.Tokenizer, transformers bool) error {
	if tok != nil && !hasVocabulary(dir, tok) {
		if err := tok.Save(dir); err != nil {
			return err
		}
	}
	if cfg == nil {
		return nil
	}
	if !transformers {
		raw, err := notForTransformers(*cfg).JSON()
		if err != nil {
			return err
		}
		return replace(filepath.Join(dir, ConfigFile), raw)
	}
	raw, err := forTransformers(*cfg).JSON()
	if err != nil {
		return err
	}
	if err := savePython(dir); err != nil {
		return err
	}
	return replace(filepath.Join(dir, ConfigFile), raw)
}

// maxCopied bounds the files that [CopyKept] copies.
const maxCopied = 16 << 20

// CopyKept copies into the folder dst what the model in src has beside its weights, its configuration and its vocabulary:
// the files of its kind, and the README. If the weights are other numbers now, calibrations do not belong to them: these stay
// behind, and are listed.
func CopyKept(dst, src string, otherWeights bool) (left []string, err error) {
	entries, err := os.ReadDir(src)
	if err != nil {
		return nil, fmt.Errorf("copy from model %s: %w", src, err)
	}
	for _, e := range entries {
		if otherWeights && isCalibration(e.Name()) {
			left = append(left, e.Name())
			continue
		}
		if name := e.Name(); name == regions.WeightsFile {
			if err := atomicfile.Copy(filepath.Join(dst, name), filepath.Join(src, name)); err != nil {
				return nil, fmt.Errorf("copy from model %s: %w", src, err)
			}
		} else if isKindFile(name) || name == CardFile {
			raw, err := infile.Read(filepath.Join(src, name), maxCopied)
			if err == nil {
				err = replace(filepath.Join(dst, name), raw)
			}
			if err != nil {
				return nil, fmt.Errorf("copy from model %s: %w", src, err)
			}
		}
	}
	return left, nil
}

// Beside is what [Write] puts beside weights.
type Beside struct {
	Config       *model.Config          // nil: none
	Tokenizer    *tokenizer.Tokenizer   // nil: none
	From         string                 // the model's folder whose other files are kept (see [CopyKept]); "": none
	OtherWeights bool                   // the weights are not those numbers that they are in From
	More         func(dir string) error // writes what else there is; nil: nothing
}

// Write writes the new folder dir with the weights of r as they are, whole or not at all. It lists the files that stay behind.
func Write(ctx context.Context, dir string, r checkpoint.Reader, b Beside) (left []string, err error) {
	err = atomicfile.WriteDir(dir, func(tmp string) error {
		if err := checkpoint.Convert(ctx, r, filepath.Join(tmp, WeightsFile), checkpoint.FormatSafetensors); err != nil {
			return err
		}
		// Transformers would take whole numbers for weights, without their scales.
		whole := slices.ContainsFunc(r.Tensors(), func(info checkpoint.Info) bool { return info.DType == checkpoint.I8 })
		if err := saveCompanions(tmp, b.Config, b.Tokenizer, !whole); err != nil {
			return err
		}
		if b.More != nil {
			if err := b.More(tmp); err != nil {
				return err
			}
		}
		if b.From == "" {
			return nil
		}
		left, err = CopyKept(tmp, b.From, b.OtherWeights)
		return err
	})
	return left, err
}

// hasVocabulary says whether an earlier Save wrote all files of tok: the vocabulary does not
// change within a run.
func hasVocabulary(dir string, tok *tokenizer.Tokenizer) bool {
	for _, name := range tok.SavedFiles() {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// replace writes a file unless it holds data already.
func replace(path string, data []byte) error {
	if old, err := infile.Read(path, int64(len(data))); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return atomicfile.WriteBytes(path, data)
}

// Model is an open model folder.
type Model struct {
	Dir       string
	Config    model.Config
	Tokenizer *tokenizer.Tokenizer
	Weights   checkpoint.Reader // open; the caller closes the Model
}

// Close releases the weights: views of them are invalid afterwards.
func (m *Model) Close() error { return m.Weights.Close() }

// Open opens the model folder dir, of a model of this program's or of one for texts of Hugging Face's transformers, as it is. A
// run's folder stands for its best model, and a name for what was fetched under it (see [Find]).
func Open(dir string) (*Model, error) {
	dir, err := Find(dir)
	if err != nil {
		return nil, err
	}
	raw, err := readConfig(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	if isForeign(dir, raw) {
		return openForeign(dir)
	}
	cfg, err := model.ParseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("model %s: configuration %s: %w", dir, filepath.Join(dir, ConfigFile), err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	weights, err := OpenWeights(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	return fitted(dir, cfg, tok, weights)
}

// OpenWeights opens the weights of a model, a file or a folder, as numbers to compute with: quantised ones as what they stand for.
func OpenWeights(path string) (checkpoint.Reader, error) {
	stored, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	weights, err := checkpoint.Quantised(stored)
	if err != nil {
		return nil, errors.Join(err, stored.Close())
	}
	return weights, nil
}

// isForeign says whether the folder with that configuration is of a model of transformers. Where the configuration does not say what it is of,
// the tensors' names do.
func isForeign(dir string, cfgJSON []byte) bool {
	if model.TypeOf(cfgJSON) != "" {
		return model.IsForeignConfig(cfgJSON)
	}
	r, err := checkpoint.Open(dir)
	if err != nil {
		return false // whoever needs the weights says why
	}
	defer r.Close()
	return model.IsHuggingFace(r)
}

// openForeign opens the folder of a model of transformers.
func openForeign(dir string) (*Model, error) {
	c, err := OpenCheckpoint(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	tok, err := c.Vocabulary(dir)
	if why := model.Headless(c.Weights); err == nil && why != "" {
		err = model.WrongTaskf("its head is not used: %s; fine-tune it (--init), or 'unimo embed' makes vectors with it", why)
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, errors.Join(err, c.Weights.Close()))
	}
	return fitted(dir, *c.Config, tok, c.Weights)
}

// readConfig returns the content of the configuration of the model in the folder dir.
func readConfig(dir string) ([]byte, error) {
	raw, err := model.ReadConfigFile(filepath.Join(dir, ConfigFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, NoConfig(dir)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("it is no folder (%w); give the folder of a model (or of a run)", syscall.ENOTDIR)
	}
	return raw, err
}

// NoConfig is the error for the folder dir in which a model was to be, and no configuration is.
func NoConfig(dir string) error {
	if err := unscored(dir); err != nil {
		return err
	}
	return fmt.Errorf("no %s (%w); give the folder of a model (or of a run)", ConfigFile, fs.ErrNotExist)
}

// unscored is the error for the folder of a run that has a last model and no best one.
func unscored(dir string) error {
	last := filepath.Join(dir, "last")
	if _, err := os.Stat(filepath.Join(last, ConfigFile)); err != nil || best(dir) != dir {
		return nil
	}
	return fmt.Errorf("no best model (%w): the run has not been evaluated; go on with 'unimo resume %s', or give %s", fs.ErrNotExist, dir, last)
}

// ReadConfig reads the configuration of the model in the folder dir, as [Open] does.
func ReadConfig(dir string) (model.Config, error) {
	raw, err := readConfig(dir)
	if err != nil {
		return model.Config{}, err
	}
	if !isForeign(dir, raw) {
		cfg, err := model.ParseConfig(raw)
		if err != nil {
			err = fmt.Errorf("configuration %s: %w", filepath.Join(dir, ConfigFile), err)
		}
		return cfg, err
	}
	c, err := OpenCheckpoint(dir)
	if err != nil {
		return model.Config{}, err
	}
	return *c.Config, c.Weights.Close()
}

// fitted makes a model of an opened folder, whose tables get as many rows as the vocabulary has entries.
func fitted(dir string, cfg model.Config, tok *tokenizer.Tokenizer, weights checkpoint.Reader) (_ *Model, err error) {
	m := &Model{dir, cfg, tok, weights}
	if m.Config, m.Weights, err = FitVocabulary(tok, cfg, weights); err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, errors.Join(err, weights.Close()))
	}
	return m, nil
}

// Checkpoint is weights to go on from.
type Checkpoint struct {
	Config  *model.Config     // what lies beside the weights, nil without
	Weights checkpoint.Reader // open; the caller closes it

	// Imported says that the checkpoint is one of Hugging Face's transformers or of PaddleNLP, which Weights shows
	// under the reference's names, without what is LeftOut.
	Imported bool
	LeftOut  []model.LeftOut

	vocabulary *tokenizer.Tokenizer // of an open folder; nil: it is loaded
}

// Checkpoint returns the open folder as weights to go on from.
func (m *Model) Checkpoint() *Checkpoint {
	return &Checkpoint{Config: &m.Config, Weights: m.Weights, vocabulary: m.Tokenizer}
}

// Kept is the checkpoint's folder dir, if a model that is made of it keeps what is beside the weights there (see [CopyKept]); else "".
func (c *Checkpoint) Kept(dir string) string {
	if c.Config == nil || c.Imported {
		return ""
	}
	return dir
}

// NewHead leaves the head of another library's model out: one that starts from it has a new one.
func (c *Checkpoint) NewHead() {
	if c.Config != nil {
		cfg, weights, left := model.NewHead(*c.Config, c.Weights)
		c.Config, c.Weights, c.LeftOut = &cfg, weights, append(c.LeftOut, left...)
	}
}

// Vocabulary loads the vocabulary in the folder dir, which may be a run's, for the checkpoint.
func (c *Checkpoint) Vocabulary(dir string) (*tokenizer.Tokenizer, error) {
	if c.vocabulary != nil {
		return c.vocabulary, nil
	}
	if c.Imported {
		return tokenizer.LoadHuggingFace(Resolve(dir))
	}
	return tokenizer.Load(Resolve(dir))
}

// OpenCheckpoint opens weights, a file or a folder in any format that [checkpoint.Open] knows, with the
// configuration of their folder. A run's folder stands for its best model, and a name for what was fetched under it (see
// [Find]). A folder of an encoder of another library is imported by [model.ImportHuggingFace]; a file of one alone is an error.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	path, err := Find(path)
	if err != nil {
		return nil, err
	}
	if err := unscored(path); err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	weights, err := OpenWeights(path)
	if err != nil {
		return nil, err
	}
	c, err := withConfig(path, weights)
	if err != nil {
		return nil, errors.Join(err, weights.Close())
	}
	return c, nil
}

func withConfig(path string, weights checkpoint.Reader) (*Checkpoint, error) {
	foreign := model.IsHuggingFace(weights)
	file := filepath.Join(path, ConfigFile)
	raw, err := model.ReadConfigFile(file)
	if errors.Is(err, fs.ErrNotExist) && foreign { // PaddleNLP's before its version 2.5
		raw, err = model.ReadConfigFile(filepath.Join(path, oldConfigFile))
	}
	if absent := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR); absent && !foreign {
		return &Checkpoint{Weights: weights}, nil
	} else if absent {
		raw = nil
	} else if err != nil {
		return nil, err
	}
	if foreign || model.IsForeign(raw, weights) {
		cfg, reader, leftOut, err := model.ImportHuggingFace(raw, weights)
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", path, err)
		}
		if n := longestText(path); cfg.NumLabels > 0 && n < cfg.MaxTokens() {
			limited := cfg
			if limited.MaxSeqLen = n; limited.Validate() == nil {
				cfg = limited
			}
		}
		return &Checkpoint{Config: &cfg, Weights: reader, Imported: true, LeftOut: leftOut}, nil
	}
	cfg, err := model.ParseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", file, err)
	}
	return &Checkpoint{Config: &cfg, Weights: weights}, nil
}

// longestText is what the folder of another library's model says of the most tokens of a text; 0 if it says nothing.
func longestText(dir string) int {
	var c struct {
		Longest float64 `json:"model_max_length"` // 1e30 where there is no limit
	}
	if err := infile.ReadJSON(filepath.Join(dir, "tokenizer_config.json"), maxCopied, &c); err != nil {
		return 0
	}
	return int(min(max(c.Longest, 0), math.MaxInt32))
}

// Resolve is [Find] for a model that is there; a name that stands for none is returned as it is.
func Resolve(dir string) string {
	if found, err := Find(dir); err == nil {
		return found
	}
	return dir
}

// Find returns the model folder, or the file, that dir stands for: if it is a name (hf:ORG/MODEL), what was fetched under it; if it is a
// run's folder, its best/; otherwise dir. This is the one place where names become paths.
func Find(dir string) (string, error) {
	dir, err := hub.Find(dir)
	if err != nil {
		return "", err
	}
	return best(dir), nil
}

// best returns dir's best/ if it is a run's folder, otherwise dir.
func best(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err == nil {
		return dir
	}
	best := filepath.Join(dir, "best")
	if _, err := os.Stat(filepath.Join(best, ConfigFile)); err == nil {
		return best
	}
	return dir
}

// FitVocabulary returns the model of configuration cfg and weights with as many words as tok has. A
// vocabulary of fewer is usual: tables are filled up to a multiple of 64, or have rows for tokens to come, and no
// text ever gets their ids. Such rows are cut ([model.CutVocabulary]). One of more entries is an error, and
// so is one of less than half: it is another model's. weights may be nil.
func FitVocabulary(tok *tokenizer.Tokenizer, cfg model.Config, weights checkpoint.Reader) (model.Config, checkpoint.Reader, error) {
	n := tok.VocabSize()
	if n > cfg.VocabSize || n < cfg.VocabSize/2 {
		return cfg, weights, fmt.Errorf("the vocabulary has %d entries but the model %d: they belong to different models", n, cfg.VocabSize)
	}
	if n == cfg.VocabSize || weights == nil {
		cfg.VocabSize = n
		return cfg, weights, nil
	}
	cfg, weights = model.CutVocabulary(cfg, weights, n)
	return cfg, weights, nil
}
