package regions

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/unimo-go/unimo/internal/infile"
	"github.com/unimo-go/unimo/internal/picture"
)

// ListPictures lists the picture files of a folder and its folders, as slash-separated
// names relative to it in lexical order. Folders and files whose names begin with a dot
// are passed over, and so are links to folders.
func ListPictures(dir string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case infile.Hidden(name):
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir() && picture.IsPicture(name):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the pictures of %s: %w", dir, err)
	}
	return names, nil
}

// Pictures is a source over the picture files of a folder.
//
// Prepared pixels, which are what takes long to get, are kept up to a number of bytes:
// those of the pictures that were asked for first, as training asks for all of them
// again and again. What no longer fits is decoded at each call.
type Pictures struct {
	dir       string
	names     []string
	known     map[string]struct{}
	extractor Extractor
	limits    picture.Limits

	mu       sync.RWMutex
	prepared map[string]prepared
	room     int64 // bytes left for prepared pixels
}

// prepared is a picture in the extractor's size, and the size it had.
type prepared struct {
	pixels        *picture.Picture
	width, height int
}

// NewPictures makes a source of the named files of a folder, whose ids are the names,
// relative to dir and slash-separated. A name that leads out of the folder is an error
// when it is asked for, like a file that is no picture within the limits. cacheBytes
// bounds the prepared pixels that are kept; 0: none.
func NewPictures(dir string, names []string, x Extractor, l picture.Limits, cacheBytes int64) *Pictures {
	s := &Pictures{dir: dir, names: names, extractor: x, limits: l, room: cacheBytes,
		known: make(map[string]struct{}, len(names)), prepared: make(map[string]prepared)}
	for _, name := range names {
		s.known[name] = struct{}{}
	}
	return s
}

// Dim implements [Source].
func (s *Pictures) Dim() int { return s.extractor.Dim() }

// IDs implements [Source].
func (s *Pictures) IDs() []string { return s.names }

// Extractor returns what computes the features.
func (s *Pictures) Extractor() Extractor { return s.extractor }

// Close implements [Source]; it forgets the prepared pixels.
func (s *Pictures) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.prepared)
	s.room = 0
	return nil
}

// Image implements [Source].
func (s *Pictures) Image(id string, dst *Image) error {
	p, err := s.prepare(id)
	if err != nil {
		return err
	}
	dst.ID = id
	s.extractor.Extract(p.pixels, p.width, p.height, dst)
	return nil
}

// Augmented sets dst to an image of the prepared pixels, cropped and flipped as
// [picture.Picture.Augment] does with the seed. flipped says whether left and right
// have changed places. The boxes are those of the whole picture: what was cropped is
// the image now.
func (s *Pictures) Augmented(id string, a picture.Augmentation, seed uint64, dst *Image) (flipped bool, err error) {
	p, err := s.prepare(id)
	if err != nil {
		return false, err
	}
	pixels, flipped := p.pixels.Augment(a, seed, p.pixels.Width, p.pixels.Height)
	dst.ID = id
	s.extractor.Extract(pixels, p.width, p.height, dst)
	return flipped, nil
}

// Picture decodes a picture in its own size.
func (s *Pictures) Picture(id string) (*picture.Picture, error) {
	if _, ok := s.known[id]; !ok {
		return nil, fmt.Errorf("%s: %w: %q", s.dir, ErrNoImage, id)
	}
	if !filepath.IsLocal(filepath.FromSlash(id)) {
		return nil, fmt.Errorf("%s: picture %q lies outside the folder", s.dir, id)
	}
	return picture.Open(filepath.Join(s.dir, filepath.FromSlash(id)), s.limits)
}

func (s *Pictures) prepare(id string) (prepared, error) {
	s.mu.RLock()
	p, ok := s.prepared[id]
	s.mu.RUnlock()
	if ok {
		return p, nil
	}
	original, err := s.Picture(id)
	if err != nil {
		return prepared{}, err
	}
	p = prepared{s.extractor.Prepare(original), original.Width, original.Height}

	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := s.prepared[id]; ok { // another goroutine was faster
		return kept, nil
	}
	if size := int64(len(p.pixels.Pix)); size <= s.room {
		s.room -= size
		s.prepared[id] = p
	}
	return p, nil
}
