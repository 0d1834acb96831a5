package vectorstore_test

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/vectorstore"
)

// A database that is no kind of those that are known.
func ExampleOpen() {
	m, err := unimo.OpenRetriever("../testdata/shapes.model", unimo.Stores(vectorstore.Open))
	if err != nil {
		panic(err)
	}
	defer m.Close()
	err = m.WriteIndex(context.Background(), "../testdata/shapes/images", "INDEX", "file:///photos")
	fmt.Println(err)
	// Output: index INDEX: store file:///photos is of no kind that is known; want a URL such as postgres://ada@db.example:5432/photos or weaviate+http://db.example:8080
}
