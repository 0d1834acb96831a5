package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

const (
	singleFile = "model.safetensors"            // a model folder's checkpoint
	indexFile  = "model.safetensors.index.json" // or the list of its shards

	torchFile  = "pytorch_model.bin" // the same as PyTorch's pickles
	torchIndex = "pytorch_model.bin.index.json"

	paddleFile = "model_state.pdparams" // the same as Paddle's
)

// Open opens the checkpoint at path, a file or a folder, and recognises its format by content. The
// package comment lists the formats. The caller closes the reader.
//
// A safetensors file of any size opens at once. Of the others a folder of Paddle variables costs a
// look at each, an archive is read into memory, and of a file of PyTorch the pickle is read.
//
// A path that is itself a symbolic link is followed; inside a folder, links that leave it are refused.
// Errors are [*FileError].
func Open(path string) (Reader, error) {
	st, err := os.Stat(path)
	if err != nil {
		if err := infile.Folder(path); err != nil {
			return nil, err // which says what is wrong
		}
		return nil, inFile(path, err)
	}
	switch {
	case st.IsDir():
		return openFolder(path)
	case st.Mode().IsRegular():
		return openFile(path)
	}
	return nil, &FileError{File: path, Problem: "is neither a file nor a folder", Remedy: "name the file or the folder of a checkpoint"}
}

// openFolder looks for a safetensors file, then for its shards, then for the same
// of PyTorch, then for TensorFlow.js's and Paddle 2's files, then for Paddle variables.
func openFolder(path string) (Reader, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, inFile(path, err)
	}
	single := func(open opener) folderOpener {
		return func(_ *os.Root, f *os.File, path string) (Reader, error) { return open(f, path) }
	}
	sharded := func(format Format, open opener) folderOpener {
		return func(root *os.Root, f *os.File, path string) (Reader, error) {
			return openShards(root, f, path, format, open)
		}
	}
	type form struct {
		name string
		open folderOpener
	}
	forms := []form{
		{singleFile, single(mapFolderSafetensors)},
		{indexFile, sharded(FormatSafetensorsFolder, mapFolderSafetensors)},
		{torchFile, single(mapPyTorch)},
		{torchIndex, sharded(FormatPyTorch, mapPyTorch)},
		{tensorFlowJS, openTensorFlowJS},
		{paddleFile, single(mapPyTorch)},
	}
	// A model of PaddleNLP's is fetched as a file with the model's name.
	if found, err := fs.Glob(root.FS(), "*.pdparams"); err == nil && len(found) == 1 {
		forms = append(forms, form{found[0], single(mapPyTorch)})
	}
	for _, form := range forms {
		f, err := openInside(root, form.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(inFile(filepath.Join(path, form.name), err), root.Close())
		}
		r, err := form.open(root, f, filepath.Join(path, form.name)) // takes f over
		root.Close()
		return r, err
	}
	r, err := openPaddleFolder(root, path)
	if err != nil {
		root.Close()
		return nil, err
	}
	return r, nil
}

// The functions of openFolder take f over. An opener knows a single file, a
// folderOpener also those beside it.
type (
	opener       func(f *os.File, path string) (Reader, error)
	folderOpener func(root *os.Root, f *os.File, path string) (Reader, error)
)

func mapFolderSafetensors(f *os.File, path string) (Reader, error) {
	return mapSafetensors(f, path, FormatSafetensorsFolder)
}

// errNotRegular is what openInside reports for folders, pipes, devices and sockets.
var errNotRegular = errors.New("not a regular file")

// openInside opens a regular file of a folder. Links are followed as long as
// they stay inside. Whatever is not a regular file is not opened: to open a pipe
// would wait for its writer.
func openInside(root *os.Root, name string) (*os.File, error) {
	st, err := root.Stat(name)
	if err != nil {
		if link, lerr := root.Lstat(name); lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
			if blob := cachedBlob(root.Name(), name); blob != "" {
				return infile.Open(blob)
			}
			return nil, errors.New("symbolic link that leaves the folder or leads nowhere; name the file itself, or put a copy into the folder")
		}
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	if st, err = f.Stat(); err == nil && !st.Mode().IsRegular() { // exchanged meanwhile
		err = errNotRegular
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// cachedBlob returns the file that a link stands for in Hugging Face's cache, whose folders
// snapshots/REVISION have links to the files in blobs beside snapshots, some of which are links to those that all repositories share; ""
// elsewhere.
func cachedBlob(dir, name string) string {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return ""
	}
	target, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	snapshots := filepath.Dir(dir)
	if filepath.Base(snapshots) != "snapshots" { // a part's folder in a snapshot, as of sentence-transformers
		snapshots = filepath.Dir(snapshots)
	}
	repository := filepath.Dir(snapshots)
	own := filepath.Dir(target) == filepath.Join(repository, "blobs")
	shared := filepath.Dir(filepath.Dir(target)) == filepath.Join(filepath.Dir(repository), "blobs") // what repositories have in common
	if filepath.Base(snapshots) != "snapshots" || !own && !shared {
		return ""
	}
	return target
}

// misnamed says by its first bytes what a file is whose name says that it is want; nil if that is not known.
func misnamed(head []byte, want string) error {
	for _, form := range []struct{ magic, is, remedy string }{
		{"\x1f\x8b", "compressed with gzip", "unpack it with gunzip"},
		{"PK\x03\x04", "a zip archive, as torch.save writes", "call it pytorch_model.bin if it is one, or name the file itself"},
		{"\x80\x02", "a pickle, as torch.save wrote before PyTorch 1.6", "call it pytorch_model.bin if it is one, or name the file itself"},
		{"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with 'zstd -d'"},
		{"\xfd7zXZ\x00", "compressed with xz", "unpack it with 'xz -d'"},
		{"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and TensorFlow write", "save the weights for PyTorch"},
		{"GGUF", "weights of llama.cpp", "take the weights that it was made from"},
	} {
		if form.is != want && bytes.HasPrefix(head, []byte(form.magic)) {
			return fmt.Errorf("is %s, whatever its name says; %s", form.is, form.remedy)
		}
	}
	if len(head) == 0 {
		return errors.New("is empty; fetch it again")
	}
	if want != "safetensors" && looksLikeSafetensors(head) {
		return errors.New("is a safetensors file, whatever its name says; call it model.safetensors, or name the file itself")
	}
	return nil
}

// openFile decides by the first bytes.
func openFile(path string) (Reader, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, infile.HeadBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, inFile(path, err)
	}
	head = head[:n]
	if err := infile.Foreign(path, head); err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return openArchive(f, path, true)
	case isTarHeader(head):
		return openArchive(f, path, false)
	case looksLikeSafetensors(head), strings.EqualFold(filepath.Ext(path), ".safetensors"):
		return OpenSafetensors(path)
	case len(head) >= 4 && binary.LittleEndian.Uint32(head) == 0:
		return nil, inFile(path, errUnnamed)
	case bytes.HasPrefix(head, zipMagic), isPickle(head):
		return openPyTorch(path)
	case len(head) == 0:
		return nil, &FileError{File: path, Problem: "is empty", Remedy: "fetch it again"}
	case bytes.HasPrefix(bytes.TrimSpace(infile.TrimMark(head)), []byte("{")) && strings.EqualFold(filepath.Ext(path), ".json"):
		return openDescription(path)
	}
	for _, known := range otherFiles {
		if ok, _ := filepath.Match(known.pattern, filepath.Base(path)); ok && known.remedy != sameFile {
			return nil, &infile.Error{File: path, Problem: "is " + known.name + ", by its name", Remedy: known.remedy}
		}
	}
	return nil, &FileError{File: path, Problem: "is no checkpoint that is known here", Remedy: "name " + nameable}
}

// nameable says what Open opens.
const nameable = "a safetensors file, a .tar.gz of Paddle variables, a file of torch.save, a model.json of TensorFlow.js, or the folder of one of them"

// openDescription opens a JSON file that describes a model of TensorFlow.js.
func openDescription(path string) (Reader, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, inFile(path, err)
	}
	defer root.Close()
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	return openTensorFlowJS(root, f, path) // takes f over
}

// isPickle says whether a pickle of a protocol that is read begins with head.
func isPickle(head []byte) bool {
	return len(head) > 1 && head[0] == legacyMagic[0] && 2 <= head[1] && head[1] <= 5
}

// looksLikeSafetensors says whether a plausible length and a brace begin the file.
func looksLikeSafetensors(head []byte) bool {
	return len(head) > headerPrefix && head[headerPrefix] == '{' && binary.LittleEndian.Uint64(head) <= maxHeader
}

const (
	tarBlock    = 512
	tarSumBegin = 148
	tarSumEnd   = 156
)

// isTarHeader verifies the checksum of a tar header, which also the oldest
// variants have, unlike the magic "ustar".
func isTarHeader(head []byte) bool {
	if len(head) < tarBlock {
		return false
	}
	want, err := strconv.ParseUint(string(bytes.Trim(head[tarSumBegin:tarSumEnd], " \x00")), 8, 32)
	if err != nil {
		return false
	}
	var sum uint64
	for i, b := range head[:tarBlock] {
		if i >= tarSumBegin && i < tarSumEnd {
			b = ' '
		}
		sum += uint64(b)
	}
	return sum == want
}
