package regions_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Features of pictures are written once, read back, and packed for the model.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "black.png"))
	if err != nil {
		log.Fatal(err)
	}
	black := picture.Picture{Width: 300, Height: 200, Pix: make([]byte, 3*300*200)}
	if err := black.WritePNG(f); err != nil {
		log.Fatal(err)
	}
	f.Close()

	x, err := regions.NewExtractor(regions.Spec{Extractor: regions.Patches, ImageSize: 32, PatchSize: 16})
	if err != nil {
		log.Fatal(err)
	}
	pictures := regions.NewPictures(dir, []string{"black.png"}, x, picture.DefaultLimits, 1<<20)
	lines := filepath.Join(dir, "features.tsv")
	if err := regions.WriteReference(lines, x.Dim(), regions.Read(pictures, pictures.IDs())); err != nil {
		log.Fatal(err)
	}

	source, info, err := regions.Open(lines, regions.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	fmt.Println(info.Format, info.Images, info.MaxRegions, info.Dim)
	var im regions.Image
	if err := source.Image("black.png", &im); err != nil {
		log.Fatal(err)
	}
	features, locations := im.AppendRows(nil, nil)
	fmt.Println(len(locations)/regions.LocationSize, locations[5:10], features[0])
	// Output:
	// reference lines 1 4 768
	// 5 [0 0 0.5 0.5 0.25] -1
}
