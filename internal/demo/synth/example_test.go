package synth_test

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/demo/synth"
)

func ExampleOpinions() {
	train, heldOut := synth.Opinions(1, 2000, 3)
	fmt.Println(len(train), "for training")
	for _, o := range heldOut {
		fmt.Println(o.Text)
		fmt.Println("  ", o.Meaning)
	}
	// Output:
	// 2000 for training
	// nobody criticised the movie
	//    [nobody criticise: positive]
	// i did n't particularly love the salad , even though the soup was extremely impressive .
	//    even though (last): [affirm extremely impressive: positive] yields to [n't particularly love: negative]
	// the critics barely regretted the speaker , but it is anything but sturdy .
	//    but: [barely regret: positive] yields to [anything but sturdy: negative]
}

func ExampleScenes() {
	_, heldOut := synth.Scenes(1, 1000, 2)
	for _, scene := range heldOut {
		fmt.Println(scene.Draw(64).Bounds().Size())
		for _, caption := range scene.Captions {
			fmt.Println("  ", caption)
		}
	}
	// Output:
	// (64,64)
	//    a small black star is left of a small orange triangle
	//    at the bottom left is a small black star and at the bottom right a small orange triangle
	//    a little black star is at the bottom left and a little orange triangle at the bottom right
	// (64,64)
	//    a large purple circle is to the right of a little black circle
	//    the top right has a big purple circle and the top left a little black circle
	//    the top right has a large purple circle and the top left a little black circle
}
