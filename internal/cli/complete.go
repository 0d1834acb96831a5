package cli

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/cmdline"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

func (a *app) completionCommand() *cmdline.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cmdline.Command{
		Use:   "completion SHELL",
		Short: "Print the script that completes commands in a shell",
		Long: `Print a script for bash, zsh, fish or powershell. With it, the tab key completes
commands, tasks, flags, and values such as presets, settings, splits and folders.`,
		Example: `  source <(unimo completion bash)
  unimo completion bash > /etc/bash_completion.d/unimo
  unimo completion zsh > "${fpath[1]}/_unimo"
  unimo completion fish > ~/.config/fish/completions/unimo.fish
  unimo completion powershell | Out-String | Invoke-Expression`,
		Args:              needs("SHELL"),
		ValidArgsFunction: completeFirst(shells...),
		RunE: func(c *cmdline.Command, args []string) error {
			if err := choice("shell", args[0], shells...); err != nil {
				return err
			}
			_, err := io.WriteString(a.stdout.exact(), cmdline.Script(args[0], c.Root().Name()))
			return err
		},
	}
}

// completeFirst completes the first argument with one of these, and the others with files.
func completeFirst(list ...string) cmdline.Completion {
	return func(_ *cmdline.Command, args []string, _ string) ([]string, cmdline.Directive) {
		if len(args) > 0 {
			return nil, cmdline.Files
		}
		return list, cmdline.NoFiles
	}
}

// completeFolder completes with folders.
func completeFolder(*cmdline.Command, []string, string) ([]string, cmdline.Directive) {
	return nil, cmdline.Folders
}

// folderFlags are the flags whose values are folders.
var folderFlags = []string{"out", "model", "vocab", "index", "scores", "predictions", "images", "wordnet"}

// addCompletion teaches the commands' flags to complete their values.
func (a *app) addCompletion(c *cmdline.Command) {
	for _, sub := range c.Commands() {
		a.addCompletion(sub)
	}
	c.LocalFlags().VisitAll(func(f *cmdline.Flag) {
		if complete := a.completeFlag(c, f.Name); complete != nil {
			c.RegisterFlagCompletionFunc(f.Name, complete)
		}
	})
}

// completeFlag returns what completes the values of a flag; nil is files.
func (a *app) completeFlag(c *cmdline.Command, name string) cmdline.Completion {
	fixed := func(list ...string) cmdline.Completion {
		return func(*cmdline.Command, []string, string) ([]string, cmdline.Directive) { return list, cmdline.NoFiles }
	}
	switch {
	case name == "preset" || name == "size":
		return fixed(run.Sizes()...)
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
func (a *app) completeSettings(c *cmdline.Command, _ []string, word string) ([]string, cmdline.Directive) {
	p := a.trains(c)
	if p == nil || strings.Contains(word, "=") {
		return nil, cmdline.Files
	}
	var list []string
	for _, s := range mustSettings(p, "mini") {
		list = append(list, s.Key+"=\t"+s.Help)
	}
	return list, cmdline.NoFiles | cmdline.NoSpace
}

// completeSplit completes a split of the command's task.
func (a *app) completeSplit(c *cmdline.Command, _ []string, _ string) ([]string, cmdline.Directive) {
	list := []string{"train", "dev", "test"}
	if t := a.taskOf(c); t != nil {
		list = t.Splits.Names()
	}
	return list, cmdline.NoFiles
}
