package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/demo"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/tasks/classify"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/internal/tasks/write"
	"github.com/unimo-go/unimo/internal/train"
)

// demoParts are the parts of the demo, the short ones first.
var demoParts = demo.Parts()

// demoList lists parts, for help.
func demoList(parts []demo.Part) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "  %-12s %s (%s)\n", p.Name, p.About, p.Takes)
	}
	fmt.Fprintf(&b, "  %-12s all of them\n", "all")
	return b.String()
}

func (a *app) demoCommand() *cobra.Command {
	var out, listen string
	var open, serving bool
	var seed int
	c := &cobra.Command{
		Use:   "demo [PART...]",
		Short: "Train small models on invented data and try them",
		Long: `Show a checked-in model for many tasks, then train mini models on data that generators of this
program write (synthetic, no downloads), score them on combinations they never saw, and try
them. Without a name the first two parts run. The parts, with their time on two cores, are

` + demoList(demoParts) + `
Where a person types, each part can be tried. Each part leaves an HTML page; --open opens
it in the browser. With the same --out a part goes on where it was stopped.

With --serve nothing is trained or scored: the checked-in model is served until Ctrl-C, with
a page where pictures can be searched, dropped in and asked about, as by "unimo serve".`,
		Example:   "  unimo demo\n  unimo demo --serve --open\n  unimo demo stories\n  unimo demo all --out RUN",
		ValidArgs: demo.Names(demoParts),
		RunE: func(c *cobra.Command, args []string) error {
			parts, err := demo.Choose(demoParts, args)
			if err != nil {
				return usagef("%w", err)
			}
			if !serving {
				if listen != "" {
					return usagef("--listen goes with --serve")
				}
				return a.demo(c.Context(), out, open, seed, parts)
			}
			if len(args) > 0 && (len(parts) != 1 || parts[0].Name != demoParts[0].Name) {
				return usagef("--serve serves the checked-in model, which is of the part %q; leave the others out", demoParts[0].Name)
			}
			return a.demoSite(c.Context(), out, listen, open)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder of the runs (default: a new one among the system's temporary files)")
	c.Flags().BoolVar(&open, "open", false, "open each part's page in the browser")
	c.Flags().BoolVar(&serving, "serve", false, "serve the checked-in model, with a page for the browser")
	c.Flags().StringVar(&listen, "listen", "", "with --serve: HOST:PORT to serve at (default: a free port of this machine, for this machine alone)")
	c.Flags().IntVar(&seed, "seed", 0, "seed of training, to see how much scores depend on it (default: the parts' own; the data stay the same)")
	return c
}

func (a *app) demo(ctx context.Context, out string, open bool, seed int, parts []demo.Part) (err error) {
	if out == "" {
		if out, err = demoFolder(); err != nil {
			return err
		}
		defer func() {
			if err != nil { // else the pages' paths say it
				a.log.Info("the demo is in " + out + "; go on with the same command and --out " + shellQuote(out))
			}
		}()
	}
	began := time.Now()
	scores := map[string]train.Numbers{}
	for _, p := range parts {
		done, err := p.Run(ctx, demo.Options{Dir: filepath.Join(out, p.Name), Seed: seed, Version: runVersion(), Log: a.log, Watch: a.watch})
		if err == nil && !a.json {
			err = a.showPart(ctx, p, done)
		}
		if err != nil {
			return err
		}
		if open {
			a.openPage(done.Page)
		}
		scores[p.Name] = done.Scores
	}
	if a.json {
		return a.printJSON(scores)
	}
	a.log.Info("done in " + span(time.Since(began)))
	return nil
}

func demoFolder() (string, error) {
	dir, err := os.MkdirTemp("", "unimo-demo-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the demo: %w", err)
	}
	return dir, nil
}

// demoSite serves the checked-in model until the context ends. What it needs is made anew in no time, so it stays only where the user wants it.
func (a *app) demoSite(ctx context.Context, out, listen string, open bool) (err error) {
	if out == "" {
		if out, err = demoFolder(); err != nil {
			return err
		}
		defer os.RemoveAll(out)
	}
	site, err := demo.MakeSite(ctx, demo.Options{Dir: filepath.Join(out, demoParts[0].Name), Log: a.log})
	if err != nil {
		return err
	}
	return serve.Run(ctx, serve.Options{
		Backend: backend.Options{Models: []backend.Source{{Name: "demo", Dir: site.Model}}, Index: site.Index},
		Listen:  cmp.Or(listen, "127.0.0.1:0"), Page: site.Page, Version: currentVersion().Version, Log: a.log, Grace: demoGrace,
		Ready: func(url string) {
			a.log.Info("serving the checked-in model; Ctrl-C ends it. Open this in a browser:")
			fmt.Fprintln(a.stdout, url+"/")
			if open {
				a.openPage(url + "/")
			}
		},
	})
}

// demoGrace is how long an answer may still take after Ctrl-C: those of the checked-in model take milliseconds.
const demoGrace = time.Second

// watch shows the progress of work on a task until done is called.
func (a *app) watch(t *run.Task) (watch run.Observer, done func()) {
	progress := a.newProgress()
	progress.trains(t)
	return progress, func() {
		progress.finish()
		a.ending.Store(nil)
	}
}

// showPart prints what a part found and lets people try its model.
func (a *app) showPart(ctx context.Context, p demo.Part, d demo.Outcome) error {
	fmt.Fprintf(a.stdout, "\n%s", d.Text)
	if d.Results != nil {
		fmt.Fprintf(a.stdout, "%s, on combinations that training never showed:\n", p.Task.Title)
		a.printResults(p.Task, d.Results)
	}
	if d.Baselines != nil {
		fmt.Fprintf(a.stdout, "For comparison (%s):\n", p.Task.Metric)
		for _, b := range d.Baselines {
			fmt.Fprintf(a.stdout, "  %.4f  %s\n", b.Score, b.Name)
		}
	}
	if p.Try != demo.NoTry && d.Model != "" {
		fmt.Fprintln(a.stdout)
		if err := a.try(ctx, p, d.Model); err != nil {
			return err
		}
	}
	if d.Model != "" {
		model := shellQuote(d.Model)
		use := p.Task.Kind.Use(model)
		if p.Commands != "" {
			use = strings.NewReplacer("MODEL", model, "PICTURES", shellQuote(filepath.Dir(d.Picture)), "PICTURE", shellQuote(d.Picture)).Replace(p.Commands)
		}
		fmt.Fprintf(a.stdout, "\nTry the model yourself:\n%s\n", use)
	}
	fmt.Fprintf(a.stdout, "\nThe same with real data, %s\n", p.Next)
	if p.Name == demoParts[1].Name {
		fmt.Fprintf(a.stdout, "\nLonger parts, as \"unimo demo %s\":\n%s", demoParts[2].Name, demoList(demoParts[2:]))
	}
	printable.Fprintf(a.stdout, "\nThe page of %s:\n", p.Shows)
	_, err := fmt.Fprintln(a.stdout, d.Page)
	return err
}

// try lets people try the model of a part.
func (a *app) try(ctx context.Context, p demo.Part, model string) error {
	switch p.Try {
	case demo.TryStory:
		return a.tryStories(ctx, model)
	case demo.TrySearch:
		return a.trySearch(ctx, p, model)
	}
	return a.tryOpinions(ctx, model)
}

// tryOpinions classifies examples and what the user types.
func (a *app) tryOpinions(ctx context.Context, model string) error {
	p, err := classify.Open(model, a.env())
	if err != nil {
		return err
	}
	defer p.Close()
	if err := a.predict(ctx, p, synth.Examples(), false, 1); err != nil {
		return err
	}
	return a.converse(ctx, "an opinion", func(text string) error {
		return a.predict(ctx, p, []string{synth.Normalise(text)}, false, 1)
	})
}

// tryStories shows a conversation about a story that training never showed, and holds
// one with the user.
func (a *app) tryStories(ctx context.Context, model string) error {
	g, err := write.Open(model, a.env())
	if err != nil {
		return err
	}
	defer g.Close()
	story := synth.ExampleStories()[0]
	c := conversation{app: a, g: g, options: g.Decoding, story: story.Text}
	fmt.Fprintf(a.stdout, "%s\n", story.Text)
	for _, t := range story.Turns {
		fmt.Fprintf(a.stdout, "> %s\n", t.Question)
		if err := c.answer(ctx, t.Question); err != nil {
			return err
		}
	}
	if in := a.typist(); in != nil {
		fmt.Fprintf(a.stdout, "\nAsk more about this story (an empty line ends):\n")
		return c.hold(ctx, in)
	}
	return nil
}

// openPage opens a page in the user's browser, or says where it is.
func (a *app) openPage(page string) {
	if err := openInBrowser(page); err != nil {
		a.log.Warn(fmt.Sprintf("no browser could be opened (%v); the page is %s", err, page))
	}
}

// trySearch searches the pictures that training never showed, for captions and for what the user types.
func (a *app) trySearch(ctx context.Context, p demo.Part, model string) error {
	r, err := retrieve.Open(model, a.env())
	if err != nil {
		return err
	}
	defer r.Close()
	dir := filepath.Dir(filepath.Dir(model)) // of the demo's part: the model is its run's best
	s, texts, err := p.Search(ctx, r, dir, a.log)
	if err != nil {
		return err
	}
	defer s.Close()
	ask := func(text string) error {
		hits, err := s.Text(ctx, text, 1, 20)
		if err != nil {
			return err
		}
		_, err = printable.Fprintf(a.stdout, "%.3f  %s\n", hits[0].Match, shownPath(s.Path(hits[0].ID)))
		return err
	}
	for _, text := range texts {
		fmt.Fprintf(a.stdout, "> %s\n", text)
		if err := ask(text); err != nil {
			return err
		}
	}
	return a.converse(ctx, "a sentence", ask)
}
