package pytext

import (
	"strings"
	"unicode"
)

// IsSpace is str.isspace: the separators U+001C to U+001F count as well.
func IsSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// Fields is str.split without an argument: the words between runs of white space.
func Fields(s string) []string { return strings.FieldsFunc(s, IsSpace) }
