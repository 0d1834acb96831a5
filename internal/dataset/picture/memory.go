package picture

import (
	"image"
	"image/color"
	"runtime"
	"sync"
)

// maxWorking bounds the memory of all pictures that are decoded and in use at a time. One that
// needs more has it to itself.
const maxWorking = 1 << 30

// working is the memory of the pictures that are being decoded and used.
var working = newBudget(maxWorking)

// budget is an amount that callers take shares of, in the order in which they come.
type budget struct {
	turn  sync.Mutex // of who waits for room
	mu    sync.Mutex
	freed *sync.Cond
	size  int64
	left  int64
}

func newBudget(size int64) *budget {
	b := &budget{size: size, left: size}
	b.freed = sync.NewCond(&b.mu)
	return b
}

// acquire waits until n is left, or all, if n is more than that.
func (b *budget) acquire(n int64) {
	n = min(n, b.size)
	b.turn.Lock()
	defer b.turn.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.left < n {
		b.freed.Wait()
	}
	b.left -= n
}

// release gives back what acquire took.
func (b *budget) release(n int64) {
	n = min(n, b.size)
	if n > b.size/8 {
		runtime.GC() // else the next large picture comes on top of what this one left
	}
	b.mu.Lock()
	b.left += n
	b.mu.Unlock()
	b.freed.Broadcast()
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
