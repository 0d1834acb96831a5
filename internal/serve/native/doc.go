// Package native is unimo's own protocol: what its models do with pictures and texts, in JSON. The page of the server speaks it.
//
//	GET  /models      what there is and what it does
//	POST /search      the pictures of an index that fit a text, or are like a picture
//	GET  /pictures    the pictures of the index; /pictures/ID is one of them
//	POST /caption     a text for a picture
//	POST /ask         answers to a question about a picture
//	POST /match       how well a picture and texts fit, or a text and pictures
//	POST /classify    classes of texts, of pairs of texts, and of statements about pictures
//	POST /generate    a text for a text, whole or in server-sent events
//
// A picture in a request is a data URL, or a file of a form (multipart/form-data). Every request may name a model; else it is the first.
// Answers are those of "unimo ... --json": package answer has both.
//
//	native.go      mounting, errors, what requests share
//	models.go      /models
//	pictures.go    /search, /pictures, /caption, /ask, /match
//	texts.go       /classify, /generate
//	operations.go  all of it for the OpenAPI page
package native
