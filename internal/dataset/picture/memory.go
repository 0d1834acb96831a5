package picture

import (
	"context"
	"image"
	"image/color"
	"runtime"

	"golang.org/x/sync/semaphore"
)

// maxWorking bounds the memory of all pictures that are decoded and in use at a time. One that
// needs more has it to itself.
const maxWorking = 1 << 30

// working is the memory of the pictures that are being decoded and used. Callers get theirs in the order in which they come.
var working = semaphore.NewWeighted(maxWorking)

// acquire waits until a picture's memory is left, or the context ends.
func acquire(ctx context.Context, cost int64) (release func(), err error) {
	cost = min(cost, maxWorking)
	if err := working.Acquire(ctx, cost); err != nil {
		return nil, err
	}
	return func() {
		if cost > maxWorking/8 {
			runtime.GC() // else the next large picture comes on top of what this one left
		}
		working.Release(cost)
	}, nil
}

// costOfPicture is what a Picture takes, in bytes a pixel.
const costOfPicture = 3

// costJPEG counts, of a progressive JPEG, the coefficients of all pixels, which are kept.
func costJPEG(raw []byte, c image.Config) int64 {
	channels := int64(3)
	switch c.ColorModel {
	case color.GrayModel:
		channels = 1
	case color.CMYKModel:
		channels = 8 // the channels, and CMYK made of them
	}
	if walkJPEG(raw).progressive {
		channels += 4 * min(channels, 4)
	}
	return channels
}

func costPNG(raw []byte, c image.Config) int64 {
	cost := int64(4)
	switch c.ColorModel {
	case color.GrayModel:
		cost = 1
	case color.Gray16Model:
		cost = 2
	case color.RGBA64Model, color.NRGBA64Model:
		cost = 8
	}
	const interlaced = 28 // place of the flag
	if len(raw) > interlaced && raw[interlaced] != 0 {
		cost *= 2 // the passes, and the picture made of them
	}
	return cost
}
