package regions

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLargeFile makes the index of a file of lines of 1.1 GB, whose features are holes, and
// counts what it allocates.
func TestLargeFile(t *testing.T) {
	const images, dim = 1000, 2048
	im := testImage("", 100, 1, 500, 375)
	boxes, size := field(im.Boxes...), encodedSize(100*dim)
	path := filepath.Join(t.TempDir(), "x.tsv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(s string) {
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	for i := range images {
		write(fmt.Sprintf("%d\t500\t375\t100\t%s\t", i, boxes))
		if i == 0 { // where the field ends has to be looked for, so that it may not be a hole
			write(strings.Repeat("A", size-1) + "=\n")
			continue
		}
		if _, err := f.Seek(int64(size-4), io.SeekCurrent); err != nil {
			t.Fatal(err)
		}
		write("AAA=\n")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, info := openTest(t, path, Options{})
	runtime.ReadMemStats(&after)
	if info.Images != images || info.Dim != dim || info.Bytes < 1<<30 {
		t.Errorf("%+v", info)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("opening allocated %d bytes for %d images", got, images)
	}
	if err := s.Image("1", new(Image)); err == nil || !strings.Contains(err.Error(), "x.tsv:2: ") {
		t.Errorf("a hole in the features: %v", err)
	}
}

// TestReadingLeavesNothing reads all images of a file and looks at what the process holds
// of it afterwards.
func TestReadingLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: pages are released on Linux only")
	}
	path := writeLines(t, detected(32)) // 35 MB
	s, info := openTest(t, path, Options{})
	before := residentFiles(t)
	var im Image
	for _, id := range s.IDs() {
		if err := s.Image(id, &im); err != nil {
			t.Fatal(err)
		}
	}
	if grown := residentFiles(t) - before; grown > info.Bytes/32 {
		t.Errorf("%d bytes of the file's %d stay in the process", grown, info.Bytes)
	}
}

// residentFiles returns how many bytes of files the process holds.
func residentFiles(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "RssFile:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); !ok || err != nil {
		t.Skip("not run: the system does not say what files the process holds")
	}
	return kilobytes << 10
}
