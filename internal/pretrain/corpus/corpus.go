package corpus

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Kind is what the samples of a collection are.
type Kind string

// The kinds of collections.
const (
	Text   Kind = "text"
	Images Kind = "images"
	Pairs  Kind = "pairs" // images with captions
)

// Part is a part of a collection.
type Part int

// The parts: all samples are in Train or HeldOut.
const (
	All Part = iota
	Train
	HeldOut
)

// Options are the ways to open a collection. For Text only HeldOut counts.
type Options struct {
	Extractor  regions.Extractor // of pictures; nil if [Sample.Image] is not asked for, or all has features
	Limits     picture.Limits
	Features   string  // region features that stand for the pictures; "": none
	Order      string  // of width and height, as regions.Options has it
	MaxRegions int     // as regions.Options has it
	SkipBad    bool    // as regions.Options has it
	CacheBytes int64   // of pictures in the extractor's size, or their regions, that are kept, those asked for first; 0: none
	HeldOut    float64 // the share of the samples that are held out, 0 to 1
}

// Collection is a list of shards.
type Collection struct {
	kind   Kind
	o      Options
	shards []shard
	names  map[string]int  // of shards
	source regions.Source  // of o.Features
	has    map[string]bool // its ids
	opened []io.Closer
	cache  cache
	store  regions.Source // of what a trained network computed, by [Ref]; nil: nothing

	// Of features: their size, the number of classes and what computes them, where it is known.
	dim, classes int
	spec         *regions.Spec

	print    string
	features []int // of those opened: how many images, bytes, and their size
}

// shard is a file or folder with samples in an order.
type shard interface {
	// open gives the samples from a place on: that of a sample, or a cursor's.
	open(from Ref) (cursor, error)
	// seekable says that open does not read what is before the place.
	seekable() bool
	// digest writes what tells the shard from another.
	digest(w io.Writer)
}

// cursor gives the samples of a shard one after the other.
type cursor interface {
	// next returns the next sample, a skipped for something that is passed over, or io.EOF.
	next() (*Sample, error)
	place() Ref // from which next goes on
	io.Closer
}

// Open opens a collection of files, folders and patterns. It is an error if one does not
// exist or is of no known form, or if there is not one usable sample.
func Open(kind Kind, paths []string, o Options) (*Collection, error) {
	c := &Collection{kind: kind, o: o, names: map[string]int{}, cache: cache{room: o.CacheBytes, kept: map[Ref]prepared{}}}
	err := c.open(paths)
	if err == nil {
		err = c.checkFirst(paths)
		c.print = c.fingerprint()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Collection) open(paths []string) error {
	switch {
	case c.kind != Text && c.kind != Images && c.kind != Pairs:
		return names.Unknown("kind of collection", string(c.kind), []string{string(Text), string(Images), string(Pairs)})
	case !(c.o.HeldOut >= 0 && c.o.HeldOut <= 1):
		return fmt.Errorf("the share to hold out is %v; give a number from 0 to 1", c.o.HeldOut)
	case len(paths) == 0:
		return fmt.Errorf("a collection of %s without files; name files or folders", c.kind)
	}
	if c.o.Features != "" && c.kind != Text {
		source, err := c.openFeatures(c.o.Features)
		if err != nil {
			return err
		}
		c.source, c.has = source, map[string]bool{}
		for _, id := range source.IDs() {
			c.has[picture.Key(id)] = true
		}
	}
	for _, path := range paths {
		if err := c.add(path); err != nil {
			return err
		}
	}
	return nil
}

// checkFirst reads up to the first usable sample.
func (c *Collection) checkFirst(paths []string) error {
	r := reader{c: c, order: c.inOrder(), report: &Report{}}
	defer r.stop()
	_, err := r.next()
	if !errors.Is(err, io.EOF) {
		return err
	}
	var most string // the reason that is met most often
	for _, reason := range slices.Sorted(maps.Keys(r.report.Skipped)) {
		if r.report.Skipped[reason] > r.report.Skipped[most] {
			most = reason
		}
	}
	if most != "" {
		remedy := "correct it, or name other files"
		if s := r.report.Skipped; strings.HasSuffix(paths[0], ".tar") && s[NoPicture] > 0 && s[NoCaption] > 0 {
			remedy = "put the parts of a sample one after the other, with 'tar --sort=name'"
		}
		return &textfile.FileError{File: paths[0], Problem: fmt.Sprintf("has no usable sample of %s; one was passed over at %s: %s", c.kind, r.report.First[most], most), Remedy: remedy}
	}
	return &textfile.FileError{File: paths[0], Problem: fmt.Sprintf("has no sample of %s", c.kind), Remedy: "name other files"}
}

func (c *Collection) inOrder() []int {
	order := make([]int, len(c.shards))
	for i := range order {
		order[i] = i
	}
	return order
}

// Kind returns what the samples are.
func (c *Collection) Kind() Kind { return c.kind }

// Shards returns how many there are.
func (c *Collection) Shards() int { return len(c.shards) }

// Dim is the size of a region's feature; 0 without features and extractor.
func (c *Collection) Dim() int { return c.dim }

// Classes is the number of classes of which regions have probabilities; 0 without.
func (c *Collection) Classes() int { return c.classes }

// Extractor is what computes or computed the features of the first images; nil if it is not known.
func (c *Collection) Extractor() *regions.Spec { return c.spec }

// Fingerprint tells the collection from others: by the shards' names and sizes, the captions of a folder of data,
// the number and the bytes of features, and the share that is held out; not by all that is in texts and pictures.
func (c *Collection) Fingerprint() string { return c.print }

func (c *Collection) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %v %d %v\n", c.kind, c.o.HeldOut, c.dim, c.features)
	for _, s := range c.shards {
		s.digest(h)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Share returns the smallest whole percentage, as a share up to most, that holds out at least n
// samples, and how many it does: of small collections most is reached with fewer. It reads no further than it needs to.
func (c *Collection) Share(ctx context.Context, n int, most float64) (share float64, held int, err error) {
	percents := max(1, int(math.Round(100*most)))
	counts := make([]int, percents+1) // samples that a percentage holds out, and none below
	for s, err := range c.Each(ctx, All) {
		if err != nil {
			return 0, 0, err
		}
		for p := 1; p <= percents; p++ {
			if s.heldOut(float64(p) / 100) {
				counts[p]++
				break
			}
		}
		if counts[1] >= n {
			break
		}
	}
	percent := 1
	for held = counts[1]; held < n && percent < percents; held += counts[percent] {
		percent++
	}
	return float64(percent) / 100, held, nil
}

// HoldOut sets the share of the samples that is held out, before anything is read.
func (c *Collection) HoldOut(share float64) {
	c.o.HeldOut = share
	c.print = c.fingerprint()
}

// Close releases the features' files.
func (c *Collection) Close() error {
	var err error
	for _, closer := range c.opened {
		err = errors.Join(err, closer.Close())
	}
	c.opened = nil
	return err
}

// Each yields every sample of a part, in the order of the shards. An error, also that of the
// context, is the last that it yields.
func (c *Collection) Each(ctx context.Context, part Part) iter.Seq2[*Sample, error] {
	return c.each(ctx, part, &Report{})
}

func (c *Collection) each(ctx context.Context, part Part, report *Report) iter.Seq2[*Sample, error] {
	return func(yield func(*Sample, error) bool) {
		r := reader{c: c, part: part, order: c.inOrder(), report: report}
		defer r.stop()
		for {
			s, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err = cmp.Or(err, ctx.Err()); err != nil {
				yield(nil, err)
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// At returns the sample at a place that a sample of this collection had. A compressed shard
// is read from its beginning.
func (c *Collection) At(ref Ref) (*Sample, error) {
	samples, err := c.load([]Ref{ref})
	if err != nil {
		return nil, err
	}
	return samples[0], nil
}

// load returns the samples at places. A compressed shard is read once.
func (c *Collection) load(refs []Ref) ([]*Sample, error) {
	out := make([]*Sample, len(refs))
	sorted := make([]int, len(refs))
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortFunc(sorted, func(a, b int) int { return compareRefs(refs[a], refs[b]) })
	var current cursor
	stop := func() {
		if current != nil {
			current.Close()
			current = nil
		}
	}
	defer stop()
	for k, i := range sorted {
		ref := refs[i]
		if ref.Shard < 0 || ref.Shard >= len(c.shards) || ref.Number < 0 || ref.Offset < 0 {
			return nil, errChanged
		}
		if k > 0 && refs[sorted[k-1]] == ref {
			out[i] = out[sorted[k-1]]
			continue
		}
		shard := c.shards[ref.Shard]
		if k == 0 || shard.seekable() || refs[sorted[k-1]].Shard != ref.Shard {
			stop()
			var err error
			if current, err = shard.open(ref); err != nil {
				return nil, err
			}
		}
		for out[i] == nil {
			s, err := current.next()
			switch isSkipped := errors.As(err, new(skipped)); {
			case isSkipped && current.place().Number <= ref.Number:
			case err != nil && !isSkipped && !errors.Is(err, io.EOF):
				return nil, err
			case err != nil || s.Ref.Number > ref.Number:
				return nil, errChanged
			case s.Ref == ref:
				out[i] = s
			}
		}
	}
	return out, nil
}

var errChanged = errors.New("the collection has changed: it has no sample at a place where it had one; use the files as they were")

// reader reads the shards in an order.
type reader struct {
	c       *Collection
	part    Part
	order   []int
	at      int    // in order
	current cursor // of the shard at; nil: to be opened
	report  *Report
}

func (r *reader) stop() {
	if r.current != nil {
		r.current.Close()
		r.current = nil
	}
}

// next returns the next sample of the part, or io.EOF.
func (r *reader) next() (*Sample, error) {
	for r.at < len(r.order) {
		if r.current == nil {
			var err error
			if r.current, err = r.c.shards[r.order[r.at]].open(Ref{Shard: r.order[r.at]}); err != nil {
				return nil, err
			}
		}
		s, err := r.current.next()
		var skip skipped
		switch {
		case errors.As(err, &skip):
			r.report.Skip(skip.reason, skip.where)
			if skip.reason == CutOff { // nothing follows, and a stream that goes on here must not count it again
				r.stop()
				r.at++
			}
		case errors.Is(err, io.EOF):
			r.stop()
			r.at++
		case err != nil:
			return nil, err
		case r.part == All || s.heldOut(r.c.o.HeldOut) == (r.part == HeldOut):
			r.report.Samples++
			for range s.empty {
				r.report.Skip(EmptyCaption, s.Where)
			}
			if s.oddObjects {
				r.report.Skip(OddObjects, s.Where)
			}
			return s, nil
		}
	}
	return nil, io.EOF
}
