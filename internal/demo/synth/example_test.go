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
	// the bathroom of the hotel is quite good
	//    [affirm quite good: positive]
	// the critics did n't find the music bad , yet we truly detested it .
	//    yet: [n't bad: positive] yields to [affirm truly detest: negative]
	// although i hated the film 's ending , the acting is extremely satisfying
	//    although: [affirm hate: negative] yields to [affirm extremely satisfying: positive]
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
	//    a small black circle is below a big black triangle
	//    the top left has a big black triangle and the bottom left a little black circle
	//    a small black circle is at the bottom left and a big black triangle at the top left
	// (64,64)
	//    there is a big red square above a big orange triangle
	//    at the bottom right is a big orange triangle and at the top right a large red square
	//    the top right has a big red square and the bottom right a large orange triangle
}

func ExampleCurtainScenes() {
	_, heldOut := synth.CurtainScenes(1, 1000, 1)
	for _, scene := range heldOut {
		fmt.Println(scene.Captions[0])
		for _, q := range scene.Questions {
			fmt.Println("  ", q.Text, q.Answer)
		}
		for _, h := range scene.Hypotheses {
			fmt.Printf("   %s: %s\n", h.Text, h.Label)
		}
		holds, understood := scene.Judge("a small black circle above a big black triangle")
		fmt.Println(holds, understood)
	}
	// Output:
	// a small black circle below a big black triangle
	//    what colour is the big object? black
	//    what shape is the big black object? triangle
	//    is the circle big or small? small
	//    where is the triangle? top left
	//    what is at the top left? triangle
	//    how many rings do you see? 0
	//    do you see a big black triangle? yes
	//    you see a star: contradiction
	//    you see a big black triangle: entailment
	//    at the bottom right is a black object: neutral
	// false true
}
