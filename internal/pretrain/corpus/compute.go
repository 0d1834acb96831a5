package corpus

import (
	"context"
	"errors"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// computeBlock is how many pictures are looked at before the first of them is written.
const computeBlock = 32

// Compute has a trained network look at every picture of the collection, once: its regions are kept in the feature store
// dir, and read from there from then on. A store that an interrupted Compute left is gone on with. x is the extractor of the collection as it
// computes now, on a device, say; keep puts into dir what it needs. Pictures that cannot be read are left for the streams to say so. Of other extractors, and where
// features stand for the pictures, nothing is done.
func (c *Collection) Compute(ctx context.Context, x regions.Extractor, dir string, keep func(dir string) error, tick func(done, total int)) error {
	if !c.computes() {
		return nil
	}
	defer func(own regions.Extractor) { c.o.Extractor = own }(c.o.Extractor)
	c.o.Extractor = x
	spec := x.Spec()
	w, err := regions.NewWriter(dir, regions.Header{Dim: spec.Dim, Extractor: &spec, Source: "collection " + c.print}, regions.Resume)
	if err != nil {
		return err
	}
	if err := errors.Join(keep(dir), c.fill(ctx, w, tick), w.Close()); err != nil {
		return err
	}
	return c.Computed(dir)
}

// Computed reads the regions of the pictures from the store dir, which a Compute has filled.
func (c *Collection) Computed(dir string) (err error) {
	if !c.computes() {
		return nil
	}
	if c.store, _, err = regions.Open(dir, regions.Options{Classes: true}); err != nil {
		return err
	}
	c.opened = append(c.opened, c.store)
	return nil
}

// computes says whether a trained network looks at pictures of the collection.
func (c *Collection) computes() bool {
	return c.kind != Text && c.has == nil && c.o.Extractor != nil && c.o.Extractor.Spec().Trained()
}

// fill adds the pictures that a store has not.
func (c *Collection) fill(ctx context.Context, w *regions.Writer, tick func(done, total int)) error {
	var block []*Sample
	done := 0
	write := func() error {
		images, failures := make([]regions.Image, len(block)), make([]error, len(block))
		parallel.For(len(block), func(i int) { failures[i] = block[i].Image(&images[i]) })
		for i := range images {
			if images[i].ID = block[i].Ref.String(); failures[i] != nil {
				continue
			}
			if err := w.Add(&images[i]); err != nil {
				return err
			}
		}
		done += len(block)
		block = block[:0]
		tick(done, -1)
		return ctx.Err()
	}
	for s, err := range c.Each(ctx, All) {
		if err != nil {
			return err
		}
		if w.Has(s.Ref.String()) {
			done++
			continue
		}
		if block = append(block, s); len(block) == computeBlock {
			if err := write(); err != nil {
				return err
			}
		}
	}
	return write()
}
