package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

func (a *app) featuresCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "features",
		Short: "Compute features of pictures, and show files of features",
		Long: `Compute the regions' features of pictures once and for all, and show what is in files
of features, of this program or of others.`,
		Example: `  unimo features extract PICTURES FEATURES
  unimo features info FEATURES`,
	}
	return group(c, a.featuresExtractCommand(), a.featuresInfoCommand())
}

// The values of --format.
const (
	writeStore     = "store"
	writeReference = "reference"
)

// extractFlags are the flags of "unimo features extract".
type extractFlags struct {
	spec      regions.Spec
	format    string
	skipBad   bool
	replace   bool
	maxPixels int
}

// extraction is what "unimo features extract --json" prints.
type extraction struct {
	Out    string `json:"out"`
	Format string `json:"format"`
	regions.Extracted
	Seconds         float64 `json:"seconds"`
	ImagesPerSecond float64 `json:"images_per_second"`
}

func (a *app) featuresExtractCommand() *cobra.Command {
	var f extractFlags
	c := &cobra.Command{
		Use:   "extract DIR OUT",
		Short: "Compute the features of a folder of pictures",
		Long: `Compute the features of all pictures (JPEG, PNG, GIF, WebP) in the folder DIR and
its folders, and write them to OUT. An image's id is the picture's name relative
to DIR. A name that is not UTF-8 has %XX in the id for each byte that is not.

The extractors:
  patches     the picture resized to a square and cut into a grid; a region's
              feature is its pixels
  statistics  colours and directions of edges in the cells of a grid and of
              coarser grids
  MODEL       a trained network: the file or folder of its weights, as PyTorch,
              timm, transformers or TensorFlow.js keep them, or a folder of this
              program that has one (a store, a model). What it sees are the
              regions

With --device a trained network computes on an accelerator (unimo devices lists
them), each picture by itself. Features differ from the processor's by rounding,
with --precision tf32 or bf16 by more; the network's fingerprint is the same.

The formats of OUT:
  store       a folder of this program; the same command goes on after an
              interruption, and brings OUT up to date: pictures that are new or
              have changed are computed, those that are gone leave it
  reference   one file of the reference's feature lines; whole or not at all`,
		Example: `  unimo features extract DIR/images FEATURES
  unimo features extract DIR/images FEATURES --image-size 192 --patch-size 24
  unimo features extract DIR/images features.tsv --extractor statistics --format reference
  unimo features extract PHOTOS FEATURES --extractor efficientnet-lite0.pth
  unimo features extract PHOTOS FEATURES --extractor dinov2-base --device cuda`,
		Args: func(c *cobra.Command, args []string) error {
			if err := needs("DIR", "OUT")(c, args); err != nil {
				return err
			}
			return f.check(c)
		},
		RunE: func(c *cobra.Command, args []string) error { return a.extract(c.Context(), args[0], args[1], f) },
	}
	deviceFlags(c)
	precision := c.Flags().Lookup(precisionName) // what is kept is as near as can be to what another device makes, unless it is asked for otherwise
	precision.DefValue, precision.Usage = device.Float32, "of products on an accelerator, `NAME`: float32, tf32, bf16, or auto: bf16 on chips that have it"
	precision.Value.Set(device.Float32)
	flags := c.Flags()
	flags.StringVar(&f.spec.Extractor, "extractor", regions.Patches, "patches, statistics, or the file or folder `MODEL` of a trained network")
	flags.IntVar(&f.spec.ImageSize, "image-size", 0, "side of the square in pixels (default 128)")
	flags.IntVar(&f.spec.PatchSize, "patch-size", 0, "side of a patch in pixels (default 16)")
	flags.IntVar(&f.spec.Grid, "grid", 0, "cells a side of the finest grid of statistics (default 6)")
	flags.StringVar(&f.format, "format", writeStore, "store or reference")
	flags.BoolVar(&f.replace, "replace", false, "let OUT give way if it is of another folder or extractor")
	flags.BoolVar(&f.skipBad, "skip-bad", false, "leave out pictures that cannot be read, and count them")
	flags.IntVar(&f.maxPixels, "max-pixels", picture.DefaultLimits.MaxPixels, "largest picture to decode, in pixels")
	return c
}

// check refuses flags that do not fit, and a device that has nothing to compute, before one is opened.
func (f *extractFlags) check(c *cobra.Command) error {
	if err := choice("format", f.format, writeStore, writeReference); err != nil {
		return err
	}
	choice, err := deviceChoice(c)
	switch {
	case err != nil:
		return err
	case f.maxPixels < 1:
		return usagef("--max-pixels is %d, want 1 or more", f.maxPixels)
	case choice.Accelerated() && extractor.Untrained(f.spec.Extractor):
		return usagef("--%s is for trained networks (--extractor MODEL), and %s are computed by the processor; leave it out", deviceName, f.spec.Extractor)
	case !choice.Accelerated() && choice.Precision == device.BFloat16:
		return usagef("--%s is for a network on an accelerator (--%s): on the processor networks compute with float32; leave it out", precisionName, deviceName)
	}
	return nil
}

func (a *app) extract(ctx context.Context, dir, out string, f extractFlags) error {
	x, err := images.OpenExtractor(f.spec)
	if extractor.WrongUse(err) {
		err = usageError{err}
	}
	if err != nil {
		return err
	}
	extractor.Tell(a.log, x)
	if f.format == writeReference {
		if out, err = newPath(out); err != nil {
			return err
		}
	}
	on := x
	if a.device != nil {
		a.log.Info("device  " + a.device.About())
		if on, err = extractor.On(x, a.device.ForModel()); err != nil {
			return err
		}
	}
	bar := a.newProgress()
	e := regions.Extraction{
		Dir: dir, Extractor: on, Limits: picture.Limits{MaxPixels: f.maxPixels}, SkipBad: f.skipBad, Replace: f.replace,
		Keep:  func(dir string) error { return extractor.Keep(dir, x) },
		Stage: bar.Stage, Tick: bar.Tick, Warn: func(message string) { a.log.Warn(message) },
	}
	write := e.WriteStore
	if f.format == writeReference {
		write = e.WriteReference
	}
	begin := time.Now()
	r := extraction{Out: out, Format: f.format}
	r.Extracted, err = write(ctx, out)
	bar.finish()
	if errors.As(err, new(regions.BadPicture)) {
		return fmt.Errorf("%w (or leave such pictures out: --skip-bad)", err)
	}
	if err != nil {
		return err
	}
	r.Seconds = time.Since(begin).Seconds()
	r.ImagesPerSecond = float64(r.New) / max(r.Seconds, 1e-9)
	if a.json {
		return a.printJSON(r)
	}
	printable.Fprintf(a.stdout, "%s (%s): %d images, regions of %d values by %s", out, r.Format, r.Images, r.Dim, cmp.Or(r.Extractor.Architecture, r.Extractor.Extractor))
	if r.New < r.Images {
		fmt.Fprintf(a.stdout, "; %d were there already", r.Images-r.New)
	}
	if r.Bad > 0 {
		fmt.Fprintf(a.stdout, "; %d pictures left out", r.Bad)
	}
	_, err = fmt.Fprintf(a.stdout, "; %.1f s, %.0f images/s\n", r.Seconds, r.ImagesPerSecond)
	return err
}

func (a *app) featuresInfoCommand() *cobra.Command {
	var o regions.Options
	c := &cobra.Command{
		Use:   "info PATH [IMAGE...]",
		Short: "Show what is in a file or folder of features",
		Long: `Show what is in PATH: the reference's feature lines or the TSV of bottom-up-attention
(a file or a folder of files), NumPy's .npz or .npy (or a folder of them, one an image),
or a store of 'unimo features extract'.

Lines are indexed by their numbers and boxes; with --skip-bad every feature is read too,
and what is bad is counted instead of ending the command.

With the ids of images: the regions of these, with their boxes in pixels and, of a detector, the
likeliest class with its probability. With --json it is an object a line.`,
		Example: `  unimo features info FEATURES
  unimo features info FEATURES dog.jpg
  unimo features info flickr30k_features --skip-bad --json`,
		Args: needsSome("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Order != "" {
				if err := choice("order", o.Order, regions.OrderWidth, regions.OrderHeight); err != nil {
					return err
				}
			}
			if o.MaxRegions < 0 {
				return usagef("--max-regions is %d, want 0 or more", o.MaxRegions)
			}
			return a.featuresInfo(args[0], args[1:], o)
		},
	}
	c.Flags().BoolVar(&o.SkipBad, "skip-bad", false, "read everything, and count bad images")
	c.Flags().IntVar(&o.MaxRegions, "max-regions", 0, fmt.Sprintf("most regions of an image (0: %d, and any number in a store)", regions.DefaultMaxRegions))
	c.Flags().StringVar(&o.Order, "order", "", "of width and height in lines: width or height first (default: by the boxes)")
	return c
}

func (a *app) featuresInfo(path string, images []string, o regions.Options) error {
	o.Classes = len(images) > 0
	bar := a.newProgress()
	bar.Stage("reading")
	o.Progress = func(done, total int64) {
		const mebi = 1 << 20
		bar.Tick(int(done/mebi), int(max(total/mebi, 1)))
	}
	s, info, err := regions.Open(path, o)
	bar.finish()
	if err != nil {
		return err
	}
	defer s.Close()
	if len(images) > 0 {
		var names []string
		if info.Extractor != nil {
			names = info.Extractor.Classes
		}
		for _, id := range images {
			if err := a.showImage(s, id, names); err != nil {
				return err
			}
		}
		return nil
	}
	if a.json {
		return a.printJSON(info)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	printable.Fprintf(w, "path\t%s\nformat\t%s\nimages\t%d\n", info.Path, info.Format, info.Images)
	count := fmt.Sprint(info.MinRegions)
	if info.MaxRegions != info.MinRegions {
		count += fmt.Sprintf(" to %d", info.MaxRegions)
	}
	fmt.Fprintf(w, "regions\t%s an image\nfeature\t%d values\nbytes\t%d\n", count, info.Dim, info.Bytes)
	if x := info.Extractor; x != nil {
		printable.Fprintf(w, "extractor\t%s\n", x)
	}
	if info.Order != "" {
		printable.Fprintf(w, "order\t%s first\n", info.Order)
	}
	if info.Evidence != "" {
		printable.Fprintf(w, "evidence\t%s\n", info.Evidence)
	}
	if info.Bad > 0 {
		fmt.Fprintf(w, "left out\t%d\n", info.Bad)
	}
	for _, problem := range info.Skipped {
		printable.Fprintf(w, "\t%s\n", problem)
	}
	return w.Flush()
}

// shownImage is a line of "unimo features info PATH IMAGE --json".
type shownImage struct {
	Image   string        `json:"image"`
	Width   float64       `json:"width"`
	Height  float64       `json:"height"`
	Regions []shownRegion `json:"regions"`
}

type shownRegion struct {
	Box         []float32 `json:"box"`             // x1, y1, x2, y2 in pixels
	Class       string    `json:"class,omitempty"` // the likeliest; its number where it has no name
	Probability float32   `json:"probability,omitempty"`
}

// showImage prints the regions of an image. names are those of the classes, or none.
func (a *app) showImage(s regions.Source, id string, names []string) error {
	var im regions.Image
	if err := s.Image(id, &im); err != nil {
		return err
	}
	shown := shownImage{Image: im.ID, Width: im.Width, Height: im.Height}
	classes := len(im.Classes) / im.Regions()
	for r := range im.Regions() {
		region := shownRegion{Box: im.Boxes[4*r:][:4]}
		for c, p := range im.Classes[r*classes:][:classes] {
			if p > region.Probability {
				region.Class, region.Probability = strconv.Itoa(c), p
				if classes == len(names) {
					region.Class = names[c]
				}
			}
		}
		shown.Regions = append(shown.Regions, region)
	}
	if a.json {
		return a.printJSON(shown)
	}
	printable.Fprintf(a.stdout, "%s: %.0f x %.0f pixels, %d regions\n", shown.Image, shown.Width, shown.Height, len(shown.Regions))
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	header := "region\tx1 y1 x2 y2"
	if classes > 0 {
		header += "\tclass\tprobability"
	}
	fmt.Fprintln(w, header)
	for i, r := range shown.Regions {
		printable.Fprintf(w, "%d\t%.1f %.1f %.1f %.1f", i+1, r.Box[0], r.Box[1], r.Box[2], r.Box[3])
		if r.Class != "" {
			printable.Fprintf(w, "\t%s\t%.2f", r.Class, r.Probability)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
