package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// shards is a checkpoint over several files of safetensors or PyTorch, as Hugging
// Face splits large ones: an index maps every tensor to its file.
type shards struct {
	table
	format   Format
	files    map[string]Reader // by file name
	fileOf   map[string]string // by tensor name
	metadata map[string]string
}

// openShards opens all the files that the index f names; it closes f.
func openShards(root *os.Root, f *os.File, path string, format Format, open opener) (Reader, error) {
	defer f.Close()
	head := make([]byte, infile.HeadBytes)
	n, _ := f.ReadAt(head, 0)
	if err := infile.Foreign(path, head[:n]); err != nil {
		return nil, err
	}
	fileOf, err := readIndex(f)
	if err != nil {
		return nil, inFile(path, err)
	}
	r := &shards{format: format, files: make(map[string]Reader), fileOf: fileOf, metadata: make(map[string]string)}
	var infos []Info
	for _, name := range slices.Sorted(maps.Values(fileOf)) {
		if r.files[name] != nil {
			continue
		}
		shard, err := openShard(root, name, filepath.Join(filepath.Dir(path), name), open)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.files[name] = shard
		maps.Copy(r.metadata, shard.Metadata())
		for _, info := range shard.Tensors() {
			if fileOf[info.Name] != name {
				says := "does not have it"
				if other := fileOf[info.Name]; other != "" {
					says = fmt.Sprintf("says %q", other)
				}
				err := inFile(path, fmt.Errorf("tensor %q lies in %s, but the index %s; fetch the index and its shards again", info.Name, name, says))
				return nil, errors.Join(err, r.Close())
			}
			infos = append(infos, info)
		}
	}
	r.table = newTable(path, infos)
	for _, tensor := range slices.Sorted(maps.Keys(fileOf)) {
		if _, ok := r.at[tensor]; !ok {
			err := inFile(path, fmt.Errorf("tensor %q is not in %s", tensor, fileOf[tensor]))
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

func openShard(root *os.Root, name, path string, open opener) (Reader, error) {
	f, err := openInside(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &infile.Error{File: path, Problem: "is named by the index, but is not there", Remedy: "fetch it as well", Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, inFile(path, err)
	}
	return open(f, path)
}

// readIndex returns the map from tensors to files.
func readIndex(f io.Reader) (map[string]string, error) {
	// The index lists what headers list; one bound serves both.
	raw, err := io.ReadAll(io.LimitReader(f, maxHeader+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxHeader {
		return nil, fmt.Errorf("index of over %d bytes", maxHeader)
	}
	var fileOf map[string]string
	err = whole(infile.TrimMark(raw), func(in *scanner) error {
		return in.object(maxMetadata, func(key string) (err error) {
			if key == "weight_map" {
				fileOf, err = in.texts(maxIndexed)
			} else { // "metadata", with total_size
				err = in.skip(maxDepth)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", key, infile.PlainJSON(err))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(fileOf) == 0 {
		return nil, errors.New("index has no weight_map")
	}
	for tensor, name := range fileOf {
		if !beside(name) {
			return nil, fmt.Errorf("tensor %q: %q is not the name of a file beside the index", tensor, name)
		}
	}
	return fileOf, nil
}

// beside says whether name is that of a file in the same folder. Shards lie beside their index; os.Root would hold a path
// inside, but not keep it from meaning something else on another system.
func beside(name string) bool {
	return name == filepath.Base(name) && name != "." && !strings.ContainsAny(name, `/\:`) && filepath.IsLocal(name)
}

func (r *shards) Format() Format              { return r.format }
func (r *shards) Metadata() map[string]string { return maps.Clone(r.metadata) }
func (r *shards) Files() []File               { return nil }

func (r *shards) Bytes(name string) ([]byte, error) {
	if _, err := r.find(name); err != nil {
		return nil, err
	}
	return r.files[r.fileOf[name]].Bytes(name)
}

func (r *shards) fill(dst []byte, name string) error {
	if _, err := r.find(name); err != nil {
		return err
	}
	return r.files[r.fileOf[name]].(filler).fill(dst, name)
}

func (r *shards) Close() error {
	var errs []error
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
