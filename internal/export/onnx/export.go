package onnx

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

// Names of files.
const (
	ending      = ".onnx"
	weightsFile = "weights.data"
	oneGraph    = "model"
)

// Options say what is exported of a model.
type Options struct {
	Vectors bool          // of texts, whatever heads the model has, as [embed.Options] says
	Embed   embed.Options // of vectors
	Weights Weights       // of a model that is quantised; "" means [Float32]
	Release string        // of the program, for the file
	most    int64         // bytes of a file of a graph; 0: what the format allows
}

// Result is what was written.
type Result struct {
	Out         string   `json:"out"`
	Kind        string   `json:"kind"`            // classification, ..., or [Vectors]
	Task        string   `json:"task,omitempty"`  // of a model for several, or what it was fine-tuned on
	Files       []string `json:"files,omitempty"` // in the folder
	Graphs      []Graph  `json:"graphs"`
	Weights     Weights  `json:"weights"`
	Opset       int      `json:"opset"`
	IRVersion   int      `json:"ir_version"`
	Parameters  int      `json:"parameters"`
	Bytes       int64    `json:"bytes"`
	Fingerprint string   `json:"fingerprint"` // of the weights
}

// Graph is one that was written.
type Graph struct {
	Name    string   `json:"name"`
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
}

// Vectors is the kind of what makes vectors of texts.
const Vectors = "vectors"

// Export writes the model in the folder dir to out, which must not exist: a file that ends in .onnx, or a folder.
func Export(ctx context.Context, dir, out string, o Options, env run.Env) (Result, error) {
	if o.most == 0 {
		o.most = largest
	}
	o.Weights = cmp.Or(o.Weights, Float32)
	x, err := open(dir, o, env)
	if err != nil {
		return Result{}, err
	}
	r, err := x.export(ctx, out, o)
	return r, errors.Join(err, x.close())
}

// exported is a model that is being exported.
type exported struct {
	*source
	card
	graphs      []*graph
	tokenizer   *tokenizer.Tokenizer
	fingerprint string
	beside      map[string][]byte // files that are copied, by name
	close       func() error
}

// open opens the model and builds its graphs.
func open(dir string, o Options, env run.Env) (*exported, error) {
	_, err := os.Stat(filepath.Join(dir, embed.ModulesFile))
	if o.Vectors || err == nil {
		return openVectors(dir, o, env)
	}
	x, err := openModel(dir, o, env)
	if errors.Is(err, model.ErrWrongTask) && env.Task == "" {
		return openVectors(dir, o, env)
	}
	return x, err
}

// openModel opens a model for a task.
func openModel(dir string, o Options, env run.Env) (*exported, error) {
	ready := env.Ready()
	opened, err := run.Open(dir, ready, func(o *run.Opened) (model.Parameters, error) {
		if !slices.Contains(kinds, o.Config.ProblemType) {
			return nil, model.WrongTaskf("it has no head for a task")
		}
		m, err := model.Open[model.Heads](ready.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		return model.ParametersOf(m), nil
	})
	if err != nil {
		return nil, err
	}
	x, err := fromOpened(opened, o.Weights)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", opened.Dir, err), opened.Close())
	}
	return x, nil
}

// kinds are the problem types of models with heads that have graphs.
var kinds = []string{
	model.Classification, model.Regression, model.Entailment, model.Answering, model.Retrieval,
	model.Generation, model.Dialogue, model.Captioning, model.FreeAnswering,
}

func fromOpened(o *run.Opened, w Weights) (*exported, error) {
	source, err := newSource(o.Config, o.Params, o.Device, w)
	if err != nil {
		return nil, err
	}
	x := &exported{source: source, tokenizer: o.Folder.Tokenizer, beside: map[string][]byte{}, close: o.Close}
	digest, err := o.Digest()
	if err != nil {
		return nil, err
	}
	calibration, err := o.Calibration()
	if err != nil {
		return nil, err
	}
	x.fingerprint = digest
	for _, name := range []string{modeldir.GenerationFile, regions.SpecFile} {
		raw, err := infile.Read(o.File(name), maxCopied)
		if err == nil {
			x.beside[name] = raw
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := x.describe(o); err != nil {
		return nil, err
	}
	switch o.Config.ProblemType {
	case model.Classification, model.Regression:
		x.add(oneGraph, func(g *graph) { g.classifier(calibration) })
	case model.Entailment, model.Answering:
		x.add(oneGraph, func(g *graph) { g.pairClassifier(calibration) })
	case model.Retrieval:
		x.add("match", func(g *graph) { g.match(calibration) })
		if o.Config.ContrastSize > 0 {
			x.add("text", (*graph).textVector)
			x.add("image", (*graph).imageVector)
		}
	default:
		x.add(oneGraph, (*graph).generator)
	}
	return x, nil
}

// openVectors opens what makes vectors of texts.
func openVectors(dir string, o Options, env run.Env) (*exported, error) {
	e, err := embed.Open(dir, o.Embed, env)
	if err != nil {
		return nil, err
	}
	if e.Encoder() == nil { // it has vectors of its own
		if err := e.Close(); err != nil {
			return nil, err
		}
		return openModel(dir, o, env)
	}
	x, err := fromEmbedder(e, o.Weights)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", dir, err), e.Close())
	}
	return x, nil
}

func fromEmbedder(e *embed.Embedder, w Weights) (*exported, error) {
	if e.Skips() {
		return nil, errors.New("the prompt before texts is not pooled (include_prompt), which the graph has no input for; give another with --prompt")
	}
	weights, err := checkpoint.Open(e.Model)
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	digest, err := run.DigestTensors(weights)
	if err != nil {
		return nil, err
	}
	source, err := newSource(e.Encoder().Config, e.Encoder().Params, e.Device(), w)
	if err != nil {
		return nil, err
	}
	x := &exported{source: source, tokenizer: e.Tokenizer(), fingerprint: digest, close: e.Close}
	x.card = card{Kind: Vectors, Pooling: e.Pooling, Prompt: e.Prompt, MaxTokens: e.MaxTokens}
	layers := e.Layers()
	for _, l := range layers {
		if !slices.Contains(activations, strings.ToLower(l.Activation)) {
			return nil, fmt.Errorf("its activation %s has no graph here", l.Activation)
		}
	}
	x.add(oneGraph, func(g *graph) { g.vectors(e.Pooling, layers) })
	return x, nil
}

// describe fills in what the README says of a model for a task.
func (x *exported) describe(o *run.Opened) error {
	cfg := o.Config
	x.card = card{Kind: cfg.ProblemType, Task: cfg.Task, MaxTokens: cfg.TextTokens()}
	for i := range cfg.NumLabels {
		if cfg.ID2Label != nil {
			x.Labels = append(x.Labels, cfg.Label(i))
		}
	}
	if !slices.Contains(writing, cfg.ProblemType) {
		return nil
	}
	if cfg.Layers == 0 {
		return errors.New("it has no layers (num_hidden_layers), and so no keys and values that a step could go on from")
	}
	limits := struct {
		MaxSrcLen          int  `json:"max_src_len"`
		MaxOutLen          int  `json:"max_out_len"`
		MinOutLen          int  `json:"min_out_len"`
		ContinuousPosition bool `json:"continuous_position"`
	}{MaxOutLen: decode.Default.MaxLength}
	if raw, ok := x.beside[modeldir.GenerationFile]; ok {
		if err := json.Unmarshal(raw, &limits); err != nil {
			return fmt.Errorf("%s: %w", modeldir.GenerationFile, infile.PlainJSON(err))
		}
	}
	x.MaxTokens, x.MaxOut, x.MinOut, x.Continuous = cmp.Or(min(limits.MaxSrcLen, x.MaxTokens), x.MaxTokens), min(limits.MaxOutLen, cfg.MaxTokens()), limits.MinOutLen, limits.ContinuousPosition
	x.End = x.tokenizer.MASK()
	if cfg.ReadsImages() {
		x.End = x.tokenizer.SEP()
	}
	return nil
}

// writing are the problem types of models that write.
var writing = []string{model.Generation, model.Dialogue, model.Captioning, model.FreeAnswering}

// add builds a graph.
func (x *exported) add(name string, build func(g *graph)) {
	g := newGraph(x.source, name)
	build(g)
	x.graphs = append(x.graphs, g)
}

// metadata is what the files say of themselves.
func (x *exported) metadata(release string) ([][2]string, error) {
	m := [][2]string{{"unimo.kind", x.Kind}}
	if x.Task != "" {
		m = append(m, [2]string{"unimo.task", x.Task})
	}
	if x.Labels != nil {
		labels, err := json.Marshal(x.Labels)
		if err != nil {
			return nil, fmt.Errorf("encode labels: %w", err)
		}
		m = append(m, [2]string{"unimo.labels", string(labels)})
	}
	return append(m, [2]string{"unimo.fingerprint", x.fingerprint}, [2]string{"unimo.release", release}), nil
}

// maxCopied bounds the files that are copied.
const maxCopied = 16 << 20

// export writes what was opened.
func (x *exported) export(ctx context.Context, out string, o Options) (Result, error) {
	if left := x.unused(); len(left) > 0 {
		return Result{}, fmt.Errorf("no graph has the parameter %s and %d others: models of this kind cannot be exported", left[0], len(left)-1)
	}
	metadata, err := x.metadata(o.Release)
	if err != nil {
		return Result{}, err
	}
	r := Result{Out: out, Kind: x.Kind, Task: x.Task, Weights: x.weights, Opset: opset, IRVersion: irVersion, Parameters: x.params.Count(), Fingerprint: x.fingerprint, Graphs: []Graph{}}
	for _, g := range x.graphs {
		r.Graphs = append(r.Graphs, Graph{g.name, names(g.inputs), names(g.outputs)})
	}
	if strings.HasSuffix(out, ending) {
		if n := len(x.graphs); n > 1 {
			return Result{}, fmt.Errorf("a model for %s has %d graphs, which one file does not hold; name a folder", x.Kind, n)
		}
		if err := writeFile(ctx, out, x.graphs[0], metadata, o.Release, o.most); err != nil {
			return Result{}, err
		}
		info, err := os.Stat(out)
		if err != nil {
			return Result{}, fmt.Errorf("export: %w", err)
		}
		r.Bytes = info.Size()
		return r, nil
	}
	err = atomicfile.WriteDir(out, func(tmp string) error {
		if r.Files, r.Bytes, err = writeGraphs(ctx, tmp, x.graphs, metadata, o.Release, o.most); err != nil {
			return err
		}
		return x.writeBeside(tmp)
	})
	return r, err
}

// writeBeside writes what stands beside the graphs.
func (x *exported) writeBeside(dir string) error {
	config, err := x.config.JSON()
	if err == nil {
		err = atomicfile.WriteBytes(filepath.Join(dir, modeldir.ConfigFile), config)
	}
	if err == nil {
		err = x.tokenizer.Save(dir)
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(x.beside)) {
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), x.beside[name]); err != nil {
			return err
		}
	}
	text, err := x.readme()
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, modeldir.CardFile), text)
}

func names(values []value) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = v.name
	}
	return list
}
