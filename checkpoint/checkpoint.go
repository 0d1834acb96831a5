package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
)

// Format names a form of checkpoint. The zero value is none.
type Format string

// The formats.
const (
	FormatSafetensors       Format = "safetensors"        // one file
	FormatSafetensorsFolder Format = "safetensors-folder" // a folder with model.safetensors, or its shards
	FormatPaddle            Format = "paddle"             // a folder with one file per variable
	FormatPaddleArchive     Format = "paddle-tar.gz"      // a compressed archive of such a folder
	FormatPyTorch           Format = "pytorch"            // a file of torch.save, or a folder with pytorch_model.bin or its shards; only read
	FormatPdparams          Format = "pdparams"           // a file of paddle.save of Paddle 2, or a folder with one; only read
	FormatPaddleTar         Format = "paddle-tar"         // an archive that is not compressed; only read
	FormatTensorFlowJS      Format = "tensorflow-js"      // a model.json with its files of weights, or their folder; only read
	FormatMemory            Format = "memory"             // tensors of [FromTensors]
)

// Reader gives access to the tensors of an opened checkpoint. All methods but Close may be called from
// several goroutines at once. [Open], [OpenSafetensors], [ParseSafetensors] and [FromTensors] make
// one; others may implement it, and it will get no further methods.
type Reader interface {
	// Format says which form the checkpoint has.
	Format() Format

	// Path returns the file or folder, as error messages name it.
	Path() string

	// Tensors lists the tensors sorted by name. The slice is the caller's, the
	// shapes in it are shared.
	Tensors() []Info

	// Info describes one tensor. The error wraps ErrNoTensor if there is none of that name.
	Info(name string) (Info, error)

	// Metadata returns the strings stored beside the tensors (safetensors and
	// TensorFlow.js have them); never nil. The map is the caller's.
	Metadata() map[string]string

	// Bytes returns the data of a tensor, little-endian and row-major. It may be a part of a private
	// mapping of the file or of the reader's memory: it is valid until Close. What is written to it
	// never reaches the file, but later calls for the same tensor may see it. The error wraps
	// ErrNoTensor if there is none of that name, and os.ErrClosed after Close.
	Bytes(name string) ([]byte, error)

	// Files lists the files beside the tensors that were not recognised, sorted by
	// name; of a file of PyTorch, the values beside its tensors.
	Files() []File

	// Close releases the mapping. Slices that alias it must not be touched
	// afterwards: the access would crash the program.
	Close() error
}

// File is a file that lies in a checkpoint's folder or archive, or a value in a pickle, and holds no
// tensor.
type File struct {
	Name   string // relative to the folder or archive
	Reason string // why it was not taken for a tensor
}

// table is the list of tensors that every reader has.
type table struct {
	path  string
	infos []Info // sorted by name
	at    map[string]int
}

func newTable(path string, infos []Info) table {
	slices.SortFunc(infos, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	at := make(map[string]int, len(infos))
	for i, info := range infos {
		at[info.Name] = i
	}
	return table{path: path, infos: infos, at: at}
}

func (t *table) Path() string    { return t.path }
func (t *table) Tensors() []Info { return slices.Clone(t.infos) }

func (t *table) Info(name string) (Info, error) {
	i, err := t.find(name)
	if err != nil {
		return Info{}, err
	}
	return t.infos[i], nil
}

// find returns the index of a tensor in infos.
func (t *table) find(name string) (int, error) {
	i, ok := t.at[name]
	if !ok {
		return 0, &FileError{File: t.path, Problem: fmt.Sprintf("has no tensor %q among its %d", name, len(t.infos)), Err: ErrNoTensor}
	}
	return i, nil
}
