package xla

import (
	"bytes"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/programs"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// drawn is words in the elements of a tensor, whose bits they are: rows x cols from element from on; emitted says that the plugin's
// generator makes none.
type drawn struct {
	rows, cols int
	from       int64
	typ        pjrt.Type // of indices; 0: words without
	emitted    bool
}

func lowerDrawn(b *builder, a drawn, ins []val) []val {
	if a.emitted {
		b.philox = func() bool { return false }
	}
	if a.typ == 0 {
		return []val{b.bits(b.reshape(b.words(ins[0], a.rows*a.cols), a.rows, a.cols), f32)}
	}
	row, col := b.iota(a.typ, 0, a.rows, a.cols), b.iota(a.typ, 1, a.rows, a.cols)
	at := b.add(b.multiply(row, b.integer(a.typ, int64(a.cols), a.rows, a.cols)), col)
	return []val{b.bits(b.wordsAt(ins[0], b.add(at, b.integer(a.typ, a.from, a.rows, a.cols))), f32)}
}

// What a plugin's generator makes is found out by a program from the cache, too.
func TestGeneratorIsTriedFromTheCache(t *testing.T) {
	dir, log := t.TempDir(), new(bytes.Buffer)
	cache := programs.Open(dir, 1<<30, slog.New(slog.NewTextHandler(log, nil)))
	files := func() []string {
		list, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	same := open(t, Options{Cache: cache, CacheFor: func() string { return "" }}).philox()
	if n := len(files()); n != 1 {
		t.Fatalf("%d programs in the cache, want that of the generator", n)
	}
	for _, damaged := range []bool{false, true} {
		if damaged {
			if err := os.Truncate(files()[0], 100); err != nil {
				t.Fatal(err)
			}
		}
		if again := open(t, Options{Cache: cache, CacheFor: func() string { return "" }}).philox(); again != same || len(files()) != 1 {
			t.Errorf("the generator is the project's: %v, and %v before; the cache has %v", again, same, files())
		}
		if read := strings.Contains(log.String(), "compiled anew"); read != damaged { // so it was looked at
			t.Errorf("damaged %v: %s", damaged, log)
		}
	}
}

func TestWordsAreThoseOfTheProcessor(t *testing.T) {
	const key, stream = 0x0123456789abcdef, 0xfedcba9876543210
	d := open(t, Options{})
	var buffer []uint32
	for _, a := range []drawn{
		{rows: 1, cols: 1}, {rows: 7, cols: 3}, {rows: 64, cols: 65}, {rows: 64, cols: 65, emitted: true},
		{rows: 5, cols: 9, typ: pjrt.U32, from: 1<<32 - 45}, {rows: 5, cols: 9, typ: pjrt.U64, from: 1<<34 - 11},
	} {
		x := d.New(a.rows, a.cols)
		record(d, "drawn", a, lowerDrawn, []*engine.Tensor{x}, d.stream(key, stream))
		all := d.physical(of(x))
		for i, want := range kernels.Words(&buffer, a.rows*a.cols, key, stream, uint64(a.from)) {
			if got := math.Float32bits(all[i]); got != want {
				t.Fatalf("%+v: word %d is %#x, want %#x", a, i, got, want)
			}
		}
	}
	if !d.philox() {
		t.Log("the plugin's generator is another: words are emitted")
	}
}

// Numbers that are drawn are the processor's, bit for bit, of any shape; rows behind are zero. Key, stream and bounds are no part of the program.
func TestNoiseIsThatOfTheProcessor(t *testing.T) {
	for _, shape := range [][2]int{{1, 5}, {8, 4}, {13, 7}} {
		same(t, 0, 2, func(d engine.Device, _ *numbers) (results []*engine.Tensor) {
			for i, n := range []engine.Noise{{}, {Key: 0x0123456789abcdef, Stream: 0xfedcba9876543210}} {
				bounds := make([]float32, shape[0])
				for row := range bounds {
					bounds[row] = float32(row+i) * 0.03
				}
				x := d.New(shape[0], shape[1])
				d.Noise(x, bounds, n)
				results = append(results, x)
			}
			return results
		})
	}
	d := open(t, Options{})
	x := d.New(9, 2)
	for i := range 3 {
		bounds := make([]float32, 9)
		bounds[i] = float32(i)
		d.Noise(x, bounds, engine.Noise{Key: uint64(i), Stream: uint64(2 * i)})
		d.Start()
	}
	if s := d.Stats(); s.Compiled != 1 || s.Ran != 3 {
		t.Errorf("%d programs compiled and %d ran, want 1 and 3", s.Compiled, s.Ran)
	}
	refused(t, d, "bounds of other rows", func() { d.Noise(x, make([]float32, 8), engine.Noise{}) })
}
