package related

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// collection is what is searched, texts or images, called documents here. They are in a file of records, in the order of
// their numbers; in memory is what is known of all.
type collection struct {
	kind      string // captions, texts or images
	weigh     func(count int, idf float64) float64
	file      *os.File
	out       *bufio.Writer
	record    []byte
	terms     map[string]uint32 // their numbers
	frequency []int32           // by term, the documents that have it
	documents int
}

// ofWords and ofObjects are the values of a term that occurs count times in a document.
func ofWords(count int, idf float64) float64 { return (1 + math.Log(float64(count))) * idf }
func ofObjects(_ int, idf float64) float64   { return math.Sqrt(idf) }

// newCollection makes a collection with its file in dir.
func newCollection(dir, kind string, weigh func(int, float64) float64) (*collection, error) {
	f, err := os.CreateTemp(dir, kind+"-*")
	if err != nil {
		return nil, err
	}
	return &collection{kind: kind, weigh: weigh, file: f, out: bufio.NewWriterSize(f, 1<<20), terms: map[string]uint32{}}, nil
}

// remove removes the file.
func (c *collection) remove() {
	c.file.Close()
	os.Remove(c.file.Name())
}

// add adds a document.
func (c *collection) add(name string, id uint64, terms []string) error {
	if c.documents == math.MaxInt32 {
		return fmt.Errorf("more than %d %s; take a part of them", math.MaxInt32, c.kind)
	}
	c.documents++
	numbers := make([]uint32, len(terms))
	for i, t := range terms {
		n, known := c.terms[t]
		if !known {
			n = uint32(len(c.frequency))
			c.terms[strings.Clone(t)] = n
			c.frequency = append(c.frequency, 0)
		}
		numbers[i] = n
	}
	slices.Sort(numbers)
	c.record = binary.LittleEndian.AppendUint64(c.record[:0], id)
	c.record = binary.AppendUvarint(c.record, uint64(len(name)))
	c.record = append(c.record, name...)
	c.record = binary.AppendUvarint(c.record, uint64(len(numbers)))
	for i, n := range numbers {
		if i == 0 || n != numbers[i-1] {
			c.frequency[n]++
		}
		c.record = binary.AppendUvarint(c.record, uint64(n))
	}
	_, err := c.out.Write(c.record)
	return err
}

// document is a record of the file.
type document struct {
	id    uint64
	name  []byte
	terms []uint32 // ascending, as often as they occur
}

// each calls f with every document in order; it is valid during the call.
func (c *collection) each(f func(number int, d *document) error) error {
	if err := c.out.Flush(); err != nil {
		return err
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c.file, 1<<20)
	var d document
	for number := range c.documents {
		if err := d.read(r); err != nil {
			return fmt.Errorf("read %s again: %w", c.file.Name(), err)
		}
		if err := f(number, &d); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) read(r *bufio.Reader) error {
	var id [8]byte
	if _, err := io.ReadFull(r, id[:]); err != nil {
		return err
	}
	d.id = binary.LittleEndian.Uint64(id[:])
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	d.name = slices.Grow(d.name[:0], int(size))[:size]
	if _, err := io.ReadFull(r, d.name); err != nil {
		return err
	}
	count, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	d.terms = d.terms[:0]
	for range count {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		d.terms = append(d.terms, uint32(n))
	}
	return nil
}

// query looks for what is like terms. Those that no document has are left out.
func (c *collection) query(terms []string, not []uint64) query {
	var numbers []uint32
	for _, t := range terms {
		if n, known := c.terms[t]; known {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return query{vector: c.vector(nil, numbers), not: not}
}

// value is one of a vector's that are not zero.
type value struct {
	term   uint32
	weight float32
}

// vector appends the vector of terms, which are ascending, to dst. Its length is 1.
func (c *collection) vector(dst []value, terms []uint32) []value {
	start, squares := len(dst), 0.0
	for i, count := 0, 0; i < len(terms); i += count {
		term := terms[i]
		for count = 1; i+count < len(terms) && terms[i+count] == term; count++ {
		}
		w := c.weigh(count, math.Log1p(float64(c.documents)/float64(c.frequency[term])))
		squares += float64(w * w)
		dst = append(dst, value{term, float32(w)})
	}
	norm := float32(math.Sqrt(squares))
	for i := range dst[start:] {
		dst[start+i].weight /= norm
	}
	return dst
}
