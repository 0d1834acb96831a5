package checkpoint

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// wantError opens a path and checks that every fragment is in the error. The
// folder of the test's files, which has the test's name in it, does not count,
// unless the fragment is itself a path.
func wantError(t *testing.T, path string, fragments ...string) {
	t.Helper()
	r, err := Open(path)
	if err == nil {
		r.Close()
		t.Fatalf("opened; want an error with %q", fragments)
	}
	stripped := strings.ReplaceAll(err.Error(), filepath.Dir(path), "")
	for _, f := range fragments {
		if !strings.Contains(stripped, f) && !(filepath.IsAbs(f) && strings.Contains(err.Error(), f)) {
			t.Errorf("error %q lacks %q", err, f)
		}
	}
}

func TestHostileSafetensors(t *testing.T) {
	// tensor is a header of one tensor "w", two F32 long where nothing else is said.
	tensor := func(format string, args ...any) string { return `{"w":` + fmt.Sprintf(format, args...) + `}` }
	const two = `{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	eight := make([]byte, 8)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":                  {nil, "cut off"},
		"cut in the length":      {[]byte{1, 0, 0}, "cut off"},
		"cut in the header":      {safetensorsFile(tensor(two))[:30], "cut off"},
		"header over the limit":  {append(binary.LittleEndian.AppendUint64(nil, maxHeader+1), '{'), "limit"},
		"header of 2^64-1 bytes": {append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), '{'), "limit"},
		"no header":              {safetensorsFile(""), "'{'"},
		"an array":               {safetensorsFile("[]"), "'{'"},
		"space first":            {safetensorsFile(" {}"), "'{'"},
		"unfinished JSON":        {safetensorsFile(`{"w":`), "ends too early"},
		"too many tensors":       {safetensorsFile(manyEntries(`{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, maxEntries+1)), "more than 262144 keys"},
		"too much metadata":      {safetensorsFile(`{"__metadata__":` + manyEntries(`""`, maxMetadata+1) + `}`), "__metadata__: more than 65536 keys"},
		"name too long":          {safetensorsFile(`{"`+strings.Repeat("w", maxKey+1)+`":`+two+`}`, eight...), "a name of 1048577 bytes"},
		"name not closed":        {safetensorsFile(`{"w`), "ends too early"},
		"name ends in an escape": {safetensorsFile(`{"w\`), "ends too early"},
		"line in a name":         {safetensorsFile("{\"w\n\":1}"), "control character"},
		"escape of nothing":      {safetensorsFile(`{"\x":1}`), "escape"},
		"no colon":               {safetensorsFile(`{"w" 1}`), "a colon should be"},
		"leading zero":           {safetensorsFile(tensor(`{"dtype":"F32","shape":[02],"data_offsets":[0,8]}`), eight...), `tensor "w": shape: 02`},
		"text after the JSON":    {safetensorsFile(`{} x`), "after the JSON"},
		"two objects":            {safetensorsFile(`{}{}`), "after the JSON"},
		"comma too many":         {safetensorsFile(`{"w":`+two+`,}`, eight...), "header"},
		"not UTF-8":              {safetensorsFile("{\"\xff\":" + two + "}"), "UTF-8"},
		"name twice":             {safetensorsFile(`{"w":`+two+`,"w":`+two+`}`, eight...), `"w" occurs twice`},
		"name twice, escaped":    {safetensorsFile(`{"w":`+two+`,"\u0077":`+two+`}`, eight...), `"w" occurs twice`},
		"key twice":              {safetensorsFile(tensor(`{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}`), eight...), `tensor "w": key "dtype" occurs twice`},
		"unknown key":            {safetensorsFile(tensor(`{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}`), eight...), `tensor "w": x: unknown key`},
		"unknown type":           {safetensorsFile(tensor(`{"dtype":"F12","shape":[2],"data_offsets":[0,8]}`), eight...), `tensor "w": dtype: unknown type "F12"`},
		"type as a number":       {safetensorsFile(tensor(`{"dtype":5,"shape":[2],"data_offsets":[0,8]}`), eight...), `tensor "w": dtype`},
		"no type":                {safetensorsFile(tensor(`{"shape":[2],"data_offsets":[0,8]}`), eight...), `tensor "w": dtype, shape or`},
		"no shape":               {safetensorsFile(tensor(`{"dtype":"F32","data_offsets":[0,8]}`), eight...), `tensor "w": dtype, shape or`},
		"no offsets":             {safetensorsFile(tensor(`{"dtype":"F32","shape":[2]}`), eight...), `tensor "w": dtype, shape or`},
		"one offset":             {safetensorsFile(tensor(`{"dtype":"F32","shape":[2],"data_offsets":[8]}`), eight...), `tensor "w": dtype, shape or`},
		"three offsets":          {safetensorsFile(tensor(`{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}`), eight...), `tensor "w": data_offsets: more than 2`},
		"tensor is a list":       {safetensorsFile(tensor(`[]`)), `tensor "w"`},
		"tensor is null":         {safetensorsFile(tensor(`null`)), `tensor "w"`},
		"negative dimension":     {safetensorsFile(tensor(`{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}`), eight...), `tensor "w": shape: -2`},
		"fraction":               {safetensorsFile(tensor(`{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}`), eight...), `tensor "w": shape: 2.0`},
		"dimension of 2^63":      {safetensorsFile(tensor(`{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]}`), eight...), `tensor "w": shape`},
		"product overflows":      {safetensorsFile(tensor(`{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}`)), `tensor "w": shape`},
		"overflow behind a zero": {safetensorsFile(tensor(`{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}`)), `tensor "w": shape`},
		"65 dimensions":          {safetensorsFile(tensor(`{"dtype":"U8","shape":[1%s],"data_offsets":[0,1]}`, strings.Repeat(",1", maxRank)), 0), `tensor "w": shape: more than 64`},
		"offsets backwards":      {safetensorsFile(tensor(`{"dtype":"F32","shape":[2],"data_offsets":[8,0]}`), eight...), `tensor "w": data_offsets [8 0] run backwards`},
		"offsets lie":            {safetensorsFile(tensor(`{"dtype":"F32","shape":[2],"data_offsets":[0,4]}`), eight...), `tensor "w": data_offsets [0 4] span 4 bytes`},
		"data cut off":           {safetensorsFile(tensor(two), eight[:7]...), `tensor "w": data up to byte 8, but the file holds 7`},
		"terabytes":              {safetensorsFile(tensor(`{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}`)), `tensor "w": data up to byte`},
		"bytes at the end":       {safetensorsFile(tensor(two), make([]byte, 9)...), "1 bytes after the last tensor"},
		"hole at the start":      {safetensorsFile(tensor(`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`), eight...), `tensor "w": data from byte 4 leaves a hole`},
		"overlap":                {safetensorsFile(`{"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight...), `tensor "w": data from byte 4 overlaps`},
		"same span twice":        {safetensorsFile(`{"v":`+two+`,"w":`+two+`}`, eight...), `tensor "w": data from byte 0 overlaps`},
		"metadata of numbers":    {safetensorsFile(`{"__metadata__":{"a":1}}`), `__metadata__: "a"`},
		"metadata twice":         {safetensorsFile(`{"__metadata__":{},"__metadata__":{}}`), "occurs twice"},
		"deep nesting":           {safetensorsFile(`{"w":` + strings.Repeat(`[`, 1<<20)), `tensor "w"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := save(t, filepath.Join(t.TempDir(), "bad.safetensors"), c.file)
			wantError(t, path, path, c.want)
			dir := folder(t, map[string][]byte{singleFile: c.file})
			wantError(t, dir, filepath.Join(dir, singleFile), c.want)
		})
	}
}

// hostileVariables are files called "w" in a folder or an archive.
func hostileVariables() map[string]struct {
	file []byte
	want string
} {
	size := func(n uint32) *uint32 { return &n }
	le := binary.LittleEndian
	return map[string]struct {
		file []byte
		want string
	}{
		"empty":                 {nil, "cut off"},
		"cut in the version":    {good[:3], "cut off"},
		"cut in the levels":     {good[:8], "number of LoD levels"},
		"cut in tensor version": {good[:14], "tensor version"},
		"cut in TensorDesc":     {good[:21], "TensorDesc"},
		"cut in the data":       {good[:len(good)-1], "only 7 follow: cut off"},
		"all zero":              {make([]byte, 64), "TensorDesc of 0 bytes"},
		"2^64-1 levels":         {variable{levels: math.MaxUint64, desc: f32x2}.bytes(), "LoD levels"},
		"many levels":           {variable{levels: 1000, desc: f32x2}.bytes(), "LoD level"},
		"huge level":            {variable{levels: 1, level: le.AppendUint64(nil, 1<<62), desc: f32x2}.bytes(), "LoD level 0"},
		"tensor version 1":      {variable{tensorVersion: 1, desc: f32x2, data: make([]byte, 8)}.bytes(), "tensor version 1"},
		"negative TensorDesc":   {variable{desc: f32x2, descSize: size(math.MaxUint32)}.bytes(), "TensorDesc of -1 bytes"},
		"huge TensorDesc":       {variable{desc: f32x2, descSize: size(math.MaxInt32)}.bytes(), "TensorDesc of 2147483647 bytes"},
		"broken TensorDesc":     {variable{desc: []byte{0x08}}.bytes(), "TensorDesc"},
		"field without a value": {variable{desc: []byte{0x08, 5, 0x1a, 9}}.bytes(), "TensorDesc"},
		"no type":               {variable{desc: []byte{0x10, 2}, data: make([]byte, 8)}.bytes(), "no data type"},
		"unknown type":          {variable{desc: []byte{0x08, 7, 0x10, 2}, data: make([]byte, 8)}.bytes(), "unknown data type 7"},
		"type as a string":      {variable{desc: []byte{0x0a, 1, 5, 0x10, 2}, data: make([]byte, 8)}.bytes(), "wire type"},
		"dimension of -1":       {variable{desc: append([]byte{0x08, 5, 0x10}, bytes.Repeat([]byte{0xff}, 9)...)}.bytes(), "TensorDesc"},
		"dimension -1":          {variable{desc: append(append([]byte{0x08, 5, 0x10}, bytes.Repeat([]byte{0xff}, 9)...), 1)}.bytes(), "dimension 0 of -1"},
		"terabytes":             {variable{desc: []byte{0x08, 5, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}}.bytes(), "only 0 follow"},
		"product overflows":     {variable{desc: []byte{0x08, 5, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}}.bytes(), "larger than any memory"},
		"65 dimensions":         {variable{desc: append([]byte{0x08, 5}, bytes.Repeat([]byte{0x10, 1}, 65)...), data: make([]byte, 4)}.bytes(), "more than 64 dimensions"},
		"byte too many":         {append(bytes.Clone(good), 1), "1 bytes after the data"},
		"two records":           {append(bytes.Clone(good), good...), "without names"},
	}
}

func TestHostileVariables(t *testing.T) {
	for name, c := range hostileVariables() {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string][]byte{"v": good, "w": c.file})
			wantError(t, dir, filepath.Join(dir, "w"), `tensor "w"`, c.want)

			for _, archive := range [][]byte{
				tarFile(t, file("m/v", good), file("m/w", c.file)),
				pack(tarFile(t, file("m/v", good), file("m/w", c.file))),
			} {
				path := save(t, filepath.Join(t.TempDir(), "m.tar.gz"), archive)
				wantError(t, path, path, `entry "m/w"`, `tensor "w"`, c.want)
			}
		})
	}
}

func TestHostileArchives(t *testing.T) {
	whole := tarFile(t, file("m/w", good))
	// A tensor that ends in three blocks of zeros, as an archive does.
	zeros := tarFile(t, file("m/w", variable{desc: []byte{0x08, 5, 0x10, 0x80, 4}, data: make([]byte, 4*tarBlock)}.bytes()))
	zeros = zeros[:len(zeros)-2*tarBlock]
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"absolute path":    {tarFile(t, file("/etc/w", good)), `entry "/etc/w": tensor "w": has an absolute path`},
		"path upwards":     {tarFile(t, file("m/../../w", good)), `entry "m/../../w": tensor "w": has a path with ".."`},
		"folder upwards":   {tarFile(t, entry{name: "../", kind: tar.TypeDir}, file("w", good)), `".."`},
		"Windows path":     {tarFile(t, file(`m\..\w`, good)), "backslash"},
		"drive":            {tarFile(t, file(`c:w`, good)), "colon"},
		"no name":          {tarFile(t, file("./.", good)), "without a name"},
		"symbolic link":    {tarFile(t, entry{name: "m/w", link: "/etc/passwd", kind: tar.TypeSymlink}), `entry "m/w": tensor "w": a link to "/etc/passwd"`},
		"hard link":        {tarFile(t, entry{name: "m/w", link: "m/v", kind: tar.TypeLink}), `tensor "w": a link`},
		"device":           {tarFile(t, entry{name: "m/w", kind: tar.TypeBlock}), `tensor "w": of type '4'`},
		"pipe":             {tarFile(t, entry{name: "m/w", kind: tar.TypeFifo}), `tensor "w": of type '6'`},
		"twice":            {tarFile(t, file("m/w", good), file("./m/w", good)), `entry "m/w": tensor "w": is in the archive twice`},
		"two folders":      {tarFile(t, file("a/w", good), file("b/w", good)), `two folders, "a/" and "b/"`},
		"no variable":      {tarFile(t, file("m/config.json", []byte("{}"))), "no Paddle variable"},
		"nothing":          {pack(tarFile(t)), "no Paddle variable"},
		"cut in a header":  {whole[:700+tarBlock], `after entry "m/w"`},
		"cut in a file":    {whole[:tarBlock+20], `entry "m/w": tensor "w"`},
		"cut after a file": {whole[:2*tarBlock], `after entry "m/w": cut off`},
		"cut after zeros":  {zeros, `after entry "m/w": cut off`},
		"half of its end":  {append(bytes.Clone(zeros), make([]byte, tarBlock)...), `after entry "m/w": cut off`},
		"gzip of such":     {pack(zeros), `after entry "m/w": cut off`},
		"zeros of others":  {tarFile(t, file("m/w", good), file("m/x", append([]byte("{}"), make([]byte, 4*tarBlock-2)...)))[:7*tarBlock], `after entry "m/x": cut off`},
		"data at the end":  {append(bytes.Clone(whole), 1), "after the end"},
		"length lies":      {patchTar(whole, 124, "77777777777\x00"), `tensor "w"`},
		"length of 2^62":   {patchTar(whole, 124, "\x80\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00"), `tensor "w"`},
		"gzip cut off":     {pack(whole)[:60], "cut off"},
		"gzip damaged":     {append(pack(whole)[:len(pack(whole))-8], make([]byte, 8)...), "checksum"},
		"gzip of text":     {pack(bytes.Repeat([]byte("text "), 200)), "not a tar archive"},
		"gzip of nothing":  {pack(nil), "cut off"},
		"only the magic":   {[]byte{0x1f, 0x8b}, "cut off"},
		"sparse":           {sparseTar(t), `entry "m/w": tensor "w": a sparse file`},
	} {
		t.Run(name, func(t *testing.T) {
			path := save(t, filepath.Join(t.TempDir(), "m.tar.gz"), c.file)
			wantError(t, path, path, c.want)
		})
	}
}

// sparseTar is an archive of some hundred bytes whose only file has 1 TiB of zeros.
func sparseTar(t *testing.T) []byte {
	data := make([]byte, tarBlock)
	copy(data, "1\n1099511627776\n0\n") // one span, of length 0, at the end
	b := tarFile(t, entry{name: "m/w", kind: tar.TypeReg, data: data, pax: map[string]string{
		"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.name": "m/w", "XXX.sparse.realsize": "1099511627776",
	}})
	return bytes.ReplaceAll(b, []byte("XXX.sparse"), []byte("GNU.sparse")) // archive/tar would refuse to write these
}

// TestBomb packs zeros: each variable is honest, only the sum is not.
func TestBomb(t *testing.T) {
	const n = 24 << 20
	zeros := variable{desc: []byte{0x08, 20, 0x10, 0x80, 0x80, 0x80, 0x0c}, data: make([]byte, n)}.bytes()
	path := save(t, filepath.Join(t.TempDir(), "bomb.tar.gz"),
		pack(tarFile(t, file("m/a", zeros), file("m/b", zeros), file("m/c", zeros))))
	wantError(t, path, path, `entry "m/c": tensor "c"`, "unpack it with tar")

	// Below the bound, even a hundredfold expansion is read.
	path = save(t, filepath.Join(t.TempDir(), "small.tar.gz"), pack(tarFile(t, file("m/a", zeros))))
	if r := OpenTest(t, path); r.Tensors()[0].Elements() != n {
		t.Error(r.Tensors())
	}
}

// TestAllocationFollowsBytes opens files that claim far more than they hold.
func TestAllocationFollowsBytes(t *testing.T) {
	const claim = 1 << 40
	desc := []byte{0x08, 20, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20}
	liar := variable{desc: desc}.bytes()
	sizes := "\x80\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00" // 2^41 in tar's base 256
	for name, open := range map[string]func() error{
		"archive": func() error {
			_, err := readArchive(bytes.NewReader(patchTar(tarFile(t, file("w", liar)), 124, sizes)), "x", false)
			return err
		},
		"combined": func() error {
			_, err := readRecords(bytes.NewReader(liar), []string{"w"})
			return err
		},
		"safetensors": func() error {
			_, err := parseSafetensors(safetensorsFile(fmt.Sprintf(`{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`, claim, claim)))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := allocated(func() {
				if err := open(); err == nil || !strings.Contains(err.Error(), `tensor "w"`) {
					t.Errorf("error %v", err)
				}
			})
			if limit := uint64(2 * firstAllocation); got > limit {
				t.Errorf("allocated %d bytes for a file of a few hundred, limit %d", got, limit)
			}
		})
	}
}

// allocated returns the bytes that f allocates on the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileFolders(t *testing.T) {
	outside := save(t, filepath.Join(t.TempDir(), "w"), good)
	link := func(t *testing.T, target, name string) {
		t.Helper()
		if err := os.Symlink(target, name); err != nil {
			t.Skipf("not run: %v", err)
		}
	}
	t.Run("link to a variable outside", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"v": good})
		link(t, outside, filepath.Join(dir, "w"))
		wantError(t, dir, filepath.Join(dir, "w"), `tensor "w"`, "symbolic link that leaves the folder")
	})
	t.Run("link to safetensors outside", func(t *testing.T) {
		dir := folder(t, nil)
		link(t, outside, filepath.Join(dir, singleFile))
		wantError(t, dir, filepath.Join(dir, singleFile), "symbolic link", "name the file itself")
	})
	t.Run("link inside", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"v": good})
		link(t, "v", filepath.Join(dir, "w"))
		if r := OpenTest(t, dir); len(r.Tensors()) != 2 {
			t.Error(r.Tensors())
		}
	})
	t.Run("hidden file", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"v": good, "._v": good})
		if r := OpenTest(t, dir); len(r.Tensors()) != 1 || len(r.Files()) != 0 {
			t.Error(r.Tensors(), r.Files())
		}
	})
	t.Run("folder like a variable", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"v": good})
		if err := os.Mkdir(filepath.Join(dir, "w"), 0o755); err != nil {
			t.Fatal(err)
		}
		r := OpenTest(t, dir)
		if len(r.Tensors()) != 1 || len(r.Files()) != 1 || r.Files()[0].Name != "w" {
			t.Error(r.Tensors(), r.Files())
		}
	})
	t.Run("folder like safetensors", func(t *testing.T) {
		dir := folder(t, nil)
		if err := os.Mkdir(filepath.Join(dir, singleFile), 0o755); err != nil {
			t.Fatal(err)
		}
		wantError(t, dir, singleFile, "not a regular file")
	})
	t.Run("empty folder", func(t *testing.T) { wantError(t, folder(t, nil), "neither") })
	t.Run("changed after opening", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"w": good})
		r := OpenTest(t, dir)
		save(t, filepath.Join(dir, "w"), good[:30])
		if _, err := r.Bytes("w"); err == nil || !strings.Contains(err.Error(), `tensor "w": changed`) {
			t.Error(err)
		}
	})
}

func TestUnknownFiles(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "is empty"},
		"text":           {[]byte("hello"), "no checkpoint that is known"},
		"PyTorch":        {[]byte("PK\x03\x04......"), "PyTorch"},
		"Git LFS":        {[]byte("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"},
		"one variable":   {good, "without names"},
		"combined":       {append(bytes.Clone(good), good...), "without names"},
		"missing folder": {nil, "does not exist; check the path"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model")
			if name != "missing folder" {
				save(t, path, c.data)
			}
			wantError(t, path, path, c.want)
		})
	}
}

// manyEntries is a JSON object of n keys with one value.
func manyEntries(value string, n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"t%d":%s`, i, value)
	}
	b.WriteByte('}')
	return b.String()
}
