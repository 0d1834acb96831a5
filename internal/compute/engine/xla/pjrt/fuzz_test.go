//go:build linux || darwin

package pjrt

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// recorded is a connection whose other side says the same whatever it is asked.
type recorded struct {
	io.Reader
	said bytes.Buffer
}

func (r *recorded) Write(p []byte) (int, error) { return r.said.Write(p) }
func (r *recorded) Close() error                { return nil }
func (r *recorded) Shutdown()                   {}

// newRecorded returns a client that hears what is in answers.
func newRecorded(answers []byte) (*Client, *recorded) {
	conn := &recorded{Reader: bytes.NewReader(answers)}
	return &Client{conn: conn, in: wire.NewReader(conn), shared: make([]byte, 1<<16), buffers: map[Buffer]buffer{}, executables: map[Executable]executable{}}, conn
}

// everything asks for one of each.
func everything(c *Client) error {
	err := c.open(Options{Plugin: "fake", Client: map[string]any{"s": "x", "l": []int64{1, 2}, "f": float32(1), "b": true, "i": int64(1)}})
	if err != nil {
		return err
	}
	a, b, v, w, y, z, l := c.NewBuffer(), c.NewBuffer(), c.NewBuffer(), c.NewBuffer(), c.NewBuffer(), c.NewBuffer(), c.NewBuffer()
	e, err := c.Compile(program("copies"), CompileOptions{Flags: map[string]string{"flag": "value"}})
	if err != nil {
		return err
	}
	data, err := c.Serialize(e)
	if err != nil {
		return err
	}
	if e, err = c.Deserialize(data, CompileOptions{}); err != nil {
		return err
	}
	_, err = c.Memory(e)
	anywhere, failed := c.Compile(program("copies"), CompileOptions{Device: AnyDevice})
	large := make([]byte, 100_000)
	return errors.Join(err, failed, c.Upload(a, 0, F32, []int{2, 3}, large[:24]), c.Upload(b, 0, I32, []int{3000}, large[:12000]), c.Upload(l, 1, I8, []int{100_000}, large),
		c.Execute(e, [][]Buffer{{a, b}}, [][]Buffer{{y, z}}), c.ExecuteOn(anywhere, 0, []Buffer{y, z}, []Buffer{v, w}),
		c.Download(w, large[:12000]), c.Download(l, large), c.Free(a, b, v, w, y, z, l), c.FreeExecutable(e))
}

// conversation is what both sides say when all is well.
func conversation(t testing.TB) (requests, answers []byte) {
	t.Helper()
	asks, answered := io.Pipe()
	hears, said := io.Pipe()
	var from, to bytes.Buffer
	c, _ := newRecorded(nil)
	conn := struct {
		io.Reader
		io.WriteCloser
		shutdown
	}{io.TeeReader(hears, &to), answered, shutdown{}}
	c.conn, c.in = conn, wire.NewReader(conn)
	go func() {
		helper.Serve(struct {
			io.Reader
			io.Writer
		}{io.TeeReader(asks, &from), said}, func(int) ([]byte, error) { return c.shared, nil }, &quiet{})
		said.Close()
	}()
	if err := everything(c); err != nil {
		t.Fatal(err)
	}
	return from.Bytes(), to.Bytes()
}

type shutdown struct{}

func (shutdown) Shutdown() {}

// The helper program survives whatever it is told.
func FuzzRequests(f *testing.F) {
	requests, _ := conversation(f)
	f.Add(requests)
	f.Add(requests[:len(requests)/2])
	f.Fuzz(func(t *testing.T, requests []byte) {
		if len(requests) > 1<<20 {
			return
		}
		conn := &recorded{Reader: bytes.NewReader(requests)}
		helper.Serve(conn, func(size int) ([]byte, error) { return make([]byte, min(size, 1<<16)), nil }, &quiet{})
	})
}

// quiet is the pretended plugin that says nothing and whose programs do nothing else.
type quiet struct{ fake }

func (q *quiet) Open(path string, ahead bool, options []wire.Option) (wire.Info, error) {
	q.devices = 2
	return wire.Info{Devices: make([]Device, q.devices)}, nil
}

func (q *quiet) Compile(program []byte, o wire.CompileOptions) (helper.Executable, error) {
	return q.fake.Compile(harmless(program), o)
}

func (q *quiet) Deserialize(data []byte, o wire.CompileOptions) (helper.Executable, error) {
	return q.Compile(data, o)
}

// harmless takes the names away that say what a program does.
func harmless(program []byte) []byte {
	return []byte(strings.NewReplacer("@fails", "@", "@aborts", "@", "@lasts", "@").Replace(string(program)))
}

// unimo survives whatever the helper program answers.
func FuzzAnswers(f *testing.F) {
	_, answers := conversation(f)
	f.Add(answers)
	f.Add(answers[:len(answers)/2])
	f.Fuzz(func(t *testing.T, answers []byte) {
		c, _ := newRecorded(answers)
		everything(c)
	})
}

func FuzzSignature(f *testing.F) {
	f.Add(string(program("x")))
	f.Add("func.func public @main(%a: tensor<f32> {x = \"\\\")>\"}) -> tensor<2xbf16> {")
	f.Add("@main() -> (tensor<f32>, tensor<99999999999x9999999xi1>")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readSignature([]byte(text))
		if err != nil {
			return
		}
		checkSignature(t, s)
	})
}

// checkSignature checks that a signature can be written and read.
func checkSignature(t interface{ Fatalf(string, ...any) }, s signature) {
	got, rest, err := cutSignature(append(s.append(nil), "rest"...))
	if err != nil || string(rest) != "rest" || !reflect.DeepEqual(got, s) {
		t.Fatalf("%+v came back as %+v, %v", s, got, err)
	}
}

func FuzzSerialized(f *testing.F) {
	s, err := readSignature(program("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.append(nil))
	f.Fuzz(func(t *testing.T, data []byte) { cutSignature(data) })
}

func TestSignature(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var s signature
		shapes := func(label string) (list []shape) {
			for range rapid.IntRange(0, 4).Draw(r, label) {
				list = append(list, shape{Type(rapid.IntRange(int(F32), int(Pred)).Draw(r, "type")), rapid.SliceOfN(rapid.IntRange(0, 1000), 0, 3).Draw(r, "dims")})
			}
			return list
		}
		s.Arguments, s.Results = shapes("arguments"), shapes("results")
		var args, results []string
		for i := range s.Arguments {
			x := &s.Arguments[i]
			note := rapid.SampledFrom([]string{"", " {tf.aliasing_output = 0 : i32}", ` {jax.buffer_donor = true, x = "->),("}`, ` {y = dense<[1, 2]> : tensor<2xi64>}`}).Draw(r, "note")
			s.Donated = append(s.Donated, strings.Contains(note, "true") || strings.Contains(note, "alias"))
			args = append(args, "%a: "+x.String()+note)
		}
		for i := range s.Results {
			results = append(results, s.Results[i].String()+rapid.SampledFrom([]string{"", ` {jax.result_info = "a, b"}`}).Draw(r, "note"))
		}
		text := "module @x {\n func.func public @main(" + strings.Join(args, ", ") + ") -> (" + strings.Join(results, ",\n") + ") {"
		got, err := readSignature([]byte(text))
		for _, list := range [][]shape{got.Arguments, got.Results, s.Arguments, s.Results} {
			for i := range list {
				if len(list[i].dims) == 0 {
					list[i].dims = nil
				}
			}
		}
		if err != nil || !reflect.DeepEqual(got, s) {
			r.Fatalf("%s\nis read as %+v, %v, want %+v", text, got, err, s)
		}
		checkSignature(r, s)
	})
	one, err := readSignature([]byte("func.func @main() -> tensor<2xf32> attributes {x} {"))
	if err != nil || len(one.Results) != 1 || one.Results[0].String() != "tensor<2xf32>" {
		t.Errorf("%+v %v", one, err)
	}
	for text, says := range map[string]string{
		"@main(%a: tensor<?x3xf32>) -> tensor<f32>":  `argument 0 of @main: tensor<?x3xf32>: a dimension of "?"`,
		"@main(%a: tensor<2xui8>) -> tensor<f32>":    "is of a type that is not known",
		"@main(%a: !stablehlo.token) -> tensor<f32>": "is no tensor of fixed shape",
		"@main(%a: tensor<f32>":                      "arguments of @main: no closing bracket",
	} {
		if _, err := readSignature([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", text, err, says)
		}
	}
}
