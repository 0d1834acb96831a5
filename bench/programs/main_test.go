//go:build linux || darwin

package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

func TestMain(m *testing.M) {
	if os.Getenv(folderVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// What is compiled on the device that computes nothing is kept, and its results are zero.
func TestRecorder(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	t.Setenv(folderVariable, folder)
	c, err := pjrt.Start(pjrt.Options{Helper: own, Plugin: "none"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const code = "module @m { func.func public @main(%a: tensor<2xf32>) -> tensor<3xf32> { } }"
	e, err := c.Compile([]byte(code), pjrt.CompileOptions{Flags: map[string]string{"flag": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	a, y := c.NewBuffer(), c.NewBuffer()
	got := slices.Repeat([]byte{1}, 12)
	if err := errors.Join(c.Upload(a, 0, pjrt.F32, []int{2}, make([]byte, 8)), c.Execute(e, [][]pjrt.Buffer{{a}}, [][]pjrt.Buffer{{y}}), c.Download(y, got)); err != nil || !slices.Equal(got, make([]byte, 12)) {
		t.Errorf("%v %v", got, err)
	}
	list, err := read(folder)
	if err != nil || len(list) != 1 || string(list[0].code) != code || list[0].Flags["flag"] != "true" {
		t.Errorf("%+v %v", list, err)
	}
	if err := run(options{}); err == nil || !strings.Contains(err.Error(), "name plugins") {
		t.Error(err)
	}
}
