// Package vqa reads questions about pictures and their answers.
//
//	file, err := vqa.Resolve("DATA", "train")
//	set, err := vqa.Read(file, vqa.Options{})
//	set.Examples[0].Question, set.Examples[0].Answers
//
// The forms are VQA's questions and annotations, easy-VQA's and GQA's JSON, and tables and JSON lines with
// question, answer and image; docs/reference/questions.md describes them. Errors about files are [*textfile.FileError].
//
//	set.go       Set, Read
//	document.go  JSON
//	table.go     tables, JSON lines
//	locate.go    which file is the picture of a question
//	find.go      which file is of a split
//	answers.go   Score, Gold: what is right
//	result.go    result files as VQA's server takes them
package vqa
