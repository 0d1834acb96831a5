package batches

// FirstPosition is the position id of the first token; 1 is padding.
const FirstPosition = 2

// MinSeqLen is the least length limit: [CLS], [SEP] and [SEP] of a pair.
const MinSeqLen = 3

// Tokenizer is what encoding needs of a vocabulary.
type Tokenizer interface {
	// EncodeUpTo appends the first ids of text to dst, most of them at most, and says whether there are more.
	EncodeUpTo(dst []int32, text string, most int) (ids []int32, more bool)
	CLS() int32
	SEP() int32
}
