package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
)

// inspection is what "unimo inspect --json" prints.
type inspection struct {
	Path       string            `json:"path"`
	Format     string            `json:"format"`
	Metadata   map[string]string `json:"metadata"`
	Config     json.RawMessage   `json:"config,omitempty"` // with the fields this program does not know
	Parameters int               `json:"parameters"`
	Bytes      int               `json:"bytes"`
	Tensors    []inspectedTensor `json:"tensors"`
	Files      []inspectedFile   `json:"files"`
	Quantised  *inspectedWeights `json:"quantised,omitempty"`
	Comparison *model.Difference `json:"comparison,omitempty"`
	LeftOut    []model.LeftOut   `json:"left_out,omitempty"` // tensors of another library's model

	size string // the configuration for people
}

type inspectedTensor struct {
	Name   string       `json:"name"`
	DType  string       `json:"dtype"`
	Shape  []int        `json:"shape"`
	Scales string       `json:"scales,omitempty"` // of a quantised weight: "rows" or "columns"
	Stats  *tensorStats `json:"stats,omitempty"`
}

// inspectedWeights says of a quantised model which weights are whole numbers.
type inspectedWeights struct {
	Int8          int      `json:"int8"`
	Float32       []string `json:"float32"` // that could be, and are not
	BytesAsFloats int      `json:"bytes_as_floats"`
}

type tensorStats struct {
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Mean  float64 `json:"mean"`
	Std   float64 `json:"std"`
	Zeros int     `json:"zeros"`
	NaN   int     `json:"nan"`
	Inf   int     `json:"inf"`
}

type inspectedFile struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// inspectFlags are the command's own flags.
type inspectFlags struct {
	architecture string
	size         string
	config       string
	stats        bool
}

func (a *app) inspectCommand() *cobra.Command {
	var flags inspectFlags
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show what a model or a checkpoint holds",
		Long: `Show a model's configuration, its parameters with shapes and statistics, and what
is missing or unknown against an architecture. MODEL is the folder of a model or
of a run, a safetensors file, a file of PyTorch's torch.save that holds a state dict
(nothing in it is run), or a folder or archive in Paddle's format. The folder of a
BERT or its kin of Hugging Face's transformers, or of a UNIMO of PaddleNLP, is shown
as "unimo convert" makes it; its weights' file alone, as it is. Of a model of
"unimo quantize" it says which weights are int8, with scales of rows or of columns,
and has statistics of the numbers that they stand for.

The architectures are ` + strings.Join(model.Architectures(), ", ") + `.
Their sizes come from --config or --size, or from the config.json beside the
weights, which also names the architecture where --architecture does not, and is
needed for a model of several tasks.

The keys of --json are path, format, metadata, config, parameters, bytes, tensors,
files (those not recognised) and comparison (architecture, missing, unknown,
mismatched, optimizer), left_out; quantised (int8, float32, bytes_as_floats).`,
		Example: `  unimo inspect RUN/best
  unimo inspect unimo_base_en.tar.gz --architecture pretrained --size base
  unimo inspect model.safetensors --stats=false --json`,
		Args: needs("MODEL"),
		RunE: func(c *cobra.Command, args []string) error {
			result, err := inspect(args[0], flags)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(result)
			}
			return result.print(a.stdout)
		},
	}
	c.Flags().StringVar(&flags.architecture, "architecture", "", "compare with this architecture")
	c.Flags().StringVar(&flags.size, "size", "", "size of the architecture: "+strings.Join(run.Sizes(), ", "))
	c.Flags().StringVar(&flags.config, "config", "", "config.json with the size of the architecture")
	c.Flags().BoolVar(&flags.stats, "stats", true, "read the data for statistics")
	exclusive(c, "size", "config")
	return c
}

func inspect(path string, flags inspectFlags) (*inspection, error) {
	if err := checkModel(path); err != nil {
		return nil, err
	}
	path = modeldir.Resolve(path)
	if regions.IsStore(path) {
		return nil, usagef("%s is a store of features; 'unimo features info %s' shows what is in it", path, path)
	}
	from, err := openSource(path)
	if err != nil {
		return nil, err
	}
	r := from.Weights
	defer r.Close()
	result := &inspection{Path: path, Format: string(r.Format()), Metadata: r.Metadata(), Files: []inspectedFile{}, LeftOut: from.LeftOut}
	for _, f := range r.Files() {
		result.Files = append(result.Files, inspectedFile(f))
	}
	cfg, err := inspectedConfig(path, flags, from.Config)
	if err != nil {
		return nil, err
	}
	if cfg != nil {
		result.size = cfg.String()
		if result.Config, err = cfg.JSON(); err != nil {
			return nil, err
		}
	}
	if result.Comparison, err = compareWith(r, cfg, flags.architecture); err != nil {
		return nil, err
	}
	if err := result.addTensors(r, flags.stats); err != nil {
		return nil, err
	}
	if q, ok := r.(checkpoint.QuantisedReader); ok {
		return result, result.addQuantised(q, cfg)
	}
	return result, nil
}

// addQuantised makes of the tensors, which are shown as numbers, what they are stored as.
func (s *inspection) addQuantised(r checkpoint.QuantisedReader, cfg *model.Config) error {
	s.Quantised = &inspectedWeights{Float32: []string{}, BytesAsFloats: s.Bytes}
	s.Metadata = r.Stored().Metadata()
	could := map[string]bool{}
	if cfg != nil {
		var err error
		if could, err = model.Quantisable(*cfg, r); err != nil {
			return err
		}
	}
	for i := range s.Tensors {
		t := &s.Tensors[i]
		_, scales, perRow, ok, err := r.Int8(t.Name)
		if err != nil {
			return err
		}
		if _, listed := could[t.Name]; !ok && listed {
			s.Quantised.Float32 = append(s.Quantised.Float32, t.Name)
		}
		if !ok {
			continue
		}
		if t.DType, t.Scales = checkpoint.I8.String(), "columns"; perRow {
			t.Scales = "rows"
		}
		s.Quantised.Int8++
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		s.Bytes += n*(checkpoint.I8.Size()-checkpoint.F32.Size()) + len(scales)*checkpoint.F32.Size()
	}
	return nil
}

// inspectedConfig returns the configuration that the flags name, or the model's own, or
// that which lies beside the weights; nil if there is none.
func inspectedConfig(path string, flags inspectFlags, own *model.Config) (*model.Config, error) {
	if flags.size != "" {
		cfg, ok := model.Sizes[flags.size]
		if !ok {
			return nil, choice("size", flags.size, run.Sizes()...)
		}
		return &cfg, nil
	}
	if flags.config != "" {
		return readConfig(flags.config)
	}
	if own != nil || filepath.Base(path) != modeldir.WeightsFile {
		return own, nil
	}
	cfg, err := readConfig(filepath.Join(filepath.Dir(path), modeldir.ConfigFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a bare checkpoint
	}
	return cfg, err
}

func readConfig(file string) (*model.Config, error) {
	cfg, err := model.ReadConfig(file)
	if err != nil {
		return nil, err
	}
	return &cfg, nil
}

// compareWith compares r with an architecture of cfg's size. Without a name it
// takes the one that cfg is for; without either there is nothing to compare.
func compareWith(r checkpoint.Reader, cfg *model.Config, name string) (*model.Difference, error) {
	if cfg == nil {
		if name != "" {
			return nil, usagef("--architecture %s: the model has no %s; give --size or --config as well", name, modeldir.ConfigFile)
		}
		return nil, nil
	}
	if name == "" {
		name = model.ArchitectureOf(*cfg)
	}
	d, err := model.DifferenceFrom(name, *cfg, r)
	if err != nil {
		return nil, usageError{err}
	}
	return d, nil
}

func (s *inspection) addTensors(r checkpoint.Reader, stats bool) error {
	s.Tensors = []inspectedTensor{}
	for _, info := range r.Tensors() {
		t := inspectedTensor{Name: info.Name, DType: info.DType.String(), Shape: info.Shape}
		if stats && info.DType.Computed() {
			v, err := checkpoint.Statistics(r, info.Name)
			if err != nil {
				return err
			}
			t.Stats = &tensorStats{v.Min, v.Max, v.Mean, v.Std, v.Zeros, v.NaN, v.Inf}
		}
		s.Tensors = append(s.Tensors, t)
		s.Parameters += info.Elements()
		s.Bytes += info.Elements() * info.DType.Size()
	}
	return nil
}

// print writes the inspection for people. Names come from files.
func (s *inspection) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d tensors, %d values, %.1f MB\n", printable.String(s.Path), s.Format, len(s.Tensors), s.Parameters, float64(s.Bytes)/1e6)
	if s.size != "" {
		fmt.Fprintf(&b, "configuration: %s\n", printable.String(s.size))
	}
	for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
		fmt.Fprintf(&b, "metadata: %s = %s\n", printable.String(key), printable.String(s.Metadata[key]))
	}
	if q := s.Quantised; q != nil {
		fmt.Fprintf(&b, "quantised: %d weights are int8, %d that could be are not; %.1f MB less than as float32\n", q.Int8, len(q.Float32), float64(q.BytesAsFloats-s.Bytes)/1e6)
		for _, name := range q.Float32 {
			fmt.Fprintf(&b, "stays float32: %s\n", printable.String(name))
		}
	}
	b.WriteByte('\n')
	s.printTensors(&b)
	for _, f := range s.Files {
		fmt.Fprintf(&b, "not recognised: %s (%s)\n", printable.String(f.Name), printable.String(f.Reason))
	}
	for _, l := range s.LeftOut {
		fmt.Fprintf(&b, "left out: %s (%s)\n", printable.String(l.Name), printable.String(l.Reason))
	}
	if s.Comparison != nil {
		printDifference(&b, s.Comparison)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (s *inspection) printTensors(b *strings.Builder) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "tensor\ttype\tshape")
	stats := slices.ContainsFunc(s.Tensors, func(t inspectedTensor) bool { return t.Stats != nil })
	if stats {
		fmt.Fprint(w, "\tmin\tmax\tmean\tstd\tzeros\tNaN\tInf")
	}
	fmt.Fprintln(w)
	for _, t := range s.Tensors {
		dtype := t.DType
		if t.Scales != "" {
			dtype += " by " + t.Scales
		}
		fmt.Fprintf(w, "%s\t%s\t%v", printable.String(t.Name), dtype, t.Shape)
		if v := t.Stats; v != nil {
			fmt.Fprintf(w, "\t%.4g\t%.4g\t%.4g\t%.4g\t%d\t%d\t%d", v.Min, v.Max, v.Mean, v.Std, v.Zeros, v.NaN, v.Inf)
		} else if stats { // of a type with which nothing is computed
			fmt.Fprint(w, strings.Repeat("\t-", 7))
		}
		fmt.Fprintln(w)
	}
	w.Flush() // a strings.Builder does not fail
	b.WriteByte('\n')
}

func printDifference(b *strings.Builder, c *model.Difference) {
	fmt.Fprintf(b, "against the architecture %s: %d missing, %d of another shape, %d unknown", c.Architecture, len(c.Missing), len(c.Mismatched), len(c.Unknown))
	if n := len(c.Optimizer); n > 0 {
		fmt.Fprintf(b, ", %d of the optimiser's state", n)
	}
	b.WriteByte('\n')
	for _, name := range c.Missing {
		fmt.Fprintf(b, "  missing: %s\n", printable.String(name))
	}
	for _, m := range c.Mismatched {
		fmt.Fprintf(b, "  another shape: %s is %v, the architecture has %v\n", m.Name, m.Have, m.Want)
	}
	for _, name := range c.Unknown {
		fmt.Fprintf(b, "  unknown: %s\n", printable.String(name))
	}
}
