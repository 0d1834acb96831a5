package captions_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/dataset/captions"
)

func Example() {
	dir, err := os.MkdirTemp("", "captions")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string]string{
		"captions.csv": "image,caption\ndog.jpg,A dog runs.\ncat.jpg,A cat sleeps on the left.\ndog.jpg,A brown dog.\n",
		"train.txt":    "dog.jpg\ncat.jpg\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	set, err := captions.Read(dir, "train")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("captions of", set.Images[0], "are", set.Of(0))
	groups := captions.Groups{Set: set, Negatives: 2, Seed: 1}
	group := groups.At(0, 1)
	fmt.Println("right:", set.Captions[group.Captions[0]].Text, "wrong image:", set.Images[group.Images[1]])
	fmt.Println(captions.MirrorText(set.Captions[1].Text))
	// Output:
	// captions of dog.jpg are [0 2]
	// right: A cat sleeps on the left. wrong image: dog.jpg
	// A cat sleeps on the right.
}
