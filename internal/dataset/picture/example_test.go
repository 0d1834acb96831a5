package picture_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// A picture is read, and shrunk for a model; in training also cut and flipped at random.
func Example() {
	dir, err := os.MkdirTemp("", "picture")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "red.png")
	if err := writeRed(path); err != nil {
		log.Fatal(err)
	}

	var small, augmented *picture.Picture
	err = picture.VisitFile(path, picture.Limits{}, func(p *picture.Picture) { // the default limits
		fmt.Println(p.Width, p.Height)
		small = p.Resize(2, 1)
		augmented, _ = p.Augment(picture.Augmentation{MinArea: 0.5, Flip: true}, random.New(7, "example"), 2, 1)
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(small.Pix, augmented.Pix)
	// Output:
	// 20 10
	// [200 0 0 200 0 0] [200 0 0 200 0 0]
}

func writeRed(path string) error {
	p := picture.Picture{Width: 20, Height: 10, Pix: make([]byte, 20*10*3)}
	for i := 0; i < len(p.Pix); i += 3 {
		p.Pix[i] = 200
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return p.WritePNG(f)
}
