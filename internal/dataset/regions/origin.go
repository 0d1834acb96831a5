package regions

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"math"
	"time"
)

// Origin is what an image was made of. Two images of one origin are equal if the same extractor
// made them.
//
// The times spare reading a file again: one whose size and times are as they were has not changed.
type Origin struct {
	Hash     string `json:"sha256"`             // of the picture's file; of an image of features, of its values
	Size     int64  `json:"size,omitempty"`     // of the picture's file, in bytes
	Modified int64  `json:"modified,omitempty"` // when it was written, in nanoseconds since 1970
	Changed  int64  `json:"changed,omitempty"`  // when it was written, renamed or copied, where the system knows
}

func originOf(info fs.FileInfo, hash string) Origin {
	return Origin{hash, info.Size(), info.ModTime().UnixNano(), changed(info)}
}

// settled says whether times tell of a later change: what was written just before the origin was
// noted can have been written again within one tick of the clock.
func (o Origin) settled(noted time.Time) bool {
	return max(o.Modified, o.Changed) < noted.Add(-2*time.Second).UnixNano()
}

// origins is a source that knows what its images are made of.
type origins interface {
	// origin returns the origin of an image now. known is what it was at the time noted.
	origin(id string, known Origin, noted time.Time) (Origin, error)
}

// currentOrigin returns the origin that an image of s has now. known is what it was at the time noted.
func currentOrigin(s Source, id string, known Origin, noted time.Time) (Origin, error) {
	if s, ok := s.(origins); ok {
		return s.origin(id, known, noted)
	}
	var im Image
	if err := s.Image(id, &im); err != nil {
		return Origin{}, err
	}
	return Origin{Hash: im.Digest()}, nil
}

// Digest returns a digest of what a model sees of the image: size, boxes, features and, if it has one, its global
// feature.
func (im *Image) Digest() string {
	h := sha256.New()
	h.Write(littleInts([]int64{int64(math.Float64bits(im.Width)), int64(math.Float64bits(im.Height)), int64(im.Regions())}))
	h.Write(littleBytes(im.Boxes))
	h.Write(littleBytes(im.Features))
	if len(im.Global) > 0 {
		h.Write([]byte("global"))
		h.Write(littleBytes(im.Global))
	}
	return hex.EncodeToString(h.Sum(nil))
}
