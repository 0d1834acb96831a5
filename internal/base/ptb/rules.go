package ptb

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/unimo-go/unimo/internal/base/lex"
)

// form says what becomes of what a rule matches.
type form int

const (
	asIs      form = iota
	gap            // no word
	unhyphen       // without soft hyphens
	opening        // quotation marks that open
	closing        // quotation marks
	slashed        // with a backslash before / and *
	fraction       // slashed, its space a no-break space
	glyph          // a fraction of one character
	money          // a currency
	ampersand      // &amp; is &
	unspaced       // spaces are no-break spaces
	brackets       // unspaced, round brackets as -LRB- and -RRB-
	dashes         // three and four hyphens are two
	dash
	ellipsis
	dotTwice // a full stop that ends the sentence, too
	acronym  // dotTwice but for one letter, whose full stop is split off
	less
	greater
	roundOpen
	roundClose
	squareOpen
	squareClose
	curlyOpen
	curlyClose
)

// rule is a rule of the tokenizer: a pattern, what follows it, and its form. Letters outside of
// brackets stand for both cases.
type rule struct {
	form            form
	pattern, before string
}

// Parts of the rules. \L stands for letters, \M for marks that words have, \D for digits, \U for capital
// letters.
const (
	space      = `[ \t\x{A0}\x{2000}-\x{200A}\x{3000}]`
	newline    = `(?:\r\n?|[\n\v\f\x{85}\x{2028}\x{2029}])`
	blank      = `(?:` + space + `|` + newline + `)`
	apos       = `(?:['\x{92}\x{2019}]|&apos;)`
	aposMore   = `(?:['\x{60}\x{91}\x{92}\x{2018}\x{2019}\x{201B}]|&apos;)`
	amp        = `&amp;`
	digit      = `[\D\x{7C0}-\x{7C9}]`
	hyphen     = `[-_\x{58A}\x{2010}\x{2011}]`
	end        = `[,;:\x{3001}]` // punctuation within a sentence
	name       = `[A-Za-z][A-Za-z0-9_:.-]*`
	tag        = `<(?:[!?][A-Za-z-][^>\r\n]*|` + name + `(?: +(?:` + name + `|` + name + ` *= *(?:'[^']*'|"[^"]*")))* */?|/` + name + `) *>`
	letter     = `(?:[\L\M\x{AD}]|&[aeiouAEIOU](?:acute|grave|uml);)`
	word       = letter + `(?:` + letter + `|` + digit + `)*(?:[.!?]` + letter + `(?:` + letter + `|` + digit + `)*)*`
	number     = `(?:` + digit + `+|` + digit + `*(?:[.:,\x{AD}\x{66B}\x{66C}]` + digit + `+)+)`
	elided     = `(?:[dDoOlL]` + aposMore + `[\L\D])?`
	thing      = elided + `[\L\D]+(?:` + hyphen + elided + `[\L\D]+)*`
	capitals   = `[A-Z]+(?:(?:[+&]|` + amp + `)[A-Z]+)+`
	hyphened   = `[A-Za-z0-9][A-Za-z0-9.,\x{AD}]*(?:-(?:[A-Za-z0-9\x{AD}]+|` + initials2 + `\.))+`
	shortened  = apos + `(?:[msdMSD]|re|ve|ll)`
	not        = `n` + aposMore + `t`
	places     = `|(?:Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(?:U\.K|U\.S\.S\.R)`
	initials   = `(?:[A-Za-z](?:\.[A-Za-z])*` + places + `)`
	initials2  = `(?:[A-Za-z](?:\.[A-Za-z])+` + places + `)`
	notInURL   = ` \t\n\f\r"<>|(){}`
	noURLEnd   = ` \t\n\f\r"<>|.!?(){},-`
	phoneBreak = `[- \x{A0}]`
	smiley     = `[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]`
)

// wordsAfter are words that show that a sentence ended with the initials before them, if they begin
// with a capital.
const wordsAfter = `[A](?:bout|ccording|dditionally|fter|n|s|t)?|[B]ut|[E]arlier|[H](?:e|er|ere|owever)|[I](?:f|n|t)|[L]ast|[M](?:any|ore|r\.|s\.)|[N]ow|` +
	`[O](?:nce|ne|ther|ur)|[S](?:he|ince|o|ome|uch)|[T](?:hat|he|heir|hen|here|hese|hey|his)|[W](?:e|hen|hile|hat)|[Y](?:et|ou)|` + tag

// fileEndings are those of names of files.
const fileEndings = `bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip`

// Abbreviations, by what usually follows them. Those in front of small letters end a sentence in front
// of a capital.
const (
	beforeSmall = `(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thu|Thurs|Fri|` +
		`Ala|Ariz|[A]z|[A]rk|Calif|Colo|Conn|Ct|Dak|[D]el|Fla|Ga|[I]ll|Ind|Kans?|Ky|[L]a|[M]ass|Md|Mich|Minn|[M]iss|Mo|Mont|Neb|Nev|Okla|[O]re|[P]a|` +
		`Penn|Tenn|[T]ex|Va|Vt|[W]ash|Wisc?|Wyo|Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Rt|Bancorp|Bhd|Assn|Univ|Intl|Sys|tel|est|ext|sq|` +
		`Jr|Sr|Blvd|Rd|Bros|(?:Ed|Ph)\.D|Esq|etc|al|seq|Bldg)\.`
	beforeCapital = `(?:Mr|Mrs|Ms|[M]iss|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt|Mt|Capt|Ste?|Ave|Pres|Lieut|` +
		`Hon|Brig|Co?mdr|Pfc|Spc|Supts?|Det|Ft|Adj|Adv|Asst|Assoc|Ens|Insp|Mlle|Mme|Msgr|Sfc|vs|Alex|Wm|Jos|Cie|a\.k\.a|cf|TREAS|Ph|Invt|Elec|Natl|M[ft]g|Dept|` + initials + `)`
	beforeNumber = `(?:ca|figs?|prop|nos?|art|bldg|pp|op)\.`
)

// rules are the rules of Stanford's tokenizer of 2014 (CoreNLP 3.4.1), as its states and what it
// does with texts show them.
var rules = []rule{
	{asIs, `c\+\+|(?:c|f)#`, ``},
	{asIs, `can`, `not`},
	{asIs, `'t`, `was`},
	{asIs, `'t`, `is`},
	{asIs, `gon|wan`, `na`},
	{asIs, `got`, `ta`},
	{asIs, `lem|gim`, `me`},
	{unspaced, tag, ``},
	{dash, `&(?:MD|mdash|ndash);|[\x{96}\x{97}\x{2013}-\x{2015}]`, ``},
	{ampersand, amp, ``},
	{asIs, `&(?:HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);`, ``},
	{unhyphen, word, shortened},
	{unhyphen, `[A-Za-z\x{AD}]*[A-MO-Za-mo-z]\x{AD}*`, not},
	{unhyphen, word, ``},
	{asIs, apos + `n` + apos + `?|[lLdDjJ]` + apos + `|Dunkin` + apos + `|somethin` + apos + `|ol` + apos + `|` + apos + `em|` +
		`[A-HJ-XZn]` + aposMore + `[\L]{2,}|` + apos + `[2-9]0s|` + apos + `till?|[\L]+[aeiouyAEIOUY]` + aposMore + `[aeiouA-Z][\L]*|` +
		apos + `cause|cont'd\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l|o` + aposMore + `o`, ``},
	{asIs, `y` + apos, `[\L]`},
	{asIs, `https?://[^` + notInURL + `]+[^` + noURLEnd + `]`, ``},
	{asIs, `(?:www\.(?:[^ \t\n\f\r"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}|(?:[^ \t\n\f\r"` + "`" + `'<>|.!?(){},-_$]+\.)+(?:com|net|org|edu))` +
		`(?:/[^ \t\n\f\r"<>|()]+[^` + noURLEnd + `])?`, ``},
	{asIs, `(?:<|&lt;)?[a-zA-Z0-9][^` + notInURL + `\x{A0}]*@(?:[^` + notInURL + `.\x{A0}]+\.)*[^` + notInURL + `.\x{A0}]+(?:>|&gt;)?`, ``},
	{asIs, `@[a-zA-Z_][a-zA-Z_0-9]*|#` + letter + `+`, ``},
	{closing, shortened, `[^A-Za-z]`},
	{closing, not, `[^A-Za-z]`},
	{closing, not, ``},
	{asIs, digit + `{1,2}[-/]` + digit + `{1,2}[-/]` + digit + `{2,4}`, ``},
	{unhyphen, `[-+]?` + number, ``},
	{asIs, `[\x{207A}\x{207B}\x{208A}\x{208B}]?(?:[\x{2070}\x{B9}\x{B2}\x{B3}\x{2074}-\x{2079}]+|[\x{2080}-\x{2089}]+)`, ``},
	{unspaced, `(?:` + digit + `{1,4}[- \x{A0}])?` + digit + `{1,4}(?:\\?/|\x{2044})` + digit + `{1,4}`, ``},
	{glyph, `[\x{BC}-\x{BE}\x{2153}-\x{215E}]`, ``},
	{ampersand, `-(?:RRB|LRB|RCB|LCB|RSB|LSB)-|C\.D\.s|pro-|anti-|S(?:&|&amp;)P-500|S(?:&|&amp;)Ls|Cap` + apos + `n|c` + apos + `est`, ``},
	{asIs, `[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}`, ``},
	{asIs, `[A-Z]*\$|#`, ``},
	{money, `[\x{A2}-\x{A5}\x{80}\x{20A0}\x{20AC}\x{60B}\x{E3F}\x{20A4}\x{FFE0}\x{FFE1}\x{FFE5}\x{FFE6}]`, ``},
	{acronym, initials + `\.`, blank + `+(?:` + wordsAfter + `)` + blank},
	{asIs, beforeNumber, blank + `?[\D]`},
	{asIs, `(?:pt[eyEY]|co)\.`, space + `(?:ltd|lim)`},
	{dotTwice, beforeSmall, blank + `(?:` + blank + `|[\U]|` + tag + `)`},
	{asIs, beforeSmall, `[\x{0}-\x{FFFF}]{2}`},
	{dotTwice, beforeSmall, ``},
	{asIs, beforeCapital + `\.`, ``},
	{asIs, beforeCapital, space},
	{asIs, `(?:` + letter + `|` + digit + `)+(?:\.(?:` + letter + `|` + digit + `)+)*\.(?:` + fileEndings + `)`, `(?:` + blank + `|[.?!,])`},
	{asIs, initials, blank},
	{asIs, apos + `[0-9]{2}`, blank},
	{unhyphen, word + `\.`, end},
	{brackets, `(?:\([0-9]{2,3}\)[ \x{A0}]?|(?:\+\+?)?(?:[0-9]{2,4}` + phoneBreak + `)?[0-9]{2,4}` + phoneBreak + `)[0-9]{3,4}` + phoneBreak + `?[0-9]{3,5}|` +
		`(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}`, ``},
	{opening, `"|&quot;`, `[A-Za-z0-9$]`},
	{closing, `"|&quot;`, ``},
	{gap, `\x{7F}`, ``},
	{less, `<|&lt;`, ``},
	{greater, `>|&gt;`, ``},
	{brackets, smiley, `[^A-Za-z0-9]`},
	{brackets, `[\^x=~<>]\.\[\^x=[^<]*<>\]|[-\^x=~<>']_[-\^x=~<>']|\([-\^x=~<>'][_.]?[-\^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'` + "`" + `]\)`, ``},
	{curlyOpen, `\{`, ``},
	{curlyClose, `\}`, ``},
	{squareOpen, `\[`, ``},
	{squareClose, `\]`, ``},
	{roundOpen, `\(`, ``},
	{roundClose, `\)`, ``},
	{dashes, `-+`, ``},
	{ellipsis, `\.{3,5}|(?:\.[ \x{A0}]){2,4}\.|[\x{85}\x{2026}]`, ``},
	{asIs, `@+|#+|_+`, ``},
	{asIs, `\*+|(?:\\\*){1,3}`, ``},
	{asIs, end, ``},
	{asIs, `[?!]+`, ``},
	{asIs, `[.\x{A1}\x{BF}\x{37E}\x{589}\x{61F}\x{6D4}\x{700}-\x{702}\x{7FA}\x{3002}]`, ``},
	{asIs, `=`, ``},
	{asIs, `/`, ``},
	{unhyphen, hyphened + `\.`, end},
	{unhyphen, hyphened, ``},
	{asIs, thing + `\.`, end},
	{asIs, thing, ``},
	{ampersand, capitals + `\.`, end},
	{ampersand, capitals, ``},
	{opening, `'`, `[A-Za-z][^ \t\n\r\x{A0}]`},
	{closing, shortened, ``},
	{closing, apos + `|''|[` + "`" + `\x{2018}-\x{201F}\x{91}-\x{94}\x{2039}\x{203A}\x{AB}\x{BB}]{1,2}`, ``},
	{asIs, `<<|>>`, ``},
	{asIs, `[+%&~^|\\\x{A6}\x{A7}\x{A8}\x{A9}\x{AC}\x{AE}\x{AF}\x{B0}-\x{BA}\x{D7}\x{F7}\x{387}\x{5BE}\x{5C0}\x{5C3}\x{5C6}\x{5F3}\x{5F4}\x{600}-\x{603}\x{606}-\x{60A}` +
		`\x{60C}\x{614}\x{61B}\x{61E}\x{66A}\x{66D}\x{703}-\x{70D}\x{7F6}-\x{7F8}\x{964}\x{965}\x{E4F}\x{1FBD}\x{2016}\x{2017}\x{2020}-\x{2023}` +
		`\x{2030}-\x{2038}\x{203B}\x{203E}-\x{2042}\x{2044}\x{207A}-\x{207F}\x{208A}-\x{208E}\x{2100}-\x{214F}\x{2190}-\x{21FF}\x{2200}-\x{2BFF}` +
		`\x{3012}\x{30FB}\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF20}\x{FF3B}-\x{FF40}\x{FF5B}-\x{FF65}]`, ``},
	{gap, `\x{0}|` + space + `+|[\x{200B}\x{200E}\x{200F}\x{FEFF}]`, ``},
	{gap, newline, ``},
	{gap, `&nbsp;`, ``},
}

// wordMarks are accents, vowel signs and the like that are parts of words, in hexadecimal.
const wordMarks = `2c2-2c5 2d2-2df 2e5-2eb 2ed 2ef-36f 375 378-379 384-385 3f6 483-487 55a-55f 591-5bd 5bf 5c1-5c2 5c4-5c5 5c7 615-61a 64b-65e 670 6d6-6e4 6e7-6ed
6fd-6fe 70f 711 730-74c 7a6-7b0 7eb-7f3 900-903 93c 93e-94e 951-955 962-963 981-983 9bc 9be-9c4 9c7-9c8 9cb-9cd 9d7 9e2-9e3 a01-a03 a3c a3e-a4f
a81-a83 abc abe-acf b82 bbe-bc2 bc6-bc8 bca-bcd c01-c03 c3e-c56 d3e-d44 d46-d48 e31 e34-e3a e47-e4e eb1 eb4-ebc ec8-ecd`

// laterLetters, laterCapitals and laterDigits are of the basic plane and not yet in the Unicode of 2010,
// which is the tokenizer's.
const (
	laterLetters = `37f 528-52f 560 588 5ef 860-86a 870-887 889-88e 8a1 8ad-8c9 978 980 9fc af9 c34 c5a c5d c80 cdd d04 d54-d56 d5f e86 e89 e8c e8e-e93
e98 ea0 ea8-ea9 eac 13f5 13f8-13fd 16f1-16f8 170d 171f 1878 191d-191e 19b0-19c0 19c8-19c9 1b4c 1c80-1c88 1c90-1cba 1cbd-1cbf 1cf2-1cf3 1cfa 2c2f
2c5f 312e-312f 31bb-31bf 4db6-4dbf 9fcd-9fff a698-a69d a78f a794-a79f a7ab-a7ca a7d0-a7d1 a7d3 a7d5-a7d9 a7f2-a7f7 a8fd-a8fe a9e0-a9e4 a9e6-a9ef
a9fa-a9fe aa7e-aa7f ab30-ab5a ab5c-ab69 ab70-abbf`
	laterCapitals = laterLetters + ` 13a0-13f5`
	laterDigits   = `de6-def a9f0-a9f9`
)

// ranges calls use for the ranges of such a list.
func ranges(list string, use func(from, to rune)) {
	for part := range strings.FieldsSeq(list) {
		var from, to rune
		if n, _ := fmt.Sscanf(part, "%x-%x", &from, &to); n < 2 {
			to = from
		}
		use(from, to)
	}
}

// class is a class of characters, without its brackets: those of the basic plane that the tables have,
// but for the later ones.
func class(later string, tables ...*unicode.RangeTable) string {
	var absent [1 << 16]bool
	ranges(later, func(from, to rune) {
		for r := from; r <= to; r++ {
			absent[r] = true
		}
	})
	var b strings.Builder
	for from := rune(0); from <= 0xffff; from++ {
		to := from
		for to <= 0xffff && !absent[to] && unicode.In(to, tables...) {
			to++
		}
		if to > from {
			fmt.Fprintf(&b, `\x{%X}-\x{%X}`, from, to-1)
			from = to
		}
	}
	return b.String()
}

// newLexer compiles the rules.
func newLexer() *lex.Lexer {
	var markClass strings.Builder
	ranges(wordMarks, func(from, to rune) { fmt.Fprintf(&markClass, `\x{%X}-\x{%X}`, from, to) })
	classes := strings.NewReplacer(
		`\L`, class(laterLetters, unicode.L)+`\x{1885}\x{1886}`, // were letters then
		`\M`, markClass.String(),
		`\D`, class(laterDigits, unicode.Nd),
		`\U`, class(laterCapitals, unicode.Lu, unicode.Other_Uppercase))
	list := make([]lex.Rule, len(rules))
	for i, r := range rules {
		list[i] = lex.Rule{Pattern: classes.Replace(anyCase(r.pattern)), Before: classes.Replace(anyCase(r.before))}
	}
	return lex.New(list)
}

// anyCase makes letters of a pattern stand for both cases, but not those within brackets.
func anyCase(pattern string) string {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\':
			i++
			b.WriteByte(c)
			c = pattern[i]
			b.WriteByte(c)
			if c == 'x' && pattern[i+1] == '{' {
				for ; pattern[i] != '}'; i++ {
					b.WriteByte(pattern[i+1])
				}
			}
			continue
		case c == '[' && !inClass:
			inClass = true
		case c == ']':
			inClass = false
		case !inClass && unicode.IsLetter(rune(c)):
			more := map[byte]string{'i': `\x{130}\x{131}`, 'k': `\x{212A}`, 's': `\x{17F}`}
			lower := c | 0x20
			fmt.Fprintf(&b, "[%c%c%s]", lower, lower-0x20, more[lower])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
