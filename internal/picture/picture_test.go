package picture

import (
	"bytes"
	"testing"
)

func TestPNGRoundTrip(t *testing.T) {
	p := &Picture{Width: 2, Height: 1, Pix: []byte{255, 0, 0, 1, 2, 3}}
	var file bytes.Buffer
	if err := p.WritePNG(&file); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(file.Bytes(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Width != 2 || got.Height != 1 || !bytes.Equal(got.Pix, p.Pix) {
		t.Errorf("got %v, want %v", got, p)
	}
}
