// Package corpus streams the collections that pre-training reads: texts, images, and images
// with captions. A collection lies in shards, files or folders, and is never held whole.
//
//	paths --Open--> Collection --Each--> every Sample once, in order
//	                           --Stream--> samples without end, shuffled, resumable to the sample
//	                           --At--> one sample again
//
// What can be read, by kind:
//
//   - Text: .txt (each line that is not blank is a text), .tsv (the last column), .jsonl
//     ({"text", "id"}), all also with .gz behind.
//   - Images: folders of pictures, folders of data (the pictures of train.txt), .jsonl
//     ({"image", "objects"}), .tar as WebDataset writes it, region features.
//   - Pairs: folders of data (train.txt), .jsonl ({"image", "captions" or "caption",
//     "objects"}), .tar with NAME.jpg, NAME.txt and NAME.json.
//
// A folder stands for all shards in it, and a name may have *, ? and [...].
//
// What is bad within a shard is passed over and counted by reason ([Report]): a shard that
// was cut off gives what is whole of it. A collection without anything of use is refused.
// Texts, entries of archives and pictures are bounded before they are read.
package corpus
