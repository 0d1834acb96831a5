// Package labelled turns files of labelled text into records of token ids.
//
//	file --Read--> []Example --Encoder--> []Record --batches.Plan--> [][]int
//
// An [Example] is one line as it was written, with its label resolved; a
// [Record] is its token ids; a plan is a list of batches, each a list of record
// numbers. Package model packs a batch's records.
//
// # Files
//
// The package reads TSV (the reference's and GLUE's own), CSV and JSON, whichever a file's content
// is. What a task's files have is a [Schema], declared by the task; which column is which follows
// from its name, by the table of package columns, or is said ([Columns]). An open schema takes
// its labels from the data ([LabelNames]). A file whose first line names no columns is read only if it fits
// one of the schema's headerless layouts, checked on every line, or if its columns are numbered; otherwise it is
// refused, because a guess would train on the wrong column or lose a line.
//
// TSV has no quoting: a quotation mark is a character like others. CSV is
// RFC 4180. Both are bytes: text that is not valid UTF-8 is kept as it is, the
// byte-level tokenizer can represent it. A byte order mark before the first line
// and a carriage return before a line feed are dropped. NUL bytes and records
// over [MaxLine] bytes are refused. Every error names file and line and says
// what to do; see [FileError].
//
// # Letters
//
// B sequences in a batch, T tokens in all of them, n records in a file.
//
// # Order
//
// The order of an epoch is a function of seed and epoch alone ([Permutation]),
// and batches can be asked for by number ([Batches.At]): a run continues in the
// middle of an epoch without reading what came before.
//
// # Layout of the package
//
//	schema.go       Schema, Layout, Role: what a task's files look like
//	read.go         Read: file to examples
//	header.go       which column is what
//	label.go        label values to classes and scores
//	json.go         JSON lines and lists as rows
//	lines.go        bounded, checked lines; TSV and CSV rows
//	errors.go       FileError
//	resolve.go      the file of a split inside a folder
//	shared.go       what two files have in common
//	record.go       Encoder: examples to token ids, truncation
//	plan.go         Permutation, Plan, Batches
//	prediction.go   prediction files of the reference and of GLUE
//
// Source: the reference's NLP/UNIMO/src/reader/classification_reader.py,
// regression_reader.py and batching.py; gluebenchmark.com for GLUE's files.
package labelled
