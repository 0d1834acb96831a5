package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/train"
)

func (a *app) goOnCommand() *cobra.Command {
	var set []string
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was interrupted",
		Long: `Go on with a run of 'unimo finetune' or 'unimo pretrain', or with a grid, from its newest
snapshot. Data and settings are those that its run.json names, whatever the current folder.
It ends in the same bits as if it had not been interrupted.

Settings that do not change what is computed may be given anew: ` + strings.Join(train.Free, ", ") + ", image_cache, workers.",
		Example: "  unimo resume RUN\n  unimo resume RUN --set snapshot_minutes=1",
		Args:    needs("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
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
	annotate(c, sharesAnnotation, "true")
	return c
}
