package related

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// maxKept bounds the lists: all of them are in memory. UNIMO keeps 100.
const maxKept = 10_000

// Build finds what is related to the pairs and writes the folder dir, which must not exist, whole or not
// at all. Texts and images are the collections to search, nil for none; each is ranged over once. The order
// of pairs does not matter. tick, if not nil, hears of the progress of the search, which begins when all is read, in a unit of its own.
//
// Errors: no pairs, two with the same key, options out of range, one that a sequence gives, files.
func Build(ctx context.Context, dir string, pairs iter.Seq2[Pair, error], texts iter.Seq2[string, error], images iter.Seq2[Pair, error],
	o Options, tick func(done, total int)) error {
	if min(o.Captions, o.Texts, o.Images) < 0 || max(o.Captions, o.Texts, o.Images) > maxKept {
		return fmt.Errorf("find related samples: %d captions, %d texts and %d images are asked for; ask for 0 to %d of each", o.Captions, o.Texts, o.Images, maxKept)
	}
	if tick == nil {
		tick = func(int, int) {}
	}
	b := builder{ctx: ctx, stems: analyser{}, block: blockDocuments}
	return b.build(dir, pairs, texts, images, o, tick)
}

func (b *builder) build(dir string, pairs iter.Seq2[Pair, error], texts iter.Seq2[string, error], images iter.Seq2[Pair, error],
	o Options, tick func(done, total int)) error {
	if err := b.readPairs(pairs); err != nil {
		return fmt.Errorf("find related samples: %w", err)
	}
	stages := []*stage{
		{kind: captionsName, want: o.Captions, weigh: ofWords, read: b.readCaptions, ask: b.askCaptions},
		{kind: textsName, want: o.Texts, weigh: ofWords, read: func(c *collection) error { return b.readTexts(c, texts) }, ask: b.askTexts},
		{kind: imagesName, want: o.Images, weigh: ofObjects, read: func(c *collection) error { return b.readImages(c, images) }, ask: b.askImages},
	}
	return atomicfile.WriteDir(dir, func(tmp string) error {
		tensors, err := b.find(tmp, stages, tick)
		if err != nil {
			return err
		}
		return checkpoint.WriteSafetensors(filepath.Join(tmp, fileName), tensors, map[string]string{"version": version, "fingerprint": o.Fingerprint})
	})
}

// builder holds what the stages of a build share.
type builder struct {
	ctx   context.Context
	stems analyser
	pairs []Pair     // by key
	own   [][]uint64 // the identities of each pair's captions
	block int        // documents in a block
}

// stage is a collection, and what is looked for in it.
type stage struct {
	kind    string
	want    int // for each query
	weigh   func(count int, idf float64) float64
	read    func(c *collection) error
	ask     func(c *collection) []query
	found   *collection
	queries []query
}

// readPairs collects the pairs and sorts them by key.
func (b *builder) readPairs(pairs iter.Seq2[Pair, error]) error {
	for p, err := range pairs {
		if err := cmp.Or(err, b.ctx.Err()); err != nil {
			return err
		}
		b.pairs = append(b.pairs, p)
	}
	if len(b.pairs) == 0 {
		return errors.New("there are no pairs of an image and captions")
	}
	slices.SortFunc(b.pairs, func(p, q Pair) int { return cmp.Compare(p.Key, q.Key) })
	b.own = make([][]uint64, len(b.pairs))
	for i, p := range b.pairs {
		if i > 0 && p.Key == b.pairs[i-1].Key {
			return fmt.Errorf("two pairs have the key %q; put the captions of an image into one", p.Key)
		}
		for _, caption := range p.Captions {
			_, id := b.stems.terms(caption)
			b.own[i] = append(b.own[i], id)
		}
	}
	return nil
}

func (b *builder) readCaptions(c *collection) error {
	for i, p := range b.pairs {
		for j, caption := range p.Captions {
			terms, _ := b.stems.terms(caption)
			if err := c.add(caption, b.own[i][j], terms); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) readTexts(c *collection, texts iter.Seq2[string, error]) error {
	if texts == nil {
		return nil
	}
	for text, err := range texts {
		if err := cmp.Or(err, b.ctx.Err()); err != nil {
			return err
		}
		terms, id := b.stems.terms(text)
		if err := c.add(text, id, terms); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) readImages(c *collection, images iter.Seq2[Pair, error]) error {
	if images == nil {
		return nil
	}
	for image, err := range images {
		if err := cmp.Or(err, b.ctx.Err()); err != nil {
			return err
		}
		if err := c.add(image.Key, identity(image.Key), image.Objects); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) askCaptions(c *collection) []query {
	var queries []query
	for i, p := range b.pairs {
		for _, caption := range p.Captions {
			terms, _ := b.stems.terms(caption)
			queries = append(queries, c.query(terms, b.own[i]))
		}
	}
	return queries
}

func (b *builder) askTexts(c *collection) []query {
	queries := make([]query, len(b.pairs))
	for i, p := range b.pairs {
		var all []string
		for _, caption := range p.Captions {
			terms, _ := b.stems.terms(caption)
			all = append(all, terms...)
		}
		queries[i] = c.query(all, b.own[i])
	}
	return queries
}

func (b *builder) askImages(c *collection) []query {
	queries := make([]query, len(b.pairs))
	for i, p := range b.pairs {
		queries[i] = c.query(p.Objects, []uint64{identity(p.Key)})
	}
	return queries
}

// find reads the collections into files in dir, searches them and returns what an [Index] reads. All are read before the first
// is searched, so that the progress has a total.
func (b *builder) find(dir string, stages []*stage, tick func(done, total int)) ([]checkpoint.Tensor, error) {
	done, total := 0, 0
	for _, s := range stages {
		var err error
		if s.found, err = newCollection(dir, s.kind, s.weigh); err != nil {
			return nil, err
		}
		defer s.found.remove()
		if s.want > 0 {
			if err := s.read(s.found); err != nil {
				return nil, err
			}
		}
		s.queries = s.ask(s.found)
		total += len(s.queries) * s.found.documents
	}
	tensors := b.tensors()
	for _, s := range stages {
		err := s.found.search(b.ctx, s.queries, s.want, b.block, func(pairs int) {
			done += pairs
			tick(done, total)
		})
		if err != nil {
			return nil, err
		}
		lists, err := s.tensors()
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, lists...)
	}
	return tensors, nil
}

// tensors are those of the pairs.
func (b *builder) tensors() []checkpoint.Tensor {
	var keys names
	first := []byte{}
	captions := 0
	for _, p := range b.pairs {
		keys.add([]byte(p.Key))
		first = binary.LittleEndian.AppendUint64(first, uint64(captions))
		captions += len(p.Captions)
	}
	first = binary.LittleEndian.AppendUint64(first, uint64(captions))
	return append(keys.tensors(keysName), tensor(firstName, checkpoint.I64, first, len(first)/8))
}

// tensors are the lists of what was found, and the names of what is in them.
func (s *stage) tensors() ([]checkpoint.Tensor, error) {
	// Numbers in the collection become numbers among what was found.
	const unused = -1
	renumbered := slices.Repeat([]int32{unused}, s.found.documents)
	for _, q := range s.queries {
		for _, h := range q.best {
			renumbered[h.document] = 0
		}
	}
	var found names
	err := s.found.each(func(number int, d *document) error {
		if renumbered[number] != unused {
			renumbered[number] = int32(found.len())
			found.add(d.name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	lists := make([]byte, 0, 4*len(s.queries)*s.want)
	for _, q := range s.queries {
		for i := range s.want {
			number := int32(unused)
			if i < len(q.best) {
				number = renumbered[q.best[i].document]
			}
			lists = binary.LittleEndian.AppendUint32(lists, uint32(number))
		}
	}
	return append(found.tensors(s.kind+namesSuffix), tensor(s.kind, checkpoint.I32, lists, len(s.queries), s.want)), nil
}

// names are strings, one after another, and where each ends.
type names struct{ bytes, ends []byte }

func (n *names) len() int { return len(n.ends) / 8 }

func (n *names) add(name []byte) {
	n.bytes = append(n.bytes, name...)
	n.ends = binary.LittleEndian.AppendUint64(n.ends, uint64(len(n.bytes)))
}

func (n *names) tensors(name string) []checkpoint.Tensor {
	return []checkpoint.Tensor{
		tensor(name, checkpoint.U8, n.bytes, len(n.bytes)),
		tensor(name+endsSuffix, checkpoint.I64, n.ends, n.len()),
	}
}

func tensor(name string, t checkpoint.DType, bytes []byte, shape ...int) checkpoint.Tensor {
	return checkpoint.Tensor{Info: checkpoint.Info{Name: name, DType: t, Shape: shape}, Data: bytes}
}
