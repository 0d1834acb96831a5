package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/train"
)

func (a *app) goOnCommand() *cobra.Command {
	var set []string
	var flags settingFlags
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was interrupted",
		Long: `Go on with a run of 'unimo finetune' or 'unimo pretrain', or with a grid, from its newest
snapshot. Data and settings are those that its run.json names, whatever the current folder.
It ends in the same bits as if it had not been interrupted.

Settings that do not change what is computed may be given anew: ` + strings.Join(train.Free, ", ") + `, image_cache, workers,
eval_batch_size, decode_memory. The device may be, too; the last bits depend on it.`,
		Example: "  unimo resume RUN\n  unimo resume RUN --set snapshot_minutes=1\n  unimo resume RUN --device cuda",
		Args:    needs("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			set, err := flags.merge(set)
			if err != nil {
				return err
			}
			group, err := a.join(set)
			if err != nil {
				return err
			}
			o, grid, err := a.tasks.Resume(group, args[0])
			if err != nil {
				return err
			}
			o.Set = set
			return a.train(c.Context(), o, grid)
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "a setting, key=value (repeatable)")
	for _, setting := range settings.List(new(device.Choice)) {
		flags.add(c, setting, nil)
	}
	annotate(c, sharesAnnotation, "true")
	return c
}
