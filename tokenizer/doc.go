// Package tokenizer turns text into the ids of a vocabulary and back.
//
//	t, err := tokenizer.Load("roberta-base") // a folder with a vocabulary
//	ids := t.Encode(nil, "a fine film")      // []int32, without special tokens
//	text := t.DecodeString(ids)
//
// It reads the vocabularies of UNIMO, RoBERTa and GPT-2 (byte-level byte pair encoding), of BERT and PaddleNLP
// (WordPiece) and of XLM-RoBERTa (Unigram), and trains new ones of the first kind: see [Train]. Ids are those of the programs that
// the vocabularies come from.
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
// BERT's vocab.txt is told from UNIMO's by its words. RoBERTa's names <s>, <pad>, </s>, <unk> and
// <mask> are read as [CLS], [PAD], [SEP], [UNK] and [MASK]. The same vocabulary gives the same ids in
// all forms, special tokens in a text excepted. Files may come from anybody: they are checked before
// they are used, and what is wrong is an error with file and line ([FileError]).
//
// # Letter case
//
// Encode lower-cases first, since the released UNIMO models saw lower-cased text only. It keeps letter
// case where "do_lower_case" in the folder's tokenizer_config.json is false, or is absent and the
// normalizer of tokenizer.json does not lower-case. [Tokenizer.WithLowerCase] decides otherwise, and
// [LoadHuggingFace] takes what a folder does not say as transformers do. With byte pairs lower case is
// that of Python's str.lower, with the final sigma and the dotted I. Decoding gives back the
// lower-cased text.
//
// Differs from the reference: there the tokenizer never lower-cases, and the data was lower-cased
// beforehand.
//
// # Byte pairs
//
// Text is cut into words by GPT-2's pattern, which keeps a leading space with its word:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// A word starts as its bytes. The pair of neighbouring pieces with the lowest rank in the list of
// merges is joined, everywhere in the word, until no pair is in the list. Every byte is a piece, so
// nothing is unknown, and decoding gives back the bytes, valid UTF-8 or not.
//
// A piece has two numbers in UNIMO's files: its BPE id in encoder.json, which is GPT-2's, and its id,
// the row of the embedding, which is its line in vocab.txt counted from 0. That line holds the BPE id
// in decimal, or the name of a special token ([Tokenizer.VocabLine]). A piece that vocab.txt leaves
// out encodes as [UNK].
//
// Differs from the reference: a stretch of more than 80 KiB without white space and without
// punctuation behind a letter, which no text in words has, is cut there before it is encoded, so that
// no word takes much memory.
//
// # Unigram
//
// A tokenizer.json of SentencePiece's Unigram, as XLM-RoBERTa has it, is read: every piece has a score, and a word becomes the
// pieces whose scores have the largest sum. Save writes the file as it was.
//
// # WordPiece
//
// Controls are dropped, accents too where text is lower-cased. A word ends at white space; every
// punctuation mark and CJK character is a word. A word becomes the longest piece that starts it, then
// the longest piece marked "##" that goes on from there, and so on. A word of more than 100
// characters, or one that no pieces make up, is [UNK]. Lower-casing is that of each letter by itself.
// Decoding puts a space before every word but . , ! and ?, also before the first, and none beside characters of Chinese
// or Japanese.
//
// # Added tokens
//
// Tokens that were added to a vocabulary of Hugging Face's are found in a text before anything else:
// those of "added_tokens" in tokenizer.json, of "added_tokens_decoder" in tokenizer_config.json, and
// of added_tokens.json. So are the special tokens of such a vocabulary, unless "split_special_tokens"
// of tokenizer_config.json is true. Of UNIMO's own files only what "added_tokens_decoder" and
// added_tokens.json name is looked for: [SEP] in a text is text. Ids, also those of lstrip, rstrip,
// single_word and normalized, are those of Hugging Face's tokenizers.
//
// # Unicode
//
// Letters, numbers and white space are those of Go's package unicode (15.0); characters assigned
// later count as punctuation. The reference's regex module goes by the Unicode of its own version, and
// Hugging Face's WordPiece by that of 2015, which has fewer marks and punctuation.
//
// Sources: Sennrich et al. 2016 (BPE); Radford et al. 2019 (bytes, the pattern); Wu et al. 2016 and
// Devlin et al. 2019 (WordPiece); UNIMO's released vocabulary files.
package tokenizer
