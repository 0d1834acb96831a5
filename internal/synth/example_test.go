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
