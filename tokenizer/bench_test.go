package tokenizer

import (
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// english returns n bytes of running English text, or skips.
func english(tb testing.TB, n int) string {
	tb.Helper()
	f, err := os.Open(golden.Data(tb, "books/books.txt.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(unpacked, text); err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func BenchmarkEncode(b *testing.B) {
	text := english(b, 4<<20)
	for _, bench := range []struct {
		name  string
		lower bool
		text  string
	}{
		{"AsIs", false, text},
		{"LowerCase", true, text},
		{"Spaceless64KB", false, strings.ReplaceAll(text[:1<<20], " ", "")[:64<<10]},
		{"OneWord64KB", false, strings.Repeat("abcdefghijklmnopqrstuvwxyzetaoin", 2<<10)},
		{"Sentence", true, "it is a charming and often affecting journey . "},
		{"Russian", true, strings.Repeat("Все счастливые семьи похожи друг на друга. ", 1000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			t := released(b).WithLowerCase(bench.lower)
			dst := t.Encode(nil, bench.text)
			b.SetBytes(int64(len(bench.text)))
			b.ReportAllocs()
			for b.Loop() {
				dst = t.Encode(dst[:0], bench.text)
			}
			b.ReportMetric(float64(len(dst))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtoken/s")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	text := english(b, 1<<20)
	t := released(b).WithLowerCase(false)
	ids := t.Encode(nil, text)
	dst := t.Decode(nil, ids)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		dst = t.Decode(dst[:0], ids)
	}
}

func BenchmarkLoad(b *testing.B) {
	dir := golden.Data(b, "unimo-dict")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}
