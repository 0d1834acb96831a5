package regions

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
