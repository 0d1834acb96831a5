package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/pull"
)

// modelLine is a model in "unimo list --json".
type modelLine struct {
	Name     string     `json:"name"`
	Refs     []string   `json:"refs"`
	Digest   string     `json:"digest"`
	Bytes    int64      `json:"bytes"`
	Files    int        `json:"files"`
	Task     string     `json:"task,omitempty"`
	Fetched  time.Time  `json:"fetched"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Path     string     `json:"path"`
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the models that were fetched",
		Long: `List the models in the caches of this machine, those that Hugging Face's own
programs fetched included: their size, their digest (of a hub, the commit), what
they are for, and when they were last opened by their names.`,
		Example: "  unimo list\n  unimo list --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			models, err := hub.FromEnv(os.Getenv).List()
			if err != nil {
				return err
			}
			lines := make([]modelLine, len(models))
			for i, m := range models {
				lines[i] = modelLine{Name: m.Name.String(), Refs: m.Refs, Digest: m.Revision, Bytes: m.Bytes, Files: m.Files, Task: taskOf(m.Path), Fetched: m.Fetched.UTC().Truncate(time.Second), Path: m.Path}
				if lines[i].Refs == nil {
					lines[i].Refs = []string{}
				}
				if !m.Used.IsZero() {
					used := m.Used.UTC().Truncate(time.Second)
					lines[i].LastUsed = &used
				}
			}
			if a.json {
				return a.printJSON(lines)
			}
			return a.printModels(lines)
		},
	}
}

func (a *app) printModels(lines []modelLine) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(a.stdout, "no models; 'unimo pull NAME' fetches one")
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\trevision\tdigest\tsize\ttask\tlast used")
	for _, m := range lines {
		used := ""
		if m.LastUsed != nil {
			used = m.LastUsed.Local().Format("2006-01-02 15:04")
		}
		printable.Fprintf(w, "%s\t%s\t%.12s\t%s\t%s\t%s\n", m.Name, strings.Join(m.Refs, ","), m.Digest, size(m.Bytes), m.Task, used)
	}
	return w.Flush()
}

// taskOf says what a model is for: the task that it was trained for, else what its library calls it; "" if its folder does not say.
func taskOf(path string) string {
	var c struct {
		Task  string `json:"finetuning_task"`
		Tasks []struct {
			Name string `json:"name"`
		} `json:"tasks"`
		Architectures []string        `json:"architectures"`
		Type          json.RawMessage `json:"model_type"`
	}
	const limit = 1 << 20
	if infile.ReadJSON(filepath.Join(path, modeldir.ConfigFile), limit, &c) != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(path, "modules.json")); err == nil {
		return "sentence embeddings"
	}
	switch {
	case len(c.Tasks) > 0:
		var names []string
		for _, t := range c.Tasks {
			names = append(names, t.Name)
		}
		return strings.Join(names, ",")
	case c.Task != "":
		return c.Task
	case len(c.Architectures) > 0:
		return c.Architectures[0]
	}
	return strings.Trim(string(c.Type), `"`)
}

func (a *app) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"remove"},
		Short:   "Take models out of the cache, and free what nothing else uses",
		Long: `Take models out of the cache. With a revision (hf:ORG/MODEL@REV) it is that one
alone; without, all that were fetched. A file that another revision has stays.

The cache of hf: is that of Hugging Face's programs, too: what is removed is gone
for them as well.`,
		Example: "  unimo rm hf:google-bert/bert-base-uncased\n  unimo rm hf:google-bert/bert-base-uncased@main",
		Args:    needsSome("NAME"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return modelNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			var list []hub.Name
			for _, arg := range args {
				n, err := hub.Parse(arg)
				if err != nil {
					return usageError{err}
				}
				list = append(list, n)
			}
			return a.removeModels(c.Context(), list)
		},
	}
}

// modelNames are those of the models in the caches.
func modelNames() (list []string) {
	models, _ := hub.FromEnv(os.Getenv).List() // a completion says no errors
	for _, m := range models {
		list = append(list, m.Name.String())
	}
	return list
}

// removedJSON is what "unimo rm --json" prints.
type removedJSON struct {
	Removed []string `json:"removed"`
	Freed   int64    `json:"bytes_freed"`
}

func (a *app) removeModels(ctx context.Context, list []hub.Name) error {
	cache, done := hub.FromEnv(os.Getenv), removedJSON{Removed: []string{}}
	for _, n := range list {
		freed, err := pull.Remove(ctx, cache, n, &pullProgress{app: a, doing: "removing", progress: a.newProgress()})
		if err != nil {
			return err
		}
		done.Removed, done.Freed = append(done.Removed, n.String()), done.Freed+freed
		if !a.json {
			printable.Fprintf(a.stdout, "%s is removed; %s are free now\n", n, size(freed))
		}
	}
	if a.json {
		return a.printJSON(done)
	}
	return nil
}
