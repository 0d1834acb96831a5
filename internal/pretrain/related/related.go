package related

// Pair is an image with its captions, or an image alone.
type Pair struct {
	Key      string
	Captions []string
	Objects  []string // names of what the image shows; repeated ones count once
}

// Options say how much to keep, and of what the index is.
type Options struct {
	Captions int // of other images for every caption; 0: none
	Texts    int // for every pair
	Images   int // for every pair
	// Fingerprint tells the input from other input; Build only writes it down.
	Fingerprint string
}

// Related is what an image with captions is compared with, best first. Lists are shorter than asked for
// where nothing else has a word or an object in common.
type Related struct {
	Captions [][]string // for each caption, those of other images; nil if none were asked for
	Texts    []string
	Images   []string // keys
}

// Summary counts what an index holds.
type Summary struct {
	Pairs, Captions int
	// Short are the lists with fewer entries than the options asked for.
	ShortCaptions, ShortTexts, ShortImages int
}
