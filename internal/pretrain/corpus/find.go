package corpus

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// forms says what can be named for a kind, as the remedy of an error.
var forms = map[Kind]string{
	Text:   "name .txt, .tsv or .jsonl files, also with .gz behind, or folders of them",
	Images: "name a folder of pictures, a folder of data, .jsonl or .tar files, also with .gz behind, or region features",
	Pairs:  "name a folder of data as 'unimo data prepare flickr' makes it, or .jsonl or .tar files, also with .gz behind, or folders of them",
}

// add adds what a path names: a file, a folder or a pattern.
func (c *Collection) add(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		found, globErr := filepath.Glob(name)
		found = slices.DeleteFunc(found, func(file string) bool { return matchedHidden(name, file) })
		if globErr != nil || len(found) == 0 {
			return &textfile.FileError{File: name, Problem: "does not exist", Remedy: forms[c.kind], Err: err}
		}
		for _, file := range found { // in order
			if err := c.add(file); err != nil {
				return err
			}
		}
		return nil
	}
	if info.IsDir() {
		return c.addFolder(name)
	}
	if c.isShard(name) {
		return c.addFile(name, filepath.Base(name), info)
	}
	if c.kind != Images || !info.Mode().IsRegular() {
		return &textfile.FileError{File: name, Problem: fmt.Sprintf("is of no form in which %s are read", c.kind), Remedy: forms[c.kind]}
	}
	return c.addFeatures(name)
}

// matchedHidden says whether a pattern reached a hidden file or folder that it does not ask for.
func matchedHidden(pattern, file string) bool {
	parts := strings.Split(filepath.ToSlash(pattern), "/")
	for i, part := range strings.Split(filepath.ToSlash(file), "/") {
		if infile.Hidden(part) && i < len(parts) && !infile.Hidden(parts[i]) {
			return true
		}
	}
	return false
}

// ending returns the ending of a shard's name in lower case, and whether it is compressed.
func ending(name string) (string, bool) {
	name = strings.ToLower(name)
	if before, ok := strings.CutSuffix(name, ".tgz"); ok {
		name = before + ".tar.gz"
	}
	name, compressed := strings.CutSuffix(name, ".gz")
	return path.Ext(name), compressed
}

// isShard says whether a file's name is that of a shard of the kind.
func (c *Collection) isShard(name string) bool {
	switch form, _ := ending(name); form {
	case ".txt", ".tsv":
		return c.kind == Text
	case ".jsonl":
		return true
	case ".tar":
		return c.kind != Text
	}
	return false
}

// addFolder adds a folder: one of data, or the shards in it and its folders, or its pictures,
// or the features in it.
func (c *Collection) addFolder(dir string) error {
	if exists(filepath.Join(dir, "train.txt")) && (exists(filepath.Join(dir, "captions.csv")) || exists(filepath.Join(dir, "captions.jsonl"))) {
		if c.kind == Text {
			return &textfile.FileError{File: dir, Problem: "is a folder of images with captions, not of texts", Remedy: "name it among the pairs, or " + forms[Text]}
		}
		return c.addData(dir)
	}
	found := false
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case infile.Hidden(e.Name()) && name != ".":
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir() && c.isShard(name):
			found = true
			file := filepath.Join(dir, filepath.FromSlash(name))
			info, err := os.Stat(file) // follows links
			if err != nil {
				return err
			}
			return c.addFile(file, name, info)
		}
		return nil
	})
	if err != nil || found {
		return err
	}
	if c.kind != Images {
		return &textfile.FileError{File: dir, Problem: fmt.Sprintf("has no file in which %s are read", c.kind), Remedy: forms[c.kind]}
	}
	listing, err := regions.ListPictures(dir)
	if err != nil {
		return err
	}
	pictures := listing.IDs
	if len(pictures) == 0 {
		return c.addFeatures(dir)
	}
	return c.addList(&list{c: c, name: filepath.Base(dir), names: pictures, sample: func(i int, s *Sample) string {
		s.Key, s.Where = pictures[i], filepath.Join(dir, filepath.FromSlash(pictures[i]))
		return c.setPicture(s, dir, s.Key)
	}})
}

// unique returns a name that no shard has yet.
func (c *Collection) unique(name string) string {
	c.names[name]++
	if n := c.names[name]; n > 1 {
		return c.unique(fmt.Sprintf("%s#%d", name, n))
	}
	return name
}

func (c *Collection) addFile(path, name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &textfile.FileError{File: path, Problem: "is not a regular file", Remedy: forms[c.kind]}
	}
	form, packed := ending(path)
	compressed, err := checkHead(path, packed)
	if err != nil {
		return err
	}
	f := file{path: path, name: c.unique(name), shard: len(c.shards), size: info.Size(), compressed: compressed}
	if c.kind != Text {
		if err := c.pictures(path); err != nil {
			return err
		}
	}
	switch {
	case form == ".tar":
		c.shards = append(c.shards, &archive{f, c})
	case form == ".tsv":
		c.shards = append(c.shards, &lines{f, parseColumns})
	case form == ".txt":
		c.shards = append(c.shards, &lines{f, parseText})
	case c.kind == Text:
		c.shards = append(c.shards, &lines{f, parseJSONText})
	default:
		c.shards = append(c.shards, &lines{f, c.jsonImages(filepath.Dir(path))})
	}
	return nil
}

// checkHead says by a file's first bytes whether it is compressed with gzip, also where its name
// has no ".gz". It refuses a file of another form than its name says.
func checkHead(path string, packed bool) (compressed bool, err error) {
	in, err := textfile.Open(path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	head := make([]byte, infile.HeadBytes)
	n, err := in.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	const magic = "\x1f\x8b"
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte(magic)) || packed && strings.HasPrefix(magic, string(head)):
		return true, nil // or cut off, which is said where it is read
	case packed: // browsers unpack what they download, and keep the name
		return false, &textfile.FileError{File: path, Problem: "is not compressed with gzip, as its name says", Remedy: "take .gz off its name, or fetch it again"}
	}
	return false, infile.Binary(path, head)
}

// addData adds the images of a folder of data's train.txt.
func (c *Collection) addData(dir string) error {
	set, err := captions.Read(dir, "train")
	if err != nil {
		return err
	}
	content := sha256.New()
	for _, caption := range set.Captions {
		fmt.Fprintf(content, "%d %q\n", caption.Image, caption.Text)
	}
	return c.addList(&list{c: c, name: filepath.Base(dir), names: set.Images, content: content.Sum(nil), sample: func(i int, s *Sample) string {
		s.Key = set.Images[i]
		s.Where = fmt.Sprintf("%s: %s", dir, s.Key)
		if reason := c.setPicture(s, captions.ImageDir(dir), s.Key); reason != "" || c.kind != Pairs {
			return reason
		}
		var texts []string
		for _, k := range set.Of(i) {
			texts = append(texts, set.Captions[k].Text)
		}
		return s.captions(texts)
	}})
}

// addFeatures adds all images of a file or folder of features.
func (c *Collection) addFeatures(path string) error {
	source, err := c.openFeatures(path)
	if err != nil {
		return err
	}
	ids := source.IDs()
	c.shards = append(c.shards, &list{c: c, shard: len(c.shards), name: c.unique(filepath.Base(path)), names: ids, sample: func(i int, s *Sample) string {
		s.Key, s.Where = ids[i], fmt.Sprintf("%s: %s", path, ids[i])
		s.image = func(dst *regions.Image) error { return source.Image(ids[i], dst) }
		return ""
	}})
	return nil
}

func (c *Collection) openFeatures(path string) (regions.Source, error) {
	if !exists(path) {
		return nil, &textfile.FileError{File: path, Problem: "does not exist", Remedy: "name region features of the " + string(c.kind) + ", or none, for their pictures", Err: fs.ErrNotExist}
	}
	source, info, err := regions.Open(path, regions.Options{Classes: true, SkipBad: c.o.SkipBad, MaxRegions: c.o.MaxRegions, Order: c.o.Order})
	if err != nil {
		return nil, err
	}
	c.opened = append(c.opened, source)
	c.features = append(c.features, info.Images, int(info.Bytes), source.Dim())
	if n := info.Classes; n > 0 {
		if c.classes != 0 && c.classes != n {
			return nil, &textfile.FileError{File: path, Problem: fmt.Sprintf("gives probabilities of %d classes, the images before of %d", n, c.classes), Remedy: "use features of one detector"}
		}
		c.classes = n
	}
	return source, c.setDim(path, source.Dim(), info.Extractor)
}

// setDim notes the size of features, which must be the same throughout, and what computes them.
func (c *Collection) setDim(path string, dim int, spec *regions.Spec) error {
	if c.dim == 0 {
		c.dim, c.spec = dim, spec
	}
	if known := c.spec; known != nil && spec != nil && (known.Trained() || spec.Trained()) && !known.Equal(*spec) {
		return &textfile.FileError{File: path, Problem: fmt.Sprintf("gives regions by %s, the images before by %s", spec, known), Remedy: "use one extractor"}
	}
	if c.dim != dim {
		return &textfile.FileError{File: path, Problem: fmt.Sprintf("gives features of %d values, the images before of %d", dim, c.dim), Remedy: "use features of one kind"}
	}
	return nil
}

// pictures says that a shard's images are pictures, or go by the features' names.
func (c *Collection) pictures(path string) error {
	if c.source != nil || c.o.Extractor == nil {
		return nil
	}
	spec := c.o.Extractor.Spec()
	c.classes = len(spec.Classes)
	return c.setDim(path, c.o.Extractor.Dim(), &spec)
}

// list is a shard whose samples are found by number.
type list struct {
	c       *Collection
	shard   int
	name    string
	names   []string // of the images
	content []byte   // a digest of what else there is
	sample  func(i int, s *Sample) (reason string)
}

func (c *Collection) addList(l *list) error {
	l.shard, l.name = len(c.shards), c.unique(l.name)
	c.shards = append(c.shards, l)
	return c.pictures(l.name)
}

// open implements shard.
func (l *list) open(from Ref) (cursor, error) { return &listCursor{l, from.Number}, nil }

func (l *list) seekable() bool { return true }

func (l *list) digest(w io.Writer) {
	fmt.Fprintf(w, "%q %d %x\n", l.name, len(l.names), l.content)
	for _, name := range l.names {
		fmt.Fprintf(w, "%q\n", name)
	}
}

// listCursor implements cursor.
type listCursor struct {
	*list
	at int
}

// place implements cursor.
func (c *listCursor) place() Ref { return Ref{Shard: c.shard, Number: c.at} }

// next implements cursor.
func (c *listCursor) next() (*Sample, error) {
	if c.at >= len(c.names) {
		return nil, io.EOF
	}
	s := &Sample{Ref: c.place()}
	c.at++
	if reason := c.sample(c.at-1, s); reason != "" {
		return nil, skipped{reason, s.Where}
	}
	return s, nil
}

// Close implements cursor.
func (c *listCursor) Close() error { return nil }
