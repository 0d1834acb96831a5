package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/train"
)

// card is what the README.md of a model says.
type card struct {
	Task     *Task
	Config   model.Config
	Params   int
	Origin   string   // where the weights started
	Data     []string // lines on the data
	Notice   string   // what a reader must not miss, such as synthetic data
	Settings []string // "key: value" of the run
	Version  string
}

func (c card) text(note train.Note) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# UNIMO for %s\n\n", c.Task.Title)
	if c.Notice != "" {
		fmt.Fprintf(&b, "**%s**\n\n", c.Notice)
	}
	fmt.Fprintf(&b, "%v; %d parameters. %s Saved after step %d by unimo %s.\n\n", c.Config, c.Params, c.Origin, note.Step, c.Version)
	if note.Evaluation != nil {
		fmt.Fprintf(&b, "| metric on dev | value |\n|---|---|\n")
		for _, key := range slices.Sorted(maps.Keys(note.Evaluation.Metrics)) {
			value := fmt.Sprintf("%.6g", float64(note.Evaluation.Metrics[key]))
			if value == "NaN" {
				value = "undefined (0/0)"
			}
			fmt.Fprintf(&b, "| %s | %s |\n", key, value)
		}
		if note.Best {
			b.WriteString("\nThe step was chosen by these scores, so they are a little better than on new data.\n")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "## Use\n\n```\n%s\n```\n\n## Data\n\n", c.Task.Kind.Use("."))
	for _, line := range c.Data {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n## Settings\n\n```yaml\n")
	for _, line := range c.Settings {
		fmt.Fprintf(&b, "%s\n", line)
	}
	b.WriteString("```\n")
	return b.String()
}
