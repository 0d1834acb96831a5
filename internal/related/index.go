package related

// Index is an open folder. Its methods but Close may be called from several goroutines.
type Index struct{}

// Open opens a folder that [Build] made.
func Open(dir string) (*Index, error) { panic("not yet") }

// Fingerprint is that of the options.
func (x *Index) Fingerprint() string { panic("not yet") }

// Summary counts what the index holds.
func (x *Index) Summary() Summary { panic("not yet") }

// Related returns what is related to the pair of a key. A key that is not in the index is an error.
func (x *Index) Related(key string) (Related, error) { panic("not yet") }

// Close releases the file.
func (x *Index) Close() error { panic("not yet") }
