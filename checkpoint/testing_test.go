package checkpoint

import (
	"bytes"
	"slices"
	"testing"
)

// The golden tests stand in checkpoint_test, because package golden imports this
// one; these are what they share with the others.

// OpenTest opens a checkpoint for the duration of a test.
func OpenTest(t testing.TB, path string) Reader {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Tester is what *testing.T and *rapid.T share.
type Tester interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// CompareTest reports where two checkpoints differ in names, types, shapes or bytes.
func CompareTest(t Tester, got, want Reader) {
	t.Helper()
	g, w := got.Tensors(), want.Tensors()
	equal := slices.EqualFunc(g, w, func(a, b Info) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape)
	})
	if !equal {
		t.Fatalf("tensors %v, want %v", g, w)
	}
	for _, info := range w {
		a, err := got.Bytes(info.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		b, err := want.Bytes(info.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(a, b) {
			t.Errorf("tensor %q: bytes differ", info.Name)
		}
	}
}
