package cli

import (
	_ "embed"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/pretrained"
)

// pretrainExample is a commented configuration.
//
//go:embed pretrain.yaml
var pretrainExample string

func (a *app) pretrainCommand() *cobra.Command {
	o := run.Options{Task: pretrained.Task}
	var example bool
	var settings settingFlags
	c := &cobra.Command{
		Use:     "pretrain --config FILE --out RUN",
		Aliases: []string{"pre-train"},
		Short:   "Pre-train a model on texts, images and pairs of both",
		Long: `Pre-train a model on collections of texts, of images, and of images with captions, with
the objectives of UNIMO: masked language modelling, seq2seq generation, masked regions, and
cross-modal contrastive learning with rewritten captions and retrieved images and texts.
Each objective has a weight; 0 switches it off.

The run's folder is that of 'unimo finetune', which goes on from it with --init RUN. Ctrl-C saves and
stops; the same command with --resume goes on, to the sample. Paths are relative to the current folder.`,
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
			if o.Resume && !c.Flags().Changed("preset") {
				o.Size = "" // the run's own
			}
			var err error
			if o.Set, err = settings.merge(o.Set); err != nil {
				return err
			}
			if o.ConfigFile == "" && len(o.Set) == 0 && !o.Resume {
				return usagef("name a configuration with --config; 'unimo pretrain --example' prints one to begin with")
			}
			if o.Out == "" {
				return usagef("name the folder of the run with --out")
			}
			return a.train(c.Context(), o, nil)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.ConfigFile, "config", "", "`FILE` of settings (YAML or JSON), the collections among them")
	flags.BoolVar(&example, "example", false, "print a commented configuration and do nothing else")
	presetFlag(c, &o.Size)
	flags.StringVar(&o.Init, "init", "", "`MODEL` to start from: ours, UNIMO's, RoBERTa's or BERT's (default: random weights)")
	flags.StringVar(&o.Vocab, "vocab", "", "`DIR` with the vocabulary (default: that of --init, or trained on the texts)")
	flags.StringVarP(&o.Out, "out", "o", "", "folder `RUN` to keep the run in")
	flags.BoolVar(&o.Resume, "resume", false, "go on with the run in --out")
	flags.StringArrayVar(&o.Set, "set", nil, "a setting, `KEY=VALUE` (repeatable); see below")
	settings.registerTraining(c, o.Task)
	return c
}
