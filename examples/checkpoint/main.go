// Command checkpoint lists the tensors of a file of weights: safetensors, PyTorch's or Paddle's.
//
//	go run ./examples/checkpoint
//	go run ./examples/checkpoint pytorch_model.bin
package main

import (
	"flag"
	"fmt"
	"log"

	"github.com/unimo-go/unimo/checkpoint"
)

func main() {
	flag.Parse()
	path := "testdata/films.model/model.safetensors"
	if flag.NArg() > 0 {
		path = flag.Arg(0)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for _, info := range r.Tensors() {
		fmt.Println(info.Name, info.DType, info.Shape)
	}
}
