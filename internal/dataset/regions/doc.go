// Package regions holds images as the model sees them: n regions, each with a feature
// vector and a box.
//
// A [Source] gives images by id, wherever they come from:
//
//   - [Open] reads features that a detector or another extractor computed: the
//     reference's lines, bottom-up-attention's TSV, NumPy's files, and the store of this
//     program. Files are mapped and indexed, not loaded: a file of 37 GB costs an entry of
//     some hundred bytes an image, and a feature is decoded when its image is asked for.
//   - [Within] has the images that stand in the lines of texts, as in the reference's files of SNLI-VE
//     and COCO.
//   - [Pictures] computes features from picture files by an [Extractor]: patches of
//     pixels, or statistics of colour and gradient.
//
// [Writer] writes the store, [WriteReference] the reference's lines. [Image.AppendRows]
// gives the rows that a model reads, the global region in front.
//
// Everything read is taken as hostile: counts are checked against the bytes that are
// there before anything is allocated, and what is wrong comes back as an error that
// names the file and the line.
package regions
