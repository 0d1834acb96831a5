package cli

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/run"
)

func (a *app) quantizeCommand() *cobra.Command {
	var o run.QuantiseOptions
	c := &cobra.Command{
		Use:     "quantize MODEL OUT",
		Aliases: []string{"quantise"},
		Short:   "Make the weights of a model whole numbers of one byte",
		Long: `Write the folder OUT with the model in MODEL, whose weights become whole numbers
of one byte (int8) with scales: a quarter of the bytes. It is used as any model.
Norms, biases, positions and the outputs of a head stay float32, and so do
weights that lose too much.

With --calibrate the model reads up to 256 examples of its own task's dev data (of
train, without), as 'unimo evaluate' does. The error of a weight is how far its
products are off for 128 inputs from there, rounded as they will be: the length
of the difference over that of the product. One of more than 0.05 stays float32.
Without, it is the error of the weight itself, and 0.02 is the limit.

bfloat16 and float16 need no errors: 'unimo convert --dtype bfloat16 MODEL OUT'.

The keys of --json are model, out, data, task, int8, float32, bytes, bytes_before,
weights (name, shape, type, error, of, limit) and left_out.`,
		Example: `  unimo quantize RUN small
  unimo quantize RUN small --calibrate DATA
  unimo evaluate --data DATA --model small`,
		Args: needs("MODEL", "OUT"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkModel(args[0]); err != nil {
				return err
			}
			if _, err := newPath(args[1]); err != nil {
				return err
			}
			if o.Calibrate != "" {
				if err := a.checkData(o.Calibrate); err != nil {
					return err
				}
			}
			progress := a.newProgress()
			o.Env, o.Tasks, o.Model, o.Out = a.env(), a.finetuned(), args[0], args[1]
			o.Observer, o.Keep = progress, embed.CopyRecipe
			result, err := run.Quantise(c.Context(), o)
			progress.finish()
			if err != nil {
				return asUsage(err)
			}
			a.warnLeft(result.LeftOut)
			if a.json {
				return a.printJSON(result)
			}
			return a.printQuantisation(result)
		},
	}
	c.Flags().StringVar(&o.Calibrate, "calibrate", "", "`DATA` of the model's task, a file or a folder, to measure errors with")
	c.Flags().StringArrayVar(&o.Set, "set", nil, "setting of the task's evaluation that reads the data, `KEY=VALUE`")
	taskFlag(c)
	extractorFlag(c)
	return c
}

// layerNumber is what the names of a layer's weights differ in.
var layerNumber = regexp.MustCompile(`_layer_\d+_`)

// printQuantisation prints the weights, those of all layers together, and which of them stayed as they were.
func (a *app) printQuantisation(q *run.Quantisation) error {
	groups := map[string][]run.QuantisedWeight{}
	var names []string
	for _, w := range q.Weights {
		name := layerNumber.ReplaceAllString(w.Name, "_layer_*_")
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], w)
	}
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "weights\tint8\tfloat32\tworst error\tof\tlimit")
	for _, name := range names {
		small := 0
		for _, w := range groups[name] {
			if w.Type == "int8" {
				small++
			}
		}
		worst := slices.MaxFunc(groups[name], func(a, b run.QuantisedWeight) int { return cmp.Compare(a.Error, b.Error) })
		printable.Fprintf(t, "%s\t%d\t%d\t%.4f\t%s\t%g\n", name, small, len(groups[name])-small, worst.Error, worst.Of, worst.Limit)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, w := range q.Weights {
		if w.Type != "int8" {
			printable.Fprintf(a.stdout, "stays float32: %s, error %.4f\n", w.Name, w.Error)
		}
	}
	_, err := printable.Fprintf(a.stdout, "%s: %d weights are int8, %d stay float32; %.1f MB instead of %.1f MB\n",
		strings.TrimSuffix(q.Out, "/"), q.Int8, q.Float32, float64(q.Bytes)/1e6, float64(q.BytesBefore)/1e6)
	return err
}
