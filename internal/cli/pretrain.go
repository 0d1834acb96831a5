package cli

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/config"
	"github.com/unimo-go/unimo/internal/task"
)

// pretrainExample is a commented configuration.
//
//go:embed pretrain.yaml
var pretrainExample string

func (a *app) pretrainCommand() *cobra.Command {
	o := task.Options{Preset: task.Pretraining}
	var example bool
	c := &cobra.Command{
		Use:   "pretrain --config FILE --out RUN",
		Short: "Pre-train a model on texts, images and pairs of both",
		Long:  pretrainHelp(),
		Example: `  unimo pretrain --example > pretrain.yaml
  unimo pretrain --config pretrain.yaml --out RUN
  unimo pretrain --config pretrain.yaml --out RUN --resume
  unimo pretrain --config pretrain.yaml --out RUN --init roberta-base --preset base
  unimo finetune flickr8k --data DIR --init RUN --out TUNED`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if example {
				_, err := fmt.Fprint(a.stdout, pretrainExample)
				return err
			}
			if o.ConfigFile == "" && len(o.Set) == 0 {
				return usagef("name a configuration with --config; 'unimo pretrain --example' prints one to begin with")
			}
			if o.Out == "" {
				return usagef("name the folder of the run with --out")
			}
			return a.train(c.Context(), o, nil)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.ConfigFile, "config", "", "file of settings (YAML or JSON), the collections among them")
	flags.BoolVar(&example, "example", false, "print a commented configuration and do nothing else")
	flags.StringVar(&o.Size, "preset", "mini", "size of the model and its recipe: mini, base or large")
	flags.StringVar(&o.Init, "init", "", "model to start from: ours, UNIMO's, RoBERTa's or BERT's (default: random weights)")
	flags.StringVar(&o.Vocab, "vocab", "", "folder with the vocabulary (default: that of --init, or trained on the texts)")
	flags.StringVar(&o.Out, "out", "", "folder of the run")
	flags.BoolVar(&o.Resume, "resume", false, "go on with the run in --out")
	flags.StringArrayVar(&o.Set, "set", nil, "a setting, key=value (repeatable); see above")
	return c
}

func pretrainHelp() string {
	return `Pre-train a model on collections of texts, of images, and of images with captions, with
the objectives of UNIMO: masked language modelling, seq2seq generation, masked regions, and
cross-modal contrastive learning with rewritten captions and retrieved images and texts.
Each objective has a weight; 0 switches it off.

The run's folder is that of 'unimo finetune', which goes on from it with --init RUN. Ctrl-C saves and
stops; the same command with --resume goes on, to the sample. Paths are relative to the current folder.

` + settingsTable(task.Pretraining)
}

// settingsTable lists the settings with their values for mini and base.
func settingsTable(p *task.Preset) string {
	var b strings.Builder
	b.WriteString("Settings for --set and --config, with their values for mini and base:\n")
	mini, err := task.Defaults(p, "mini")
	if err != nil {
		panic(err)
	}
	base, err := task.Defaults(p, "base")
	if err != nil {
		panic(err)
	}
	bases := config.List(base)
	for i, s := range config.List(mini) {
		fmt.Fprintf(&b, "  %-29s %-20v %-20v %s\n", s.Key, s.Value, bases[i].Value, s.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}
