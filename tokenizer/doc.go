// Package tokenizer turns text into the ids of a vocabulary and back.
//
// # What it is
//
// There are two kinds of vocabulary: UNIMO's own, which is RoBERTa's, and BERT's WordPiece,
// for models that start from a BERT.
//
// UNIMO's algorithm is the byte-level byte pair encoding of GPT-2. Text is cut into
// words by GPT-2's pattern, which keeps a leading space with its word:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// A word starts as its bytes; the pair of neighbouring symbols with the lowest
// rank in the list of merges is joined, everywhere in the word, until no pair is in
// the list. Since every byte is a symbol, nothing is unknown and decoding gives
// back the bytes, valid UTF-8 or not.
//
// # Three numberings
//
//	symbol     index of a piece inside this package; merging works on symbols
//	BPE id     the number of a piece in encoder.json (GPT-2's id)
//	UNIMO id   the row of the embedding: what Encode returns and Decode takes
//
// vocab.txt leads from BPE id to UNIMO id: its line n (from 0) holds the BPE id, in
// decimal, of the piece whose UNIMO id is n, or the name of a special token.
// In the released vocabulary UNIMO ids are ordered by frequency: [CLS] 0, [PAD] 1,
// [SEP] 2, [UNK] 3, pieces, three words made up to fill the table, [MASK] last. It
// is RoBERTa's vocabulary under other names. A piece that vocab.txt leaves out
// encodes as [UNK].
//
// Differs from the reference: a stretch of more than 80 KiB without white space and without punctuation behind a
// letter, which no text in words has, is cut there before it is encoded, so that no word takes much memory.
//
// # WordPiece
//
// Controls are dropped, accents too where text is lower-cased; a word ends at white space,
// and every punctuation mark and CJK character is a word. A word becomes the longest piece
// that starts it, then the longest piece, marked by "##", that goes on from there, and so on.
// A word of more than 100 characters, or one that no pieces make up, is [UNK]. Lower-casing is
// that of each letter by itself: it knows no final sigma.
//
// Decoding puts a space before every word but . , ! and ?, also before the first.
//
// # Files
//
// A folder holds one of four sets, and [Load] takes the first that is complete:
//
//	encoder.json  vocab.bpe  vocab.txt    UNIMO's (any "NAME." may precede)
//	vocab.json    merges.txt              Hugging Face's, as for RoBERTa
//	vocab.txt                             BERT's, one token a line
//	tokenizer.json                        Hugging Face's, of either kind
//
// BERT's vocab.txt is told from UNIMO's by its words. RoBERTa's names <s>, <pad>, </s>,
// <unk>, <mask> are read as [CLS], [PAD], [SEP], [UNK], [MASK]. The same vocabulary gives
// the same ids in all forms, special tokens in a text excepted.
//
// # Added tokens
//
// Tokens that were added to a vocabulary of Hugging Face's ("added_tokens" of tokenizer.json,
// "added_tokens_decoder" of tokenizer_config.json, added_tokens.json) are found in a text before
// anything else; so are the special tokens of such a vocabulary, unless "split_special_tokens" of
// tokenizer_config.json is true. Of UNIMO's own files only what "added_tokens_decoder" and
// added_tokens.json name is looked for: [SEP] in a text is text. Ids, also those of lstrip, rstrip,
// single_word and normalized, are those of Hugging Face's tokenizers; added.go has the rules.
//
// # Lower case
//
// The released models saw only lower-cased text, so encoding lower-cases first,
// unless "do_lower_case" in the folder's tokenizer_config.json is false, or is absent
// and the normalizer of tokenizer.json does not lower-case, or the caller says so
// ([WithLowerCase], [Tokenizer.SetLowerCase]). With byte pairs it is that of
// Python's str.lower, with the final sigma and the dotted I.
// Decoding then gives back the lower-cased bytes.
//
// Differs from the reference: there the tokenizer never lower-cases and the
// data was lower-cased beforehand.
//
// # How it is laid out
//
//	tokenizer.go  the type and what one can ask it     split.go  text into words
//	encode.go     words into ids                       lower.go  lower case
//	merge.go      the merging of one word              table.go  the hash tables
//	decode.go     ids into bytes and text              alphabet.go  bytes as characters
//	load.go, parse.go, scan.go, save.go  files        train.go  a vocabulary from text
//	wordpiece.go  words into ids, as BERT does         loadwordpiece.go  BERT's files
//	added.go      tokens found before all else
//
// Letters, numbers and white space are those of Unicode as Go's package unicode
// has it (15.0); characters assigned later count as punctuation. The
// reference's regex module goes by the Unicode of its own version, and Hugging Face's
// WordPiece by that of 2015, which has fewer marks and punctuation.
//
// Sources: Sennrich et al. 2016 (BPE); Radford et al. 2019 (bytes, the pattern);
// Wu et al. 2016 and Devlin et al. 2019 (WordPiece);
// UNIMO's released vocabulary files.
package tokenizer
