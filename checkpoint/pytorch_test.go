package checkpoint

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// torchPath is a file that testdata/pytorch.py has PyTorch write.
func torchPath(name string) string { return filepath.Join("testdata", "pytorch", name) }

// TestPyTorch compares what PyTorch saved in its forms with the same tensors as safetensors.
func TestPyTorch(t *testing.T) {
	for file, want := range map[string]string{
		"all.bin": "all", "legacy.bin": "all", "protocol5.bin": "all", "deflated.bin": "all",
		"module.bin": "module", "shards": "module", "training.bin": "training",
	} {
		t.Run(file, func(t *testing.T) {
			want := OpenTest(t, torchPath(want+".safetensors"))
			got := OpenTest(t, torchPath(file))
			if got.Format() != FormatPyTorch || len(got.Metadata()) != 0 {
				t.Error(got.Format(), got.Metadata())
			}
			CompareTest(t, got, want)
			for _, info := range want.Tensors() {
				if info.DType != F32 {
					continue
				}
				a, b := make([]float32, info.Elements()), make([]float32, info.Elements())
				if err := ReadFloat32s(a, got, info.Name); err != nil {
					t.Error(err)
				}
				if err := ReadFloat32s(b, want, info.Name); err != nil {
					t.Error(err)
				}
				if !slices.Equal(a, b) {
					t.Errorf("tensor %q: %v, want %v", info.Name, a, b)
				}
			}
			converted := filepath.Join(t.TempDir(), "m.safetensors")
			if err := Convert(t.Context(), got, converted, FormatSafetensors); err != nil {
				t.Fatal(err)
			}
			CompareTest(t, OpenTest(t, converted), want)
		})
	}
}

// TestPyTorchFolder opens a folder as Hugging Face's repositories have it.
func TestPyTorchFolder(t *testing.T) {
	dir := folder(t, map[string][]byte{torchFile: read(t, torchPath("module.bin"))})
	CompareTest(t, OpenTest(t, dir), OpenTest(t, torchPath("module.safetensors")))

	save(t, filepath.Join(dir, singleFile), read(t, torchPath("all.safetensors")))
	if r := OpenTest(t, dir); r.Format() != FormatSafetensorsFolder {
		t.Errorf("%s was preferred to safetensors", r.Format())
	}
}

func TestPyTorchValues(t *testing.T) {
	r := OpenTest(t, torchPath("training.bin"))
	var names []string
	for _, f := range r.Files() {
		names = append(names, f.Name)
	}
	for _, want := range []string{"epoch", "optimizer.param_groups"} {
		if !slices.Contains(names, want) {
			t.Errorf("%q is not among the values %q", want, names)
		}
	}
}

func TestPyTorchClosed(t *testing.T) {
	r, err := Open(torchPath("module.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Bytes("head.bias"); err == nil || !strings.Contains(err.Error(), `tensor "head.bias"`) {
		t.Error(err)
	}
}

// TestPyTorchSharesStorage says that tensors which share memory do so here.
func TestPyTorchSharesStorage(t *testing.T) {
	r := OpenTest(t, torchPath("module.bin"))
	a, _ := r.Bytes("embedding.weight")
	b, _ := r.Bytes("head.weight")
	if &a[0] != &b[0] {
		t.Error("tied weights lie in memory twice")
	}
}

// Pickles are written here by hand: a state dict is the parts between torchHead and torchTail.
const (
	torchHead = "\x80\x02}("
	torchTail = "u."
)

// text, number and numbers are values of a pickle.
func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func number(n int) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func numbers(n ...int) string {
	b := "("
	for _, v := range n {
		b += number(v)
	}
	return b + "t"
}

// storageOf is the persistent id of a storage.
func storageOf(class, key string, length int) string {
	return "(" + text("storage") + "ctorch\n" + class + "\n" + text(key) + text("cpu") + number(length) + "tQ"
}

// tensorOf is a call of _rebuild_tensor_v2.
func tensorOf(storage string, offset int, shape, strides string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + shape + strides + "\x89}tR"
}

// fourFloats is a tensor "w" of all of storage 0.
var fourFloats = text("w") + tensorOf(storageOf("FloatStorage", "0", 4), 0, numbers(4), numbers(1))

// torchZip packs a pickle and a storage of 16 bytes as torch.save does; with entries, those instead of storage and byte order.
func torchZip(tb testing.TB, pickle string, entries ...zipEntry) []byte {
	tb.Helper()
	if entries == nil {
		entries = []zipEntry{{name: "m/byteorder", data: "little"}, {name: "m/data/0", data: strings.Repeat("\x00\x00\x80\x3f", 4)}}
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range append([]zipEntry{{name: "m/data.pkl", data: pickle}}, entries...) {
		h := &zip.FileHeader{Name: e.name, Method: e.method}
		create := w.CreateHeader
		if e.claim > 0 {
			e.data = deflated(tb, e.data)
			h.CompressedSize64, h.UncompressedSize64 = uint64(len(e.data)), e.claim
			create = w.CreateRaw
		}
		f, err := create(h)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := f.Write([]byte(e.data)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

type zipEntry struct {
	name, data string
	method     uint16
	claim      uint64 // the size that the archive says, if not that of data
}

func deflated(tb testing.TB, data string) string {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// torchLegacy is the older form of the same; tail is what follows the pickles.
func torchLegacy(pickle, machine, keys, tail string) []byte {
	return []byte(string(legacyMagic) + "\x80\x02M\xe9\x03." + machine + pickle + keys + tail)
}

const (
	legacyMachine = "\x80\x02}(X\x0d\x00\x00\x00little_endian\x88u."
	legacyKeys    = "\x80\x02]X\x01\x00\x00\x000a."
	legacyFour    = "\x04\x00\x00\x00\x00\x00\x00\x00" + "0123456789abcdef"
)

func TestHostilePyTorch(t *testing.T) {
	state := func(parts ...string) []byte {
		return torchZip(t, torchHead+strings.Join(parts, "")+torchTail)
	}
	tensor := func(offset int, shape, strides string) []byte {
		return state(text("w"), tensorOf(storageOf("FloatStorage", "0", 4), offset, shape, strides))
	}
	legacy := torchLegacy(torchHead+fourFloats+torchTail, legacyMachine, legacyKeys, legacyFour)
	good := state(fourFloats)
	for _, file := range [][]byte{good, legacy} { // what the others are variants of
		if r := OpenTest(t, save(t, filepath.Join(t.TempDir(), "m.bin"), file)); r.Tensors()[0].Elements() != 4 {
			t.Fatal(r.Tensors())
		}
	}
	nested := strings.Repeat("}("+text("a"), 20) + "N" + strings.Repeat("u", 20) + "."
	// Each of these dictionaries has the one before it ten times.
	laughs := "\x80\x02}(" + text("w") + "Nuq\x00"
	for i := range 9 {
		laughs += "}("
		for key := range 10 {
			laughs += text(fmt.Sprint(key)) + "h" + string(rune(i))
		}
		laughs += "uq" + string(rune(i+1))
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"runs a command":        {torchZip(t, "\x80\x02cposix\nsystem\n("+text("touch x")+"tR."), `wants "system" of Python's module "posix"`},
		"runs by protocol 4":    {torchZip(t, "\x80\x04\x8c\x08builtins\x8c\x04eval\x93."), `wants "eval" of Python's module "builtins"`},
		"global without end":    {torchZip(t, "\x80\x02cos"), "ends within its pickle"},
		"global of numbers":     {torchZip(t, "\x80\x04K\x01K\x02\x93."), "finds other values"},
		"calls a type":          {state(text("w"), "ctorch\nFloatStorage\n)R"), "finds other values"},
		"calls a dictionary":    {state(text("w"), "})R"), "finds other values"},
		"makes an object":       {torchZip(t, "\x80\x02cargparse\nNamespace\n)\x81}b."), `wants "Namespace" of Python's module "argparse"`},
		"extension registry":    {torchZip(t, "\x80\x02\x82\x01."), "instruction 0x82"},
		"opcode 255":            {torchZip(t, "\x80\x02\xff."), "instruction 0xff"},
		"protocol 0":            {torchZip(t, "(dp0\n."), "instruction 0x64"},
		"protocol 6":            {torchZip(t, "\x80\x06}."), "protocol 6"},
		"empty pickle":          {torchZip(t, ""), "ends within its pickle"},
		"no stop":               {torchZip(t, "\x80\x02}"), "ends within its pickle"},
		"stop without a value":  {torchZip(t, "\x80\x02."), "finds other values"},
		"text of 4 GB":          {torchZip(t, "\x80\x02X\xff\xff\xff\xff."), "ends within its pickle"},
		"number of 255 bytes":   {torchZip(t, "\x80\x02\x8a\xff"+strings.Repeat("\x01", 255)+"."), `wants "int"`},
		"mark that is missing":  {torchZip(t, "\x80\x02}u."), "finds other values"},
		"takes below the mark":  {torchZip(t, "\x80\x02N}(\x85t."), "finds other values"},
		"key without a value":   {torchZip(t, "\x80\x02}(Nu."), "finds other values"},
		"item of no dictionary": {torchZip(t, "\x80\x02](NNu."), "finds other values"},
		"attributes of text":    {torchZip(t, "\x80\x02"+text("x")+"}b."), "finds other values"},
		"memo that is missing":  {torchZip(t, "\x80\x02h\x05."), "value 5 is used before"},
		"list holds itself":     {torchZip(t, "\x80\x02]q\x00h\x00a."), "does not hold a dictionary"},
		"dictionary in itself":  {torchZip(t, "\x80\x02}q\x00("+text("a")+"h\x00u."), "over 16 dictionaries"},
		"nested too deep":       {torchZip(t, "\x80\x02"+nested), "over 16 dictionaries"},
		"a billion names":       {torchZip(t, laughs+"."), "more names than a file of this size"},
		"a list":                {read(t, torchPath("list.bin")), "does not hold a dictionary"},
		"a module":              {read(t, torchPath("whole_module.bin")), `wants "Tied" of Python's module "__main__"`},
		"TorchScript":           {read(t, torchPath("torchscript.bin")), "TorchScript"},
		"expanded":              {read(t, torchPath("expanded.bin")), "repeats elements"},
		"no tensor":             {state(text("w"), "N"), "holds no tensor"},
		"name twice":            {state(fourFloats, fourFloats), `"w" occurs twice`},
		"name twice, nested":    {state(text("a"), "}(", fourFloats, "u", text("a.w"), "N"), `"a.w" occurs twice`},
		"name not UTF-8":        {state(text("\xff"), "N"), "is not text"},
		"name is a tuple":       {state(")N"), "holds no tensor"},
		"tensor of no storage":  {state(text("w"), tensorOf("cos\nsystem\n", 0, numbers(1), numbers(1))), "holds no tensor"},
		"items of a command":    {state(text("w"), "cposix\nsystem\n("+text("x")+"tR("+text("a")+"Nu]a"), "holds no tensor"},

		"tensor too long":       {tensor(0, numbers(5), numbers(1)), "does not lie in it"},
		"tensor after the end":  {tensor(1, numbers(4), numbers(1)), "does not lie in it"},
		"offset negative":       {tensor(-1, numbers(1), numbers(1)), "does not lie in it"},
		"offset of 4 bytes":     {state(text("w"), "ctorch._utils\n_rebuild_tensor_v2\n("+storageOf("FloatStorage", "0", 4)+"J\xff\xff\xff\xff"+numbers(1)+numbers(1)+"\x89}tR"), "from element -1 of the 4"},
		"offset of 2^62":        {tensor(1<<62, numbers(1), numbers(1)), "does not lie in it"},
		"offset of nothing":     {tensor(5, numbers(0), numbers(1)), "does not lie in it"},
		"scalar after the end":  {tensor(4, ")", ")"), "does not lie in it"},
		"stride too long":       {tensor(0, numbers(2), numbers(4)), "does not lie in it"},
		"stride negative":       {tensor(3, numbers(2), numbers(-1)), "does not lie in it"},
		"stride of 2^63-1":      {tensor(0, numbers(2, 2), numbers(math.MaxInt, math.MaxInt)), "does not lie in it"},
		"strides add up":        {tensor(0, numbers(2, 2), numbers(3, 1)), "does not lie in it"},
		"shape negative":        {tensor(0, numbers(-4), numbers(1)), "negative dimension"},
		"shape overflows":       {tensor(0, numbers(1<<40, 1<<40), numbers(0, 0)), "larger than any memory"},
		"shape of text":         {tensor(0, "("+text("4")+"t", numbers(1)), "finds other values"},
		"65 dimensions":         {tensor(0, numbers(slices.Repeat([]int{1}, 65)...), numbers(slices.Repeat([]int{1}, 65)...)), "65 dimensions"},
		"strides are missing":   {tensor(0, numbers(4), ")"), "finds other values"},
		"few arguments":         {state(text("w"), "ctorch._utils\n_rebuild_tensor_v2\n)R"), "finds other values"},
		"parameter of nothing":  {state(text("w"), "ctorch._utils\n_rebuild_parameter\n)R"), "finds other values"},
		"parameter of a number": {state(text("w"), "ctorch._utils\n_rebuild_parameter\n(K\x01tR"), "finds other values"},
		"ordered with items":    {state(text("w"), "ccollections\nOrderedDict\n(]tR"), "Python 2"},

		"storage too short":    {state(text("w"), tensorOf(storageOf("FloatStorage", "0", 5), 0, numbers(5), numbers(1))), `entry "m/data/0": 16 bytes, but the pickle says 20`},
		"storage missing":      {state(text("w"), tensorOf(storageOf("FloatStorage", "1", 4), 0, numbers(4), numbers(1))), `no entry "m/data/1"`},
		"storage upwards":      {state(text("w"), tensorOf(storageOf("FloatStorage", "../../0", 4), 0, numbers(4), numbers(1))), `no entry "m/data/../../0"`},
		"storage negative":     {state(text("w"), tensorOf(storageOf("FloatStorage", "0", -1), 0, numbers(4), numbers(1))), "negative dimension"},
		"storage of 2^62":      {state(text("w"), tensorOf(storageOf("FloatStorage", "0", 1<<62), 0, numbers(4), numbers(1))), "larger than any memory"},
		"storage of two types": {state(fourFloats, text("v"), tensorOf(storageOf("IntStorage", "0", 4), 0, numbers(4), numbers(1))), `storage "0" is 4 of F32 and 4 of I32`},
		"storage of none":      {state(text("w"), "(", text("module"), "NNNNtQ"), "no storage of a tensor"},
		"storage of text":      {state(text("w"), "(", text("storage"), "NNNNtQ"), "finds other values"},
		"persistent text":      {state(text("w"), text("0"), "Q"), "finds other values"},

		"zip cut off":         {good[:len(good)-10], "damaged or cut off"},
		"zip without pickle":  {bytes.ReplaceAll(good, []byte("data.pkl"), []byte("dat_.pkl")), "without data.pkl"},
		"two pickles":         {torchZip(t, torchHead+torchTail, zipEntry{name: "n/data.pkl"}), "both m/data.pkl and n/data.pkl"},
		"entry twice":         {torchZip(t, torchHead+torchTail, zipEntry{name: "m/data.pkl"}), `entry "m/data.pkl" is in the archive twice`},
		"big-endian":          {torchZip(t, torchHead+torchTail, zipEntry{name: "m/byteorder", data: "big"}), "big-endian"},
		"encrypted":           {bytes.ReplaceAll(good, []byte("PK\x01\x02\x14\x00\x14\x00\x08"), []byte("PK\x01\x02\x14\x00\x14\x00\x09")), "encrypted"},
		"unknown compression": {bytes.ReplaceAll(good, []byte("PK\x01\x02\x14\x00\x14\x00\x08\x00\x00"), []byte("PK\x01\x02\x14\x00\x14\x00\x08\x00\x63")), "unsupported compression"},
		"entry lies outside":  {patchSizes(good, 1<<30), "cut off"},
		"header lies outside": {patchExtra(torchZip(t, torchHead+fourFloats+torchTail, zipEntry{name: "m/data/0"})), "cut off"},
		"bomb":                {torchZip(t, torchHead+fourFloats+torchTail, zipEntry{name: "m/data/0", data: "0", method: zip.Deflate, claim: 68 << 20}), "unpacks to 71303168 bytes"},
		"unpacks to more":     {torchZip(t, torchHead+fourFloats+torchTail, zipEntry{name: "m/data/0", data: strings.Repeat("0", 99), method: zip.Deflate, claim: 16}), "does not unpack to what"},
		"unpacks to less":     {torchZip(t, torchHead+fourFloats+torchTail, zipEntry{name: "m/data/0", data: "0", method: zip.Deflate, claim: 16}), "16 were expected"},

		"legacy cut in a pickle":   {legacy[:len(legacy)-30], "ends within its pickle"},
		"legacy cut in a storage":  {legacy[:len(legacy)-1], `storage "0" needs 16 bytes, but only 15 follow`},
		"legacy cut in a length":   {legacy[:len(legacy)-17], `storage "0": cut off`},
		"legacy goes on":           {append(bytes.Clone(legacy), 0), "1 bytes after the last storage"},
		"legacy lengths differ":    {torchLegacy(torchHead+fourFloats+torchTail, legacyMachine, legacyKeys, "\x05"+legacyFour[1:]), "has 5 elements"},
		"legacy storage twice":     {torchLegacy(torchHead+fourFloats+torchTail, legacyMachine, "\x80\x02](\x8c\x010\x8c\x010e.", legacyFour+legacyFour), "saved twice"},
		"legacy storage missing":   {torchLegacy(torchHead+fourFloats+torchTail, legacyMachine, "\x80\x02].", ""), "holds 0 storages, but the pickle has 1"},
		"legacy storage of nobody": {torchLegacy(torchHead+torchTail, legacyMachine, legacyKeys, legacyFour), "no tensor has it"},
		"legacy big-endian":        {torchLegacy(torchHead+torchTail, strings.ReplaceAll(legacyMachine, "\x88", "\x89"), legacyKeys, ""), "big-endian"},
		"legacy keys are no list":  {torchLegacy(torchHead+torchTail, legacyMachine, "\x80\x02N.", ""), "finds other values"},
		"legacy of version 1000":   {bytes.ReplaceAll(legacy, []byte("M\xe9\x03"), []byte("M\xe8\x03")), "version other than 1001"},
		"legacy view": {torchLegacy(torchHead+text("w")+tensorOf("("+text("storage")+"ctorch\nFloatStorage\n"+text("0")+text("cpu")+number(4)+")tQ", 0, numbers(4), numbers(1))+torchTail,
			legacyMachine, legacyKeys, legacyFour), "is a view of another"},
	} {
		t.Run(name, func(t *testing.T) {
			path := save(t, filepath.Join(t.TempDir(), "m.bin"), c.file)
			wantError(t, path, path, "PyTorch", c.want)
			dir := folder(t, map[string][]byte{torchFile: c.file})
			wantError(t, dir, filepath.Join(dir, torchFile), c.want)
		})
	}
	dir := folder(t, map[string][]byte{torchFile: []byte("version https://git-lfs.github.com/spec/v1\n")})
	wantError(t, dir, filepath.Join(dir, torchFile), "git lfs pull")
}

// patchSizes overwrites both sizes of the last entry in the directory of a zip archive.
func patchSizes(archive []byte, size uint32) []byte {
	b := bytes.Clone(archive)
	at := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[at+20:], size)
	binary.LittleEndian.PutUint32(b[at+24:], size)
	return b
}

// patchExtra makes the header before the last entry of a zip archive longer than the archive.
func patchExtra(archive []byte) []byte {
	b := bytes.Clone(archive)
	binary.LittleEndian.PutUint16(b[bytes.LastIndex(b, zipMagic)+28:], math.MaxUint16)
	return b
}

// TestPyTorchAllocation opens files that claim far more than they hold.
func TestPyTorchAllocation(t *testing.T) {
	for name, file := range map[string][]byte{
		"text":    torchZip(t, "\x80\x02X\xff\xff\xff\xff."),
		"storage": torchZip(t, torchHead+text("w")+tensorOf(storageOf("FloatStorage", "0", 1<<40), 0, numbers(1<<40), numbers(1))+torchTail),
		"entry":   patchSizes(torchZip(t, torchHead+fourFloats+torchTail), math.MaxUint32-1),
	} {
		t.Run(name, func(t *testing.T) {
			got := allocated(func() {
				if _, err := newPyTorch(&mapping{data: file}, "x"); err == nil {
					t.Error("opened")
				}
			})
			if got > firstAllocation {
				t.Errorf("allocated %d bytes for a file of %d", got, len(file))
			}
		})
	}
}

// FuzzPyTorch feeds files to the reader of what torch.save writes.
func FuzzPyTorch(f *testing.F) {
	for _, name := range []string{"all.bin", "legacy.bin", "protocol5.bin", "deflated.bin", "training.bin"} {
		file, err := os.ReadFile(torchPath(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := newPyTorch(&mapping{data: file}, "x")
		if err != nil {
			return
		}
		checkTensors(t, r)
	})
}

// FuzzPickle feeds pickles in archives that are right.
func FuzzPickle(f *testing.F) {
	f.Add(torchHead + fourFloats + torchTail)
	f.Add("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(" + fourFloats + torchTail)
	f.Add("\x80\x02ccollections\nOrderedDict\n)Rq\x00(" + fourFloats + "u}b.")
	f.Fuzz(func(t *testing.T, pickle string) {
		r, err := newPyTorch(&mapping{data: torchZip(t, pickle)}, "x")
		if err != nil {
			return
		}
		checkTensors(t, r)
	})
}

// TestPyTorchOddValues opens files in which values stand beside the tensors that are never built, and tensors of
// types without a storage of their own.
func TestPyTorchOddValues(t *testing.T) {
	want := OpenTest(t, torchPath("odd.safetensors"))
	for _, file := range []string{"odd.bin", "odd4.bin", "odd_legacy.bin"} {
		t.Run(file, func(t *testing.T) {
			got := OpenTest(t, torchPath(file))
			CompareTest(t, got, want)
			reasons := map[string]string{}
			for _, f := range got.Files() {
				reasons[f.Name] = f.Reason
			}
			for name, reason := range map[string]string{
				"args": `"Namespace" of Python's module "argparse"`, "scalar": `"scalar" of Python's module "numpy`, "array": `"_reconstruct"`, "dtype": "a value",
				"uint": "a value", "size": "a value", "device": `"device" of Python's module "torch"`, "set": `"set"`, "frozen": `"frozenset"`, "path": `"PurePosixPath"`,
				"date": `"datetime"`, "bytes": "", "large": `"int"`, "complex": `"complex"`, "by number": "whose key is no text", "range": `range"`, "sparse": `"_rebuild_sparse_tensor"`,
				"counter.a": "a value",
			} {
				if have, ok := reasons[name]; !ok || !strings.Contains(have, reason) {
					t.Errorf("%q: %q, want %q", name, have, reason)
				}
			}
			if file != "odd_legacy.bin" && !strings.Contains(reasons["quantised"], `"_rebuild_qtensor"`) {
				t.Errorf("quantised: %q", reasons["quantised"])
			}
		})
	}
}

// TestListedTypes opens, lists and copies tensors of types with which nothing is computed; to use one is an error.
func TestListedTypes(t *testing.T) {
	src := OpenTest(t, torchPath("odd.safetensors"))
	dst := filepath.Join(t.TempDir(), "m.safetensors")
	if err := Convert(t.Context(), src, dst, FormatSafetensors); err != nil {
		t.Fatal(err)
	}
	got := OpenTest(t, dst)
	CompareTest(t, got, src)
	for name, dtype := range map[string]string{"e4m3": "F8_E4M3", "e5m2": "F8_E5M2", "c64": "C64"} {
		info, err := got.Info(name)
		if err != nil || info.DType.String() != dtype || info.DType.Computed() {
			t.Errorf("%s: %v, %v", name, info.DType, err)
		}
		_, _, err = Float32s(got, name)
		_, statsErr := Statistics(got, name)
		for _, err := range []error{err, statsErr} {
			if err == nil || !strings.Contains(err.Error(), `tensor "`+name+`": has type `+dtype+", with which nothing is computed") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	double, err := FromTensors("memory", []Tensor{{Info{"w", C128, []int{1}}, make([]byte, 16)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Convert(t.Context(), double, filepath.Join(t.TempDir(), "m.safetensors"), FormatSafetensors); err == nil || !strings.Contains(err.Error(), "safetensors has no type for C128") {
		t.Errorf("C128: %v", err)
	}
}

// TestPaddleTypes reads what PaddlePaddle 3.3.1 writes of the types that version 1.8 lacks, and writes the same.
func TestPaddleTypes(t *testing.T) {
	for dtype, raw := range map[DType]string{
		BF16:   "\x08\x16\x10\x02\x80\x3f\x20\x40",
		C64:    "\x08\x17\x10\x02" + "\x00\x00\x80\x3f\x00\x00\x00\x00\x00\x00\x20\x40\x00\x00\x00\x00",
		C128:   "\x08\x18\x10\x02" + "\x00\x00\x00\x00\x00\x00\xf0\x3f" + strings.Repeat("\x00", 14) + "\x04\x40" + strings.Repeat("\x00", 8),
		F8E4M3: "\x08\x20\x10\x02\x38\x42",
		F8E5M2: "\x08\x21\x10\x02\x3c\x41",
	} {
		file := strings.Repeat("\x00", 16) + "\x04\x00\x00\x00" + raw
		dir := folder(t, map[string][]byte{"w": []byte(file)})
		r := OpenTest(t, dir)
		if info, err := r.Info("w"); err != nil || info.DType != dtype || !slices.Equal(info.Shape, []int{2}) {
			t.Errorf("%v: read as %v %v, %v", dtype, info.DType, info.Shape, err)
		}
		if dtype == BF16 {
			if values, _, err := Float32s(r, "w"); err != nil || !slices.Equal(values, []float32{1, 2.5}) {
				t.Errorf("%v: %v, %v", dtype, values, err)
			}
		}
		again := filepath.Join(t.TempDir(), "again")
		if err := Convert(t.Context(), r, again, FormatPaddle); err != nil {
			t.Fatal(err)
		}
		if got := read(t, filepath.Join(again, "w")); string(got) != file {
			t.Errorf("%v: written as %x, want %x", dtype, got, file)
		}
	}
}

// TestForeignFiles opens what failed downloads leave, and folders that hold something else: each is named.
func TestForeignFiles(t *testing.T) {
	pointer, page := []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), []byte("<!DOCTYPE html><html></html>")
	index := []byte(`{"weight_map": {"w": "model-00001-of-00002.safetensors", "v": "model-00002-of-00002.safetensors"}}`)
	shard := safetensorsFile(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)...)
	for _, name := range []string{"x.safetensors", "x.bin", "x.tar.gz", "x"} {
		for content, want := range map[string]string{string(pointer): "git lfs pull", string(page): "web page"} {
			path := save(t, filepath.Join(t.TempDir(), name), []byte(content))
			wantError(t, path, path, want)
		}
	}
	for want, files := range map[string]map[string][]byte{
		"model.safetensors: is a Git LFS pointer":                            {singleFile: pointer},
		"model.safetensors: is a web page":                                   {singleFile: page},
		"pytorch_model.bin: is a web page":                                   {torchFile: page},
		"model.safetensors.index.json: is a Git LFS pointer":                 {indexFile: pointer},
		"model-00001-of-00002.safetensors: is a Git LFS pointer":             {indexFile: index, "model-00001-of-00002.safetensors": pointer},
		"model-00002-of-00002.safetensors: is named by the index, but is no": {indexFile: index, "model-00001-of-00002.safetensors": shard},
		"word_embedding: is a Git LFS pointer":                               {"word_embedding": pointer, "readme": []byte("text")},
		"tf_model.h5 is weights of TensorFlow":                               {"config.json": []byte("{}"), "tf_model.h5": []byte("\x89HDF")},
		"flax_model.msgpack is weights of Flax":                              {"flax_model.msgpack": []byte("x")},
		"adapter_model.safetensors is an adapter":                            {"adapter_model.safetensors": shard},
		"a shard without its index":                                          {"model-00001-of-00002.safetensors": shard},
		"nor a Paddle variable; name the folder":                             {"report.html": page},
		"other.safetensors is a safetensors file of another name":            {"other.safetensors": shard},
		"model_state.pdparams: Paddle: holds no tensor":                      {"model_state.pdparams": []byte("\x80\x04}.")},
		"a.pdparams is weights of Paddle 2":                                  {"a.pdparams": []byte("\x80\x04}."), "b.pdparams": []byte("\x80\x04}.")},
		"centernet.json is a graph of TensorFlow.js":                         {"a.json": []byte("{}"), "centernet.bin": []byte("x"), "centernet.json": []byte("{}")},
		"neither model.safetensors nor pytorch_model.bin":                    {"README.md": []byte("text")},
	} {
		wantError(t, folder(t, files), want)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "onnx"), 0o755); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "onnx", "model.onnx"), []byte("x"))
	wantError(t, dir, "onnx/model.onnx is a program of ONNX")
	above := t.TempDir()
	if err := os.Mkdir(filepath.Join(above, "model"), 0o755); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(above, "model", singleFile), shard)
	wantError(t, above, "model/model.safetensors is one; name ", filepath.Join(above, "model"))

	path := save(t, filepath.Join(t.TempDir(), "model.onnx"), []byte("x"))
	wantError(t, path, path, "is a program of ONNX, by its name")
}

// TestPyTorchMarkedTensors: of a tensor that PyTorch negates or conjugates where it is used, the storage has other
// values; it is listed and never read.
func TestPyTorchMarkedTensors(t *testing.T) {
	marked := func(marks string) string {
		return "ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf("FloatStorage", "0", 4) + number(0) + numbers(4) + numbers(1) + "\x89}" + marks + "tR"
	}
	for marks, tensors := range map[string]int{"": 2, "N": 2, "}": 2, "}" + text("neg") + "\x88s": 1, "}" + text("conj") + "\x88s": 1} {
		pickle := "\x80\x02}(" + fourFloats + text("m") + marked(marks) + "u."
		path := filepath.Join(t.TempDir(), "m.bin")
		save(t, path, torchZip(t, pickle))
		r := OpenTest(t, path)
		if len(r.Tensors()) != tensors || len(r.Files()) != 2-tensors {
			t.Errorf("%q: %v, %v", marks, r.Tensors(), r.Files())
		}
	}
}

// TestHubCache: the links of a snapshot lead to the blobs beside it, and nowhere else.
func TestHubCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models--a--b")
	content := read(t, torchPath("all.safetensors"))
	blobs, snapshot := filepath.Join(dir, "blobs"), filepath.Join(dir, "snapshots", "0123")
	for _, d := range []string{blobs, snapshot} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	save(t, filepath.Join(blobs, "abcd"), content)
	save(t, filepath.Join(dir, "other"), content)
	link := filepath.Join(snapshot, singleFile)
	if err := os.Symlink("../../blobs/abcd", link); err != nil {
		t.Skipf("not run: %v", err)
	}
	CompareTest(t, OpenTest(t, snapshot), OpenTest(t, torchPath("all.safetensors")))
	part := filepath.Join(snapshot, "2_Dense")
	shared := filepath.Join(dir, "..", "blobs", "ab")
	for _, d := range []string{part, shared} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink("../../../blobs/abcd", filepath.Join(part, singleFile))
	CompareTest(t, OpenTest(t, part), OpenTest(t, torchPath("all.safetensors")))
	save(t, filepath.Join(shared, "ef"), content)
	os.Symlink("../../blobs/ab/ef", filepath.Join(blobs, "ef"))
	os.Remove(link)
	os.Symlink("../../blobs/ef", link)
	CompareTest(t, OpenTest(t, snapshot), OpenTest(t, torchPath("all.safetensors")))
	os.Remove(link)
	os.Symlink("../../other", link)
	wantError(t, snapshot, "symbolic link that leaves the folder")
	deep := filepath.Join(part, "x")
	os.Mkdir(deep, 0o755)
	os.Symlink("../../../../blobs/abcd", filepath.Join(deep, singleFile))
	wantError(t, deep, "symbolic link that leaves the folder")
}

// TestMisnamed: weights under the name of another form are named as what they are.
func TestMisnamed(t *testing.T) {
	torch, tensors := string(torchZip(t, torchHead+fourFloats+torchTail)), string(read(t, torchPath("all.safetensors")))
	for want, c := range map[string][2]string{
		"model.safetensors: safetensors: is compressed with gzip": {singleFile, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"},
		"model.safetensors: safetensors: is a zip archive":        {singleFile, torch},
		"pytorch_model.bin: PyTorch: is a safetensors file":       {torchFile, tensors},
		"pytorch_model.bin: PyTorch: is compressed with gzip":     {torchFile, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"},
		"pytorch_model.bin: PyTorch: is empty; fetch it again":    {torchFile, ""},
	} {
		wantError(t, folder(t, map[string][]byte{c[0]: []byte(c[1])}), want)
	}
}
