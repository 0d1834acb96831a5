package regions

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// testImage makes an image of n regions within width x height pixels.
func testImage(id string, n, dim int, width, height float64) *Image {
	r := rand.New(rand.NewPCG(uint64(len(id)), uint64(n)))
	im := &Image{ID: id, Width: width, Height: height}
	for range n {
		x, y := r.Float64()*width, r.Float64()*height
		im.Boxes = append(im.Boxes, float32(x/2), float32(y/2), float32(x/2+width/2), float32(y/2+height/2))
		for range dim {
			im.Features = append(im.Features, float32(r.NormFloat64()))
		}
	}
	return im
}

// field encodes values as the lines have them.
func field(values ...float32) string {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// lineOf makes a line of 6, 7 or 10 fields.
func lineOf(im *Image, fields int) string {
	boxes, features := field(im.Boxes...), field(im.Features...)
	switch fields {
	case 6:
		return fmt.Sprintf("%s\t%v\t%v\t%d\t%s\t%s", im.ID, im.Width, im.Height, im.Regions(), boxes, features)
	case 7:
		return lineOf(im, 6) + "\t" + field(make([]float32, 3*im.Regions())...)
	}
	return fmt.Sprintf("%s\t%v\t%v\tAAAA\tAAAA\tAAAA\tAAAA\t%d\t%s\t%s", im.ID, im.Height, im.Width, im.Regions(), boxes, features)
}

// swapped has width and height exchanged.
func swapped(im *Image) *Image {
	other := *im
	other.Width, other.Height = im.Height, im.Width
	return &other
}

func joined(lines ...string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }

func openTest(t *testing.T, path string, o Options) (Source, Info) {
	t.Helper()
	s, info, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, info
}

func sameSources(t *testing.T, got, want Source) {
	t.Helper()
	if got.Dim() != want.Dim() || !slices.Equal(got.IDs(), want.IDs()) {
		t.Fatalf("%d values of %v, want %d of %v", got.Dim(), got.IDs(), want.Dim(), want.IDs())
	}
	var a, b Image
	for _, id := range want.IDs() {
		if err := errors.Join(got.Image(id, &a), want.Image(id, &b)); err != nil {
			t.Fatal(err)
		}
		a.Origin, b.Origin = Origin{}, Origin{} // which only some sources know
		if !reflect.DeepEqual(a, b) {
			t.Errorf("image %s differs", id)
		}
	}
}

func wantImage(t *testing.T, s Source, want *Image) {
	t.Helper()
	var got Image
	if err := s.Image(want.ID, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("image %s:\n%+v, want\n%+v", want.ID, got, *want)
	}
}

// wide and high fit one order alone, square fits both.
func testImages() (wide, high, square *Image) {
	return testImage("1", 3, 4, 640, 480), testImage("22", 5, 4, 300, 500.5), testImage("4444.jpg", 1, 4, 50, 50)
}

func TestLines(t *testing.T) {
	wide, high, square := testImages()
	for _, fields := range []int{6, 7, 10} {
		for _, ending := range []string{"\n", "\r\n"} {
			var lines []string
			for _, im := range []*Image{wide, high, square} {
				lines = append(lines, lineOf(im, fields))
			}
			raw := strings.Join(lines, ending)
			for _, end := range []string{"", ending, ending + ending} {
				s, info := openTest(t, save(t, filepath.Join(t.TempDir(), "x.tsv"), []byte(raw+end)), Options{})
				for _, im := range []*Image{wide, high, square} {
					wantImage(t, s, im)
				}
				want := OrderWidth
				if fields == 10 {
					want = OrderHeight
				}
				if info.Images != 3 || info.Dim != 4 || info.MinRegions != 1 || info.MaxRegions != 5 || info.Order != want || info.Bad != 0 {
					t.Errorf("%d fields: %+v", fields, info)
				}
				if err := s.Image("4444", new(Image)); !errors.Is(err, ErrNoImage) || !strings.Contains(err.Error(), "x.tsv") {
					t.Error(err)
				}
				if err := s.Image("22.jpg", new(Image)); err != nil { // the picture's name
					t.Error(err)
				}
			}
		}
	}
}

func TestOrder(t *testing.T) {
	wide, high, square := testImages()
	for _, c := range []struct {
		images   []*Image
		options  Options
		order    string
		evidence string
		err      string
	}{
		{[]*Image{wide, high, square}, Options{}, OrderWidth, "2 images fit only if the width is first, of 0 only if the height is, of 1 either way", ""},
		{[]*Image{swapped(wide), swapped(high), square}, Options{}, OrderHeight, "0 images fit only if the width is first, of 2", ""},
		{[]*Image{square}, Options{}, OrderWidth, "fit either order", ""},
		{[]*Image{square}, Options{Order: OrderHeight}, OrderHeight, "as asked for", ""},
		{[]*Image{square, wide, swapped(high)}, Options{}, "", "", "x.tsv:3: image \"22\": boxes lie outside"},
		{[]*Image{wide}, Options{Order: OrderHeight}, "", "", "as the height is read as the first"},
		{[]*Image{wide}, Options{Order: "depth"}, "", "", "unknown order \"depth\"; choose one of width, height"},
		{[]*Image{wide, square, swapped(high)}, Options{SkipBad: true}, OrderWidth, "of 1 only if the height", ""},
	} {
		var lines []string
		for _, im := range c.images {
			lines = append(lines, lineOf(im, 7))
		}
		s, info, err := Open(save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lines...)), c.options)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Order != c.order || !strings.Contains(info.Evidence, c.evidence) {
			t.Errorf("order %s, %s; want %s, %s", info.Order, info.Evidence, c.order, c.evidence)
		}
		if c.options.SkipBad && (info.Bad != 1 || !slices.Equal(s.IDs(), []string{"1", "4444.jpg"})) {
			t.Errorf("%v, %+v", s.IDs(), info)
		}
		s.Close()
	}
}

func TestLineOfNames(t *testing.T) {
	wide, high, _ := testImages()
	names := "image_id\timage_h\timage_w\tnum_boxes\tfeatures\tboxes\tscene"
	line := func(im *Image) string {
		return fmt.Sprintf("%s\t%v\t%v\t%d\t%s\t%s\tbeach", im.ID, im.Height, im.Width, im.Regions(), field(im.Features...), field(im.Boxes...))
	}
	dir := t.TempDir()
	save(t, filepath.Join(dir, "a.tsv"), joined("\ufeff"+names, line(wide)))
	save(t, filepath.Join(dir, "b.tsv"), joined(names, line(high)))
	save(t, filepath.Join(dir, ".hidden"), []byte("nothing"))
	s, info := openTest(t, dir, Options{})
	wantImage(t, s, wide)
	wantImage(t, s, high)
	if info.Order != OrderHeight || info.Format != FormatBottomUp {
		t.Errorf("%+v", info)
	}
	save(t, filepath.Join(dir, "b.tsv"), joined("image_id\timage_w\tboxes", line(high)))
	if _, _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "b.tsv:1: the line of names lacks") {
		t.Error(err)
	}
}

// TestBadLines reads a file in which one line after the other is wrong.
func TestBadLines(t *testing.T) {
	good, high, square := testImages()
	edit := func(change func(im *Image)) string {
		im := testImage("bad", 3, 4, 640, 480)
		change(im)
		return lineOf(im, 7)
	}
	fieldsOf := func(change func(f []string)) string {
		f := strings.Split(lineOf(testImage("bad", 3, 4, 640, 480), 7), "\t")
		change(f)
		return strings.Join(f, "\t")
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]struct{ line, want string }{
		"fields":          {"bad\t1\t2", "3 fields, where 7 are needed"},
		"more fields":     {lineOf(high, 7) + "\tx", "8 fields"},
		"very many":       {"bad" + strings.Repeat("\t1", 100), "fields"},
		"no id":           {edit(func(im *Image) { im.ID = "" }), "an id of 0 bytes"},
		"long id":         {edit(func(im *Image) { im.ID = strings.Repeat("x", 10000) }), "an id of 10000 bytes"},
		"twice":           {lineOf(good, 7), "there already, in"},
		"width":           {fieldsOf(func(f []string) { f[1] = "wide" }), `width or height "wide" is no number`},
		"long width":      {fieldsOf(func(f []string) { f[1] = strings.Repeat("1", 10000) }), "is no number"},
		"zero width":      {fieldsOf(func(f []string) { f[1] = "0" }), "an image of 0 x 480 pixels"},
		"NaN width":       {fieldsOf(func(f []string) { f[1] = "nan" }), "an image of NaN x 480"},
		"no regions":      {fieldsOf(func(f []string) { f[3] = "0" }), "0 regions"},
		"negative":        {fieldsOf(func(f []string) { f[3] = "-1" }), "-1 regions"},
		"huge":            {fieldsOf(func(f []string) { f[3] = "4294967297" }), "4294967297 regions, more than the 100"},
		"huger":           {fieldsOf(func(f []string) { f[3] = "99999999999999999999" }), "is no whole number"},
		"fraction":        {fieldsOf(func(f []string) { f[3] = "3.5" }), "is no whole number"},
		"other count":     {fieldsOf(func(f []string) { f[3] = "4" }), "boxes: 12 values for 4 regions"},
		"boxes":           {fieldsOf(func(f []string) { f[4] = "!!!!" + f[4][4:] }), "illegal base64"},
		"boxes' length":   {fieldsOf(func(f []string) { f[4] = f[4][:len(f[4])-1] }), "boxes: is not base64"},
		"no boxes":        {fieldsOf(func(f []string) { f[4] = "" }), "boxes: 0 values"},
		"features":        {fieldsOf(func(f []string) { f[5] = f[5][:8] + "!" + f[5][9:] }), "features: illegal base64"},
		"cut features":    {fieldsOf(func(f []string) { f[5] = f[5][:len(f[5])-8] }), "features"},
		"fewer features":  {fieldsOf(func(f []string) { f[5] = field(1, 2, 3) }), "features of 1 values, where the images before have 4"},
		"no features":     {fieldsOf(func(f []string) { f[5] = "" }), "features: 0 values"},
		"NaN box":         {edit(func(im *Image) { im.Boxes[5] = nan }), "box 2, "},
		"outside":         {edit(func(im *Image) { im.Boxes[2] = 1e6 }), "lies outside the image"},
		"left of it":      {edit(func(im *Image) { im.Boxes[0] = -2 }), "lies outside the image"},
		"backwards":       {edit(func(im *Image) { im.Boxes[0], im.Boxes[2] = im.Boxes[2], im.Boxes[0] }), "not ordered"},
		"NaN feature":     {edit(func(im *Image) { im.Features[6] = nan }), "feature value 3 of region 2 is NaN"},
		"infinite":        {edit(func(im *Image) { im.Features[11] = inf }), "feature value 4 of region 3 is +Inf"},
		"something else":  {"Lorem ipsum dolor sit amet", "1 fields"},
		"control letters": {"\x01\x02\x03\t\t\t\t\t\t", "whole number"},
	} {
		path := save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lineOf(good, 7), c.line, lineOf(high, 7), lineOf(square, 7)))
		if name == "twice" {
			c.want += " " + path + ":1"
		}
		wantError := func(err error) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path+":2: ") {
				t.Errorf("%s: error %v, want %q in line 2", name, err, c.want)
			}
		}
		s, _, err := Open(path, Options{})
		if err == nil { // the features are looked at when they are asked for
			err = s.Image("bad", new(Image))
			s.Close()
		}
		if name == "more fields" { // takes the id of the line after, which is then there twice
			continue
		}
		wantError(err)
		s, info := openTest(t, path, Options{SkipBad: true})
		if info.Bad != 1 || len(info.Skipped) != 1 || info.Images != 3 {
			t.Errorf("%s: %+v", name, info)
			continue
		}
		wantError(errors.New(info.Skipped[0]))
		for _, im := range []*Image{good, high, square} {
			wantImage(t, s, im)
		}
	}
}

// TestLongLines reads lines whose fields are jumped over, and some that break the jump.
func TestLongLines(t *testing.T) {
	const dim = 256
	var images []*Image
	var lines []string
	for i := range 6 {
		images = append(images, testImage(strings.Repeat("x", i+1), 40+i, dim, 640, 480))
		lines = append(lines, lineOf(images[i], 7))
	}
	cut := func(line string, field, by int) string {
		f := strings.Split(line, "\t")
		f[field] = f[field][:len(f[field])-by]
		return strings.Join(f, "\t")
	}
	lines[1] = lines[1][:len(lines[1])/2] // the rest of the line is missing
	lines[3] = cut(lines[3], 5, 4*dim)
	lines[4] = lines[4][:2000] + "*" + lines[4][2001:]
	path := save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lines...))
	s, info := openTest(t, path, Options{SkipBad: true})
	if info.Bad != 3 || !slices.Equal(s.IDs(), []string{"x", "xxx", "xxxxxx"}) {
		t.Errorf("%v, %+v", s.IDs(), info)
	}
	for _, line := range []string{":2:", ":4:", ":5:"} {
		if !slices.ContainsFunc(info.Skipped, func(s string) bool { return strings.Contains(s, line) }) {
			t.Errorf("line %s is not among %q", line, info.Skipped)
		}
	}
	for _, i := range []int{0, 2, 5} {
		wantImage(t, s, images[i])
	}
}

// TestBadFirstLine takes the layout from the first line that has one.
func TestBadFirstLine(t *testing.T) {
	good, high, _ := testImages()
	path := save(t, filepath.Join(t.TempDir(), "x.tsv"), joined("cut off", lineOf(good, 7)[:60], lineOf(high, 7), lineOf(good, 7)))
	s, info := openTest(t, path, Options{SkipBad: true})
	if info.Bad != 2 || info.Format != FormatReference {
		t.Errorf("%+v", info)
	}
	wantImage(t, s, good)
}

// TestCutLines cuts a file off at every byte.
func TestCutLines(t *testing.T) {
	wide, high, _ := testImages()
	raw := joined(lineOf(wide, 6), lineOf(high, 6))
	first := bytes.IndexByte(raw, '\n')
	dir := t.TempDir()
	for size := range raw {
		path := save(t, filepath.Join(dir, "x.tsv"), raw[:size])
		s, info, err := Open(path, Options{SkipBad: true})
		if size < first {
			// Where by chance all regions lose as many values, nobody can tell.
			if err == nil && info.Dim == 4 || err != nil && !strings.Contains(err.Error(), path) {
				t.Fatalf("%d bytes: %+v, %v", size, info, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		want := 1
		if size >= len(raw)-1 {
			want = 2
		}
		if bad := size > first+1 && want == 1; info.Images != want || (info.Bad == 1) != bad {
			t.Errorf("%d bytes: %+v", size, info)
		}
		s.Close()
	}
}

func TestNotLines(t *testing.T) {
	dir := t.TempDir()
	lmdb := append(make([]byte, 16), "\xde\xc0\xef\xbe\x01\x00\x00\x00"...)
	for name, c := range map[string]struct{ content, want string }{
		"x.gz":       {"\x1f\x8b\x08", "unpack it"},
		"x.zip":      {"PK\x03\x04", "ZIP"},
		"x.h5":       {"\x89HDF\r\n\x1a\n", "HDF5"},
		"data.mdb":   {string(lmdb), "LMDB"},
		"x.pkl":      {"\x80\x04\x95", "pickle"},
		"x.tsv":      {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
		"lfs.npz":    {"version https://git-lfs.github.com/spec/v1\n", "/lfs.npz: is a Git LFS pointer"},
		"lfs.npy":    {"version https://git-lfs.github.com/spec/v1\n", "/lfs.npy: is a Git LFS pointer"},
		"page.npz":   {"<!DOCTYPE html>\n<html>", "/page.npz: is a web page"},
		"page.tsv":   {"<html>\n", "/page.tsv: is a web page"},
		"new.mdb":    {strings.Repeat("\x00", 4096), "LMDB"},
		"y.tsv":      {"", "empty"},
		"z.tsv":      {"a\x00b", "no file of features"},
		"x.jpg":      {"\xff\xd8\xff\xe0", "unimo features extract"},
		"broken.npz": {"PK\x03\x04", "zip"},
		"broken.npy": {"\x93NUM", "too short"},
	} {
		path := save(t, filepath.Join(dir, name), []byte(c.content))
		if _, _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "does not exist; check the path", t.TempDir(): "no files of features", dir: "holds pictures", os.DevNull: "regular file",
	} {
		if _, _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// TestShortenedFile cuts a mapped file off, which would end the program if nothing were
// done about it.
func TestShortenedFile(t *testing.T) {
	images := []*Image{testImage("1", 50, 512, 100, 200), testImage("22", 50, 512, 100, 200)}
	path := save(t, filepath.Join(t.TempDir(), "x.tsv"), joined(lineOf(images[0], 7), lineOf(images[1], 7)))
	s, _ := openTest(t, path, Options{})
	if err := os.Truncate(path, 8192); err != nil {
		t.Skip("not run: the system does not let a mapped file be shortened:", err)
	}
	var im Image
	if err := s.Image("22", &im); err == nil || !strings.Contains(err.Error(), "shortened") {
		t.Error(err)
	}
}

// npy makes an array as NumPy writes it.
func npy(kind, order string, shape []int, data []byte) []byte {
	var dims strings.Builder
	for _, d := range shape {
		fmt.Fprintf(&dims, "%d, ", d)
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", kind, order, dims.String())
	for (len(header)+11)%64 != 0 {
		header += " "
	}
	raw := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)+1), byte((len(header)+1)>>8))
	return append(append(append(raw, header...), '\n'), data...)
}

func npyFloats(shape []int, values ...float32) []byte {
	return npy("<f4", "False", shape, asBytes(values))
}

func npyInt(v int64) []byte {
	return npy("<i8", "False", nil, binary.LittleEndian.AppendUint64(nil, uint64(v)))
}

func npz(tb testing.TB, arrays map[string][]byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, raw := range arrays {
		w, err := z.Create(name + ".npy")
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(raw); err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// npzStored makes an archive of an array that is not compressed; npzTwice one that has it twice.
func npzStored(tb testing.TB, name string, raw []byte) []byte { return npzNamed(tb, raw, name) }
func npzTwice(tb testing.TB, name string, raw []byte) []byte  { return npzNamed(tb, raw, name, name) }

func npzNamed(tb testing.TB, raw []byte, names ...string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(raw); err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// npzOf makes the archive of an image, with the names of a common extractor.
func npzOf(tb testing.TB, im *Image) []byte {
	n := im.Regions()
	return npz(tb, map[string][]byte{
		"x": npyFloats([]int{n, len(im.Features) / n}, im.Features...), "bbox": npyFloats([]int{n, 4}, im.Boxes...),
		"num_bbox": npyInt(int64(n)), "image_w": npyInt(int64(im.Width)), "image_h": npyInt(int64(im.Height)),
		"info": npy("|O", "False", nil, []byte("\x80\x04")), // a pickle, which nobody opens
	})
}

func TestNumPy(t *testing.T) {
	wide, _, square := testImages()
	dir := t.TempDir()
	save(t, filepath.Join(dir, wide.ID+".npz"), npzOf(t, wide))
	save(t, filepath.Join(dir, square.ID+".npz"), npzOf(t, square))
	// float16 features in a grid, without boxes
	save(t, filepath.Join(dir, "grid.npy"), npy("<f2", "False", []int{2, 3, 4}, bytes.Repeat([]byte{0, 0x3c}, 24)))
	save(t, filepath.Join(dir, "list.npy"), npy(">f8", "False", []int{1, 4}, bytes.Repeat([]byte{0x40, 0, 0, 0, 0, 0, 0, 0}, 4)))
	// padded, normalised boxes with six columns, in Fortran's order
	save(t, filepath.Join(dir, "norm.npz"), npz(t, map[string][]byte{
		"features":  npyFloats([]int{3, 4}, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0),
		"num_boxes": npyInt(2),
		"norm_bb":   npy("<f4", "True", []int{2, 6}, asBytes([]float32{0, 0.5, 0, 0.5, 0.5, 1, 0.5, 1, 0, 0, 0, 0})),
	}))
	// boxes both ways, and the number of boxes by two names, that agree
	save(t, filepath.Join(dir, "both.npz"), npz(t, map[string][]byte{
		"features": npyFloats([]int{1, 4}, 1, 2, 3, 4), "num_boxes": npyInt(1), "num_bbox": npyInt(1), "image_w": npyInt(10), "image_h": npyInt(20),
		"bbox": npyFloats([]int{1, 4}, 1, 2, 3, 4), "norm_bb": npyFloats([]int{1, 5}, 0.1, 0.1, 0.3, 0.2, 0.02),
	}))
	s, info := openTest(t, dir, Options{})
	wantImage(t, s, wide)
	wantImage(t, s, square)
	wantImage(t, s, &Image{ID: "both", Width: 10, Height: 20, Boxes: []float32{1, 2, 3, 4}, Features: []float32{1, 2, 3, 4}})
	wantImage(t, s, &Image{ID: "norm", Width: 1, Height: 1, Boxes: []float32{0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1}, Features: []float32{1, 2, 3, 4, 5, 6, 7, 8}})
	wantImage(t, s, &Image{ID: "list", Width: 1, Height: 1, Boxes: []float32{0, 0, 1, 1}, Features: []float32{2, 2, 2, 2}})
	third, two := float32(1./3), float32(2./3)
	wantImage(t, s, &Image{ID: "grid", Width: 1, Height: 1, Features: slices.Repeat([]float32{1}, 24), Boxes: []float32{
		0, 0, third, 0.5, third, 0, two, 0.5, two, 0, 1, 0.5, 0, 0.5, third, 1, third, 0.5, two, 1, two, 0.5, 1, 1}})
	if info.Images != 6 || info.MaxRegions != 6 || !strings.Contains(info.Evidence, "no boxes with 2 images") {
		t.Errorf("%+v", info)
	}
}

func TestBadNumPy(t *testing.T) {
	good, _, _ := testImages()
	feature := npyFloats([]int{1, 4}, 1, 2, 3, 4)
	with := func(more map[string][]byte) []byte {
		arrays := map[string][]byte{"x": feature, "bbox": npyFloats([]int{1, 4}, 0, 0, 9, 9), "image_w": npyInt(10), "image_h": npyInt(10)}
		for k, v := range more {
			if arrays[k] = v; v == nil {
				delete(arrays, k)
			}
		}
		return npz(t, arrays)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"bad.npz":      {[]byte("PK\x03\x04 nothing"), "zip"},
		"empty.npz":    {npz(t, nil), "no NumPy array"},
		"none.npz":     {npz(t, map[string][]byte{"y": feature}), "no array of features"},
		"short.npy":    {feature[:len(feature)-1], "cut off"},
		"head.npy":     {feature[:20], "header"},
		"huge.npy":     {npyFloats([]int{1 << 40, 1 << 40}), "more than"},
		"many.npy":     {npyFloats([]int{101, 4}, make([]float32, 404)...), "101 regions"},
		"zero.npy":     {npyFloats([]int{0, 4}), "0 regions"},
		"flat.npy":     {npyFloats([]int{4}, 1, 2, 3, 4), "features of shape [4]"},
		"wide.npy":     {npyFloats([]int{1, 20000}, make([]float32, 20000)...), "20000 values"},
		"other.npy":    {npyFloats([]int{1, 3}, 1, 2, 3), "where the images before have 4"},
		"pickle.npy":   {npy("|O", "False", []int{1, 4}, make([]byte, 99)), "no plain numbers"},
		"nan.npy":      {npyFloats([]int{1, 4}, 1, 2, float32(math.NaN()), 4), "NaN"},
		"1.npy":        {feature, "there already"},
		"boxes.npz":    {with(map[string][]byte{"bbox": npyFloats([]int{1, 3}, 0, 0, 9)}), "boxes of shape [1 3]"},
		"few.npz":      {with(map[string][]byte{"bbox": npyFloats([]int{0, 4})}), "boxes of shape [0 4]"},
		"outside.npz":  {with(map[string][]byte{"bbox": npyFloats([]int{1, 4}, 0, 0, 99, 9)}), "outside"},
		"size.npz":     {with(map[string][]byte{"image_w": nil, "image_h": nil}), "without the image's size"},
		"vector.npz":   {with(map[string][]byte{"image_w": npyFloats([]int{2}, 10, 10)}), "one number is needed"},
		"count.npz":    {with(map[string][]byte{"num_bbox": npyInt(2)}), "2 boxes, but features of 1"},
		"negative.npz": {with(map[string][]byte{"num_bbox": npyInt(-1)}), "-1 boxes"},
		"cut.npz":      {with(map[string][]byte{"x": feature[:len(feature)-4]}), "cut off"},
		// Parts that contradict each other.
		"long.npz":     {with(map[string][]byte{"x": append(slices.Clone(feature), 0, 0, 0, 0)}), "4 bytes more than its shape"},
		"long.npy":     {append(slices.Clone(feature), 0), "1 bytes more than its shape"},
		"twoshape.npy": {bytes.Replace(feature, []byte("'shape'"), []byte("'shape': (1, 4), 'shape'"), 1), "shape twice"},
		"rows.npz":     {with(map[string][]byte{"bbox": npyFloats([]int{2, 4}, 0, 0, 9, 9, 0, 0, 9, 9)}), "bbox: boxes of shape [2 4] for 1 regions"},
		"padded.npz": {with(map[string][]byte{"x": npyFloats([]int{4, 4}, make([]float32, 16)...), "num_bbox": npyInt(2),
			"bbox": npyFloats([]int{3, 4}, 0, 0, 9, 9, 0, 0, 9, 9, 0, 0, 9, 9)}), "boxes of shape [3 4] for 2 regions"},
		"half.npz":     {with(map[string][]byte{"num_bbox": npyFloats([]int{1}, 0.5)}), "0.5 boxes"},
		"counts.npz":   {with(map[string][]byte{"num_bbox": npyInt(1), "num_boxes": npyInt(2)}), "num_bbox is 1, but num_boxes is 2"},
		"sizes.npz":    {with(map[string][]byte{"img_h": npyInt(20)}), "image_h is 10, but img_h is 20"},
		"height.npz":   {with(map[string][]byte{"image_w": nil}), "one of the image's width and height"},
		"features.npz": {with(map[string][]byte{"features": feature}), "x and features, which mean the same"},
		"twoboxes.npz": {with(map[string][]byte{"boxes": npyFloats([]int{1, 4}, 0, 0, 5, 5)}), "bbox and boxes, which mean the same"},
		"shares.npz":   {with(map[string][]byte{"norm_bb": npyFloats([]int{1, 4}, 0, 0, 0.5, 0.9)}), "box 1 is another in bbox than in norm_bb"},
		"twice.npz":    {npzTwice(t, "x", feature), `two arrays "x"`},
		"sum.npz":      {bytes.Replace(npzStored(t, "x", feature), []byte{0, 0, 0x80, 0x40}, []byte{0, 0, 0x81, 0x40}, 1), "checksum"},
	} {
		dir := t.TempDir()
		save(t, filepath.Join(dir, "1.npz"), npzOf(t, good))
		path := save(t, filepath.Join(dir, name), c.raw)
		s, _, err := Open(dir, Options{})
		if err == nil {
			err = s.Image(strings.TrimSuffix(name, filepath.Ext(name)), new(Image))
		}
		wrong := filepath.Base(path)
		if name == "1.npy" {
			wrong = "1.np"
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		_, info := openTest(t, dir, Options{SkipBad: true})
		if info.Bad != 1 || info.Images != 1 {
			t.Errorf("%s: %+v", name, info)
		}
	}
}
