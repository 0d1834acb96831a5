package related_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/pretrain/related"
)

func Example() {
	parent, err := os.MkdirTemp("", "related")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(parent)
	pairs := func(yield func(related.Pair, error) bool) {
		_ = yield(related.Pair{Key: "1.jpg", Captions: []string{"A dog runs in the snow."}, Objects: []string{"dog", "snow"}}, nil) &&
			yield(related.Pair{Key: "2.jpg", Captions: []string{"Two dogs play on a beach."}, Objects: []string{"dog", "sand"}}, nil)
	}
	texts := func(yield func(string, error) bool) {
		_ = yield("It snowed all night.", nil) && yield("The train was late.", nil)
	}
	images := func(yield func(related.Pair, error) bool) {
		_ = yield(related.Pair{Key: "mountain.jpg", Objects: []string{"snow", "tree"}}, nil) &&
			yield(related.Pair{Key: "desert.jpg", Objects: []string{"sand"}}, nil)
	}
	dir := filepath.Join(parent, "index")
	options := related.Options{Captions: 10, Texts: 10, Images: 10}
	if err := related.Build(context.Background(), dir, pairs, texts, images, options, nil); err != nil {
		log.Fatal(err)
	}
	index, err := related.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	found, err := index.Related("1.jpg")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("hard negatives:", found.Captions[0])
	fmt.Println("weak positives:", found.Texts, found.Images)
	// Output:
	// hard negatives: [Two dogs play on a beach.]
	// weak positives: [It snowed all night.] [mountain.jpg]
}
