// Package related finds, for images with captions, what pre-training compares them with: the
// captions of other images that are most alike (hard negatives), and from collections of texts and of
// images alone the texts nearest to the captions and the images with the most objects in common
// (weak positives). UNIMO, section 3.3, takes both by TF-IDF and by detected objects.
//
// [Build] finds all of it once and writes a folder; an [Index] reads that folder.
//
// # What is alike
//
// A text is its words in lower case, without the most frequent words of English, by their stems. Its
// vector has a value (1 + ln c) ln(1 + N/n) for a stem that occurs c times in it and in n of the N texts
// of its collection. An image is the set of its objects, with a value sqrt(ln(1 + N/n)) for each, so that a
// product is the sum over shared objects. The score of two is the cosine of their vectors; the first of equals wins.
// The captions of an image together are one query for texts.
//
// Texts with the same words are the same text: what is found never equals a caption of the image
// itself, and nothing is found twice. A pair's own image is not found either, if it has the same key in the collection.
//
// # How it is found
//
// A collection is written to a temporary file as it is read, while its terms are counted. Then it is read in
// blocks, each an inverted index in memory that all queries search, in parallel; their best so far are kept.
// So the pairs, the lists of results and the distinct terms are in memory, the collections never. The bytes written are a
// function of the input, whatever the number of threads.
//
// # The folder
//
// related.safetensors has the metadata version and fingerprint, and P pairs by key, C captions:
//
//	keys, keys.ends          U8, I64 [P]    all keys in one, sorted, and where each ends
//	first                    I64 [P+1]      the number of each pair's first caption, and C
//	captions                 I32 [C, k]     for every caption the numbers of others, best first; -1 where there are no more
//	texts, images            I32 [P, k]     likewise for every pair
//	captions.names, .ends    U8, I64        what the numbers stand for, as keys; likewise texts and images
package related
