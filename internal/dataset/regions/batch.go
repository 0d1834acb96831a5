package regions

import "slices"

// Batch is images packed for the model, the regions of one after those of the other,
// each with its global region in front: the mean of its features at [0 0 1 1 1].
type Batch struct {
	Features  []float32 // R x the feature's size
	Locations []float32 // R x LocationSize
	Offsets   []int32   // images + 1: where the regions of an image begin
}

// Reset takes the images out and keeps the memory.
func (b *Batch) Reset() {
	b.Features, b.Locations, b.Offsets = b.Features[:0], b.Locations[:0], b.Offsets[:0]
}

// Append adds an image, whose features must have the same size as those before. A
// region's location is x1/width, y1/height, x2/width, y2/height and its share of the
// area; it is computed in float32, as the reference does. Whether the image is sound is
// for [Image.Check] to say.
func (b *Batch) Append(im *Image) {
	n := im.Regions()
	if len(b.Offsets) == 0 {
		b.Offsets = append(b.Offsets, 0)
	}
	b.Offsets = append(b.Offsets, b.Offsets[len(b.Offsets)-1]+int32(n)+1)

	dim := len(im.Features) / n
	at := len(b.Features)
	b.Features = slices.Grow(b.Features, len(im.Features)+dim)[:at+dim]
	mean := b.Features[at:]
	copy(mean, im.Features[:dim])
	for r := 1; r < n; r++ {
		row := im.Features[r*dim:][:len(mean)]
		for i, v := range row {
			mean[i] += v
		}
	}
	for i := range mean {
		mean[i] /= float32(n)
	}
	b.Features = append(b.Features, im.Features...)

	b.Locations = append(b.Locations, 0, 0, 1, 1, 1)
	w, h, area := float32(im.Width), float32(im.Height), float32(im.Width*im.Height)
	for r := range n {
		x := [4]float32(im.Boxes[4*r:])
		share := float32((x[3]-x[1])*(x[2]-x[0])) / area
		b.Locations = append(b.Locations, x[0]/w, x[1]/h, x[2]/w, x[3]/h, share)
	}
}
