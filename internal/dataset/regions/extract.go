package regions

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// Extraction computes the features of a folder of pictures and writes them.
//
//	e := regions.Extraction{Dir: "images", Extractor: x, Limits: picture.DefaultLimits}
//	r, err := e.WriteStore(ctx, "FEATURES")
type Extraction struct {
	Dir       string
	Names     []string // of the pictures, as [NewPictures] takes them; nil: all in Dir and its folders
	Extractor Extractor
	Limits    picture.Limits
	// Keep, unless nil, puts what the extractor needs into the folder of the store, before the first shard.
	Keep func(dir string) error

	SkipBad bool // pictures that cannot be read are left out and counted
	Replace bool // a store of another folder or extractor gives way

	// What is told meanwhile; each may be nil.
	Stage func(name string)
	Tick  func(done, total int)
	Warn  func(message string)
}

// Extracted says what an [Extraction] did.
type Extracted struct {
	Extractor Spec `json:"extractor"`
	Dim       int  `json:"dim"`
	Images    int  `json:"images"` // that are there now
	New       int  `json:"new"`    // of them computed now
	Bad       int  `json:"bad"`    // pictures left out
	Others    int  `json:"others"` // files of other kinds
}

// warnedBad is how many bad pictures are warned of.
const warnedBad = 10

// WriteStore makes the store out, goes on with it after an interruption, and brings it up to date:
// pictures that are new or have changed are computed, those that are gone leave it. What is done when
// an error ends it need not be done again.
func (e Extraction) WriteStore(ctx context.Context, out string) (Extracted, error) {
	return e.run(ctx, func(r *Extracted, source *Pictures) error {
		spec, existing := e.Extractor.Spec(), Resume
		if e.Replace {
			existing = Replace
		}
		w, err := NewWriter(out, Header{Dim: r.Dim, Extractor: &spec, Bytes: spec.Extractor == Patches, Source: Place(e.Dir)}, existing)
		if err != nil {
			return err
		}
		if e.Keep != nil {
			if err := e.Keep(out); err != nil {
				return errors.Join(err, w.Close())
			}
		}
		e.Stage("changes")
		names, err := w.Refresh(ctx, source, e.Tick)
		if err != nil {
			return errors.Join(err, w.Close())
		}
		for im, err := range e.images(ctx, r, source, names) {
			if err == nil {
				err = w.Add(im)
			}
			if err != nil {
				return errors.Join(err, w.Close())
			}
		}
		r.Images = w.Images()
		return w.Close()
	})
}

// WriteReference writes the file out of the reference's feature lines, whole or not at all.
func (e Extraction) WriteReference(ctx context.Context, out string) (Extracted, error) {
	return e.run(ctx, func(r *Extracted, source *Pictures) error {
		err := WriteReference(out, source.Dim(), e.images(ctx, r, source, source.IDs()))
		r.Images = r.New
		return err
	})
}

// run lists the pictures and calls write.
func (e *Extraction) run(ctx context.Context, write func(r *Extracted, source *Pictures) error) (Extracted, error) {
	if e.Stage == nil {
		e.Stage = func(string) {}
	}
	if e.Tick == nil {
		e.Tick = func(int, int) {}
	}
	if e.Warn == nil {
		e.Warn = func(string) {}
	}
	r := Extracted{Extractor: e.Extractor.Spec(), Dim: e.Extractor.Dim()}
	names := e.Names
	if names == nil {
		list, err := ListPictures(e.Dir)
		if err != nil {
			return r, err
		}
		others := list.OtherKinds()
		r.Others = list.Others.Total()
		if len(list.IDs) == 0 {
			if others != "" {
				others = "; it holds " + others
			}
			return r, fmt.Errorf("%s holds no pictures (JPEG, PNG, GIF or WebP)%s", e.Dir, others)
		}
		if others != "" {
			e.Warn("files passed over: " + others)
		}
		names = list.IDs
	}
	source := NewPictures(e.Dir, names, e.Extractor, e.Limits, 0)
	defer source.Close()
	if err := write(&r, source); err != nil {
		return r, err
	}
	if r.Images == 0 {
		return r, fmt.Errorf("%s: none of the %d pictures could be read", e.Dir, r.Bad)
	}
	return r, nil
}

// BadPicture is the error about a picture that an [Extraction] without SkipBad met.
type BadPicture struct{ error }

// Unwrap gives the cause.
func (e BadPicture) Unwrap() error { return e.error }

// images gives the images of the named pictures, without those that are left out, and counts both.
func (e *Extraction) images(ctx context.Context, r *Extracted, source *Pictures, names []string) iter.Seq2[*Image, error] {
	return func(yield func(*Image, error) bool) {
		e.Stage("pictures")
		done := 0
		for im, err := range Read(source, names) {
			if ctx.Err() != nil {
				yield(im, ctx.Err())
				return
			}
			done++
			e.Tick(done, len(names))
			switch {
			case err == nil:
				r.New++
			case e.SkipBad:
				if r.Bad++; r.Bad <= warnedBad {
					e.Warn(fmt.Sprintf("left out: %v", err))
				}
				continue
			default:
				err = BadPicture{err}
			}
			if !yield(im, err) {
				return
			}
		}
	}
}
