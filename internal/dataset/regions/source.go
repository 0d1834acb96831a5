package regions

import (
	"iter"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// Source gives images by id. All methods but Close may be called from several
// goroutines at once.
type Source interface {
	// Dim is the size of a region's feature.
	Dim() int

	// IDs lists the images in the source's order. The slice is shared: do not change it.
	IDs() []string

	// Image sets dst to an image, in the memory of its slices where they are large
	// enough, and checks it ([Image.Check]). The error of an unknown id wraps
	// [ErrNoImage] and names the source; others name the file and, where there are
	// lines, the line.
	Image(id string, dst *Image) error

	// Close releases what the source holds open. Images stay valid.
	Close() error
}

// Classes returns how many classes a source gives probabilities of ([Image.Classes]); 0:
// none.
func Classes(s Source) int {
	if c, ok := s.(interface{ Classes() int }); ok {
		return c.Classes()
	}
	return 0
}

// readBlock is how many images are read before the first of them is given.
const readBlock = 32

// Read gives images of a source in the order of ids; several are read at once. An image
// is valid until the next. With an error it has the id and nothing else that counts, and
// the next image follows, if the loop goes on.
func Read(s Source, ids []string) iter.Seq2[*Image, error] {
	return func(yield func(*Image, error) bool) {
		var images [readBlock]Image
		var errs [readBlock]error
		for len(ids) > 0 {
			block := ids[:min(readBlock, len(ids))]
			ids = ids[len(block):]
			parallel.For(len(block), func(i int) { errs[i] = s.Image(block[i], &images[i]) })
			for i, id := range block {
				images[i].ID = id
				if !yield(&images[i], errs[i]) {
					return
				}
			}
		}
	}
}
