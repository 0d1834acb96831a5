// Package seq2seq turns files of text-to-text data into packed batches: questions in a
// conversation, question generation, summaries, and whatever else reads a text and
// writes one.
//
//	file --ReadFile--> []Example --Encoder--> []Record --data.Batches--> record numbers --Batch.Pack--> Batch
//
// An [Example] is what the file says; a [Record] is its token ids, source and target
// behind each other; a [Batch] is what the model reads.
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
// # Letters
//
// B sequences in a batch, T tokens in all of them, L tokens of their targets.
//
// Sources: the reference's NLP/UNIMO/src/reader/seq2seq_reader.py.
package seq2seq
