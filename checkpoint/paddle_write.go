package checkpoint

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/tarfile"
)

// writePaddleDir creates the folder dir, which must not exist, with one file per tensor, whole or not
// at all.
func writePaddleDir(dir string, infos []Info, fetch fetcher) error {
	records, err := newRecords(infos, fetch)
	if err != nil {
		return fmt.Errorf("write folder %s: %w", dir, err)
	}
	// Clean, because "DIR/" would have itself for a parent.
	return atomicfile.WriteDir(filepath.Clean(dir), func(tmp string) error {
		for i, info := range infos {
			path := filepath.Join(tmp, info.Name)
			if _, err := os.Lstat(path); err == nil {
				return fmt.Errorf("tensor %q: another name differs only in case, which this file system ignores; write safetensors instead", info.Name)
			}
			err := atomicfile.Write(path, func(w io.Writer) error { return records.write(w, i) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// writePaddleTarGz creates or replaces an archive of a Paddle folder, in the form of the released
// models: topDir/NAME for every tensor, or NAME if topDir is empty. The bytes depend on topDir, the
// tensors and their order alone: times and owners are zero.
func writePaddleTarGz(path, topDir string, infos []Info, fetch fetcher) error {
	records, err := newRecords(infos, fetch)
	if err == nil && topDir != "" {
		err = checkFileName(topDir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		// Weights are nearly random: better compression takes many times as long for 1 %.
		gz, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		archive := tarfile.NewWriter(gz)
		prefix := ""
		if topDir != "" {
			prefix = topDir + "/"
			if err := archive.WriteHeader(&tarfile.Header{Type: tarfile.Directory, Name: prefix, Mode: 0o755}); err != nil {
				return err
			}
		}
		for i, info := range infos {
			header := &tarfile.Header{Type: tarfile.Regular, Name: prefix + info.Name, Mode: 0o644, Size: records.size(i)}
			if err := archive.WriteHeader(header); err != nil {
				return fmt.Errorf("tensor %q: %w", info.Name, err)
			}
			if err := records.write(archive, i); err != nil {
				return err
			}
		}
		if err := archive.Close(); err != nil {
			return err
		}
		return gz.Close()
	})
}

// records are the variables to write, with all but their data prepared and
// checked, so that a bad name or type is found before anything is written.
type records struct {
	infos   []Info
	sizes   []int
	headers [][]byte
	fetch   fetcher
}

func newRecords(infos []Info, fetch fetcher) (*records, error) {
	if len(infos) == 0 {
		return nil, errors.New("no tensors; an empty folder could not be told from a wrong one")
	}
	sizes, err := checkInfos(infos)
	if err != nil {
		return nil, err
	}
	r := &records{infos: infos, sizes: sizes, fetch: fetch}
	for _, info := range infos {
		if err := checkFileName(info.Name); err != nil {
			return nil, fmt.Errorf("tensor %w", err)
		}
		header, err := appendVariableHeader(nil, info)
		if err != nil {
			return nil, err
		}
		r.headers = append(r.headers, header)
	}
	return r, nil
}

// size returns the length of the i-th record.
func (r *records) size(i int) int64 { return int64(len(r.headers[i])) + int64(r.sizes[i]) }

// write writes the i-th record.
func (r *records) write(w io.Writer, i int) error {
	if _, err := w.Write(r.headers[i]); err != nil {
		return err
	}
	return writeData(w, r.infos[i], r.sizes[i], i, r.fetch)
}

// checkFileName says whether a name can be a file's on every system, and is not
// one that [Open] looks for.
func checkFileName(name string) error {
	const longest = 200 // file systems stop at 255 bytes; the rest is for temporary names
	reason := ""
	switch {
	case name == "" || name == "." || name == "..":
		reason = "leads out of its folder"
	case strings.ContainsAny(name, "/\\:*?\"<>|"):
		reason = "has a character that paths reserve"
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		reason = "has a control character"
	case len(name) > longest:
		reason = fmt.Sprintf("is longer than %d bytes", longest)
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		reason = "ends with a dot or a space, which Windows drops"
	case !filepath.IsLocal(name):
		reason = "is reserved by this system"
	case slices.Contains([]string{singleFile, indexFile, torchFile, torchIndex}, name):
		reason = "is that of another form of checkpoint"
	}
	if reason != "" {
		return fmt.Errorf("%q: the name %s; it cannot be a file of a Paddle folder; rename it, or write safetensors", name, reason)
	}
	return nil
}
