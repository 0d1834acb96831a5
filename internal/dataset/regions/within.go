package regions

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Fields says which fields of a line, with ";" between them, hold an image, and how many fields a line has.
type Fields struct{ Count, ID, Width, Height, Regions, Boxes, Features int }

// The lines of the reference that hold an image and a text. Width comes first in those of SNLI-VE, height in those of
// captions.
var (
	EntailmentFields = Fields{Count: 14, ID: 0, Width: 7, Height: 8, Regions: 9, Boxes: 10, Features: 11}
	CaptionFields    = Fields{Count: 16, ID: 0, Width: 9, Height: 8, Regions: 10, Boxes: 11, Features: 14}
)

// Split returns the fields of a line.
func (l Fields) Split(line []byte) ([][]byte, error) {
	fields := bytes.Split(line, []byte(";"))
	if len(fields) != l.Count {
		return nil, fmt.Errorf("has %s with ; between them, want %d", textfile.Plural(len(fields), "field"), l.Count)
	}
	return fields, nil
}

// Image sets dst to the image in the fields of a line. Whether its numbers make sense is for [Image.Check] to say.
func (l Fields) Image(fields [][]byte, dst *Image) error {
	number := func(i int) float64 {
		v, err := strconv.ParseFloat(string(fields[i][:min(len(fields[i]), maxNumber)]), 64)
		if err != nil {
			v = math.NaN() // which no check lets pass
		}
		return v
	}
	n, err := strconv.Atoi(string(fields[l.Regions][:min(len(fields[l.Regions]), maxNumber)]))
	if err != nil || n < 1 {
		return fmt.Errorf("%s is no number of regions", textfile.Quote(string(fields[l.Regions])))
	}
	boxes, err := floatsIn(fields[l.Boxes])
	if err != nil {
		return fmt.Errorf("field %d, of boxes, %w", l.Boxes+1, err)
	}
	features, err := floatsIn(fields[l.Features])
	if err != nil {
		return fmt.Errorf("field %d, of features, %w", l.Features+1, err)
	}
	if boxes/4 != n || boxes%4 != 0 || features == 0 || features%n != 0 {
		return fmt.Errorf("has %d box coordinates and %d feature values for %s", boxes, features, textfile.Plural(n, "region"))
	}
	dst.ID, dst.Origin, dst.Classes = string(fields[l.ID]), Origin{}, nil
	dst.Width, dst.Height = number(l.Width), number(l.Height)
	dst.Boxes, dst.Features = resize(dst.Boxes, boxes), resize(dst.Features, features)
	return errors.Join(decodeFloats(dst.Boxes, fields[l.Boxes]), decodeFloats(dst.Features, fields[l.Features]))
}

// Within is a source of the images that stand in the lines of files with texts. Of a plain file it knows where they are;
// those of a compressed one are kept.
type Within struct {
	idList
	layout     Fields
	maxRegions int
	dim        int
	files      []*os.File
	images     []withinImage
	kept       int64     // bytes of the images in memory
	read       hash.Hash // SHA-256 of all that was read
	seed       maphash.Seed
	cut        int // images with more regions than maxRegions, of which no note tells yet
}

// withinImage is where an image is.
type withinImage struct {
	file int // -1: in memory
	path string
	at   span
	line int
	sum  uint64 // of the fields that say what it is like
	im   *Image
}

// maxKept bounds the memory of images from compressed files.
const maxKept = 4 << 30

// NewWithin returns a source without images. Of an image with more than maxRegions a model reads the first, as the
// reference cuts them; 0: [DefaultMaxRegions].
func NewWithin(layout Fields, maxRegions int) *Within {
	if maxRegions == 0 {
		maxRegions = DefaultMaxRegions
	}
	return &Within{layout: layout, maxRegions: maxRegions, read: sha256.New(), seed: maphash.MakeSeed()}
}

// Dim implements [Source]; 0 before there are images.
func (w *Within) Dim() int { return w.dim }

// Digest returns the SHA-256 of all lines that were read.
func (w *Within) Digest() string { return hex.EncodeToString(w.read.Sum(nil)) }

// Notes returns what people should know of the images that were added since the last call. Of no source there is nothing.
func (w *Within) Notes() []string {
	if w == nil || w.cut == 0 {
		return nil
	}
	note := fmt.Sprintf("%s with more than %d regions (max_regions): the first are read, and the mean of all", textfile.Plural(w.cut, "image"), w.maxRegions)
	w.cut = 0
	return []string{note}
}

// Close implements [Source].
func (w *Within) Close() error {
	var err error
	for _, f := range w.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// Image implements [Source].
func (w *Within) Image(id string, dst *Image) error {
	i, err := w.find(id, "the lines with texts")
	if err != nil {
		return err
	}
	from := w.images[i]
	defer func() { dst.Read = w.maxRegions }()
	if from.im != nil {
		dst.ID, dst.Width, dst.Height, dst.Origin, dst.Classes = from.im.ID, from.im.Width, from.im.Height, Origin{}, nil
		dst.Boxes, dst.Features = append(dst.Boxes[:0], from.im.Boxes...), append(dst.Features[:0], from.im.Features...)
		return nil
	}
	line := make([]byte, from.at.size)
	if _, err := w.files[from.file].ReadAt(line, int64(from.at.begin)); err != nil {
		return badLine(from.path, from.line, id, err)
	}
	fields, err := w.layout.Split(line)
	if err == nil {
		err = w.layout.Image(fields, dst)
	}
	if err == nil {
		err = dst.Check(w.dim)
	}
	if err != nil {
		return badLine(from.path, from.line, id, err)
	}
	return nil
}

// Scan reads a file, plain or compressed with gzip, and adds its images. each is called for every line with its fields,
// valid until it returns, and with what is wrong with the line, if something is. It ends with the first error of each.
func (w *Within) Scan(path string, each func(fields [][]byte, line int, bad error) error) error {
	f, err := infile.Open(path)
	if err != nil {
		return err
	}
	var in io.Reader = f
	file := -1
	head := make([]byte, 2)
	if n, _ := f.ReadAt(head, 0); string(head[:n]) == "\x1f\x8b" {
		defer f.Close()
		if in, err = gzip.NewReader(bufio.NewReader(f)); err != nil {
			return &textfile.FileError{File: path, Problem: fmt.Sprintf("cannot be unpacked: %v", err), Remedy: "fetch it again", Err: err}
		}
	} else {
		file = len(w.files)
		w.files = append(w.files, f)
	}
	return eachLine(in, path, func(raw []byte, begin, line int) error {
		w.read.Write(raw)
		w.read.Write([]byte("\n"))
		fields, err := w.layout.Split(raw)
		if err == nil {
			err = w.add(fields, withinImage{file: file, path: path, at: span{begin, len(raw)}, line: line})
		}
		if err != nil {
			err = &textfile.FileError{File: path, Line: line, Problem: err.Error(), Remedy: "correct the line, or leave it out", Err: err}
		}
		return each(fields, line, err)
	})
}

// sum returns a hash of the fields of an image.
func (w *Within) sum(fields [][]byte) uint64 {
	var h maphash.Hash
	h.SetSeed(w.seed)
	for _, i := range []int{w.layout.Width, w.layout.Height, w.layout.Regions, w.layout.Boxes, w.layout.Features} {
		h.Write(fields[i])
		h.WriteByte(';')
	}
	return h.Sum64()
}

// add adds the image of a line, unless it is there. One that is there must be the same.
func (w *Within) add(fields [][]byte, from withinImage) error {
	id := string(fields[w.layout.ID][:min(len(fields[w.layout.ID]), maxSmall)])
	from.sum = w.sum(fields)
	if i, ok := w.at[id]; ok {
		if first := w.images[i]; first.sum != from.sum {
			return fmt.Errorf("has other features, boxes or sizes for image %s than line %d of %s", textfile.Quote(id), first.line, first.path)
		}
		return nil
	}
	if id == "" || len(w.images) == maxImages {
		return fmt.Errorf("has no id of an image, or is one of more than %d", maxImages)
	}
	im := new(Image)
	if err := w.layout.Image(fields, im); err != nil {
		return err
	}
	dim := len(im.Features) / im.Regions()
	if w.dim == 0 {
		w.dim = dim
	}
	if err := im.Check(w.dim); err != nil {
		return err
	}
	if from.file < 0 {
		if w.kept += int64(4 * (len(im.Boxes) + len(im.Features))); w.kept > maxKept {
			return fmt.Errorf("the images up to here need more than %d GiB of memory; unpack the file with gunzip, then they stay on the disk", maxKept>>30)
		}
		from.im = im
	}
	if im.Regions() > w.maxRegions {
		w.cut++
	}
	w.idList.add(id)
	w.images = append(w.images, from)
	return nil
}

// eachLine gives the lines that are not empty, without their ends, with their places and numbers.
func eachLine(in io.Reader, path string, each func(raw []byte, begin, line int) error) error {
	r := bufio.NewReaderSize(in, 1<<20)
	var raw []byte
	for begin, line := 0, 1; ; line++ {
		raw = raw[:0]
		var err error
		for {
			var part []byte
			part, err = r.ReadSlice('\n')
			raw = append(raw, part...)
			if len(raw) > textfile.MaxLine {
				return &textfile.FileError{File: path, Line: line, Problem: fmt.Sprintf("the line is longer than %d bytes", textfile.MaxLine), Remedy: "name a file of the reference's lines"}
			}
			if err != bufio.ErrBufferFull {
				break
			}
		}
		if err != nil && err != io.EOF {
			return &textfile.FileError{File: path, Line: line, Problem: fmt.Sprintf("cannot be read on: %v", err), Remedy: "fetch or write it again", Err: err}
		}
		if text := bytes.TrimRight(raw, "\r\n"); len(text) > 0 {
			if err := each(text, begin, line); err != nil {
				return err
			}
		}
		begin += len(raw)
		if err == io.EOF {
			return nil
		}
	}
}
