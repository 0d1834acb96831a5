package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

// The picture encoders, by their folders beside the model.
const (
	vitB16           = "vit-b16"
	efficientNetLite = "efficientnet-lite0"
)

// prepared is a picture in an encoder's size, and the size that it had.
type prepared struct {
	pixels        *picture.Picture
	width, height int
}

// prepare reads a file.
func prepare(x regions.Extractor, path string) (p prepared, err error) {
	err = picture.VisitFile(path, picture.Limits{}, func(original *picture.Picture) {
		p = prepared{x.Prepare(original), original.Width, original.Height}
	})
	return p, err
}

// newSeeing returns the regions of pictures, one a thread, from their files or from pixels that are there before the
// clock starts.
func newSeeing(o workerOptions) (step, error) {
	work, err := readWorkFile(o.file)
	if err != nil {
		return nil, err
	}
	x, err := extractor.Open(regions.Spec{Extractor: filepath.Join(o.model, work.Rounds[0][0].Network)})
	if err != nil {
		return nil, fmt.Errorf("%w; the peers' Python writes the networks", err)
	}
	known := map[string]prepared{}
	for _, b := range slices.Concat(work.Rounds...) {
		for _, path := range b.Pictures {
			if _, ok := known[path]; ok || b.Decode {
				continue
			}
			if known[path], err = prepare(x, path); err != nil {
				return nil, err
			}
		}
	}
	return func(b batch) error {
		errs := make([]error, len(b.Pictures))
		parallel.For(len(b.Pictures), func(i int) {
			p := known[b.Pictures[i]]
			if b.Decode {
				if p, errs[i] = prepare(x, b.Pictures[i]); errs[i] != nil {
					return
				}
			}
			errs[i] = x.Extract(p.pixels, p.width, p.height, new(regions.Image))
		})
		return errors.Join(errs...)
	}, nil
}

// seen are batches of photographs for an encoder.
func (c *corpus) seen(network string, perRound, rounds int, decode bool) (workFile, error) {
	dir, err := filepath.Abs(filepath.Join(c.dir, "flickr8k", "images"))
	if err != nil {
		return workFile{}, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil {
		return workFile{}, err
	}
	if len(files) == 0 {
		return workFile{}, fmt.Errorf("%s has no pictures", dir)
	}
	var batches []batch
	for i := range rounds + 1 {
		b := batch{Network: network, Decode: decode}
		for k := range perRound {
			b.Pictures = append(b.Pictures, files[(i*perRound+k)%len(files)])
		}
		batches = append(batches, b)
	}
	return cut(batches, rounds, 1)
}
