// Package checkpoint reads and writes files of named tensors: safetensors, PyTorch's and Paddle's; it reads TensorFlow.js's.
//
//	r, err := checkpoint.Open("roberta-base") // a file, or a folder with model.safetensors, ...
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	for _, info := range r.Tensors() {
//		fmt.Println(info.Name, info.DType, info.Shape)
//	}
//	values, _, err := checkpoint.Float32s(r, "embeddings.weight")
//
// [Convert] writes what was read in another format, [WriteSafetensors] writes tensors of your own.
// The package knows tensors and formats, and no model.
//
// # Formats
//
// [Open] recognises them by content:
//
//   - safetensors, as Hugging Face writes it: one file, a folder that holds model.safetensors, or one
//     with model.safetensors.index.json and shards. The file is memory-mapped, so opening costs the
//     header and not the data.
//   - PyTorch, as torch.save writes a state dict: one file, in the form of version 1.6 or the one
//     before it, a folder that holds pytorch_model.bin, or one with pytorch_model.bin.index.json and
//     shards. The file is mapped. This form is only read.
//   - Paddle, as paddle.save of Paddle 2 writes a state dict: a file, usually called *.pdparams, or a folder
//     with it. The file is mapped. This form is only read.
//   - Paddle, as fluid.io.save_vars of PaddlePaddle 1.8 writes it: a folder with one file per
//     variable, whose name is the tensor's name; or a .tar, .tar.gz or .tgz of such a folder, as the
//     UNIMO models were released. Archives are read into memory and never unpacked to disk.
//   - TensorFlow.js: a model.json with the files of weights that it names beside it, or their folder. They are read into
//     memory. Weights quantised as float16 are F16; those quantised as whole numbers are restored. This form is only
//     read, and what the model computes is not looked at.
//
// In all of them numbers are little-endian and tensors row-major, so that converting copies the bytes
// of a tensor unchanged.
//
// # Files from strangers
//
// Every reader takes its input as hostile. Lengths are checked against the bytes that are there before
// anything is allocated. Nothing outside the folder that was named is read. The pickle of a file of
// PyTorch or of Paddle 2 is read by an interpreter that builds values and calls nothing but the functions that make
// tensors and dictionaries of Python's library; for anything else that a file asks for stands a
// placeholder, which Reader.Files lists and nothing runs. What is wrong comes back as a [*FileError]
// that names the file and, once one is known, the tensor.
//
// A mapped file that another program shortens makes a later access fail: see [Guard].
//
// # Layout of safetensors
//
//	u64 n | n bytes of JSON, padded with spaces | data
//
// The JSON object maps a name to {"dtype", "shape", "data_offsets": [begin, end]}, offsets counted from
// the first byte of data; "__metadata__" maps strings to strings. The spans must cover data without gap
// or overlap. Source: the format's description in huggingface/safetensors.
//
// # Layout of a Paddle variable
//
//	u32 0 | u64 levels | levels x (u64 size, size bytes) | u32 0 | i32 n | n bytes of TensorDesc | data
//
// TensorDesc is the protobuf message VarType.TensorDesc of Paddle's
// framework.proto: field 1 the element type, field 2 the dimensions. The levels
// (LoD, the borders of sequences) carry nothing for parameters; they are skipped.
//
// # Layout of a file of PyTorch
//
// Version 1.6 and later write a zip archive, whose entries are not compressed:
//
//	NAME/data.pkl     the pickle of a dictionary from names to tensors
//	NAME/data/KEY     the elements of a storage, to which tensors refer by its key
//	NAME/byteorder    "little" or "big"
//
// Versions before wrote one stream:
//
//	pickle of 0x1950a86a20f9469cfc6c | pickle of 1001 | pickle of the machine's sizes |
//	pickle of the dictionary | pickle of the list of keys | for each key: i64 n, n elements
//
// A tensor is a storage, an offset, a shape and strides. One whose elements do not
// follow each other, such as a transposed matrix, is copied when it is asked for;
// several may share a storage. Dictionaries in the dictionary give names with dots,
// as in "model.head.weight"; values that are no tensors are listed by Files.
// Checksums are verified only of what is compressed. Source: torch/serialization.py.
package checkpoint
