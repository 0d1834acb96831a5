package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/compute/nn"
)

// form is one form of UNIMO: which heads the encoder has. A new head is a row of [forms].
type form struct {
	name     string              // for [Architecture]
	problem  string              // Config.ProblemType of its models; "": none is run yet
	does     string              // what such a model does, for messages
	images   use                 // of images in its input
	bare     bool                // a sequence with an image need not have a text
	dialogue bool                // tokens have roles and turns
	labels   [2]int              // least and most of Config.NumLabels; zero: it has no use for them
	new      func() Heads        // an empty model
	detail   func(Config) string // what [Config.String] says of it; nil: the problem
}

// use says what a form does with a part of its input.
type use int

const (
	unread use = iota
	optional
	needed
)

// Heads is a type of model: a struct around [Model] that declares its heads.
type Heads interface {
	common() *Model
	build(p declare)
}

// forms lists every form, those that this program cannot run yet included, so that any checkpoint can be
// checked.
var forms = []form{
	{name: "text-encoder", does: "has no head", new: func() Heads { return new(Classifier) }},
	{
		name: "classification", problem: Classification, does: "classifies texts", labels: [2]int{2, maxLabels},
		new: func() Heads { return new(Classifier) }, detail: describeLabels,
	},
	{
		name: "regression", problem: Regression, does: "gives texts a score", labels: [2]int{1, 1},
		new: func() Heads { return new(Classifier) }, detail: func(Config) string { return "a score" },
	},
	{
		name: "entailment", problem: Entailment, does: "classifies images with texts", images: needed, labels: [2]int{3, maxLabels},
		new: func() Heads { return new(Classifier) }, detail: describeLabels,
	},
	{
		name: "answering", problem: Answering, does: "answers questions about images", images: needed, labels: [2]int{2, maxLabels},
		new: func() Heads { return new(Classifier) }, detail: func(c Config) string { return fmt.Sprintf("%d answers", c.NumLabels) },
	},
	{
		name: "free-answering", problem: FreeAnswering, does: "writes answers to questions about images", images: needed,
		new: func() Heads { return new(Generator) }, detail: describeImages,
	},
	{name: "generation", problem: Generation, does: "writes texts", new: func() Heads { return new(Generator) }},
	{name: "dialogue", problem: Dialogue, does: "answers in conversations", dialogue: true, new: func() Heads { return new(Generator) }},
	{
		name: "captioning", problem: Captioning, does: "writes texts for images", images: needed, bare: true,
		new: func() Heads { return new(Generator) }, detail: describeImages,
	},
	{
		name: "retrieval", problem: Retrieval, does: "compares images with texts", images: optional, bare: true,
		new: func() Heads { return new(Retriever) }, detail: describeImages,
	},
	{name: "pretrained", images: optional, bare: true, new: func() Heads { return new(released) }},
	{
		name: "pretraining", problem: Pretraining, does: "has no head for a task", images: optional, bare: true,
		new: func() Heads { return new(Pretrainer) }, detail: describeImages,
	},
	{name: MultiTask, problem: MultiTask, does: "has several tasks", new: func() Heads { return new(Multi) }, detail: describeTasks},
}

// form returns what the problem type stands for.
func (c Config) form() form {
	for _, f := range forms {
		if f.problem == c.ProblemType && f.does != "" {
			return f
		}
	}
	return form{problem: c.ProblemType, does: "is of a kind that this program does not know"}
}

// Architectures returns the names that [Architecture] knows whatever the configuration. Which parameters a model for
// several tasks has, only its own says.
func Architectures() []string {
	var names []string
	for _, f := range forms {
		if f.name != MultiTask {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}

// ArchitectureOf names the form of the models that cfg is for, the encoder alone if it is for none.
func ArchitectureOf(cfg Config) string { return cmp.Or(cfg.form().name, forms[0].name) }

// Architecture lists the parameters of the named form of UNIMO of cfg's size.
func Architecture(name string, cfg Config) ([]Spec, error) {
	for _, f := range forms {
		if f.name == name && (f.name != MultiTask || cfg.ProblemType == MultiTask) {
			cfg.ProblemType, cfg.NumLabels = f.problem, min(max(cfg.NumLabels, f.labels[0]), f.labels[1])
			return f.specs(cfg), nil
		}
	}
	return nil, names.Unknown("architecture", name, Architectures())
}

// Specs lists the parameters of a model of cfg's problem type.
func Specs(cfg Config) []Spec { return cfg.form().specs(cfg) }

func (f form) specs(cfg Config) []Spec {
	if f.new == nil {
		return nil
	}
	var specs []Spec
	m := f.new()
	*m.common() = Model{Config: cfg, form: f}
	m.build(nn.List(&specs))
	return specs
}

func describeLabels(c Config) string { return fmt.Sprintf("%d classes", c.NumLabels) }

func describeImages(c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s with regions of %d features", c.ProblemType, c.ImageEmbeddingSize)
	if c.ContrastSize > 0 {
		fmt.Fprintf(&b, ", vectors of %d", c.ContrastSize)
	}
	if c.RegionClasses > 0 && c.ProblemType == Pretraining {
		fmt.Fprintf(&b, ", %d classes of regions", c.RegionClasses)
	}
	return b.String()
}

// released has the heads of the checkpoint that the reference released. It is not run: models for tasks start
// from it.
type released struct{ Model }

func (r *released) build(p declare) {
	r.encoder = newEncoder(p, r.Config, r.form)
	newPools(p, r.Config)
	newLanguageHead(p, r.Config, r.encoder.words)
}
