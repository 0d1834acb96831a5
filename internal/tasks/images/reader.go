package images

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
)

// Reader reads pictures as a finished model sees them. The kinds' opened models embed it.
type Reader struct {
	Limits picture.Limits // of pictures that are read

	dir       string            // of the model
	extractor regions.Extractor // nil: the model knows only features from elsewhere
}

// NewReader returns what reads pictures for an opened model.
func NewReader(o *run.Opened) (Reader, error) {
	r := Reader{Limits: picture.DefaultLimits, dir: o.Dir}
	spec, err := regions.ReadSpec(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if r.extractor, err = regions.NewExtractor(spec); err != nil {
		return r, err
	}
	if n := r.extractor.Dim(); n != o.Config.ImageEmbeddingSize {
		return r, fmt.Errorf("%s makes features of %d values, but image_embedding_size is %d: they belong to different models", regions.SpecFile, n, o.Config.ImageEmbeddingSize)
	}
	return r, nil
}

// Spec says how pictures are cut up; nil for a model that knows only features from elsewhere.
func (r *Reader) Spec() *regions.Spec {
	if r.extractor == nil {
		return nil
	}
	spec := r.extractor.Spec()
	return &spec
}

// Extractor returns what cuts pictures up.
func (r *Reader) Extractor() (regions.Extractor, error) {
	if r.extractor == nil {
		return nil, fmt.Errorf("model %s has no %s: it was made for region features from elsewhere; name them with --features", r.dir, regions.SpecFile)
	}
	return r.extractor, nil
}

// Picture reads a picture file.
func (r *Reader) Picture(path string) (*regions.Image, error) {
	return r.extract(path, func(visit func(*picture.Picture)) error { return picture.VisitFile(path, r.Limits, visit) })
}

// Decode is Picture for the content of a file.
func (r *Reader) Decode(raw []byte) (*regions.Image, error) {
	return r.extract("picture", func(visit func(*picture.Picture)) error { return picture.Visit(raw, r.Limits, visit) })
}

func (r *Reader) extract(id string, open func(visit func(*picture.Picture)) error) (*regions.Image, error) {
	x, err := r.Extractor()
	if err != nil {
		return nil, err
	}
	im := &regions.Image{ID: id}
	var problem error
	err = open(func(p *picture.Picture) {
		if problem = x.Extract(x.Prepare(p), p.Width, p.Height, im); problem != nil {
			problem = fmt.Errorf("%s: %w", id, problem)
		}
	})
	return im, cmp.Or(err, problem)
}

// Image reads a picture file, or with features the image of that id in these.
func (r *Reader) Image(name, features string) (*regions.Image, error) {
	if features != "" {
		return r.Features(features, name)
	}
	return r.Picture(name)
}

// Features reads an image's region features from a file or folder.
func (r *Reader) Features(path, id string) (*regions.Image, error) {
	source, _, err := regions.Open(path, regions.Options{})
	if err != nil {
		return nil, err
	}
	defer source.Close()
	im := &regions.Image{}
	return im, source.Image(id, im)
}

// Thumbnail returns a picture as the data: URI of one whose longer side has so many pixels at
// most; "" if it cannot be read.
func (r *Reader) Thumbnail(file string, side int) string { return Thumbnail(file, side, r.Limits) }

// Thumbnail is [Reader.Thumbnail] without a model.
func Thumbnail(file string, side int, l picture.Limits) (uri string) {
	err := picture.VisitFile(file, l, func(p *picture.Picture) { uri, _ = p.DataURI(side) })
	if err != nil {
		return ""
	}
	return uri
}
