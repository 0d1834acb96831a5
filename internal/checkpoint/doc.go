// Package checkpoint reads and writes files of named tensors.
//
// It knows tensors and formats, never the model: which names a model needs, and
// what their shapes should be, is a table of the model's package.
//
// # Formats
//
//   - safetensors, as Hugging Face writes it: one file, or a folder that holds
//     model.safetensors, or one with model.safetensors.index.json and shards.
//     The file is memory-mapped, so opening costs the header and not the data.
//   - Paddle, as fluid.io.save_vars of PaddlePaddle 1.8 writes it: a folder with
//     one file per variable, whose name is the tensor's name; or a .tar,
//     .tar.gz or .tgz of such a folder, as the models were released. Archives
//     are read into memory and never unpacked to disk.
//
// [Open] recognises them by content. Every reader takes its input as hostile:
// lengths are checked against the bytes that are there before anything is
// allocated, nothing outside the folder that was named is read, and whatever is
// wrong comes back as an error that names the file and, once one is known, the
// tensor.
//
// # Layout of safetensors
//
//	u64 n | n bytes of JSON, padded with spaces | data
//
// The JSON object maps a name to {"dtype", "shape", "data_offsets": [begin, end]},
// offsets counted from the first byte of data; "__metadata__" maps strings to
// strings. The spans must cover data without gap or overlap. Source: the format's
// description in huggingface/safetensors.
//
// # Layout of a Paddle variable
//
//	u32 0 | u64 levels | levels x (u64 size, size bytes) | u32 0 | i32 n | n bytes of TensorDesc | data
//
// TensorDesc is the protobuf message VarType.TensorDesc of Paddle's
// framework.proto: field 1 the element type, field 2 the dimensions. The levels
// (LoD, the borders of sequences) carry nothing for parameters; they are skipped.
//
// In both formats numbers are little-endian and tensors row-major, so that
// converting between them copies the bytes of a tensor unchanged.
package checkpoint
