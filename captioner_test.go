package unimo_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"

	"github.com/unimo-go/unimo"
)

func TestCaptioner(t *testing.T) {
	m, err := unimo.OpenCaptioner("testdata/captions.model")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/shapes/images/green-bar.png")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Caption(t.Context(), []byte("no picture")); err == nil {
		t.Error("a text was captioned")
	}
	impossible := m.Decoding()
	impossible.MaxLength = 0
	if _, err := m.CaptionWith(t.Context(), impossible, raw); !errors.Is(err, unimo.ErrSetting) {
		t.Errorf("an impossible decoding: %v", err)
	}
	drawn := m.Decoding()
	drawn.Sample, drawn.Temperature = true, 5
	if a, err := m.CaptionWith(t.Context(), drawn, raw); err != nil || a.Text == "" || a.Score >= 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.Caption(t.Context(), raw); !errors.Is(err, unimo.ErrClosed) {
		t.Errorf("a closed model: %v", err)
	}
	var none unimo.Captioner
	if _, err := none.Caption(t.Context(), raw); !errors.Is(err, unimo.ErrClosed) {
		t.Errorf("the zero value: %v", err)
	}
	if _, err := unimo.OpenCaptioner("testdata/shapes.model"); !errors.Is(err, unimo.ErrWrongTask) {
		t.Errorf("a model that finds pictures: %v", err)
	}
	if _, err := unimo.OpenCaptioner(""); !errors.Is(err, unimo.ErrSetting) {
		t.Errorf("no folder: %v", err)
	}
}

// Write what is to be seen in a picture. The model has learnt the six pictures of testdata/shapes by heart.
func ExampleOpenCaptioner() {
	m, err := unimo.OpenCaptioner("testdata/captions.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/red-bar.png")
	if err != nil {
		log.Fatal(err)
	}
	caption, err := m.Caption(context.Background(), picture)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(caption.Text)
	// Output: a red bar
}

// Begin with the model's own decoding and change what is to be another.
func ExampleCaptioner_CaptionWith() {
	m, err := unimo.OpenCaptioner("testdata/captions.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/blue-square.png")
	if err != nil {
		log.Fatal(err)
	}
	short := m.Decoding()
	short.Beam, short.MaxLength = 1, 2
	caption, err := m.CaptionWith(context.Background(), short, picture)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(caption.Finished)
	// Output: false
}
