// Package seq2seq turns files of text-to-text data into records of token ids: questions in a
// conversation, question generation, summaries, and whatever else reads a text and
// writes one.
//
//	file --ReadFile--> []Example --Encoder--> []Record
//
// An [Example] is what the file says; a [Record] is its token ids, source and target
// behind each other. Package model packs the records of a batch.
//
// # A record
//
// The tokens of a record are its source, then [CLS], then the target without its last token:
//
//	tokens     [CLS] s1 s2 [SEP] [CLS] t1 t2
//	positions    2   3  4    5     2   3  4
//	labels                        t1  t2 [MASK]
//
// The target's row i sees the source and the target up to i and is asked for labels[i];
// [MASK] ends a target. Every source text is ended by [SEP] and has positions from 3 on,
// whatever stands before it; with Encoder.ContinuousPositions the positions run through
// source and target.
//
// In a dialogue the source is the passage, then the turns, oldest first. Every token has
// a turn (the question 1, what was said before it 2, and so on; the passage and the
// target 0) and a role (the question 1, the answer before it 0, alternating; the passage
// 2; the target 0). The [CLS] in front has those of the oldest turn.
//
// # Files
//
// [ReadFile] knows the reference's TSV of text or ids, CoQA's and SQuAD's JSON, pairs of
// line-aligned files, CNN/DailyMail's stories, JSON lines and CSV, and recognises them by
// name and content. docs/reference/text.md describes them. Every error names file and line and
// says what to do; with Options.Problem, reading tells what is wrong with an example and goes on.
// [Split] divides examples so that a passage is never on both sides.
//
// # Letters
//
// B sequences in a batch, T tokens in all of them, L tokens of their targets.
//
// # Layout of the package
//
//	example.go    Example
//	task.go       the tasks and their limits
//	encode.go     Encoder: examples to token ids, truncation
//	read.go       ReadFile: kinds of files, recognition, compression
//	rows.go       TSV and CSV
//	jsonlines.go  JSON lines
//	document.go   CoQA's and SQuAD's JSON
//	pairs.go      line-aligned files
//	stories.go    CNN/DailyMail's stories
//	write.go      JSON lines and TSV
//	resolve.go    the file of a split inside a folder
//	split.go      Split, GroupRuns
//	prepare.go    Prepare: official files to a folder of splits
//	validate.go   Validate: what is in files and what is wrong
//
// Sources: the reference's NLP/UNIMO/src/reader/seq2seq_reader.py.
package seq2seq
