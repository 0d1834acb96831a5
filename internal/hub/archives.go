package hub

import (
	"maps"
	"slices"
)

// Archive is what the authors of UNIMO publish under one name.
type Archive struct {
	Title   string
	Licence string
	Files   []ArchiveFile
}

// ArchiveFile is a file of an archive. The authors publish no sums; those here are of files that were at hand. Without one, the first
// that is seen is pinned.
type ArchiveFile struct {
	URL    string
	SHA256 string
	Size   int64 // 0 if it is not known
}

const (
	models     = "https://unimo.bj.bcebos.com/model/"
	dictionary = "https://raw.githubusercontent.com/PaddlePaddle/Research/master/NLP/UNIMO/model_files/dict/"
	apache     = "apache-2.0"
)

// Archives are the reference's, by name.
var Archives = map[string]Archive{
	"base_en":       {"UNIMO base, lower-cased, 12 layers", apache, []ArchiveFile{{URL: models + "unimo_base_en.tar.gz"}}},
	"mnli_base_en":  {"UNIMO base after MNLI", apache, []ArchiveFile{{URL: models + "unimo_mnli_base_en.tar.gz"}}},
	"large_en":      {"UNIMO large, 24 layers", apache, []ArchiveFile{{URL: models + "unimo_large_en.tar.gz"}}},
	"mnli_large_en": {"UNIMO large after MNLI", apache, []ArchiveFile{{URL: models + "unimo_mnli_large_en.tar.gz"}}},
	"dict": {"the vocabulary of all four", apache, []ArchiveFile{
		{dictionary + "unimo_en.encoder.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783", 1042301},
		{dictionary + "unimo_en.vocab.bpe", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5", 456318},
		{dictionary + "unimo_en.vocab.txt", "d0ccae1974ebc4f30ed70d46cbbed4c8af123cdb9c584c0444d8f8b4955aac17", 290508},
	}},
}

func archiveNames() []string { return slices.Sorted(maps.Keys(Archives)) }
