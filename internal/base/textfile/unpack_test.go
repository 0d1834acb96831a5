package textfile

import (
	"io"
	"strings"
	"testing"
)

func TestBombs(t *testing.T) {
	b := &bounded{file: "f", r: strings.NewReader("0123456789"), left: 8}
	got, err := io.ReadAll(b)
	if err == nil || !strings.Contains(err.Error(), "f: decompresses to more than") || string(got) != "01234567" {
		t.Errorf("got %q, %v", got, err)
	}
}
