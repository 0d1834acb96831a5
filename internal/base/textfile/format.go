package textfile

// Format is how a file separates its columns.
type Format uint8

// The formats.
const (
	FormatAuto      Format = iota // by the file's content, where that leaves a choice by its ending
	FormatTSV                     // tab-separated, no quoting
	FormatCSV                     // comma-separated with RFC 4180 quoting
	FormatSemicolon               // the same with semicolons, as spreadsheets of many countries write it
	FormatJSON                    // JSON lines, or a JSON list of objects
)

func (f Format) String() string {
	return [...]string{"by content", "tab-separated", "comma-separated", "semicolon-separated", "JSON"}[f]
}
