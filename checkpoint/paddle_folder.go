package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// paddleFolder is a folder with one file per variable. Opening reads the
// headers; the data is read when it is asked for.
type paddleFolder struct {
	table
	root    *os.Root
	headers map[string]variableHeader
	files   []File
}

// openPaddleFolder reads the header of every variable in root, which the reader
// takes over unless an error is returned.
func openPaddleFolder(root *os.Root, path string) (Reader, error) {
	names, err := listFolder(root)
	if err != nil {
		return nil, inFile(path, err)
	}
	r := &paddleFolder{root: root, headers: make(map[string]variableHeader)}
	var infos []Info
	for _, name := range names {
		h, reason, err := inspectFile(root, name)
		if err != nil {
			return nil, inFile(filepath.Join(path, name), fmt.Errorf("tensor %q: %w", name, err))
		}
		if reason != "" {
			r.files = append(r.files, File{Name: name, Reason: reason})
			continue
		}
		r.headers[name] = h
		infos = append(infos, h.info)
	}
	if len(infos) == 0 {
		return nil, nothingFound(root, path, names)
	}
	r.table = newTable(path, infos)
	return r, nil
}

func listFolder(root *os.Root) ([]string, error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	names = slices.DeleteFunc(names, infile.Hidden)
	slices.Sort(names)
	return names, err
}

// inspectFile reads the header of one file of a folder, or says why the file is
// not taken for a variable.
func inspectFile(root *os.Root, name string) (h variableHeader, reason string, err error) {
	f, err := openInside(root, name)
	if errors.Is(err, errNotRegular) {
		return h, err.Error(), nil
	}
	if err != nil {
		return h, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return h, "", err
	}
	return inspectVariable(bufio.NewReaderSize(f, 256), name, st.Size())
}

// inspectVariable reads the header of a file of size bytes that holds one
// variable, and leaves r before the data.
func inspectVariable(r *bufio.Reader, name string, size int64) (h variableHeader, reason string, err error) {
	start, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, "", endsEarly(err)
	}
	if reason = notVariable(name, start); reason != "" {
		head, _ := r.Peek(r.Size())
		var foreign *infile.Error
		if errors.As(infile.Foreign(name, head), &foreign) {
			reason = foreign.Problem + "; " + foreign.Remedy
		}
		return h, reason, nil
	}
	if !utf8.ValidString(name) {
		return h, "", errors.New("the file's name is not UTF-8")
	}
	if h, err = readVariableHeader(r, size); err != nil {
		return h, "", err
	}
	h.info.Name = name
	if rest := size - int64(h.length) - int64(h.size); rest > 0 {
		if _, err := io.CopyN(io.Discard, r, int64(h.size)); err != nil {
			return h, "", endsEarly(err)
		}
		return h, "", afterVariable(r, rest)
	}
	return h, "", nil
}

// notVariable says why a file that starts with these bytes, at most 4, is no
// variable. A variable that was cut off in its version still counts as one, so
// that it becomes an error and not a tensor that is merely missing.
func notVariable(name string, start []byte) string {
	if len(start) == 0 {
		// Paddle's names begin with a letter; markers like .gitkeep and _SUCCESS do not.
		if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			return "empty"
		}
		return ""
	}
	for _, b := range start {
		if b != 0 {
			return errNotVariable.Error()
		}
	}
	return ""
}

// errUnnamed is the answer to records without names.
var errUnnamed = errors.New("records of Paddle without names (a combined file, or one variable taken from its folder): open the folder with one file per variable, or save the model again without a file name")

// afterVariable says what is wrong with a file that goes on for rest bytes after its data.
func afterVariable(r io.Reader, rest int64) error {
	if _, err := readVariableHeader(r, rest); err == nil {
		return errUnnamed
	}
	return fmt.Errorf("%d bytes after the data", rest)
}

func (r *paddleFolder) Format() Format              { return FormatPaddle }
func (r *paddleFolder) Metadata() map[string]string { return map[string]string{} }
func (r *paddleFolder) Files() []File               { return slices.Clone(r.files) }
func (r *paddleFolder) Close() error                { return r.root.Close() }

func (r *paddleFolder) Bytes(name string) ([]byte, error) {
	if _, err := r.find(name); err != nil {
		return nil, err
	}
	data, err := r.read(name)
	if err != nil {
		return nil, inFile(filepath.Join(r.path, name), fmt.Errorf("tensor %q: %w", name, err))
	}
	return data, nil
}

func (r *paddleFolder) read(name string) ([]byte, error) {
	f, err := openInside(r.root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := r.headers[name]
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() != int64(h.length)+int64(h.size) {
		return nil, errors.New("changed since the folder was opened")
	}
	data := make([]byte, h.size)
	if _, err := io.ReadFull(io.NewSectionReader(f, int64(h.length), int64(h.size)), data); err != nil {
		return nil, endsEarly(err)
	}
	return data, nil
}
