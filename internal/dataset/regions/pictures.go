package regions

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// Listing is what [ListPictures] found.
type Listing struct {
	IDs    []string // of pictures, in lexical order of the files' names
	Others Kinds    // files that are no pictures
}

// Kinds says how many files there are of each kind, by the ending in lower case; "": without one.
type Kinds map[string]int

// Total returns how many there are of all.
func (k Kinds) Total() int {
	total := 0
	for _, n := range k {
		total += n
	}
	return total
}

// ListPictures lists the picture files of a folder and its folders by their ids ([picture.ID] of
// the slash-separated names relative to it). Hidden folders and files are passed over, and so are
// links to folders.
func ListPictures(dir string) (Listing, error) {
	if err := infile.Folder(dir); err != nil {
		return Listing{}, fmt.Errorf("list pictures: %w", err)
	}
	l := Listing{Others: Kinds{}}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case infile.Hidden(name):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.IsDir():
		case picture.IsPicture(name):
			l.IDs = append(l.IDs, picture.ID(name))
		case e.Type().IsRegular() && !ofSystem[strings.ToLower(e.Name())]:
			l.Others[strings.ToLower(path.Ext(name))]++
		}
		return nil
	})
	if err != nil {
		return Listing{}, fmt.Errorf("list the pictures of %s: %w", dir, err)
	}
	seen := make(map[string]bool, len(l.IDs))
	for _, id := range l.IDs {
		if seen[id] {
			return Listing{}, fmt.Errorf("%s: two files have the id %q, as one name is not UTF-8; rename it", dir, id)
		}
		seen[id] = true
	}
	return l, nil
}

// ofSystem are files that systems leave in folders, by their names in lower case.
var ofSystem = map[string]bool{"thumbs.db": true, "desktop.ini": true, "ehthumbs.db": true, "icon\r": true}

// OtherKinds says which files were passed over; "" if none.
func (l Listing) OtherKinds() string {
	var parts []string
	for _, ending := range slices.SortedFunc(maps.Keys(l.Others), func(a, b string) int {
		return cmp.Or(cmp.Compare(unread[b], unread[a]), cmp.Compare(l.Others[b], l.Others[a]), cmp.Compare(a, b))
	}) {
		part := fmt.Sprintf("%d %s", l.Others[ending], cmp.Or(ending, "without an ending"))
		if unread[ending] > 0 {
			part += " (convert to JPEG)"
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	if len(parts) > shownKinds {
		parts = append(parts[:shownKinds], "...")
	}
	return fmt.Sprintf("%d of other kinds: %s", l.Others.Total(), strings.Join(parts, ", "))
}

// shownKinds is how many kinds of files a message names.
const shownKinds = 6

// unread are the endings of pictures in forms that are not read.
var unread = map[string]int{".heic": 1, ".heif": 1, ".avif": 1, ".tif": 1, ".tiff": 1, ".bmp": 1, ".jxl": 1, ".jp2": 1, ".svg": 1,
	".psd": 1, ".ico": 1, ".dng": 1, ".cr2": 1, ".cr3": 1, ".nef": 1, ".arw": 1, ".raf": 1, ".orf": 1, ".rw2": 1}

// Pictures is a source over the picture files of a folder.
//
// Prepared pixels, which are what takes long to get, are kept up to a number of bytes, or
// of a trained network the regions: those of the pictures that were asked for first, as
// training asks for all of them again and again. What no longer fits is computed at each call.
type Pictures struct {
	dir       string
	names     []string
	known     map[string]struct{}
	extractor Extractor
	limits    picture.Limits

	mu       sync.RWMutex
	prepared map[string]prepared
	regions  map[string]*Image // of a trained network
	room     int64             // bytes left for both
	reserve  int64             // of them for regions of a network that changes, which are computed anew again and again
	state    uint64            // of that network, when it computed the regions
}

// prepared is a picture in the extractor's size, the size it had, and its file.
type prepared struct {
	pixels        *picture.Picture
	width, height int
	origin        Origin
}

// NewPictures makes a source of the named files of a folder, whose ids are the names,
// relative to dir and slash-separated ([picture.Find]). A name that leads out of the folder
// is an error when it is asked for, like a file that is no picture within the limits.
// cacheBytes bounds what is kept; 0: nothing.
func NewPictures(dir string, names []string, x Extractor, l picture.Limits, cacheBytes int64) *Pictures {
	s := &Pictures{dir: dir, names: names, extractor: x, limits: l, room: cacheBytes,
		known: make(map[string]struct{}, len(names)), prepared: make(map[string]prepared), regions: make(map[string]*Image)}
	for _, name := range names {
		s.known[name] = struct{}{}
	}
	if _, ok := x.(Changing); ok {
		s.reserve = cacheBytes / 2
	}
	return s
}

// Dim implements [Source].
func (s *Pictures) Dim() int { return s.extractor.Dim() }

// IDs implements [Source].
func (s *Pictures) IDs() []string { return s.names }

// Extractor returns what computes the features.
func (s *Pictures) Extractor() Extractor { return s.extractor }

// Close implements [Source]; it forgets what was kept.
func (s *Pictures) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.prepared)
	clear(s.regions)
	s.room = 0
	return nil
}

// Image implements [Source].
func (s *Pictures) Image(id string, dst *Image) error {
	trained := s.extractor.Spec().Trained() && !dst.Late
	if trained {
		s.forget()
		s.mu.RLock()
		kept := s.regions[id]
		s.mu.RUnlock()
		if kept != nil {
			kept.Copy(dst)
			return nil
		}
	}
	p, err := s.prepare(id, !s.fixed())
	if err != nil {
		return err
	}
	if err := s.extract(p, p.pixels, id, dst); err != nil {
		return err
	}
	if trained {
		s.keep(dst)
	}
	return nil
}

// forget forgets the regions that a network computed before it changed.
func (s *Pictures) forget() {
	x, ok := s.extractor.(Changing)
	if !ok {
		return
	}
	state := x.State()
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == s.state {
		return
	}
	s.state = state
	for id, im := range s.regions {
		s.room += im.Size()
		delete(s.regions, id)
	}
}

// extract sets dst to the regions of pixels.
func (s *Pictures) extract(p prepared, pixels *picture.Picture, id string, dst *Image) error {
	dst.ID, dst.Origin = id, p.origin
	if err := s.extractor.Extract(pixels, p.width, p.height, dst); err != nil {
		return fmt.Errorf("%s: picture %q: %w", s.dir, id, err)
	}
	return nil
}

// keep keeps the regions of a picture, if there is room.
func (s *Pictures) keep(im *Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.regions[im.ID] != nil || im.Size() > s.room {
		return
	}
	own := new(Image)
	im.Copy(own)
	s.room -= own.Size()
	s.regions[im.ID] = own
}

// Augmented sets dst to an image of the prepared pixels, cropped and flipped as
// [picture.Picture.Augment] does. flipped says whether left and right
// have changed places. The boxes are those of the whole picture: what was cropped is
// the image now.
func (s *Pictures) Augmented(id string, a picture.Augmentation, draws *random.Stream, dst *Image) (flipped bool, err error) {
	p, err := s.prepare(id, true)
	if err != nil {
		return false, err
	}
	pixels, flipped := p.pixels.Augment(a, draws, p.pixels.Width, p.pixels.Height)
	return flipped, s.extract(p, pixels, id, dst)
}

// Check returns what is wrong with the file of a picture. Its regions are not computed.
func (s *Pictures) Check(id string) error {
	_, err := s.prepare(id, !s.fixed())
	return err
}

// fixed says whether a trained network computes the regions, the same at each call: pixels need not be kept beside them.
func (s *Pictures) fixed() bool {
	_, changes := s.extractor.(Changing)
	return s.extractor.Spec().Trained() && !changes
}

// Dir is the folder of the pictures.
func (s *Pictures) Dir() string { return s.dir }

// file returns the path of a picture.
func (s *Pictures) file(id string) (string, error) {
	if _, ok := s.known[id]; !ok {
		return "", fmt.Errorf("%s: %w: %q", s.dir, ErrNoImage, id)
	}
	return picture.Find(s.dir, id)
}

// origin implements origins: a file is read only if its size or times differ from the known ones.
func (s *Pictures) origin(id string, known Origin, noted time.Time) (Origin, error) {
	path, err := s.file(id)
	if err != nil {
		return Origin{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Origin{}, err
	}
	if now := originOf(info, known.Hash); now == known && known.settled(noted) {
		return now, nil
	}
	_, now, err := s.read(path)
	return now, err
}

// read reads a file.
func (s *Pictures) read(path string) ([]byte, Origin, error) {
	info, err := os.Stat(path) // before it is read: what changes after that shows
	if err != nil {
		return nil, Origin{}, err
	}
	raw, err := picture.ReadFile(path, s.limits)
	if err != nil {
		return nil, Origin{}, err
	}
	hash := sha256.Sum256(raw)
	return raw, originOf(info, hex.EncodeToString(hash[:])), nil
}

// prepare returns a picture in the extractor's size, which it may keep.
func (s *Pictures) prepare(id string, keep bool) (prepared, error) {
	s.mu.RLock()
	p, ok := s.prepared[id]
	s.mu.RUnlock()
	if ok {
		return p, nil
	}
	path, err := s.file(id)
	if err != nil {
		return prepared{}, err
	}
	raw, origin, err := s.read(path)
	if err != nil {
		return prepared{}, err
	}
	err = picture.Visit(raw, s.limits, func(original *picture.Picture) {
		p = prepared{s.extractor.Prepare(original), original.Width, original.Height, origin}
	})
	if err != nil {
		return prepared{}, fmt.Errorf("%s: %w", path, err)
	}

	if !keep {
		return p, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := s.prepared[id]; ok { // another goroutine was faster
		return kept, nil
	}
	if size := int64(len(p.pixels.Pix)); size <= s.room-s.reserve {
		s.room -= size
		s.prepared[id] = p
	}
	return p, nil
}
