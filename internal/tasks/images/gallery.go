package images

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// pageSide is the longer side of a picture on a page, in pixels.
const pageSide = 160

// PagePicture returns the picture of a folder as a page shows it; "" if there is none, as with features from elsewhere.
func PagePicture(dir, name string) string {
	file, err := picture.Find(dir, name)
	if err != nil {
		return ""
	}
	return Thumbnail(file, pageSide, picture.DefaultLimits)
}

// Choice is what a page shows of some queries.
type Choice struct {
	Numbers []int // in order

	n             int
	right         int // of all
	shown, missed int // of those that are shown
}

// gallerySeed draws what a gallery shows: queries about one picture stand together in the data, so that
// even distances could be uneven.
const gallerySeed = 1

// Choose draws k of n queries, half of them answered rightly where there are enough of both kinds.
func Choose(n, k int, right func(i int) bool) Choice {
	var yes, no []int
	for _, i := range random.New(gallerySeed, "gallery").Perm(n) {
		if right(i) {
			yes = append(yes, i)
		} else {
			no = append(no, i)
		}
	}
	k = min(k, n)
	missed := min(len(no), max(k/2, k-len(yes)))
	return Choice{slices.Sorted(slices.Values(append(yes[:k-missed:k-missed], no[:missed]...))), n, len(yes), k, missed}
}

// Note says how many queries did what they should ("found their picture first"), and how those that are shown were chosen.
func (c Choice) Note(queries, did string) string {
	note := fmt.Sprintf("%d of %d %s %s.", c.right, c.n, queries, did)
	if c.shown == c.n {
		return note + " All are shown."
	}
	return note + fmt.Sprintf(" Shown: %d of these and %d of the others, drawn with seed %d, in the order of the data.", c.shown-c.missed, c.missed, gallerySeed)
}
