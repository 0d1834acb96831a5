package regions

import "slices"

// AppendRows adds the image to features and locations, a row of each for every region, as a model reads it: first
// the global region, whose feature is im.Global or else the mean of all, then the others, of which im.Read may leave
// only the first. A region's location is x1/width, y1/height, x2/width, y2/height and its share of the area; it is
// computed in float32, as the reference does. Whether the image is sound is for [Image.Check] to say.
func (im *Image) AppendRows(features, locations []float32) ([]float32, []float32) {
	n := im.Regions()
	dim := len(im.Features) / n
	at := len(features)
	features = slices.Grow(features, len(im.Features)+dim)[:at+dim]
	im.global(features[at:])
	read := n
	if im.Read > 0 {
		read = min(im.Read, n)
	}
	features = append(features, im.Features[:read*dim]...)

	locations = append(locations, 0, 0, 1, 1, 1)
	w, h, area := float32(im.Width), float32(im.Height), float32(im.Width*im.Height)
	for r := range read {
		x := [4]float32(im.Boxes[4*r:])
		share := float32((x[3]-x[1])*(x[2]-x[0])) / area
		locations = append(locations, x[0]/w, x[1]/h, x[2]/w, x[3]/h, share)
	}
	return features, locations
}

// global sets dst to the feature of the image as a whole.
func (im *Image) global(dst []float32) {
	if len(im.Global) > 0 {
		copy(dst, im.Global)
		return
	}
	n := im.Regions()
	copy(dst, im.Features[:len(dst)])
	for r := 1; r < n; r++ {
		row := im.Features[r*len(dst):][:len(dst)]
		for i, v := range row {
			dst[i] += v
		}
	}
	for i := range dst {
		dst[i] /= float32(n)
	}
}
