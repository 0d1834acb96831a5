package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// paddlePath is a file that testdata/pdparams.py has Paddle write.
func paddlePath(name string) string { return filepath.Join("testdata", "pdparams", name) }

// TestPdparams compares what Paddle saved in its protocols with the same tensors as safetensors.
func TestPdparams(t *testing.T) {
	for file, want := range map[string]string{
		"protocol2": "all", "protocol3": "all", "protocol4": "all", "layer": "layer", "training": "training", "odd": "odd",
	} {
		t.Run(file, func(t *testing.T) {
			want, got := OpenTest(t, paddlePath(want+".safetensors")), OpenTest(t, paddlePath(file+".pdparams"))
			if got.Format() != FormatPdparams {
				t.Error(got.Format())
			}
			CompareTest(t, got, want)
			for _, info := range want.Tensors() {
				if !info.DType.Float() {
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
			var beside []string
			for _, f := range got.Files() {
				beside = append(beside, f.Name+": "+f.Reason)
			}
			for name, want := range map[string][]string{
				"training": {"step: no tensor, but a value of the pickle"},
				"odd": {
					`names: no tensor, but an array of NumPy's type "U1"`, `number: no tensor, but what "scalar"`,
					"pair: no tensor, but a value of the pickle", "text: no tensor, but a value of the pickle",
				},
			} {
				if name == file && !slices.EqualFunc(beside, want, strings.HasPrefix) {
					t.Errorf("beside the tensors %q, want %q", beside, want)
				}
			}
		})
	}
}

// TestPdparamsFolder opens folders as PaddleNLP writes them, and with a file as it is fetched.
func TestPdparamsFolder(t *testing.T) {
	content, want := read(t, paddlePath("layer.pdparams")), OpenTest(t, paddlePath("layer.safetensors"))
	for _, files := range []map[string][]byte{
		{"model_state.pdparams": content, "config.json": []byte("{}"), "optimizer.pdparams": []byte("x")},
		{"unimo-text-1.0.pdparams": content, "vocab.txt": []byte("[PAD]\t0\n")},
	} {
		CompareTest(t, OpenTest(t, folder(t, files)), want)
	}
}

// TestHostilePdparams opens what paddle.save does not write.
func TestHostilePdparams(t *testing.T) {
	const kind = "cnumpy\ndtype\n(\x8c\x02f4\x89\x88tR(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
	array := func(shape, data string) string {
		return "cnumpy.core.multiarray\n_reconstruct\n(K\x00tR(K\x01" + shape + kind + "\x89" + data + "tb"
	}
	dictionary := func(values string) string { return "\x80\x02}(" + values + "u." }
	eight := "C\x08abcdefgh"
	if r := OpenTest(t, save(t, filepath.Join(t.TempDir(), "x"), []byte(dictionary(text("w")+array("K\x02\x85", eight))))); len(r.Tensors()) != 1 {
		t.Fatal(r.Tensors())
	}
	encoded := func(s string) string { return "c_codecs\nencode\n(" + text(s) + text("latin1") + "tR" }
	for want, file := range map[string]string{
		"holds no tensor":                "\x80\x04}.",
		"does not hold a dictionary":     "\x80\x02K\x01.",
		`wants "system" of Python's`:     "\x80\x02cposix\nsystem\n(" + text("touch x") + "tR.",
		"ends within its pickle":         dictionary(text("w") + array("K\x02\x85", eight))[:60],
		"3 bytes after the pickle":       dictionary(text("w")+array("K\x02\x85", eight)) + "abc",
		"has 8 bytes of data, want 12":   dictionary(text("w") + array("K\x03\x85", eight)),
		"has 8 bytes of data, want 8000": dictionary(text("w") + array("M\xd0\x07\x85", eight)),
		"array of shape [-1]":            dictionary(text("w") + array("J\xff\xff\xff\xff\x85", eight)),
		"finds other values":             dictionary(text("w") + array("K\x02", eight)),
		"characters that are none":       dictionary(text("w") + array("K\x02\x85", encoded("abcdefg名"))),
		"the same bytes several times":   "\x80\x02}(" + text("w") + text(strings.Repeat("x", 400)) + "q\x01" + strings.Repeat("0c_codecs\nencode\n(h\x01"+text("latin1")+"tR", 20) + "u.",
		"cut into slices":                dictionary(text(paddleSlices) + "}" + text("w") + array("K\x02\x85", eight)),
		"refers to something outside":    "\x80\x02}()Q.",
		"more instructions":              "\x80\x02" + strings.Repeat("N0", maxInstructions),
	} {
		t.Run(want, func(t *testing.T) {
			path := save(t, filepath.Join(t.TempDir(), "x.pdparams"), []byte(file))
			wantError(t, path, path, "Paddle", want)
		})
	}
	wantError(t, paddlePath("big.pdparams"), "big-endian")
}

// TestPdparamsAllocation: opening allocates nothing for the elements, whatever the protocol.
func TestPdparamsAllocation(t *testing.T) {
	const kind = "cnumpy\ndtype\n(\x8c\x02f4\x89\x88tR"
	data := strings.Repeat("\xc3\xbf", 1<<20) // 2^20 bytes of 255
	n := string([]byte{0, 0, 0x20, 0})
	file := "\x80\x02}(" + text("w") + "cnumpy.core.multiarray\n_reconstruct\n(K\x00tR(K\x01J\x00\x00\x04\x00\x85" + kind + "\x89c_codecs\nencode\n(X" + n + data + text("latin1") + "tRtbu."
	var r Reader
	got := allocated(func() {
		var err error
		if r, err = newPyTorch(&mapping{data: []byte(file)}, "x"); err != nil {
			t.Fatal(err)
		}
	})
	if got > uint64(len(file))+firstAllocation { // the file itself was copied
		t.Errorf("allocated %d bytes for a file of %d", got, len(file))
	}
	raw, err := r.Bytes("w")
	if err != nil || !bytes.Equal(raw, bytes.Repeat([]byte{255}, 1<<20)) {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
}

// FuzzPdparams feeds files to the reader of what paddle.save writes.
func FuzzPdparams(f *testing.F) {
	for _, name := range []string{"protocol2", "protocol3", "protocol4", "training"} {
		file, err := os.ReadFile(paddlePath(name + ".pdparams"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Add([]byte("\x80\x03}()Q."))
	f.Fuzz(func(t *testing.T, file []byte) {
		if !isPickle(file) || bytes.HasPrefix(file, legacyMagic) {
			return
		}
		r, err := newPyTorch(&mapping{data: file}, "x")
		if err != nil {
			return
		}
		checkTensors(t, r)
	})
}
