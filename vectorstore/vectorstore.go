// Package vectorstore has the clients of vector databases for indexes of pictures. Say
//
//	index, err := unimo.OpenIndex("INDEX", unimo.Stores(vectorstore.Open))
//
// for an index that "unimo index --store" has put into one, or that is to be:
//
//	m, err := unimo.OpenRetriever("RUN", unimo.Stores(vectorstore.Open))
//	...
//	err = m.WriteIndex(ctx, "PHOTOS", "INDEX", "postgres://ada@db.example/photos")
//
// postgres:// is PostgreSQL with the extension vector. Passwords come from the URL, or from PGPASSWORD and ~/.pgpass as psql takes them.
// weaviate+http:// and weaviate+https:// are Weaviate, whose API key is in WEAVIATE_API_KEY.
package vectorstore

import (
	"context"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store"
)

// Open is for [unimo.Stores]: it connects to the database of an index, whose kind the URLs' scheme says. Several URLs are shards.
func Open(ctx context.Context, urls []string, c rank.Collection) (rank.Database, error) {
	return store.Open(ctx, urls, c)
}
