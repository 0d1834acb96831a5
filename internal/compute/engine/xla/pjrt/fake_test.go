//go:build linux || darwin

package pjrt

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// What this test binary is when another starts it: the helper program, or one that starts it and is killed.
const roleVariable = "UNIMO_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "helper":
		if err := helper.Run(&fake{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "parent":
		os.Exit(parent())
	}
	os.Exit(m.Run())
}

// fake is a plugin whose programs return their arguments. Names of programs say what else they do.
type fake struct{ devices int }

func (f *fake) Open(path string, ahead bool, options []wire.Option) (wire.Info, error) {
	if strings.HasPrefix(path, "broken") {
		return wire.Info{}, &Error{Code: 9, Message: "no visible device."}
	}
	fmt.Fprintln(os.Stderr, "opened", path, options)
	f.devices = 2
	return wire.Info{Plugin: path, Platform: "fake", Devices: make([]Device, f.devices)}, nil
}

type fakeBuffer struct {
	data  []byte
	freed bool
}

func (b *fakeBuffer) Download(data []byte) error {
	if b.freed {
		return errors.New("download of what was freed")
	}
	copy(data, b.data)
	return nil
}

func (b *fakeBuffer) Size() (int, error) { return len(b.data), nil }

func (b *fakeBuffer) Free() error {
	if b.freed {
		return errors.New("freed twice")
	}
	b.freed = true
	return nil
}

func (f *fake) Upload(device int, t Type, dims []int64, data []byte) (helper.Buffer, error) {
	if device < 0 || device >= f.devices {
		return nil, fmt.Errorf("device %d", device)
	}
	return &fakeBuffer{data: slices.Clone(data)}, nil
}

type fakeProgram struct {
	text    string
	results int
}

func (f *fake) Compile(program []byte, o wire.CompileOptions) (helper.Executable, error) {
	s, err := readSignature(program)
	if err != nil {
		return nil, &Error{Code: 3, Message: err.Error()}
	}
	if strings.Contains(string(program), "@slow") {
		time.Sleep(time.Hour)
	}
	return &fakeProgram{string(program), len(s.Results)}, nil
}

func (f *fake) Deserialize(data []byte, o wire.CompileOptions) (helper.Executable, error) {
	return f.Compile(data, o)
}

func (f *fake) CompileFor([]wire.Option, []byte, wire.CompileOptions) (int, Plan, error) {
	return 1000, Plan{Peak: 7}, nil
}

func (p *fakeProgram) Results() int               { return p.results }
func (p *fakeProgram) Serialize() ([]byte, error) { return []byte(p.text), nil }
func (p *fakeProgram) Memory() (Plan, error)      { return Plan{Arguments: 1, Results: 2, Peak: 3}, nil }
func (p *fakeProgram) Free() error                { return nil }

func (p *fakeProgram) Execute(device int, args, results [][]helper.Buffer) error {
	switch {
	case strings.Contains(p.text, "@fails"):
		return &Error{Code: 8, Message: "Out of memory"}
	case strings.Contains(p.text, "@aborts"):
		fmt.Fprintln(os.Stderr, "F0000 Check failed: it is so")
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	case strings.Contains(p.text, "@naps"):
		time.Sleep(400 * time.Millisecond)
	case strings.Contains(p.text, "@lasts"):
		time.Sleep(time.Hour)
	}
	for r := range results {
		for i := range results[r] {
			b := &fakeBuffer{}
			if i < len(args[r]) {
				b.data = slices.Clone(args[r][i].(*fakeBuffer).data)
			}
			results[r][i] = b
		}
	}
	return nil
}

// program returns its two arguments, and takes over the first.
func program(name string) []byte {
	return []byte("module @" + name + " { func.func public @main(%a: tensor<2x3xf32> {jax.buffer_donor = true}, %b: tensor<3000xi32>) -> (tensor<2x3xf32>, tensor<3000xi32>) { } }")
}

// startFake starts this test binary as the helper program.
func startFake(t testing.TB, o Options) (*Client, error) {
	t.Helper()
	t.Setenv(roleVariable, "helper")
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Helper = own
	return Start(o)
}

func started(t testing.TB) *Client {
	t.Helper()
	c, err := startFake(t, Options{Plugin: "fake"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
