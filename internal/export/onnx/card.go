package onnx

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/unimo-go/unimo/internal/model"
)

// card is what the README says of the model besides its graphs.
type card struct {
	Kind, Task string
	Labels     []string
	MaxTokens  int      // of a text or a source
	Pooling    []string // of vectors
	Prompt     string   // before every text

	MaxOut, MinOut int // of what is written
	Continuous     bool
	End            int32
}

//go:embed readme.tmpl
var readmeText string

var readmeTemplate = template.Must(template.New("readme").Funcs(template.FuncMap{
	"python": func(v any) (string, error) {
		raw, err := json.Marshal(v)
		return string(raw), err
	},
	"join": strings.Join,
}).Parse(readmeText))

// page is what the README is made of.
type page struct {
	*exported
	Reads, Types, Dialogue, WordPieces, HasTokenizer, Vectors bool
	CLS, SEP, PAD, UNK                                        int32
	Config                                                    model.Config
}

// Weights is how they are written.
func (p page) Weights() Weights { return p.weights }

// Writes says whether the model writes texts.
func (p page) Writes() bool { return slices.Contains(writing, p.Kind) }

// Graphs are those that are described.
func (p page) Graphs() []described {
	list := make([]described, len(p.graphs))
	for i, g := range p.graphs {
		list[i] = described{g.name + ending, rows(g.inputs), rows(g.outputs)}
	}
	return list
}

// described is a graph as the README shows it.
type described struct {
	File            string
	Inputs, Outputs []row
}

// row is an input or an output.
type row struct{ Name, Type, Shape, About string }

func rows(values []value) []row {
	list := make([]row, len(values))
	for i, v := range values {
		var shape []string
		for _, d := range v.shape {
			if d.name != "" {
				shape = append(shape, d.name)
			} else {
				shape = append(shape, fmt.Sprint(d.size))
			}
		}
		list[i] = row{v.name, map[element]string{float32s: "float32", int64s: "int64"}[v.element], strings.Join(shape, " x "), v.doc}
	}
	return list
}

func (x *exported) readme() ([]byte, error) {
	t, saved := x.tokenizer, x.tokenizer.SavedFiles()
	p := page{
		exported: x, Config: x.config, Reads: x.config.ReadsImages() && x.Kind != Vectors, Types: x.config.SegmentTypes > 1, Dialogue: x.Kind == model.Dialogue, Vectors: x.Kind == Vectors,
		HasTokenizer: slices.Contains(saved, "tokenizer.json"), WordPieces: !slices.Contains(saved, "encoder.json"),
		CLS: t.CLS(), SEP: t.SEP(), PAD: t.PAD(), UNK: t.UNK(),
	}
	var b bytes.Buffer
	if err := readmeTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write README: %w", err)
	}
	return b.Bytes(), nil
}
