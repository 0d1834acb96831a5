// Package store keeps the vectors of an index in a vector database that people already run: a [rank.Database].
//
//	db, err := store.Open(ctx, []string{"postgres://ada@db.example/photos"}, collection)
//
// The scheme of a URL says which database it is; a package below has its client:
//
//	postgres://      PostgreSQL with the extension vector (package pgvector)
//	weaviate+http:// Weaviate (package weaviate), and weaviate+https://
//
// Several URLs are shards. Each server has the vectors of some ids, by a hash of the id, and a query asks all of them. The answer is as exact
// as theirs are: the best of all are among the best of each. A server that does not answer is an error, never a part of an answer.
package store
