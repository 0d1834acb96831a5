package run

import (
	"fmt"
	"log/slog"
)

// Grouped writes a number with a comma before every third digit from the right.
func Grouped(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Excerpt is the beginning of a text, in quotes.
func Excerpt(text string) string {
	const runes = 60
	if r := []rune(text); len(r) > runes {
		text = string(r[:runes]) + " …"
	}
	return fmt.Sprintf("%q", text)
}

// WarnShared says that a model is also scored on what it is trained on.
func WarnShared(log *slog.Logger, shared, dev int, what string) {
	if shared > 0 {
		log.Warn(fmt.Sprintf("%d of %d dev %s are in the training data too: the score says less about new ones", shared, dev, what))
	}
}
