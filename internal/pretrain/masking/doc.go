// Package masking chooses what pre-training hides and a model must find again.
//
//   - [Language]: words and phrases of a text, for masked language modelling.
//   - [Fragments]: pieces of a text that are taken out and written again, for text to text.
//   - [Regions]: regions of an image, with those that show the same.
//
// All of it is a function of the random numbers handed in: the same generator gives the
// same choice. Values may be used by several goroutines at once, each with its own
// generator.
//
// # Words
//
// Nothing is chosen below the level of words, as a part of a word gives the rest away. A
// word is a token and those behind it that continue it; special tokens and punctuation end
// a word and are no part of one.
//
// # Shares
//
// A share is met on average: what would go beyond it is the last to be chosen, with the
// probability that makes the mean right. Short texts have more, as at least one word is
// chosen.
package masking
