//go:build linux || darwin

// Command programs compiles what a training or a prediction runs on an accelerator for chips that are not here, and prints how long each program
// took:
//
//	go run ./bench/programs -plugins PLUGIN:PLUGIN -- finetune sst-2 --preset base --data SST-2 --max-steps 3 --out RUN
//
// What follows "--" is a command of unimo's. It runs on a device that keeps the programs' texts and computes nothing: whatever is read of it is zero.
// Its model's numbers are of no use.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
)

// folderVariable names the folder of the texts, where this program is the helper program of the command.
const folderVariable = "UNIMO_PROGRAMS"

func main() {
	if folder := os.Getenv(folderVariable); folder != "" {
		if err := helper.Run(recorder(folder)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	o := options{out: os.Stdout, progress: os.Stderr}
	plugins := flag.String("plugins", os.Getenv("UNIMO_PJRT_AHEAD"), "plugins to compile with, as in PATH")
	chips := flag.String("chips", "NVIDIA H100 80GB HBM3,NVIDIA A100-SXM4-80GB,NVIDIA B200,MI300X", "chips to compile for")
	flags := flag.String("flags", "", "flags of XLA's in the place of the command's, NAME=VALUE with commas between them; NAME= takes one away")
	flag.StringVar(&o.unimo, "unimo", "./unimo", "the program unimo")
	flag.StringVar(&o.keep, "keep", "", "folder to keep the programs' texts in; without a command those that are there are compiled")
	flag.IntVar(&o.most, "most", 0, "compile so many of the programs, the longest first (0: all)")
	flag.Parse()
	o.plugins, o.chips, o.args = filepath.SplitList(*plugins), strings.Split(*chips, ","), flag.Args()
	o.flags = map[string]string{}
	for pair := range strings.SplitSeq(*flags, ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			o.flags[name] = value
		}
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "programs:", err)
		os.Exit(1)
	}
}

type options struct {
	unimo, keep    string
	most           int
	plugins, chips []string
	flags          map[string]string
	args           []string
	out, progress  io.Writer
}

// text is a program that was recorded.
type text struct {
	Number int
	Flags  map[string]string
	code   []byte
}

func run(o options) error {
	if len(o.args) == 0 && o.keep == "" || len(o.plugins) == 0 {
		return errors.New("name plugins with -plugins, and a command behind --, or with -keep a folder that has programs' texts")
	}
	folder := o.keep
	if folder == "" {
		var err error
		if folder, err = os.MkdirTemp("", "programs"); err != nil {
			return err
		}
		defer os.RemoveAll(folder)
	} else if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if len(o.args) > 0 {
		if err := record(o, folder); err != nil {
			return err
		}
	}
	list, err := read(folder)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b text) int { return cmp.Compare(len(b.code), len(a.code)) })
	if o.most > 0 {
		list = list[:min(len(list), o.most)]
	}
	fmt.Fprintf(o.out, "| program | operations | chip | CPU s | code | arguments | results | temporary |\n|---|---|---|---|---|---|---|---|\n")
	failed := 0
	for _, t := range list {
		for _, plugin := range o.plugins {
			targets, err := pjrt.Targets(plugin)
			if err != nil {
				return err
			}
			for _, chip := range o.chips {
				if pjrt.Named([]string{plugin})[0].Kind == "cuda" != strings.HasPrefix(chip, "NVIDIA") {
					continue // each plugin has the targets of all
				}
				if targets[chip] == "" {
					return fmt.Errorf("%s has no target %q", plugin, chip)
				}
				row, err := o.compile(t, plugin, chip, targets[chip])
				if err != nil {
					failed++
					row = strings.ReplaceAll(err.Error(), "\n", " ")
				}
				fmt.Fprintf(o.out, "| %d | %d | %s | %s |\n", t.Number, strings.Count(string(t.code), " = "), chip, row)
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d compilations failed", failed)
	}
	return nil
}

// record runs the command.
func record(o options, folder string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	plugin := filepath.Join(folder, "cuda") // a name for those who ask what it is
	if err := os.WriteFile(plugin, nil, 0o644); err != nil {
		return err
	}
	cmd := exec.Command(o.unimo, append(slices.Clone(o.args), "--device", "pjrt:"+plugin)...)
	cmd.Env = append(os.Environ(), pjrt.HelperVariable+"="+own, folderVariable+"="+folder)
	cmd.Stdout, cmd.Stderr = o.progress, o.progress
	return cmd.Run()
}

func read(folder string) (list []text, err error) {
	for n := 1; ; n++ {
		name := filepath.Join(folder, strconv.Itoa(n))
		raw, err := os.ReadFile(name + ".json")
		if errors.Is(err, os.ErrNotExist) {
			return list, nil
		}
		t := text{}
		if err == nil {
			err = json.Unmarshal(raw, &t)
		}
		if err == nil {
			t.code, err = os.ReadFile(name + ".mlir")
		}
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
}

// compile compiles a program in a process of its own, and returns the rest of its row.
func (o options) compile(t text, plugin, chip, target string) (string, error) {
	for name, value := range o.flags {
		if t.Flags[name] = value; value == "" {
			delete(t.Flags, name)
		}
	}
	before, began := children(), time.Now()
	c, err := pjrt.Start(pjrt.Options{Plugin: plugin, Ahead: true})
	if err != nil {
		return "", err
	}
	size, plan, err := c.CompileFor(pjrt.Topology{Target: target}, t.code, pjrt.CompileOptions{Flags: t.Flags})
	if err := errors.Join(err, c.Close()); err != nil {
		return "", err
	}
	took := children() - before
	fmt.Fprintf(o.progress, "program %d for %s: %v of CPU time in %v\n", t.Number, chip, took.Round(time.Second), time.Since(began).Round(time.Second))
	mega := func(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
	return fmt.Sprintf("%.1f | %s | %s | %s | %s", took.Seconds(), mega(int64(size)), mega(plan.Arguments), mega(plan.Results), mega(plan.Temporary)), nil
}

// children is the processor time of processes that have ended.
func children() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
