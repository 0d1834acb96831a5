package model

import (
	"fmt"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
)

// architectures lists the parameters of every form of UNIMO by name, those that
// this program cannot run yet included, so that any checkpoint can be checked.
var architectures = map[string]func(cfg Config, p declare){
	"text-encoder":   encoderOnly,
	"classification": func(cfg Config, p declare) { withHead(cfg, p, max(2, cfg.NumLabels)) },
	"regression":     func(cfg Config, p declare) { withHead(cfg, p, 1) },
	"retrieval":      retrieval,
	"entailment":     entailment,
	"generation":     func(cfg Config, p declare) { generator(cfg, p, Generation) },
	"dialogue":       func(cfg Config, p declare) { generator(cfg, p, Dialogue) },
	"pretrained":     pretrained,
	"pretraining":    pretraining,
}

// Architectures returns the names that [Architecture] knows.
func Architectures() []string { return slices.Sorted(maps.Keys(architectures)) }

// Architecture lists the parameters of the named form of UNIMO of cfg's size.
func Architecture(name string, cfg Config) ([]Spec, error) {
	build, ok := architectures[name]
	if !ok {
		return nil, fmt.Errorf("unknown architecture %q: choose one of %v", name, Architectures())
	}
	var specs []Spec
	build(cfg, list(&specs))
	return specs, nil
}

// Compare reports which of specs r lacks and which tensors of r are not in specs.
// A tensor of another shape is an error.
func Compare(specs []Spec, r checkpoint.Reader) (LoadReport, error) { return compare(specs, r) }

func encoderOnly(cfg Config, p declare) {
	cfg.ProblemType, cfg.NumLabels = "", 0
	new(Classifier).build(cfg, p)
}

func withHead(cfg Config, p declare, labels int) {
	cfg.ProblemType, cfg.NumLabels = Classification, labels
	new(Classifier).build(cfg, p)
}

func generator(cfg Config, p declare, problem string) {
	cfg.ProblemType = problem
	new(Generator).build(cfg, p)
}

func retrieval(cfg Config, p declare) {
	cfg.ProblemType = Retrieval
	new(Retriever).build(cfg, p)
}

func image(cfg Config, p declare) {
	newImageEmbedding(p, cfg)
	newLinear(p, "pooled_fc_image", cfg.HiddenSize, cfg.HiddenSize)
}

// entailmentHidden and entailmentLabels are the reference's head for SNLI-VE.
const (
	entailmentHidden = 2048
	entailmentLabels = 3
)

func entailment(cfg Config, p declare) {
	encoderOnly(cfg, p)
	image(cfg, p)
	p("cls_out_w_0", TruncatedNormal, cfg.HiddenSize, entailmentHidden)
	p("cls_out_b_0", Zeros, entailmentHidden)
	p("cls_out_w_1", TruncatedNormal, entailmentHidden, entailmentLabels)
	p("cls_out_b_1", Zeros, entailmentLabels)
}

func pretraining(cfg Config, p declare) {
	cfg.ProblemType = Pretraining
	new(Pretrainer).build(cfg, p)
}

func pretrained(cfg Config, p declare) {
	encoderOnly(cfg, p)
	image(cfg, p)
	newLanguageHead(p, cfg, nil)
}
