package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/train"
)

func (a *app) goOnCommand() *cobra.Command {
	var set []string
	var flags settingFlags
	var free []string // settings of some task that may change, and list with those of the device
	var list []settings.Setting
	for _, t := range a.tasks {
		for _, setting := range mustSettings(t, "mini") {
			known := slices.ContainsFunc(list, func(s settings.Setting) bool { return s.Key == setting.Key })
			tag := setting.Tag.Get("run")
			may := tag == "free" || slices.Contains(train.Free, setting.Key)
			if known || !may && tag != "machine" {
				continue
			}
			if list = append(list, setting); may {
				free = append(free, setting.Key)
			}
		}
	}
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was interrupted",
		Long: `Go on with a run of 'unimo finetune' or 'unimo pretrain', or with a grid, from its newest
snapshot. Data and settings are those that its run.json names, whatever the current folder.
It ends in the same bits as if it had not been interrupted.

Settings that do not change what is computed may be given anew: ` + strings.Join(free, ", ") + `.
The device may be, too; the last bits depend on it.`,
		Example: "  unimo resume RUN\n  unimo resume RUN --max-minutes 60\n  unimo resume RUN --device cuda",
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
	for _, setting := range list {
		flags.add(c, setting, nil)
	}
	annotate(c, sharesAnnotation, "true")
	return c
}
