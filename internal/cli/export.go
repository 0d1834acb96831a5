package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/export/onnx"
)

func (a *app) exportCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "export",
		Short:   "Write a model for other programs",
		Long:    "Write a model in a form that other programs run.",
		Example: "  unimo export onnx RUN OUT",
	}, a.exportONNXCommand())
}

func (a *app) exportONNXCommand() *cobra.Command {
	var o embed.Options
	var normalize bool
	var weights string
	c := &cobra.Command{
		Use:   "onnx MODEL OUT",
		Short: "Write a model as ONNX, for ONNX Runtime",
		Long: `Write a model as ONNX. ONNX Runtime 1.20 and 1.32 answer as this program does, to
1e-5. Batches and lengths are free; texts and regions of pictures are padded and have
masks.

MODEL is a folder or a run of this program, or what 'unimo embed' makes vectors with.
What is written, depends on what it does:

  texts                 logits and probabilities, or a score
  pictures with texts   the same, or a score of how well they fit and vectors of each
  writing               one step with a cache: it reads the source, then each token
  no head               vectors of texts

--pooling, --normalize or --prompt write what makes vectors of texts whatever the head
is, as 'unimo embed' has them. Pictures come as features of their regions, which
'unimo features extract' makes.

A model that is quantised is written with the numbers that its weights stand for, or
with --weights int8 with the weights as bytes, from which numbers are made when the
graph is opened; with int8-dynamic bytes are multiplied, as this program does.

OUT must not exist. It is a folder with the graph, the vocabulary, config.json and a
README that lists inputs and outputs and has a program that runs; or, if its name
ends in .onnx, the graph alone. Several graphs of a model share the file weights.data.`,
		Example: `  unimo export onnx RUN film-classifier
  unimo export onnx RUN film-classifier.onnx
  unimo export onnx --task snli-ve DEMO/model entailment
  unimo export onnx all-MiniLM-L6-v2 vectors
  unimo export onnx --weights int8-dynamic QUANTIZED small
  unimo export onnx --pooling cls --normalize bert-base-uncased vectors`,
		Args: needs("MODEL", "OUT"),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("normalize") {
				o.Normalize = &normalize
			}
			if err := choice("weights", weights, onnx.Forms...); err != nil {
				return err
			}
			return a.exportONNX(c.Context(), args[0], args[1], onnx.Options{Vectors: o != embed.Options{}, Embed: o, Weights: onnx.Weights(weights), Release: currentVersion().Version})
		},
	}
	flags := c.Flags()
	taskFlag(c)
	flags.StringVar(&o.Pooling, "pooling", "", "what is made of a text's tokens (default: what MODEL says, or mean)")
	flags.BoolVar(&normalize, "normalize", false, "vectors of length 1 (=false: as they are; default: what MODEL says)")
	flags.StringVar(&weights, "weights", string(onnx.Float32), "of a quantised model: float32, int8 or int8-dynamic")
	flags.StringVar(&o.Prompt, "prompt", "", "`NAME` of a prompt of MODEL that stands before every text (default: its own)")
	return c
}

func (a *app) exportONNX(ctx context.Context, source, destination string, o onnx.Options) error {
	if err := checkModel(source); err != nil {
		return err
	}
	out, err := newPath(destination)
	if err != nil {
		return err
	}
	r, err := onnx.Export(ctx, source, out, o, a.env())
	if err != nil {
		return err
	}
	r.Out = destination
	if a.json {
		return a.printJSON(r)
	}
	for _, g := range r.Graphs {
		if _, err := printable.Fprintf(a.stdout, "%s: %s -> %s\n", g.Name, strings.Join(g.Inputs, ", "), strings.Join(g.Outputs, ", ")); err != nil {
			return err
		}
	}
	_, err = printable.Fprintf(a.stdout, "%s: %s, %d parameters, %s, opset %d, IR version %d\n", destination, r.Kind, r.Parameters, fmt.Sprintf("%.1f MB", float64(r.Bytes)/1e6), r.Opset, r.IRVersion)
	return err
}
