//go:build linux || darwin

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
	"github.com/unimo-go/unimo/internal/test/blank"
)

// recorder returns a plugin that keeps the texts of programs in a folder and computes nothing.
func recorder(folder string) *blank.Plugin {
	n := 0
	return &blank.Plugin{Platform: "cuda", Compiled: func(program []byte, o wire.CompileOptions) error {
		n++
		t := text{Number: n, Flags: map[string]string{}}
		for _, f := range o.Flags {
			t.Flags[f.Name], _ = f.Value.(string)
		}
		raw, err := json.Marshal(t)
		name := filepath.Join(folder, strconv.Itoa(n))
		return errors.Join(err, os.WriteFile(name+".json", raw, 0o644), os.WriteFile(name+".mlir", program, 0o644))
	}}
}
