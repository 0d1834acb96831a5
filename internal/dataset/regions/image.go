package regions

import (
	"errors"
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// ErrNoImage is what errors about an unknown id wrap.
var ErrNoImage = errors.New("no such image")

// LocationSize is the number of values that say where a region is.
const LocationSize = 5

// boxTolerance returns how far a box may reach over the edges of a side: a pixel, as
// detectors round and some count the last pixel in, or 1 % where a pixel is more, as in
// an image of size 1 with boxes between 0 and 1.
func boxTolerance(side float64) float64 { return min(1, side/100) }

// Image is n regions of one image, without the global region.
type Image struct {
	ID            string
	Width, Height float64          // of the image, in pixels
	Boxes         []float32        // n x 4: x1, y1, x2, y2 in pixels
	Features      []float32        // n x the feature's size
	Global        []float32        // the feature of the image as a whole; nil: the mean of the regions'
	Classes       []float32        // n x classes: what a detector takes each region for, as probabilities that sum to 1; nil where unknown
	Origin        Origin           // what it was made of, where the source knows
	Late          bool             // set before an image is asked for: features are computed later, where the extractor can (see [Changing])
	Prepared      *picture.Picture // of an image that is late: what the extractor reads
	Read          int              // a model reads so many regions, the first, and the global one of all; 0: all
}

// Regions returns n.
func (im *Image) Regions() int { return len(im.Boxes) / 4 }

// Copy sets dst to a copy of the image, in the memory of dst's slices where they are large enough.
func (im *Image) Copy(dst *Image) {
	boxes, features, global, classes := dst.Boxes, dst.Features, dst.Global, dst.Classes
	*dst = *im
	dst.Boxes, dst.Features = append(boxes[:0], im.Boxes...), append(features[:0], im.Features...)
	dst.Global, dst.Classes = append(global[:0], im.Global...), append(classes[:0], im.Classes...)
}

// Size is about how many bytes the image takes.
func (im *Image) Size() int64 {
	return 4 * int64(len(im.Boxes)+len(im.Features)+len(im.Global)+len(im.Classes))
}

// Check says what is wrong with an image whose features should have dim values: no
// regions, lengths that do not fit, a size or a feature that is not finite, a box that
// is not ordered or lies outside the image by more than a pixel (1 % of a side of less
// than 100), classes that are no probabilities.
func (im *Image) Check(dim int) error {
	n := im.Regions()
	if n == 0 || len(im.Boxes)%4 != 0 {
		return fmt.Errorf("%d box coordinates, where four a region, and one region or more, are needed", len(im.Boxes))
	}
	if len(im.Features) != n*dim {
		return fmt.Errorf("%d feature values for %d regions; %d are needed, %d a region", len(im.Features), n, n*dim, dim)
	}
	if err := checkSize(im.Width, im.Height); err != nil {
		return err
	}
	if problem := boxesProblem(im.Boxes, im.Width, im.Height); problem != "" {
		return errors.New(problem)
	}
	if i := firstNotFinite(im.Features); i >= 0 {
		return fmt.Errorf("feature value %d of region %d is %v", i%dim+1, i/dim+1, im.Features[i])
	}
	if len(im.Global) != 0 && len(im.Global) != dim {
		return fmt.Errorf("%d values of the global feature; %d are needed", len(im.Global), dim)
	}
	if i := firstNotFinite(im.Global); i >= 0 {
		return fmt.Errorf("value %d of the global feature is %v", i+1, im.Global[i])
	}
	if len(im.Classes)%n != 0 {
		return fmt.Errorf("%d class probabilities for %d regions; every region needs as many", len(im.Classes), n)
	}
	for r := range n {
		if _, err := sumClasses(im.classes(r)); err != nil {
			return fmt.Errorf("classes of region %d: %w", r+1, err)
		}
	}
	return nil
}

// classes returns the class probabilities of a region; none if they are unknown.
func (im *Image) classes(region int) []float32 {
	size := len(im.Classes) / im.Regions()
	return im.Classes[region*size:][:size]
}

// sumClasses returns the sum of probabilities, which is that of a distribution or, as some
// leave the background out, less.
func sumClasses(p []float32) (float64, error) {
	var sum float64
	for i, v := range p {
		if !(v >= 0) {
			return 0, fmt.Errorf("the probability of class %d is %v", i+1, v)
		}
		sum += float64(v)
	}
	const tolerance = 0.01 // for probabilities of half precision
	if len(p) > 0 && !(sum > 0 && sum <= 1+tolerance) {
		return 0, fmt.Errorf("the probabilities sum to %v, where 1 is needed", sum)
	}
	return sum, nil
}

// maxSide bounds an image's sides: the pixels' numbers stay exact in float32.
const maxSide = 1 << 24

func checkSize(width, height float64) error {
	if !(width > 0 && width <= maxSide && height > 0 && height <= maxSide) {
		return fmt.Errorf("an image of %v x %v pixels; both must be above 0 and at most %d", width, height, maxSide)
	}
	return nil
}

// boxesProblem says what is wrong with the first box that is wrong, or "".
func boxesProblem(boxes []float32, width, height float64) string {
	for r := 0; r < len(boxes); r += 4 {
		b := [4]float32(boxes[r:])
		if problem := boxProblem(b, width, height); problem != "" {
			return fmt.Sprintf("box %d, %v, %s (the image has %v x %v pixels)", r/4+1, b, problem, width, height)
		}
	}
	return ""
}

// boxProblem says what is wrong with a box, or "".
func boxProblem(b [4]float32, width, height float64) string {
	switch {
	case firstNotFinite(b[:]) >= 0:
		return "is not finite"
	case b[2] < b[0] || b[3] < b[1]:
		return "is not ordered as x1, y1, x2, y2"
	case !inside(b, width, height):
		return "lies outside the image"
	}
	return ""
}

func inside(b [4]float32, width, height float64) bool {
	x, y := boxTolerance(width), boxTolerance(height)
	return float64(b[0]) >= -x && float64(b[1]) >= -y && float64(b[2]) <= width+x && float64(b[3]) <= height+y
}

// firstNotFinite returns the index of the first NaN or infinity, or -1.
func firstNotFinite(values []float32) int {
	const exponent = 0x7f80_0000
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
}

// resize returns a slice of n values, in the memory of s if it is large enough.
func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
