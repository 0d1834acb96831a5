package checkpoint

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// What torch.save writes; pdparams.go has what paddle.save writes. Its layouts are drawn in the package's page.
// Source: torch/serialization.py and torch/_utils.py of PyTorch.

var (
	zipMagic = []byte("PK\x03\x04")
	// legacyMagic is a pickle of the number that begins files of PyTorch before 1.6.
	legacyMagic = []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")
)

const (
	legacyProtocol = 1001

	// maxNesting bounds dictionaries in dictionaries; a training checkpoint has some four levels.
	maxNesting = 16

	// nameBudget is what all names together may have in bytes, plus 16 times the pickle.
	nameBudget = 1 << 20
)

// storageTypes are the classes of torch's storages.
var storageTypes = map[string]DType{
	"ComplexFloatStorage": C64, "ComplexDoubleStorage": C128, "UntypedStorage": U8,
	"BoolStorage": Bool, "ByteStorage": U8, "CharStorage": I8, "ShortStorage": I16, "IntStorage": I32, "LongStorage": I64,
	"HalfStorage": F16, "BFloat16Storage": BF16, "FloatStorage": F32, "DoubleStorage": F64,
}

// torchTypes are torch's types by their names.
var torchTypes = map[string]DType{
	"bool": Bool, "uint8": U8, "int8": I8, "uint16": U16, "int16": I16, "uint32": U32, "int32": I32, "uint64": U64, "int64": I64,
	"float16": F16, "bfloat16": BF16, "float32": F32, "float64": F64, "complex64": C64, "complex128": C128,
	"float8_e4m3fn": F8E4M3, "float8_e5m2": F8E5M2, "float8_e4m3fnuz": F8E4M3FNUZ, "float8_e5m2fnuz": F8E5M2FNUZ, "float8_e8m0fnu": F8E8M0,
}

// storage is the memory behind one or more tensors.
type storage struct {
	key    string
	dtype  DType
	length int // in elements
	data   []byte
	at     int // where data lies in the file, -1 if it was unpacked

	encoded latin1 // what data is made of when it is asked for; empty if it is there
}

// view is a tensor as PyTorch describes it: part of a storage.
type view struct {
	*storage
	dtype          DType // of the elements; the storage may be one of bytes
	offset         int   // in elements
	shape, strides []int
}

// pytorch is a file of torch.save, or of paddle.save, mapped.
type pytorch struct {
	table
	format Format
	file   *mapping
	views  map[string]*view
	files  []File
}

// openPyTorch maps a file of torch.save. It reads the pickle, and no data that is
// not compressed.
func openPyTorch(path string) (Reader, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	return mapPyTorch(f, path)
}

// mapPyTorch does the work of openPyTorch and takes f over.
func mapPyTorch(f *os.File, path string) (Reader, error) {
	file, err := mapFile(f)
	if err != nil {
		return nil, err
	}
	return newPyTorch(file, path)
}

// newPyTorch takes file over; if an error is returned, it is closed.
func newPyTorch(file *mapping, path string) (Reader, error) {
	if err := infile.Foreign(path, file.data); err != nil {
		return nil, errors.Join(err, file.close())
	}
	r := &pytorch{format: FormatPyTorch, file: file, views: make(map[string]*view)}
	p := pytorchFile{data: file.data, storages: make(map[string]*storage)}
	read, library := p.read, "PyTorch"
	if isPickle(file.data) && !bytes.HasPrefix(file.data, legacyMagic) {
		read, library, r.format = p.readArrays, "Paddle", FormatPdparams
	}
	value, err := read()
	if err == nil {
		err = r.list(value, len(file.data), library)
	}
	if err != nil {
		return nil, inFile(path, fmt.Errorf("%s: %w", library, errors.Join(err, file.close())))
	}
	infos := make([]Info, 0, len(r.views))
	for name, v := range r.views {
		infos = append(infos, Info{Name: name, DType: v.dtype, Shape: v.shape})
	}
	r.table = newTable(path, infos)
	return r, nil
}

func (r *pytorch) Format() Format              { return r.format }
func (r *pytorch) Metadata() map[string]string { return map[string]string{} }
func (r *pytorch) Files() []File               { return slices.Clone(r.files) }
func (r *pytorch) Close() error                { return r.file.close() }

func (r *pytorch) Bytes(name string) ([]byte, error) {
	v, err := r.open(name)
	if err != nil {
		return nil, err
	}
	return v.bytes(), nil
}

func (r *pytorch) fill(dst []byte, name string) error {
	v, err := r.open(name)
	if err != nil {
		return err
	}
	if v.at < 0 || !v.contiguous() {
		copy(dst, v.bytes())
		return nil
	}
	if err := r.file.read(dst, v.at+v.offset*v.dtype.Size()); err != nil {
		return inFile(r.path, fmt.Errorf("tensor %q: %w", name, err))
	}
	return nil
}

// open returns a tensor of a reader that is not closed.
func (r *pytorch) open(name string) (*view, error) {
	if _, err := r.find(name); err != nil {
		return nil, err
	}
	if r.file.data == nil {
		return nil, inFile(r.path, fmt.Errorf("tensor %q: %w", name, os.ErrClosed))
	}
	return r.views[name], nil
}

// list takes the tensors of a state dict. The names of nested dictionaries are
// joined by dots; values of other kinds are listed beside the tensors.
func (r *pytorch) list(value any, size int, library string) error {
	if o, ok := value.(object); ok {
		return fmt.Errorf("wants %s, which a state dict does not need and which is not run; if you trust the file, save the tensors as safetensors with %s", o, library)
	}
	top, ok := value.(*dict)
	if !ok {
		return errors.New("does not hold a dictionary of tensors; save the model's state_dict()")
	}
	// A dictionary may occur in others any number of times, so that a short pickle
	// could mean names without end.
	budget := nameBudget + maxExpansion*min(size, maxPickle)
	seen := make(map[string]bool)
	var walk func(d *dict, prefix string, level int) error
	walk = func(d *dict, prefix string, level int) error {
		if level > maxNesting {
			return fmt.Errorf("%q: over %d dictionaries in one another", prefix, maxNesting)
		}
		for _, e := range d.entries {
			key, ok := e.key.(string)
			if n, isInt := e.key.(int); isInt {
				key, ok = fmt.Sprint(n), true
			}
			if !ok {
				r.files = append(r.files, File{Name: strings.TrimSuffix(prefix, "."), Reason: "an entry of the dictionary, whose key is no text"})
				continue
			}
			if !utf8.ValidString(key) {
				return fmt.Errorf("a key of the dictionary %q is not text", prefix)
			}
			name := prefix + key
			if budget -= len(name) + 1; budget < 0 {
				return errors.New("its dictionaries have more names than a file of this size should")
			}
			if seen[name] {
				return fmt.Errorf("%q occurs twice", name)
			}
			seen[name] = true
			switch v := e.value.(type) {
			case *view:
				r.views[name] = v
			case *ndarray:
				r.array(name, v)
			case tuple: // the array with its name elsewhere
				if a, ok := last(v).(*ndarray); ok && len(v) == 2 {
					r.array(name, a)
					break
				}
				r.files = append(r.files, File{Name: name, Reason: noTensor})
			case *dict:
				if err := walk(v, name+".", level+1); err != nil {
					return err
				}
			case object:
				r.files = append(r.files, File{Name: name, Reason: "no tensor, but what " + v.String() + " makes in Python; it is neither built nor run"})
			default:
				r.files = append(r.files, File{Name: name, Reason: noTensor})
			}
		}
		return nil
	}
	if err := walk(top, "", 0); err != nil {
		return err
	}
	slices.SortFunc(r.files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if len(r.views) == 0 {
		return errors.New("holds no tensor; save the model's state_dict()")
	}
	return nil
}

// noTensor says what stands beside the tensors of a pickle.
const noTensor = "no tensor, but a value of the pickle"

// array takes an array of NumPy.
func (r *pytorch) array(name string, a *ndarray) {
	if a.view == nil {
		r.files = append(r.files, File{Name: name, Reason: fmt.Sprintf("no tensor, but an array of NumPy's type %.20q", a.code)})
		return
	}
	r.views[name] = a.view
}

// last returns the last value of a tuple, nil if there is none.
func last(t tuple) any {
	if len(t) == 0 {
		return nil
	}
	return t[len(t)-1]
}

// contiguous says whether the elements follow each other as in row-major order.
func (v *view) contiguous() bool {
	step := 1
	for i, n := range slices.Backward(v.shape) {
		if n != 1 && v.strides[i] != step {
			return false
		}
		step *= n
	}
	return true
}

// bytes returns the elements in row-major order: a part of the storage, or a copy
// where they lie in another order, as those of a transposed matrix do.
func (v *view) bytes() []byte {
	size, elements := v.dtype.Size(), Info{Shape: v.shape}.Elements()
	if elements == 0 {
		return []byte{}
	}
	data := v.data
	if data == nil {
		data = v.encoded.decode()
	}
	if v.contiguous() {
		begin, end := v.offset*size, (v.offset+elements)*size
		return data[begin:end:end]
	}
	out := make([]byte, 0, elements*size)
	index, at := make([]int, len(v.shape)), v.offset
	for range elements {
		out = append(out, data[at*size:(at+1)*size]...)
		for i := len(index) - 1; i >= 0; i-- {
			index[i]++
			at += v.strides[i]
			if index[i] < v.shape[i] {
				break
			}
			at -= index[i] * v.strides[i]
			index[i] = 0
		}
	}
	return out
}

// pytorchFile is the state of reading a file.
type pytorchFile struct {
	data     []byte
	storages map[string]*storage // that tensors name, by key
}

// read returns the value that was saved; its storages have their data.
func (p *pytorchFile) read() (any, error) {
	switch {
	case bytes.HasPrefix(p.data, zipMagic):
		return p.readZip()
	case bytes.HasPrefix(p.data, legacyMagic):
		return p.readLegacy()
	}
	if err := misnamed(p.data, "a pickle, as torch.save wrote before PyTorch 1.6"); err != nil {
		return nil, err
	}
	return nil, errors.New("begins neither like a zip archive nor like a file of older versions; save the tensors with torch.save or as safetensors")
}

// unpickler returns a reader of pickles that data, which may be more, begins with.
func (p *pytorchFile) unpickler(data []byte) *unpickler {
	data = data[:min(len(data), maxPickle)]
	return &unpickler{data: data, length: len(data), globals: findGlobal, persistent: p.persistent}
}

// readZip reads the form of PyTorch 1.6 and later: NAME/data.pkl, and each storage in NAME/data/KEY.
func (p *pytorchFile) readZip() (any, error) {
	// Entries are only looked up, never written by their names.
	archive, err := zip.NewReader(bytes.NewReader(p.data), int64(len(p.data)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("zip archive damaged or cut off; fetch it again: %w", err)
	}
	entries := make(map[string]*zip.File, len(archive.File))
	folder, found := "", false
	for _, f := range archive.File {
		if entries[f.Name] != nil {
			return nil, fmt.Errorf("entry %q is in the archive twice", f.Name)
		}
		entries[f.Name] = f
		if dir, base := path.Split(f.Name); base == "data.pkl" && strings.Count(dir, "/") <= 1 {
			if found {
				return nil, fmt.Errorf("has both %sdata.pkl and %s", folder, f.Name)
			}
			folder, found = dir, true
		}
	}
	if !found {
		return nil, errors.New("a zip archive without data.pkl, which torch.save would have written")
	}
	if entries[folder+"constants.pkl"] != nil {
		return nil, errors.New("holds a program of TorchScript; save the model's state_dict() with torch.save, or as safetensors")
	}
	budget := expansionStart + maxExpansion*int64(len(p.data))
	content := func(name string) ([]byte, int, error) {
		f := entries[folder+name]
		if f == nil {
			return nil, 0, fmt.Errorf("no entry %q in the archive; it was not saved whole", folder+name)
		}
		data, at, err := p.content(f, &budget)
		if err != nil {
			return nil, 0, fmt.Errorf("entry %q: %w", f.Name, err)
		}
		return data, at, nil
	}
	if entries[folder+"byteorder"] != nil {
		order, _, err := content("byteorder")
		if err != nil {
			return nil, err
		}
		if string(order) != "little" {
			return nil, errBigEndian
		}
	}
	pickle, _, err := content("data.pkl")
	if err != nil {
		return nil, err
	}
	value, err := p.unpickler(pickle).load()
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(p.storages)) {
		s := p.storages[key]
		if s.data, s.at, err = content("data/" + s.key); err != nil {
			return nil, err
		}
		if need := s.length * s.dtype.Size(); need > len(s.data) {
			return nil, fmt.Errorf("entry %q: %d bytes, but the pickle says %d; it was not saved whole", folder+"data/"+s.key, len(s.data), need)
		}
	}
	return value, nil
}

// content returns the data of an entry, and where it lies in the file: as torch.save
// writes it, without compression. Other programs compress; what they wrote is unpacked,
// at is -1, and the budget of all entries is lowered.
func (p *pytorchFile) content(f *zip.File, budget *int64) (data []byte, at int, err error) {
	offset, err := f.DataOffset()
	if err != nil {
		return nil, 0, fmt.Errorf("damaged: %w", err)
	}
	if offset > int64(len(p.data)) || f.CompressedSize64 > uint64(len(p.data))-uint64(offset) {
		return nil, 0, errCutOff
	}
	if f.Flags&1 != 0 {
		return nil, 0, errors.New("is encrypted; save it again without")
	}
	if f.Method == zip.Store {
		// The checksum is not verified: opening would read all data, and PyTorch may write none.
		if f.UncompressedSize64 != f.CompressedSize64 {
			return nil, 0, errors.New("has two sizes")
		}
		return p.data[offset:][:f.CompressedSize64], int(offset), nil
	}
	if f.UncompressedSize64 > uint64(*budget) {
		return nil, 0, fmt.Errorf("unpacks to %d bytes, too many for a file of %d; save it again without compression", f.UncompressedSize64, len(p.data))
	}
	*budget -= int64(f.UncompressedSize64)
	in, err := f.Open()
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	if data, err = readData(in, int(f.UncompressedSize64)); err != nil {
		return nil, 0, err
	}
	if _, err := io.CopyN(io.Discard, in, 1); !errors.Is(err, io.EOF) { // which comes after the checksum
		return nil, 0, fmt.Errorf("does not unpack to what the archive says: %w", cmp.Or(err, zip.ErrFormat))
	}
	return data, -1, nil
}

// readLegacy reads the form before PyTorch 1.6: pickles of the version, the machine,
// the value and the keys of the storages, and then the storages in that order.
func (p *pytorchFile) readLegacy() (any, error) {
	u := p.unpickler(p.data)
	u.take(len(legacyMagic))
	var values [4]any
	for i := range values {
		v, err := u.load()
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	if values[0] != legacyProtocol {
		return nil, fmt.Errorf("has a version other than %d; save it again with PyTorch 1.6 or later", legacyProtocol)
	}
	machine, _ := values[1].(*dict)
	keys, ok := values[3].(*list)
	if machine == nil || !ok {
		return nil, errPickleStack
	}
	for _, e := range machine.entries {
		if e.key == "little_endian" && e.value != true {
			return nil, errBigEndian
		}
	}
	at := u.length - len(u.data)
	for _, key := range keys.items {
		name, _ := key.(string)
		s := p.storages[name]
		if s == nil || s.data != nil {
			return nil, fmt.Errorf("storage %q is saved twice, or no tensor has it", name)
		}
		rest := p.data[at:]
		if len(rest) < 8 {
			return nil, fmt.Errorf("storage %q: %w", name, errCutOff)
		}
		if n := binary.LittleEndian.Uint64(rest); n != uint64(s.length) {
			return nil, fmt.Errorf("storage %q has %d elements, but the pickle says %d", name, n, s.length)
		}
		size := s.length * s.dtype.Size()
		if rest = rest[8:]; size > len(rest) {
			return nil, fmt.Errorf("storage %q needs %d bytes, but only %d follow: %w", name, size, len(rest), errCutOff)
		}
		s.data, s.at = rest[:size], at+8
		at += 8 + size
	}
	if len(keys.items) != len(p.storages) {
		return nil, fmt.Errorf("holds %d storages, but the pickle has %d", len(keys.items), len(p.storages))
	}
	if at != len(p.data) {
		return nil, fmt.Errorf("%d bytes after the last storage", len(p.data)-at)
	}
	return values[2], nil
}

var errBigEndian = errors.New("was saved on a big-endian machine; save it again on another")

// persistent finds a storage by what stands in the pickle for it:
// "storage", class, key, device, number of elements and, before 1.6, None.
func (p *pytorchFile) persistent(id tuple) (any, error) {
	if len(id) < 5 || id[0] != "storage" {
		return nil, errors.New("refers to something that is no storage of a tensor")
	}
	if o, unknown := id[1].(object); unknown { // as of quantised tensors
		return o, nil
	}
	dtype, isType := id[1].(DType)
	key, isText := id[2].(string)
	length, isInt := id[4].(int)
	if !isType || !isText || !isInt {
		return nil, errPickleStack
	}
	if len(id) > 5 && id[5] != nil {
		return nil, fmt.Errorf("storage %q is a view of another; save it again with PyTorch 1.6 or later", key)
	}
	if _, err := byteSize(dtype, []int{length}); err != nil {
		return nil, fmt.Errorf("storage %q: %w", key, err)
	}
	s := p.storages[key]
	if s == nil {
		s = &storage{key: key, dtype: dtype, length: length}
		p.storages[key] = s
	}
	if s.dtype != dtype || s.length != length {
		return nil, fmt.Errorf("storage %q is %d of %v and %d of %v", key, s.length, s.dtype, length, dtype)
	}
	return s, nil
}

// findGlobal returns what stands for the few globals of Python that state dicts need.
func findGlobal(module, name string) (any, error) {
	if dtype, ok := storageTypes[name]; ok && (module == "torch" || module == "torch.storage") {
		return dtype, nil
	}
	if dtype, ok := torchTypes[name]; ok && module == "torch" {
		return dtype, nil
	}
	switch module + "." + name {
	case "collections.OrderedDict":
		return function(newOrderedDict), nil
	case "collections.defaultdict":
		return function(func(tuple) (any, error) { return &dict{}, nil }), nil
	case "collections.Counter", "torch.Size":
		return function(argument), nil
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return function(rebuildTensor), nil
	case "torch._utils._rebuild_tensor_v3":
		return function(rebuildTyped), nil
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		return function(rebuildParameter), nil
	case "torch._tensor._rebuild_from_type_v2":
		return function(rebuildFromType), nil
	}
	return object{module, name}, nil
}

// String names the class or function, quoted if it is not plain text.
func (o object) String() string {
	const most = 100
	return fmt.Sprintf("%.*q of Python's module %.*q", most, o.name, most, o.module)
}

// argument is a function of one argument that is like its result.
func argument(args tuple) (any, error) {
	switch len(args) {
	case 0:
		return &dict{}, nil
	case 1:
		return args[0], nil
	}
	return nil, errPickleStack
}

func newOrderedDict(args tuple) (any, error) {
	if len(args) > 0 {
		return nil, errors.New("an OrderedDict with arguments, as Python 2 has it; save it again with Python 3")
	}
	return &dict{}, nil
}

// rebuildFromType makes a tensor of a class of its own: function, class, arguments, attributes.
func rebuildFromType(args tuple) (any, error) {
	if len(args) < 3 {
		return nil, errPickleStack
	}
	inner, isTuple := args[2].(tuple)
	switch f := args[0].(type) {
	case object:
		return f, nil
	case function:
		if isTuple {
			return f(inner)
		}
	}
	return nil, errPickleStack
}

// rebuildParameter unwraps a parameter: its tensor, whether it is trained, hooks.
func rebuildParameter(args tuple) (any, error) {
	if len(args) == 0 {
		return nil, errPickleStack
	}
	switch v := args[0].(type) {
	case *view, object:
		return v, nil
	}
	return nil, errPickleStack
}

// rebuildTyped is rebuildTensor where the storage is one of bytes, and the type the seventh argument: so are
// tensors saved that are of newer types than storages.
func rebuildTyped(args tuple) (any, error) {
	if len(args) < 7 {
		return nil, errPickleStack
	}
	switch dtype := args[6].(type) {
	case object: // a type that is not known here
		return dtype, nil
	case DType:
		if len(args) > 7 && marked(args[7]) {
			return unresolved, nil
		}
		return rebuild(args, dtype)
	}
	return nil, errPickleStack
}

// unresolved stands for a tensor whose values are not those of its storage: PyTorch negates or conjugates
// them where they are used.
var unresolved = object{"torch._utils", "_rebuild_tensor_v2 with the mark neg or conj"}

// marked says whether the last argument of a tensor has such marks.
func marked(metadata any) bool {
	d, isDict := metadata.(*dict)
	return metadata != nil && (!isDict || len(d.entries) > 0)
}

// rebuildTensor makes a tensor of its storage, offset, shape and strides; whether it is trained, and hooks, follow.
func rebuildTensor(args tuple) (any, error) {
	if len(args) < 4 {
		return nil, errPickleStack
	}
	if len(args) > 6 && marked(args[6]) {
		return unresolved, nil
	}
	if s, ok := args[0].(*storage); ok {
		return rebuild(args, s.dtype)
	}
	return rebuild(args, 0)
}

// rebuild makes a tensor of type dtype of the first four arguments.
func rebuild(args tuple, dtype DType) (any, error) {
	if o, unknown := args[0].(object); unknown {
		return o, nil
	}
	s, isStorage := args[0].(*storage)
	offset, isInt := args[1].(int)
	shape, isShape := integers(args[2])
	strides, isStrides := integers(args[3])
	if !isStorage || !isInt || !isShape || !isStrides || len(shape) != len(strides) {
		return nil, errPickleStack
	}
	v := &view{storage: s, dtype: dtype, offset: offset, shape: shape, strides: strides}
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("tensor of shape %v, strides %v, from element %d of the %d of storage %q: %w", shape, strides, offset, v.capacity(), s.key, err)
	}
	return v, nil
}

// capacity is how many of the tensor's elements its storage holds.
func (v *view) capacity() int { return v.length * v.storage.dtype.Size() / v.dtype.Size() }

// check says whether a tensor lies inside its storage.
func (v *view) check() error {
	if _, err := byteSize(v.dtype, v.shape); err != nil {
		return err
	}
	errOutside := errors.New("does not lie in it")
	elements, length := Info{Shape: v.shape}.Elements(), v.capacity()
	if v.offset < 0 || v.offset > length {
		return errOutside
	}
	// A view that repeats elements could be of any size; it is no parameter.
	for i, n := range v.shape {
		if n > 1 && v.strides[i] == 0 && elements > 0 {
			return errors.New("repeats elements, as what expand() makes does; save its contiguous() copy")
		}
	}
	if elements > length {
		return errOutside
	}
	if elements == 0 {
		return nil
	}
	left := length - 1 - v.offset // elements behind the first
	for i, n := range v.shape {
		if n == 1 {
			continue
		}
		if v.strides[i] < 0 || v.strides[i] > left/(n-1) {
			return errOutside
		}
		left -= (n - 1) * v.strides[i]
	}
	if left < 0 {
		return errOutside
	}
	return nil
}

// integers returns a tuple's numbers, if it has nothing else.
func integers(v any) ([]int, bool) {
	t, ok := v.(tuple)
	numbers := make([]int, len(t))
	for i, item := range t {
		n, isInt := item.(int)
		numbers[i], ok = n, ok && isInt
	}
	return numbers, ok
}
