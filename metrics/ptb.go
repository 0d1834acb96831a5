package metrics

import (
	"strings"

	"github.com/unimo-go/unimo/internal/base/ptb"
)

// PTBTokenize splits a caption into lower-case words as COCO's evaluation of captions does before it
// scores them (PTBTokenizer of pycocoevalcap 1.2, which is Stanford CoreNLP 3.4.1 and a list of
// punctuation to leave out): "It's a man's T-shirt, isn't it?" gives it 's a man 's t-shirt is n't it.
//
// Brackets become -lrb- and -rrb- and stay: the list has them in capitals only. Characters that the
// tokenizer does not know separate words and go; letters of all languages are words. A word may hold
// no-break spaces ("5 1/2"). White space of every kind, line breaks too, is a space. Words of more than
// 1000 characters are cut.
//
// Scores take texts: join the words with spaces, or see [PTBTokenizeAll].
func PTBTokenize(caption string) []string {
	return ptb.Words([]string{caption})[0]
}

// PTBTokenizeAll tokenizes captions as [PTBTokenize] does, and returns each with spaces between its
// words, as [BLEU], [METEOR], [CaptionROUGEL] and [CIDErD] take it. It reads them one after the other, as
// the program does: whether the full stop belongs to the last word of "they like vitamin C." depends on
// how the next caption begins.
func PTBTokenizeAll(captions []string) []string {
	out := make([]string, len(captions))
	for i, words := range ptb.Words(captions) {
		out[i] = strings.Join(words, " ")
	}
	return out
}
