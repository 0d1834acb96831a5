package images

import (
	"cmp"
	"context"
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

// Reader reads pictures as a finished model sees them. The kinds' opened models embed it.
type Reader struct {
	Limits picture.Limits // of pictures that are read

	dir  string                            // of the model
	spec *regions.Spec                     // nil: the model knows only features from elsewhere
	open func() (regions.Extractor, error) // makes the extractor, once: a network takes a moment
}

// NewReader returns what reads pictures for an opened model, with the extractor that its folder has or env names.
func NewReader(o *run.Opened, env *run.Env) (Reader, error) {
	r := Reader{Limits: picture.DefaultLimits, dir: o.Dir}
	spec, err := specOf(o.Dir, o.Config)
	if err != nil {
		return r, err
	}
	if spec != nil {
		r.spec, r.open = spec, eyes(env, o.Dir, func() (regions.Extractor, error) { return extractor.Of(*spec) })
	}
	if env.Extractor != "" {
		if err := r.use(env); err != nil {
			return r, err
		}
	}
	if r.spec == nil {
		return r, nil
	}
	n, err := sizeOf(*r.spec)
	if err != nil {
		return r, err
	}
	if n != o.Config.ImageEmbeddingSize {
		return r, fmt.Errorf("%s makes features of %d values, but image_embedding_size is %d: they belong to different models", r.spec, n, o.Config.ImageEmbeddingSize)
	}
	return r, nil
}

// ExtractorReader returns what reads pictures for the extractor that env names, without a model.
func ExtractorReader(env *run.Env) (Reader, error) {
	r := Reader{Limits: picture.DefaultLimits}
	return r, r.use(env)
}

// use takes the extractor that env names. It must be the model's, if that is known.
func (r *Reader) use(env *run.Env) error {
	open := eyes(env, env.Extractor, func() (regions.Extractor, error) { return OpenExtractor(regions.Spec{Extractor: env.Extractor}) })
	x, err := open()
	if extractor.WrongUse(err) {
		err = &run.SettingError{Err: err}
	}
	if err != nil {
		return err
	}
	spec := x.Spec()
	if r.spec != nil && !spec.Equal(*r.spec) {
		return fmt.Errorf("--extractor %s makes regions by %s, but model %s knows regions by %s; leave it out: the model has its own", env.Extractor, spec, r.dir, r.spec)
	}
	extractor.Tell(env.Log, x)
	r.spec, r.open = &spec, open
	return nil
}

// eyes opens what open opens of a folder or a file, once, and has it compute on the device of env, as [extractor.During] does.
func eyes(env *run.Env, path string, open func() (regions.Extractor, error)) func() (regions.Extractor, error) {
	return env.Shared.Extractor(path, env.Device, func(d engine.Device) (regions.Extractor, error) {
		x, err := open()
		if err != nil {
			return nil, err
		}
		return extractor.On(x, engine.Exact(d))
	})
}

// Spec says how pictures are seen; nil for a model that knows only features from elsewhere.
func (r *Reader) Spec() *regions.Spec { return r.spec }

// Serves returns what a server reads pictures with; nil for a model that knows only features from elsewhere.
func (r *Reader) Serves() run.PictureReader {
	if r.spec == nil {
		return nil
	}
	return r
}

// Limit implements [run.PictureReader].
func (r *Reader) Limit(pixels int) { r.Limits.MaxPixels = pixels }

// Prepare implements [run.PictureReader].
func (r *Reader) Prepare() error {
	_, err := r.Extractor()
	return err
}

// Trained says what the model knows images by.
func (r *Reader) Trained() Trained { return Trained{Name: r.dir, Spec: r.spec} }

// Extractor returns what makes regions of pictures.
func (r *Reader) Extractor() (regions.Extractor, error) {
	if r.open == nil {
		return nil, fmt.Errorf("model %s has no %s: it was made for region features from elsewhere; name them with --features, or what made them with --extractor", r.dir, regions.SpecFile)
	}
	return r.open()
}

// Picture reads a picture file.
func (r *Reader) Picture(path string) (*regions.Image, error) {
	return r.extract(path, func(visit func(*picture.Picture)) error { return picture.VisitFile(path, r.Limits, visit) })
}

// Decode is Picture for the content of a file. It ends with the context.
func (r *Reader) Decode(ctx context.Context, raw []byte) (*regions.Image, error) {
	return r.extract("picture", func(visit func(*picture.Picture)) error { return picture.VisitContext(ctx, raw, r.Limits, visit) })
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
	source, info, err := regions.Open(path, regions.Options{})
	if err != nil {
		return nil, err
	}
	defer source.Close()
	if err := r.Trained().Check(path, source.Dim(), info.Extractor); err != nil {
		return nil, err
	}
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
