// Package captions reads, prepares and checks images with captions, and draws the groups
// that retrieval is trained on.
//
// A folder of data has
//
//	images/        the pictures; absent where their region features are elsewhere
//	captions.csv   columns image, caption and, if wanted, id; or captions.jsonl, an
//	               object {"image", "caption", "tokens", "id"} a line
//	train.txt      the names of the images of a split, one a line; and so dev.txt, test.txt
//
// The name of an image is its path within images/, with slashes, or what its features go
// by. [Read] reads a split of such a folder, [Prepare] writes a folder from the forms in
// which the data are handed around, [Validate] says what is wrong with one.
//
// docs/reference/images.md describes all forms. Errors about files are [*data.FileError].
package captions
