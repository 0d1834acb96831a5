package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the script that completes commands in a shell",
		Long: `Print a script for bash, zsh, fish or powershell. With it, the tab key completes
commands, tasks, flags, and values such as presets, settings, splits and folders.
That of bash needs the package bash-completion.`,
		Example: `  source <(unimo completion bash)
  unimo completion bash > /etc/bash_completion.d/unimo
  unimo completion zsh > "${fpath[1]}/_unimo"
  unimo completion fish > ~/.config/fish/completions/unimo.fish
  unimo completion powershell | Out-String | Invoke-Expression`,
		Args:              needs("SHELL"),
		ValidArgsFunction: completeFirst(shells...),
		RunE: func(c *cobra.Command, args []string) error {
			switch root := c.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout.exact(), true)
			case "zsh":
				return root.GenZshCompletion(a.stdout.exact())
			case "fish":
				return root.GenFishCompletion(a.stdout.exact(), true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout.exact())
			}
			return choice("shell", args[0], shells...)
		},
	}
}

// completion is what completes a word.
type completion = cobra.CompletionFunc

// completeFirst completes the first argument with one of these, and the others with files.
func completeFirst(list ...string) completion {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFolder completes with folders.
func completeFolder(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// folderFlags are the flags whose values are folders.
var folderFlags = []string{"out", "model", "vocab", "index", "scores", "predictions", "images", "wordnet"}

// addCompletion teaches the commands' flags to complete their values.
func (a *app) addCompletion(c *cobra.Command) {
	for _, sub := range c.Commands() {
		a.addCompletion(sub)
	}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if complete := a.completeFlag(c, f.Name); complete != nil {
			c.RegisterFlagCompletionFunc(f.Name, complete)
		}
	})
}

// completeFlag returns what completes the values of a flag; nil is files.
func (a *app) completeFlag(c *cobra.Command, name string) completion {
	fixed := func(list ...string) completion {
		return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
	}
	switch {
	case name == "preset" || name == "size":
		return fixed(run.Sizes()...)
	case name == deviceName:
		return completeDevice
	case name == precisionName:
		return fixed(device.Precisions...)
	case name == "warm-up":
		return fixed(backend.WarmUps...)
	case name == "set" || name == "grid" && a.trains(c) != nil:
		return a.completeSettings
	case name == "split":
		return a.completeSplit
	case name == "extractor":
		return fixed(regions.Patches, regions.Statistics)
	case name == "architecture":
		return fixed(model.Architectures()...)
	case name == "texts":
		return fixed("auto", "text", "ids")
	case name == "order" || name == "feature-order":
		return fixed(regions.OrderWidth, regions.OrderHeight)
	case name == "pictures":
		return fixed(images.Shuffled, images.Hidden)
	case name == "format" && c.Name() == "convert":
		return fixed(formatNames()...)
	case name == "dtype":
		return fixed(slices.Sorted(maps.Keys(weightTypes))...)
	case name == "format":
		return fixed(writeStore, writeReference)
	case slices.Contains(folderFlags, name):
		return completeFolder
	}
	return nil
}

func formatNames() []string {
	return []string{string(checkpoint.FormatSafetensors), string(checkpoint.FormatSafetensorsFolder), string(checkpoint.FormatPaddle), string(checkpoint.FormatPaddleArchive)}
}

// completeSettings completes the key of an assignment.
func (a *app) completeSettings(c *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	p := a.trains(c)
	if p == nil || strings.Contains(word, "=") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var list []string
	for _, s := range mustSettings(p, "mini") {
		list = append(list, s.Key+"=\t"+s.Help)
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeSplit completes a split of the command's task.
func (a *app) completeSplit(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	list := []string{"train", "dev", "test"}
	if t := a.taskOf(c); t != nil {
		list = t.Splits.Names()
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}
