// Package textfile reads text files as people have them: lines, rows of tables and JSON values,
// each checked and bounded, with errors that name file, line and remedy.
//
//	f, err := textfile.Open("train.tsv")
//	rows := textfile.NewRows(f, "train.tsv", textfile.FormatTSV)
//	fields, line, err := rows.Next()
//
// [Resolve] finds the file of a split in a folder.
package textfile
