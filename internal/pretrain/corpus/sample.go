package corpus

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Bounds of what a sample may have. A longer text is another kind of file.
const (
	maxText     = 1 << 20 // bytes of a line, or of a text in an archive
	maxCaptions = 1000
)

// Sample is a text, an image, or an image with captions.
type Sample struct {
	Ref      Ref
	Key      string   // the image's name, or shard:number; each once in a sound collection
	Where    string   // file and line or entry, for messages
	Text     string   // of Text
	Captions []string // of Pairs, one or more
	Objects  []string // what the image shows, where the collection says so

	group string                     // what is held out together; "": Key
	image func(*regions.Image) error // nil without
	bytes int                        // what it keeps in memory, about
	empty int                        // captions that were left out

	oddObjects bool // the collection's objects are no names
}

// Ref is where a sample is in its collection. As JSON it is [shard, number, offset].
type Ref struct {
	Shard  int
	Number int   // of lines or samples before it in the shard
	Offset int64 // of its first byte; 0 where the shard is compressed or no file
}

// MarshalJSON implements [json.Marshaler].
func (r Ref) MarshalJSON() ([]byte, error) {
	return json.Marshal([3]int64{int64(r.Shard), int64(r.Number), r.Offset})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Ref) UnmarshalJSON(raw []byte) error {
	var list []int64
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	if len(list) != 3 {
		return fmt.Errorf("a place in a collection has 3 numbers, not %d", len(list))
	}
	*r = Ref{int(list[0]), int(list[1]), list[2]}
	return nil
}

// String is the place as the id of an image.
func (r Ref) String() string { return fmt.Sprintf("%d/%d/%d", r.Shard, r.Number, r.Offset) }

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Number, b.Number))
}

// Image sets dst to the sample's image, in the memory of its slices where they are large
// enough: the picture is read, decoded and given to the extractor, or its features are
// read. An error is about this sample alone; [Reason] classifies it. Different goroutines
// may do this for different samples at once. A sample of Text panics.
func (s *Sample) Image(dst *regions.Image) error {
	if s.image == nil {
		panic("corpus: image of a text")
	}
	if err := s.image(dst); err != nil {
		return fmt.Errorf("%s: %w", s.Where, err)
	}
	dst.ID = s.Key
	return nil
}

// heldOut says whether the sample is among a share of the samples that depends on its group
// alone: the image's name without ending, or the text's. So captions are held out with their
// image, though they be of another collection.
func (s *Sample) heldOut(share float64) bool {
	name := cmp.Or(s.group, s.Key)
	if picture.IsPicture(name) {
		name = strings.TrimSuffix(name, path.Ext(name))
	}
	hash := sha256.Sum256([]byte(name))
	return float64(binary.LittleEndian.Uint64(hash[:])) < share*math.MaxUint64
}

// captions sets the captions: each once, without the empty ones, which are counted. It
// returns why there is none.
func (s *Sample) captions(texts []string) (reason string) {
	for _, text := range texts {
		text = strings.TrimSpace(text)
		switch {
		case text == "":
			s.empty++
		case !utf8.ValidString(text):
			return NotUTF8
		case len(s.Captions) < maxCaptions && !slices.Contains(s.Captions, text):
			s.Captions = append(s.Captions, text)
			s.bytes += len(text)
		}
	}
	switch {
	case len(s.Captions) > 0:
		return ""
	case s.empty > 0:
		return EmptyCaption
	}
	return NoCaption
}
