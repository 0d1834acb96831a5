// Package backend is what the protocols of a server ask of models, and the models behind it.
//
//	seam.go      Models and Model: what a protocol may ask
//	error.go     whose fault it is that there is no answer
//	observe.go   who watches
//	registry.go  the open models by their names; loading them again
//	folder.go    a model's folder, opened once for all that it can do
//	model.go     what requests share: errors, pictures, the way through the queue
//	embed.go     vectors
//	score.go     how well documents fit; relevance.go makes numbers from 0 to 1 of it
//	classify.go  classes, and answers to questions
//	write.go     texts and captions
//	search.go    the pictures of an index
//	queue.go     requests wait; batches of them go through the model
//	tokens.go    texts cut into tokens, and the vectors of these; shorten.go: texts of so many
//
// [Models] and [Model] are the seam: protocols know nothing else of models, and models nothing of protocols. An [*Error] says whose fault
// it is that a request has no answer, and each protocol gives it its own form. Package backendtest has models for the protocols' tests.
//
//	request --the caller's goroutine: tokens, regions of pictures--> items with their rows
//	   --queue of the model (bounded)--> batch: items of several requests of one kind, up to 2048 rows, packed without padding
//	   --as many batches of a model at a time as there are threads, each on one--> answers, to each request its own
//
// An answer is the same, bit for bit, whatever else is in the batch: a row of a product is summed in the same order in any of them. A request
// with many items is taken in parts, so that it does not keep the others waiting. One whose context ends leaves the queue, and a batch that
// nobody waits for any more is stopped.
package backend
