package tokenizer

// GPT-2 writes pieces, which are byte strings, as text: every byte has a character
// of its own. Bytes that print in Latin-1 stand for themselves; the other 68 become
// U+0100, U+0101, ... in ascending order, so that a space is 'Ġ' (U+0120).

// byteRune is the character of each byte; byteOrder lists the bytes in the order of
// their BPE ids in GPT-2's encoder.json: the printing ones first.
var byteRune, byteOrder = newAlphabet()

// alphabetEnd is one past the largest character of the alphabet: 256 + 68.
const alphabetEnd = 0x144

// runeByte is the inverse of byteRune: the byte of a character, or -1.
var runeByte = func() (inverse [alphabetEnd]int16) {
	for r := range inverse {
		inverse[r] = -1
	}
	for b, r := range byteRune {
		inverse[r] = int16(b)
	}
	return inverse
}()

func newAlphabet() (runes [256]rune, order [256]byte) {
	prints := func(b int) bool {
		return '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xAC || 0xAE <= b
	}
	n := 0
	for b := range 256 {
		if prints(b) {
			runes[b] = rune(b)
			order[n] = byte(b)
			n++
		}
	}
	for b, shifted := 0, rune(256); b < 256; b++ {
		if !prints(b) {
			runes[b] = shifted
			order[n] = byte(b)
			shifted++
			n++
		}
	}
	return runes, order
}

// appendRaw appends the bytes that token's characters stand for. If some character
// is outside the alphabet, the token stands for its own text, and ok is false.
func appendRaw(dst []byte, token string) (raw []byte, ok bool) {
	raw = dst
	for _, r := range token {
		if r >= alphabetEnd || runeByte[r] < 0 {
			return append(dst, token...), false
		}
		raw = append(raw, byte(runeByte[r]))
	}
	return raw, true
}
