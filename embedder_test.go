package unimo_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/unimo-go/unimo"
)

// Compare texts by their vectors. The model has learnt some lines of testdata/films by heart.
func ExampleOpenEmbedder() {
	m, err := unimo.OpenEmbedder("testdata/films.model", unimo.Pooling("mean"), unimo.Normalized(true))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	vectors, err := m.Embed(context.Background(), "a gripping and funny film", "a gripping film", "two hours i will never get back")
	if err != nil {
		log.Fatal(err)
	}
	like := func(a, b []float32) (sum float32) {
		for i := range a {
			sum += a[i] * b[i]
		}
		return sum
	}
	fmt.Println(len(vectors), len(vectors[0]) == m.Size(), like(vectors[0], vectors[1]) > like(vectors[0], vectors[2]))
	// Output: 3 true true
}

// A model for retrieval has vectors of pictures and of texts that are compared with each other.
func ExampleEmbedder_EmbedPictures() {
	m, err := unimo.OpenEmbedder("testdata/shapes.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/red-bar.png")
	if err != nil {
		log.Fatal(err)
	}
	pictures, err := m.EmbedPictures(context.Background(), picture)
	if err != nil {
		log.Fatal(err)
	}
	texts, err := m.Embed(context.Background(), "a red bar", "a blue square")
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range texts {
		var sum float32
		for i := range text {
			sum += text[i] * pictures[0][i]
		}
		fmt.Println(sum > 0.5)
	}
	// Output:
	// true
	// false
}

// What the folder does not say, options do.
func ExamplePooling() {
	m, err := unimo.OpenEmbedder("testdata/films.model", unimo.Pooling("cls"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Size(), m.Close())
	// Output: 8 <nil>
}

func ExampleNormalized() {
	m, err := unimo.OpenEmbedder("testdata/films.model", unimo.Normalized(true))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	vectors, err := m.Embed(context.Background(), "a funny film")
	if err != nil {
		log.Fatal(err)
	}
	var sum float32
	for _, x := range vectors[0] {
		sum += x * x
	}
	fmt.Printf("%.3f\n", sum)
	// Output: 1.000
}

// A prompt that the folder does not have is told apart.
func ExamplePrompt() {
	_, err := unimo.OpenEmbedder("testdata/films.model", unimo.Prompt("query"))
	fmt.Println(errors.Is(err, unimo.ErrSetting))
	// Output: true
}

// A network alone makes vectors of pictures.
func ExampleExtractor() {
	m, err := unimo.OpenEmbedder("", unimo.Extractor("internal/vision/vit/testdata/vit"))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/blue-square.png")
	if err != nil {
		log.Fatal(err)
	}
	vectors, err := m.EmbedPictures(context.Background(), picture)
	fmt.Println(len(vectors), m.Size(), err)
	// Output: 1 16 <nil>
}

func TestExtractorErrors(t *testing.T) {
	for want, options := range map[string][]unimo.Option{
		"extractor is empty":          {unimo.Extractor("")},
		`unknown extractor "pathces"`: {unimo.Extractor("pathces")},
		"are for texts":               {unimo.Extractor("internal/vision/vit/testdata/vit"), unimo.ForTask("films")},
	} {
		if _, err := unimo.OpenEmbedder("", options...); !errors.Is(err, unimo.ErrSetting) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := unimo.OpenEmbedder(""); !errors.Is(err, unimo.ErrSetting) {
		t.Errorf("nothing named: %v", err)
	}
	if _, err := unimo.Open("testdata/films.model", unimo.Extractor("patches")); !errors.Is(err, unimo.ErrSetting) || !strings.Contains(err.Error(), "reads no pictures") {
		t.Errorf("a model of texts: %v", err)
	}
}

func TestEmbedderErrors(t *testing.T) {
	for what, options := range map[string][]unimo.Option{
		"an unknown pooling": {unimo.Pooling("median")},
		"no pooling":         {unimo.Pooling("")},
		"an unknown prompt":  {unimo.Prompt("query")},
		"a task":             {unimo.ForTask("sst-2")},
	} {
		if _, err := unimo.OpenEmbedder("testdata/films.model", options...); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, option := range []unimo.Option{unimo.Pooling("mean"), unimo.Normalized(false), unimo.Prompt("query")} {
		if _, err := unimo.Open("testdata/films.model", option); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("an embedder's option for another model: %v", err)
		}
	}
	m, err := unimo.OpenEmbedder("testdata/films.model")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.EmbedPictures(t.Context(), []byte("no picture")); err == nil {
		t.Error("a model of texts made vectors of pictures")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Embed(t.Context(), "a"); !errors.Is(err, unimo.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := new(unimo.Embedder).Embed(t.Context(), "a"); !errors.Is(err, unimo.ErrClosed) {
		t.Errorf("the zero value: %v", err)
	}
}

// Who asks for vectors of what a model does not read asks wrongly.
func TestEmbedderOfOtherThings(t *testing.T) {
	texts, err := unimo.OpenEmbedder("testdata/films.model")
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	if _, err := texts.EmbedPictures(t.Context(), []byte("a picture")); !errors.Is(err, unimo.ErrSetting) {
		t.Errorf("pictures: %v", err)
	}
	pictures, err := unimo.OpenEmbedder("", unimo.Extractor("internal/vision/vit/testdata/vit"))
	if err != nil {
		t.Fatal(err)
	}
	defer pictures.Close()
	if _, err := pictures.Embed(t.Context(), "a text"); !errors.Is(err, unimo.ErrSetting) {
		t.Errorf("texts: %v", err)
	}
}
