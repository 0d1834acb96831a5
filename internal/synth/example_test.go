package synth_test

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/synth"
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
	//    there is a large blue square to the right of a large red triangle
	//    a large blue square is at the bottom right and a large red triangle at the bottom left
	//    a large red triangle is to the left of a large blue square
	// (64,64)
	//    a small red square is right of a big yellow star
	//    a large yellow star is at the bottom left and a little red square at the top right
	//    the bottom left has a big yellow star and the top right a little red square
}
