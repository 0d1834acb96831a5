package related

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
)

// What the folder has; the package's documentation says what it means.
const (
	fileName = "related.safetensors"
	version  = "1"

	keysName     = "keys"
	firstName    = "first"
	captionsName = "captions"
	textsName    = "texts"
	imagesName   = "images"
	namesSuffix  = ".names"
	endsSuffix   = ".ends"
)

// Index is an open folder that [Build] made. Its file is mapped, not loaded. All methods but Close may be called from
// several goroutines at once.
type Index struct {
	reader                  checkpoint.Reader
	keys                    names
	first                   []byte // I64, for each pair and the end
	captions, texts, images lists
	summary                 Summary
	temp                    string // the folder to remove at the end, "" for none
}

// lists are rows of numbers of names.
type lists struct {
	numbers []byte // I32
	width   int
	names   names
	short   int // rows with fewer than width
}

// Open opens the folder dir and checks all that is in it.
func Open(dir string) (*Index, error) {
	path := filepath.Join(dir, fileName)
	r, err := checkpoint.OpenSafetensors(path)
	if err != nil {
		return nil, fmt.Errorf("open the index of related samples: %w", err)
	}
	x, err := newIndex(r)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: %w; remove the folder and make it again", path, err)
	}
	return x, nil
}

// newIndex makes an index of a file's tensors, which it checks.
func newIndex(r checkpoint.Reader) (*Index, error) {
	x := &Index{reader: r}
	return x, x.open()
}

func (x *Index) open() error {
	if v := x.reader.Metadata()["version"]; v != version {
		return fmt.Errorf("has version %q, this program reads %s", v, version)
	}
	var err error
	if x.keys, err = x.names(keysName); err != nil {
		return err
	}
	pairs := x.keys.len()
	for i := 1; i < pairs; i++ {
		if string(x.keys.at(i-1)) >= string(x.keys.at(i)) {
			return fmt.Errorf("tensor %q: key %d is out of order", keysName, i)
		}
	}
	var shape []int
	if x.first, shape, err = x.tensor(firstName, checkpoint.I64, 1); err != nil {
		return err
	}
	if shape[0] != pairs+1 || !ascending(x.first) || int64At(x.first, 0) != 0 {
		return fmt.Errorf("tensor %q does not divide the captions among %d pairs", firstName, pairs)
	}
	captions := int64At(x.first, pairs)
	if x.captions, err = x.lists(captionsName, captions); err != nil {
		return err
	}
	if x.texts, err = x.lists(textsName, pairs); err != nil {
		return err
	}
	if x.images, err = x.lists(imagesName, pairs); err != nil {
		return err
	}
	x.summary = Summary{pairs, captions, x.captions.short, x.texts.short, x.images.short}
	return nil
}

// tensor returns the bytes of a tensor of that type and rank.
func (x *Index) tensor(name string, t checkpoint.DType, rank int) ([]byte, []int, error) {
	info, err := x.reader.Info(name)
	if err != nil {
		return nil, nil, err
	}
	if info.DType != t || len(info.Shape) != rank {
		return nil, nil, fmt.Errorf("tensor %q is %v %v, not %v of rank %d", name, info.DType, info.Shape, t, rank)
	}
	bytes, err := x.reader.Bytes(name)
	return bytes, info.Shape, err
}

func (x *Index) names(name string) (n names, err error) {
	if n.bytes, _, err = x.tensor(name, checkpoint.U8, 1); err != nil {
		return n, err
	}
	if n.ends, _, err = x.tensor(name+endsSuffix, checkpoint.I64, 1); err != nil {
		return n, err
	}
	last := 0
	if n.len() > 0 {
		last = int64At(n.ends, n.len()-1)
	}
	if !ascending(n.ends) || last != len(n.bytes) {
		return n, fmt.Errorf("tensor %q does not divide the %d bytes of %q", name+endsSuffix, len(n.bytes), name)
	}
	return n, nil
}

func (x *Index) lists(name string, rows int) (l lists, err error) {
	if l.names, err = x.names(name + namesSuffix); err != nil {
		return l, err
	}
	var shape []int
	if l.numbers, shape, err = x.tensor(name, checkpoint.I32, 2); err != nil {
		return l, err
	}
	if shape[0] != rows {
		return l, fmt.Errorf("tensor %q has %d rows for %d", name, shape[0], rows)
	}
	if l.width = shape[1]; l.width == 0 {
		return l, nil
	}
	for row := range rows {
		n := 0
		for n < l.width && l.at(row, n) != -1 {
			n++
		}
		if n < l.width {
			l.short++
		}
		for i := range l.width {
			if number := l.at(row, i); i < n && (number < 0 || number >= l.names.len()) || i >= n && number != -1 {
				return l, fmt.Errorf("tensor %q: number %d of row %d is %d, of %d", name, i, row, number, l.names.len())
			}
		}
	}
	return l, nil
}

// Fingerprint is that of the options with which the index was made.
func (x *Index) Fingerprint() string { return x.reader.Metadata()["fingerprint"] }

// Summary counts what the index holds.
func (x *Index) Summary() Summary { return x.summary }

// Close releases the file.
func (x *Index) Close() error {
	err := x.reader.Close()
	if x.temp != "" {
		err = errors.Join(err, os.RemoveAll(x.temp))
	}
	return err
}

// Related returns what is related to the pair of that key. A key without a pair is an error that wraps [os.ErrNotExist].
func (x *Index) Related(key string) (Related, error) {
	pair, found := sort.Find(x.keys.len(), func(i int) int { return strings.Compare(key, string(x.keys.at(i))) })
	if !found {
		return Related{}, fmt.Errorf("%s: %w: no pair has the key %q", x.reader.Path(), os.ErrNotExist, key)
	}
	r := Related{Texts: x.texts.row(pair), Images: x.images.row(pair)}
	if x.captions.width == 0 {
		return r, nil
	}
	for c := int64At(x.first, pair); c < int64At(x.first, pair+1); c++ {
		r.Captions = append(r.Captions, x.captions.row(c))
	}
	return r, nil
}

func (l *lists) at(row, i int) int {
	return int(int32(binary.LittleEndian.Uint32(l.numbers[4*(row*l.width+i):])))
}

func (l *lists) row(row int) []string {
	var out []string
	for i := range l.width {
		number := l.at(row, i)
		if number < 0 {
			break
		}
		out = append(out, string(l.names.at(number)))
	}
	return out
}

func (n *names) at(i int) []byte {
	start := 0
	if i > 0 {
		start = int64At(n.ends, i-1)
	}
	return n.bytes[start:int64At(n.ends, i)]
}

func int64At(bytes []byte, i int) int { return int(int64(binary.LittleEndian.Uint64(bytes[8*i:]))) }

// ascending says that numbers never fall, from 0 on.
func ascending(bytes []byte) bool {
	last := 0
	for i := range len(bytes) / 8 {
		if n := int64At(bytes, i); n < last {
			return false
		} else {
			last = n
		}
	}
	return true
}
