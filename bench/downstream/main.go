package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// options say what is run, and how.
type options struct {
	work, data, init, vocab, size string
	extractor                     string // of pictures; empty: pixels
	threads                       int
	settings                      []string // over those of the recipes
}

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "downstream:", err)
		os.Exit(1)
	}
}

func measure() error {
	var o options
	flag.StringVar(&o.work, "work", "", "folder for data and runs (needed)")
	flag.StringVar(&o.data, "from", dataDir(), "folder with the data as they come, or $UNIMO_DATA")
	flag.StringVar(&o.init, "init", "", "model to start from (empty: random weights)")
	flag.StringVar(&o.vocab, "vocab", "", "its vocabulary, where it has none")
	flag.StringVar(&o.extractor, "extractor", "", "what looks at pictures: a picture encoder's file or folder, statistics, patches (empty: as the recipes say)")
	flag.StringVar(&o.size, "preset", "mini", "mini, base or large")
	flag.IntVar(&o.threads, "threads", 0, "threads of a run (0: one per core)")
	var (
		chosen   = flag.String("data", strings.Join(names(), ","), "data sets")
		seeds    = flag.String("seeds", "1,2,3", "seeds")
		pictures = flag.String("pictures", strings.Join(controls, ","), "what the models see")
		json     = flag.Bool("json", false, "print all figures as JSON, not the table")
		table    = flag.Bool("table", false, "train nothing: the table of what is done")
	)
	flag.Func("set", "a setting of unimo finetune, `KEY=VALUE`, over the recipe's (repeatable)", func(s string) error {
		o.settings = append(o.settings, s)
		return nil
	})
	flag.Parse()
	if o.work == "" || flag.NArg() > 0 {
		return fmt.Errorf("want -work DIR and only flags, not %q", flag.Args())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, name := range strings.Split(*chosen, ",") {
		i := slices.IndexFunc(sets, func(s set) bool { return s.name == name })
		if i < 0 {
			return fmt.Errorf("-data %s: want of %s", name, strings.Join(names(), ", "))
		}
		if err := o.prepare(sets[i]); err != nil {
			return err
		}
		for _, seed := range strings.Split(*seeds, ",") {
			for _, control := range strings.Split(*pictures, ",") {
				n, err := strconv.Atoi(seed)
				if err != nil || !slices.Contains(controls, control) {
					return fmt.Errorf("-seeds %s, -pictures %s: want numbers, and of %s", *seeds, *pictures, strings.Join(controls, ", "))
				}
				if *table {
					continue
				}
				if err := o.train(ctx, sets[i], control, n); err != nil {
					return fmt.Errorf("%s, %s, seed %d: %w", name, control, n, err)
				}
			}
		}
	}
	r, err := o.collect(strings.Split(*chosen, ","))
	if err != nil {
		return err
	}
	if *json {
		return r.json(os.Stdout)
	}
	return r.markdown(os.Stdout)
}

// dataDir is the folder of real data.
func dataDir() string {
	if dir := os.Getenv("UNIMO_DATA"); dir != "" {
		return dir
	}
	return filepath.Join("..", "shared", "data")
}

func names() []string {
	var all []string
	for _, s := range sets {
		all = append(all, s.name)
	}
	return all
}
