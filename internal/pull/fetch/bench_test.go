package fetch

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/test/hubs"
)

// BenchmarkFetch compares what a fetch brings, hashing included, with one plain connection that writes to a file and does not hash.
func BenchmarkFetch(b *testing.B) {
	data := content(128<<20, 9)
	s := hubs.NewFiles(b)
	address := s.Add("/file", data)
	sum := Sum{SHA256, hubs.SHA256(data), "the test"}
	root, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	client := NewClient(NewTransport(30 * time.Second))
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			resp, err := http.Get(address)
			if err != nil {
				b.Fatal(err)
			}
			f, err := os.Create(filepath.Join(root.Name(), "plain"))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{resp.Body}, make([]byte, bufferSize)); err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
			f.Close()
			os.Remove(f.Name()) // so that each writes a new file, as a fetch does
		}
	})
	for _, connections := range []int{1, 4} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				f := Fetcher{Connections: connections}
				if _, err := f.Get(b.Context(), root, "x", File{What: "f", URL: address, Client: client, Size: int64(len(data)), Sum: sum}); err != nil {
					b.Fatal(err)
				}
				root.Remove("x" + PartSuffix)
			}
		})
	}
}
