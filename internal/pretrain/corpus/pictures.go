package corpus

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// setPicture sets where a sample's image comes from: the features of that name, or else the
// picture of that name in the folder dir. It returns why there is none.
func (c *Collection) setPicture(s *Sample, dir, name string) (reason string) {
	if c.has != nil {
		return c.setFeatures(s, name)
	}
	file, err := picture.Find(dir, name)
	if err != nil {
		return Outside
	}
	if !exists(file) {
		return NoPicture
	}
	s.image = c.image(s.Ref, func(use func(*picture.Picture)) error { return picture.VisitFile(file, c.o.Limits, use) })
	return ""
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// setFeatures takes the features of a name, with or without a picture's ending.
func (c *Collection) setFeatures(s *Sample, name string) (reason string) {
	key := picture.Key(name)
	if !c.has[key] && !(picture.IsPicture(key) && c.has[strings.TrimSuffix(key, path.Ext(key))]) {
		return NoPicture
	}
	s.image = func(dst *regions.Image) error { return c.source.Image(name, dst) }
	return ""
}

// Objects returns what the image of a sample of c shows: what the collection says, or else the
// classes that its regions most likely have, by the detector's names or as "class 17"; nil if neither is known.
func (c *Collection) Objects(s *Sample) ([]string, error) {
	if len(s.Objects) > 0 || c.classes == 0 {
		return s.Objects, nil
	}
	var im regions.Image
	if err := s.Image(&im); err != nil {
		return nil, err
	}
	var objects []string
	size := len(im.Classes) / im.Regions()
	for at := 0; at < len(im.Classes); at += size {
		likely := 0
		for k, p := range im.Classes[at : at+size] {
			if p > im.Classes[at+likely] {
				likely = k
			}
		}
		name := fmt.Sprint("class ", likely)
		if c.spec != nil && likely < len(c.spec.Classes) {
			name = c.spec.Classes[likely]
		}
		if !slices.Contains(objects, name) {
			objects = append(objects, name)
		}
	}
	return objects, nil
}

// maxPicture bounds the bytes of a picture.
func (c *Collection) maxPicture() int64 {
	return cmp.Or(c.o.Limits.MaxBytes, picture.DefaultLimits.MaxBytes)
}

// prepared is a picture in the extractor's size, and the size it had; or its regions, where they take less memory.
type prepared struct {
	pixels        *picture.Picture
	width, height int
	regions       *regions.Image
}

func (p *prepared) size() int64 {
	if p.regions != nil {
		return p.regions.Size()
	}
	return int64(len(p.pixels.Pix))
}

// cache keeps prepared pictures, as they are what takes long.
type cache struct {
	mu   sync.RWMutex
	room int64 // bytes left
	kept map[Ref]prepared
}

// image returns what makes the image of the picture that visit decodes.
func (c *Collection) image(ref Ref, visit func(use func(*picture.Picture)) error) func(*regions.Image) error {
	return func(dst *regions.Image) error {
		x := c.o.Extractor
		if x == nil {
			return errors.New("is a picture, and there is no extractor for it")
		}
		if c.store != nil {
			if err := c.store.Image(ref.String(), dst); !errors.Is(err, regions.ErrNoImage) {
				return err
			}
		}
		c.cache.mu.RLock()
		p, ok := c.cache.kept[ref]
		c.cache.mu.RUnlock()
		if p.regions != nil {
			p.regions.Copy(dst)
			return nil
		}
		if !ok {
			err := visit(func(decoded *picture.Picture) {
				p = prepared{pixels: x.Prepare(decoded), width: decoded.Width, height: decoded.Height}
			})
			if err != nil {
				return err
			}
		}
		if err := x.Extract(p.pixels, p.width, p.height, dst); err != nil {
			return err
		}
		if !ok {
			c.cache.keep(ref, p, dst, x.Spec().Trained())
		}
		return nil
	}
}

// keep keeps a picture, of which the regions are im: these, if a trained network has computed them or they take less
// memory.
func (c *cache) keep(ref Ref, p prepared, im *regions.Image, trained bool) {
	own := prepared{regions: new(regions.Image)}
	im.Copy(own.regions)
	if trained || own.size() < p.size() {
		p = own
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, twice := c.kept[ref]; twice || p.size() > c.room {
		return
	}
	c.room -= p.size()
	c.kept[ref] = p
}
