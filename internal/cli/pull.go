package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/pull"
)

func (a *app) pullCommand() *cobra.Command {
	var accept, all bool
	c := &cobra.Command{
		Use:   "pull NAME",
		Short: "Fetch a model by its name, whole or not at all",
		Long: `Fetch a model into the cache of this machine, and print where it is. From then on
its name stands for it wherever a model is named, without a connection.

  hf:ORG/MODEL[@REV]     Hugging Face's hub; REV is a branch, a tag or a commit
  ms:ORG/MODEL[@REV]     ModelScope
  unimo:NAME             the authors' archives: base_en, mnli_base_en, large_en,
                         mnli_large_en, and dict, the vocabulary
  oci:HOST/REPO[:TAG]    a registry of containers (CNCF's ModelPack);
                         @sha256:HEX behind it wants that manifest
  https://HOST/FILE      one file; #sha256=HEX behind it wants that sum

What was begun goes on where it was. Every file is compared with its sum: a wrong
one is not kept. Where no source says a sum, the first that is seen is noted in
unimo.lock, and wanted ever after. Files that a model does not need, such as
weights in a second form, are left out.

The cache of hf: is that of Hugging Face's own programs. HF_ENDPOINT, HF_TOKEN,
HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to them. UNIMO_CACHE
is the folder of all else.`,
		Example: `  unimo pull hf:sentence-transformers/all-MiniLM-L6-v2
  unimo embed --model hf:sentence-transformers/all-MiniLM-L6-v2 "a dog runs"
  unimo pull unimo:base_en
  unimo pull oci:ghcr.io/team/films:v1`,
		Args: needs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := hub.Parse(args[0])
			if err != nil {
				return usageError{err}
			}
			return a.pull(c.Context(), n, pull.Options{All: all, Accept: accept})
		},
	}
	c.Flags().BoolVarP(&accept, "accept-licence", "y", false, "accept a licence that forbids some uses; without it, you are asked once")
	c.Flags().BoolVar(&all, "all", false, "fetch files that the model does not need here, too")
	return c
}

func (a *app) pushCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "push MODEL oci:HOST/REPO:TAG",
		Short: "Put a model into a registry of containers",
		Long: `Put the folder of a model, or of a run its best, into a registry of containers, as
CNCF's ModelPack has models: each file is a layer, and the same folder is always
the same digest, which is printed. 'unimo pull' fetches it; so does ORAS.

Log in as for containers (docker login, oras login).`,
		Example: "  unimo push RUN oci:ghcr.io/team/films:v1\n  unimo pull oci:ghcr.io/team/films:v1",
		Args:    needs("MODEL", "NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := hub.Parse(args[1])
			if err != nil {
				return usageError{err}
			}
			if err := checkModel(args[0]); err != nil {
				return err
			}
			return a.push(c.Context(), modeldir.Resolve(args[0]), n)
		},
	}
}

func (a *app) push(ctx context.Context, dir string, n hub.Name) error {
	shown := &pullProgress{app: a, doing: "pushing", progress: a.newProgress()}
	p, err := pull.Push(ctx, dir, n, pull.Options{Cache: hub.FromEnv(os.Getenv), Getenv: os.Getenv, Observer: shown})
	shown.finish()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(p)
	}
	a.log.Info(fmt.Sprintf("%d files, %s", p.Files, size(p.Bytes)))
	_, err = printable.Fprintf(a.stdout, "%s\n", p.Name)
	return err
}

func (a *app) pull(ctx context.Context, n hub.Name, o pull.Options) error {
	shown := &pullProgress{app: a, doing: "fetching", progress: a.newProgress()}
	o.Cache, o.Getenv, o.Observer = hub.FromEnv(os.Getenv), os.Getenv, shown
	if isTerminal(a.stdin) {
		o.Ask = func(l pull.Licence) (bool, error) { return a.askLicence(ctx, n, l) }
	}
	r, err := pull.Pull(ctx, n, o)
	shown.finish()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r)
	}
	a.log.Info(summary(r))
	if r.Pinned {
		a.log.Info(fmt.Sprintf("no source says its sum; %s notes what came, and wants the same from now on:", hub.LockFile))
		for _, f := range r.Files {
			a.log.Info(fmt.Sprintf("  sha256 %s  %s", f.SHA256, f.Path))
		}
	}
	_, err = printable.Fprintf(a.stdout, "%s\n", r.Path)
	return err
}

// summary says what was fetched.
func summary(r *pull.Result) string {
	said := fmt.Sprintf("%s at revision %.12s is here", r.Name, r.Revision)
	if r.Files == nil {
		return said
	}
	said += fmt.Sprintf(": %d files, %s", len(r.Files), size(r.Bytes))
	if r.Fetched < r.Bytes {
		said += fmt.Sprintf(", of which %s were fetched now", size(r.Fetched))
	}
	return said
}

// size writes a number of bytes as people say it.
func size(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes float64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if float64(n) >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// askLicence asks whoever sits at the terminal.
func (a *app) askLicence(ctx context.Context, n hub.Name, l pull.Licence) (bool, error) {
	printable.Fprintf(a.stderr, "%s has the licence %s: %s. Do you accept it? [y/N] \n", n, l, l.Forbid)
	line, err := bufio.NewReader(a.input(ctx)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// pullProgress shows how a model is fetched. It implements [pull.Observer].
type pullProgress struct {
	app   *app
	doing string
	mu    sync.Mutex
	*progress
	unit int64
}

// Planned implements [pull.Observer].
func (p *pullProgress) Planned(plan *pull.Plan) {
	log := p.app.log
	if l := plan.Licence; l.String() != "" {
		log.Info(fmt.Sprintf("licence: %s", l))
	} else {
		log.Info("licence: its source says none")
	}
	if len(plan.LeftOut) == 0 {
		return
	}
	var bytes int64
	var names []string
	for _, f := range plan.LeftOut {
		bytes += f.Size
		names = append(names, f.Path)
	}
	const shown = 4
	more := ""
	if len(names) > shown {
		names, more = names[:shown], fmt.Sprintf(" and %d more", len(names)-shown)
	}
	log.Info(fmt.Sprintf("left out, as the model does not need them here (--all fetches them): %s%s; %s", strings.Join(names, ", "), more, size(bytes)))
}

// Waiting implements [pull.Observer].
func (p *pullProgress) Waiting(holder error) {
	p.app.log.Info(fmt.Sprintf("waiting for another process: %v", holder))
}

// Again implements [pull.Observer].
func (p *pullProgress) Again(err error, wait time.Duration) {
	p.app.log.Warn(fmt.Sprintf("%v; again in %s", err, wait.Round(100*time.Millisecond)))
}

// Progress implements [pull.Observer].
func (p *pullProgress) Progress(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unit == 0 {
		name := "MB"
		if p.unit = 1e6; total >= 0 && total < 10e6 {
			p.unit, name = 1e3, "kB"
		}
		p.begin(p.doing + ", in " + name)
		p.first = int(done / p.unit) // a pull before this one had fetched it
	}
	if total < 0 {
		p.counted(int(done / p.unit))
		return
	}
	p.Tick(int(done/p.unit), int((total+p.unit-1)/p.unit))
}
