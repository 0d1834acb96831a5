package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/checkpoint"
)

// conversion is what "unimo convert --json" prints.
type conversion struct {
	Source       string `json:"source"`
	SourceFormat string `json:"source_format"`
	Destination  string `json:"destination"`
	Format       string `json:"format"`
	Tensors      int    `json:"tensors"`
	Parameters   int    `json:"parameters"`
}

func (a *app) convertCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Convert a checkpoint between Paddle's format and safetensors",
		Long: `Convert a checkpoint between the reference's format (Paddle: a folder with one
file per variable, or a .tar.gz of it as released) and safetensors. SRC is
recognised by its content. Names, types, shapes and bytes of the tensors stay as
they are; other files (config.json, the vocabulary) are not copied.

DST must not exist. Its name decides the format: *.safetensors, *.tar.gz, or a
folder in the other format than SRC's; --format decides it explicitly:
  safetensors         one file
  safetensors-folder  a folder with model.safetensors
  paddle              a folder with one file per variable
  paddle-tar.gz       a compressed archive of such a folder`,
		Example: `  unimo convert unimo_base_en.tar.gz unimo_base_en
  unimo convert RUN/best/model.safetensors mine.tar.gz
  unimo convert --format paddle DIR.tar.gz DIR`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return a.convert(args[0], args[1], checkpoint.Format(format))
		},
	}
	c.Flags().StringVar(&format, "format", "", "format of DST (default: by its name)")
	return c
}

func (a *app) convert(source, destination string, format checkpoint.Format) error {
	r, err := checkpoint.Open(source)
	if err != nil {
		return err
	}
	defer r.Close()
	if format == "" {
		format = checkpoint.GuessFormat(destination, r)
	}
	if err := checkpoint.Convert(r, destination, format); err != nil {
		return err
	}
	result := conversion{Source: source, SourceFormat: r.Format(), Destination: destination, Format: string(format)}
	for _, info := range r.Tensors() {
		result.Tensors++
		result.Parameters += info.Elements()
	}
	for _, f := range r.Files() {
		a.log.Warn("not copied", "file", f.Name, "reason", f.Reason)
	}
	if a.json {
		return a.printJSON(result)
	}
	_, err = fmt.Fprintf(a.stdout, "%s (%s): %d tensors, %d values, from %s (%s)\n",
		destination, format, result.Tensors, result.Parameters, source, r.Format())
	return err
}
