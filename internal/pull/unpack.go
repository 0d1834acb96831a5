package pull

import (
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/tarfile"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

func sum256(raw []byte) string {
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

// mostInflated is how many times larger than a compressed layer its files may be: weights hardly shrink.
const mostInflated = 200

// unpack puts the files of packed layers in the place of these.
func (p *pulling) unpack() error {
	var files []*File
	for _, f := range p.plan.Files {
		if f.pack == loose {
			files = append(files, f)
			continue
		}
		inside, err := p.unpackOne(f)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.Path, err)
		}
		files = append(files, inside...)
	}
	p.plan.Files = files
	return p.plan.checkPaths()
}

func (p *pulling) unpackOne(f *File) (files []*File, err error) {
	archive, err := p.root.Open(blobPath(f.blob))
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	var r io.Reader = archive
	most := f.Size
	if f.pack == gzipped {
		z, err := gzip.NewReader(archive)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r, most = z, f.Size*mostInflated+1<<20
	}
	tr := tarfile.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		switch h.Type {
		case tarfile.Directory, tarfile.Global:
			continue
		case tarfile.Regular:
		default:
			return nil, fmt.Errorf("%q is no file but of the type %q; a model has files alone", h.Name, h.Type)
		}
		if most -= h.Size; most < 0 || h.Sparse() || len(files) >= mostFiles {
			return nil, fmt.Errorf("its files are larger than its %d bytes may hold, or too many", f.Size)
		}
		inside := &File{Path: path.Clean(strings.TrimPrefix(h.Name, "./")), Size: h.Size}
		if err := (&Plan{Name: p.plan.Name, Files: []*File{inside}}).checkPaths(); err != nil {
			return nil, err
		}
		if err := p.store(inside, io.LimitReader(tr, h.Size)); err != nil {
			return nil, err
		}
		files = append(files, inside)
	}
}

// store writes a file's content into a blob.
func (p *pulling) store(f *File, r io.Reader) error {
	if err := fetch.Room(p.dir, f.Path, f.Size); err != nil {
		return err
	}
	temp := hub.Blobs + "/" + atomicfile.TempMark + rand.Text()
	w, err := p.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), r)
	if err == nil && n != f.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = atomicfile.Flush(w)
	}
	if err = errors.Join(err, w.Close()); err == nil {
		f.SHA256 = hex.EncodeToString(h.Sum(nil))
		f.blob = f.SHA256
		err = p.root.Rename(temp, blobPath(f.blob))
	}
	if err != nil {
		p.root.Remove(temp)
	}
	return err
}
