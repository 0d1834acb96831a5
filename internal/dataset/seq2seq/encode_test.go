package seq2seq

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// letters is a vocabulary of one token a byte, 100 + its value, so that expected
// records can be written down; its BPE ids are the tokens'.
type letters struct{}

const (
	cls  = 0
	sep  = 2
	mask = 9
)

func (letters) Encode(dst []int32, text string) []int32 {
	ids, _ := letters{}.EncodeUpTo(dst, text, len(text))
	return ids
}

func (letters) EncodeUpTo(dst []int32, text string, most int) (ids []int32, more bool) {
	start := len(dst)
	for _, b := range []byte(text) {
		dst = append(dst, 100+int32(b))
	}
	if len(dst)-start > most {
		return dst[:start+most], true
	}
	return dst, false
}

func (letters) FromVocabLine(line string) (int32, bool) {
	if line == "[SEP]" {
		return sep, true
	}
	n, err := strconv.Atoi(line)
	return int32(n), err == nil && n >= 100 && n < 356
}

func (letters) VocabLine(id int32) string { return strconv.Itoa(int(id)) }
func (letters) CLS() int32                { return cls }
func (letters) SEP() int32                { return sep }
func (letters) MASK() int32               { return mask }

// spell writes tokens as text: ^ for [CLS], | for [SEP], $ for [MASK].
func spell(tokens []int32) string {
	var b strings.Builder
	for _, t := range tokens {
		switch t {
		case cls:
			b.WriteByte('^')
		case sep:
			b.WriteByte('|')
		case mask:
			b.WriteByte('$')
		default:
			b.WriteByte(byte(t - 100))
		}
	}
	return b.String()
}

func digits(values []int32) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(strconv.FormatInt(int64(v), 36))
	}
	return b.String()
}

func TestEncode(t *testing.T) {
	plain := Encoder{MaxSource: 20, MaxTarget: 9}
	short := Encoder{MaxSource: 6, MaxTarget: 4}
	dialogue := Encoder{Dialogue: true, MaxSource: 20, MaxTarget: 9, TurnTypes: 16}
	with := func(e Encoder, change func(*Encoder)) Encoder { change(&e); return e }
	talk := Example{Sources: []string{"q", "a", "r"}, Knowledge: "kkk", Target: "t"}
	for _, c := range []struct {
		name                                    string
		encoder                                 Encoder
		x                                       Example
		tokens, positions, labels, roles, turns string
		cut                                     Cut
	}{
		{"one source", plain, Example{Sources: []string{"ab"}, Target: "cd"}, "^ab|^cd", "2345234", "cd$", "", "", Cut{}},
		{"two sources", plain, Example{Sources: []string{"a", "bc"}, Target: "d"}, "^a|bc|^d", "23434523", "d$", "", "", Cut{}},
		{"an empty source beside another", plain, Example{Sources: []string{"", "b"}, Target: "d"}, "^|b|^d", "233423", "d$", "", "", Cut{}},
		{"cut source and target", short, Example{Sources: []string{"abcdefg"}, Target: "xyz"}, "^abcd|^xy", "234567234", "xyz", "", "", Cut{Source: 3, Target: 1}},
		{"fits exactly", short, Example{Sources: []string{"abcd"}, Target: "xy"}, "^abcd|^xy", "234567234", "xy$", "", "", Cut{}},
		{"each source has the limit", short, Example{Sources: []string{"abcde", "fg"}, Target: "x"}, "^abcd|fg|^x", "23456734523", "x$", "", "", Cut{Source: 1}},
		{"ids", plain, Example{Sources: []string{"197 198"}, Target: "199", IDs: true}, "^ab|^c", "234523", "c$", "", "", Cut{}},
		{"a final [SEP] of ids ends the target", with(plain, func(e *Encoder) { e.MaxTarget = 3 }), Example{Sources: []string{"197"}, Target: "199 [SEP]", IDs: true},
			"^a|^c", "23423", "c$", "", "", Cut{Target: 1}},
		{"dialogue", dialogue, talk, "^kkk|q|a|r|^t", "2345634343423", "t$", "1222211001100", "3000033221100", Cut{}},
		{"one question", dialogue, Example{Sources: []string{"q"}, Target: "t"}, "^q|^t", "23423", "t$", "11100", "11100", Cut{}},
		{"question after an answer", dialogue, Example{Sources: []string{"a", "q"}, Target: "t"}, "^a|q|^t", "2343423", "t$", "0001100", "2221100", Cut{}},
		{"no question but a passage", dialogue, Example{Knowledge: "k", Target: "t"}, "^k|^t", "23423", "t$", "02200", "00000", Cut{}},
		{"too many turns", with(dialogue, func(e *Encoder) { e.TurnTypes = 3 }), talk, "^kkk|a|r|^t", "23456343423", "t$", "02222001100", "20000221100", Cut{Turns: 1}},
		{"total drops turns", with(dialogue, func(e *Encoder) { e.MaxTotal = 8 }), talk, "^kkk|r|^t", "234563423", "t$", "122221100", "100001100", Cut{Turns: 2}},
		{"then the passage's end", with(dialogue, func(e *Encoder) { e.MaxTotal = 6 }), talk, "^kk|r|^t", "23453423", "t$", "12221100", "10001100", Cut{Turns: 2, Source: 1}},
		{"then the question", with(dialogue, func(e *Encoder) { e.MaxTotal = 4 }), Example{Sources: []string{"qrs"}, Knowledge: "k", Target: "t"},
			"^|q|^t", "233423", "t$", "121100", "101100", Cut{Source: 3}},
		{"total of other sources cuts the longest", with(plain, func(e *Encoder) { e.MaxTotal = 7 }), Example{Sources: []string{"ab", "cdefg"}, Target: "t"},
			"^ab|cd|^t", "234534523", "t$", "", "", Cut{Source: 3}},
		{"continuous", with(plain, func(e *Encoder) { e.ContinuousPositions = true }), Example{Sources: []string{"a", "b"}, Target: "c"}, "^a|b|^c", "2345678", "c$", "", "", Cut{}},
		{"continuous cuts the whole", with(short, func(e *Encoder) { e.ContinuousPositions = true }), Example{Sources: []string{"abc", "def"}, Target: "x"},
			"^abc||^x", "23456789", "x$", "", "", Cut{Source: 3}},
		{"continuous dialogue is cut at its front", with(dialogue, func(e *Encoder) { e.ContinuousPositions, e.MaxSource = true, 5 }), talk,
			"q|a|r|^t"[1:], "2345678", "t$", "1001100", "3221100", Cut{Source: 6}},
		{"few positions", with(plain, func(e *Encoder) { e.MaxPositions = 6 }), Example{Sources: []string{"abcdef"}, Target: "wxyz"}, "^ab|^wxy", "23452345", "wxyz", "", "", Cut{Source: 4, Target: 1}},
		{"few continuous positions", with(short, func(e *Encoder) { e.ContinuousPositions, e.MaxPositions = true, 10 }), Example{Sources: []string{"abcd"}, Target: "wxyz"},
			"^ab|^wx", "2345678", "wxy", "", "", Cut{Source: 2, Target: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.encoder.Tokenizer, c.encoder.Count = letters{}, true
			c.x.Line = 7
			r, cut, err := c.encoder.Encode(c.x)
			if err != nil {
				t.Fatal(err)
			}
			if spell(r.Tokens) != c.tokens || digits(r.Positions) != c.positions || spell(r.Labels) != c.labels || cut != c.cut || r.Line != 7 {
				t.Errorf("got %s %s %s %+v", spell(r.Tokens), digits(r.Positions), spell(r.Labels), cut)
			}
			if digits(r.Roles) != c.roles || digits(r.Turns) != c.turns {
				t.Errorf("roles %s, turns %s", digits(r.Roles), digits(r.Turns))
			}
			source, _, err := c.encoder.EncodeSource(c.x)
			if err != nil || !slices.Equal(source.Tokens, r.Tokens[:r.Source]) || !slices.Equal(source.Positions, r.Positions[:r.Source]) || source.Labels != nil {
				t.Errorf("source alone %+v, %v", source, err)
			}
			if start := c.encoder.TargetPosition(r.Source); start != r.Positions[r.Source] {
				t.Errorf("the target starts at %d", start)
			}
		})
	}
}

func TestEncodeErrors(t *testing.T) {
	e := Encoder{Tokenizer: letters{}, MaxSource: 9, MaxTarget: 9}
	for _, c := range []struct {
		x    Example
		want string
	}{
		{Example{Target: "t"}, "f:3: has no source text"},
		{Example{Sources: []string{" ", ""}, Target: "t"}, "f:3: has no source text"},
		{Example{Sources: []string{"a"}}, "f:3: has no target text"},
		{Example{Sources: []string{"a"}, Target: " \t"}, "f:3: has no target text"},
		{Example{Sources: []string{"197 77"}, Target: "197", IDs: true}, `f:3: "77" is no id of the vocabulary`},
		{Example{Sources: []string{"197"}, Target: "197  198", IDs: true}, `exactly one space`},
	} {
		c.x.File, c.x.Line = "f", 3
		if _, _, err := e.Encode(c.x); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.x, err, c.want)
		}
	}
	if _, _, err := e.EncodeSource(Example{Sources: []string{"a"}}); err != nil {
		t.Errorf("a source without target: %v", err)
	}
}

func TestCheck(t *testing.T) {
	good := Encoder{MaxSource: MinSource, MaxTarget: MinTarget, TurnTypes: 2, Dialogue: true}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Encoder){
		func(e *Encoder) { e.MaxSource-- },
		func(e *Encoder) { e.MaxTarget-- },
		func(e *Encoder) { e.MaxTotal = 2 },
		func(e *Encoder) { e.MaxTotal = -1 },
		func(e *Encoder) { e.TurnTypes = 1 },
		func(e *Encoder) { e.MaxPositions = 4 },
		func(e *Encoder) { e.MaxPositions = -1 },
		func(e *Encoder) { e.MaxPositions, e.ContinuousPositions = 6, true },
	} {
		e := good
		change(&e)
		if err := e.Check(); err == nil {
			t.Errorf("%+v passes", e)
		}
	}
}

// Whatever the limits and texts are, a record keeps to them, tells every token it lost,
// and encoding many examples gives what encoding each alone does.
func TestEncodeKeepsTheLimits(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		e := Encoder{
			Tokenizer: letters{}, Dialogue: rapid.Bool().Draw(t, "dialogue"), ContinuousPositions: rapid.Bool().Draw(t, "continuous"),
			MaxSource: rapid.IntRange(MinSource, 12).Draw(t, "source"), MaxTarget: rapid.IntRange(MinTarget, 8).Draw(t, "target"),
			MaxTotal: rapid.SampledFrom([]int{0, 3, 8, 15}).Draw(t, "total"), TurnTypes: rapid.IntRange(2, 5).Draw(t, "turns"),
			MaxPositions: rapid.IntRange(5, 30).Draw(t, "positions"), Count: true,
		}
		if e.Check() != nil {
			t.Skip("impossible limits")
		}
		var examples []Example
		for range rapid.IntRange(1, 4).Draw(t, "examples") {
			examples = append(examples, Example{Sources: rapid.SliceOfN(text, 1, 5).Draw(t, "sources"),
				Knowledge: rapid.SampledFrom([]string{"k", "kkkkkkkkkkkk"}).Draw(t, "knowledge"), Target: "t" + text.Draw(t, "target")})
		}
		records, truncated, err := e.EncodeAll(examples, nil)
		if err != nil {
			for _, x := range examples { // a plain example may be all blank
				if !slices.ContainsFunc(x.Sources, func(s string) bool { return s != "" }) && !e.Dialogue {
					return
				}
			}
			t.Fatal(err)
		}
		var counted Truncated
		for i, r := range records {
			alone, cut, err := e.Encode(examples[i])
			if err != nil || !slices.Equal(alone.Tokens, r.Tokens) || !slices.Equal(alone.Positions, r.Positions) ||
				!slices.Equal(alone.Roles, r.Roles) || !slices.Equal(alone.Turns, r.Turns) || !slices.Equal(alone.Labels, r.Labels) {
				t.Fatalf("record %d is %+v, alone %+v, %v", i, r, alone, err)
			}
			counted.add(cut)
			bounded := e // tokenises no more than is read
			bounded.Count = false
			short, shortCut, err := bounded.Encode(examples[i])
			if err != nil || !slices.Equal(short.Tokens, r.Tokens) || !slices.Equal(short.Positions, r.Positions) || !slices.Equal(short.Labels, r.Labels) ||
				!slices.Equal(short.Roles, r.Roles) || !slices.Equal(short.Turns, r.Turns) {
				t.Fatalf("without counting %+v, want %+v, %v", short, r, err)
			}
			if (shortCut.Source > 0) != (cut.Source > 0) || shortCut.Turns != cut.Turns || (shortCut.Target > 0) != (cut.Target > 0) {
				t.Fatalf("without counting %+v is cut, want %+v", shortCut, cut)
			}
			checkRecord(t, &e, examples[i], r, cut)
		}
		if counted != truncated {
			t.Fatalf("truncated %+v, counted %+v", truncated, counted)
		}
	})
}

func checkRecord(t *rapid.T, e *Encoder, x Example, r Record, cut Cut) {
	for _, p := range r.Positions {
		if int(p) < 2 || int(p) >= e.MaxPositions {
			t.Fatalf("position %d of %d", p, e.MaxPositions)
		}
	}
	for _, turn := range r.Turns {
		if turn < 0 || int(turn) >= e.TurnTypes {
			t.Fatalf("turn %d of %d", turn, e.TurnTypes)
		}
	}
	if len(r.Labels) > e.MaxTarget-1 || r.Source+len(r.Labels) != len(r.Tokens) || r.Tokens[r.Source] != cls {
		t.Fatalf("%d labels, source %d of %d", len(r.Labels), r.Source, len(r.Tokens))
	}
	if cut.Target+len(r.Labels) != len(x.Target)+1 {
		t.Fatalf("target of %d: %d labels, %d cut", len(x.Target), len(r.Labels), cut.Target)
	}
	if e.ContinuousPositions {
		if r.Source > e.MaxSource {
			t.Fatalf("source of %d tokens", r.Source)
		}
	} else if empty := 2 + len(x.Sources); e.MaxTotal > 0 && r.Source > max(e.MaxTotal, empty) {
		t.Fatalf("source of %d tokens, total %d", r.Source, e.MaxTotal)
	}
	if !e.Dialogue { // all that is not lost is there
		whole := 1
		for _, s := range x.Sources {
			whole += len(s) + 1
		}
		if r.Source+cut.Source != whole {
			t.Fatalf("source of %d tokens, %d cut, %d in all", r.Source, cut.Source, whole)
		}
	}
}

// A passage is tokenised once for the examples that share it, but not if one has it as ids.
func TestSharedPassage(t *testing.T) {
	e := Encoder{Tokenizer: letters{}, Dialogue: true, MaxSource: 20, MaxTarget: 9, TurnTypes: 16}
	var examples []Example
	for _, ids := range []bool{false, false, true, true, false} {
		examples = append(examples, Example{Sources: []string{"198"}, Knowledge: "197", Target: "199", IDs: ids})
	}
	records, _, err := e.EncodeAll(examples, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"^197|198|^199", "^197|198|^199", "^a|b|^c", "^a|b|^c", "^197|198|^199"} {
		if got := spell(records[i].Tokens); got != want {
			t.Errorf("record %d is %s, want %s", i, got, want)
		}
	}
}

func TestDialogueRecords(t *testing.T) {
	e := Encoder{Tokenizer: letters{}, Dialogue: true, MaxSource: 20, MaxTarget: 9, TurnTypes: 16}
	records, _, err := e.EncodeAll([]Example{
		{Sources: []string{"q"}, Target: "t"}, {Sources: []string{"q", "a", "r"}, Knowledge: "k", Target: "uv"}, {Sources: []string{"ab"}, Target: "w"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int][4]string{1: {"^k|q|a|r|^uv", "uv$", "234343434234", "300332211000"}, 2: {"^ab|^w", "w$", "234523", "111100"}} {
		r := records[i]
		if got := [4]string{spell(r.Tokens), spell(r.Labels), digits(r.Positions), digits(r.Turns)}; got != want || len(r.Roles) != len(r.Tokens) || r.Source != len(r.Tokens)-len(r.Labels) {
			t.Errorf("record %d is %q, want %q: %+v", i, got, want, r)
		}
	}
	if got := Lengths(records); !slices.Equal(got, []int{5, 12, 6}) {
		t.Errorf("lengths %v", got)
	}
	sources, _, err := e.EncodeSources([]Example{{Sources: []string{"q"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := sources[0]; len(r.Labels) != 0 || r.Source != 3 || len(r.Tokens) != 3 {
		t.Errorf("a source alone: %+v", r)
	}
}

func TestFind(t *testing.T) {
	for _, name := range Names() {
		task, err := Find(strings.ToUpper(name))
		if err != nil || task.Name != name || task.MaxSource < MinSource || task.MaxTarget < MinTarget {
			t.Errorf("%s: %+v, %v", name, task, err)
		}
	}
	if _, err := Find("poetry"); err == nil || !strings.Contains(err.Error(), "coqa, squad-qg") {
		t.Errorf("got %v", err)
	}
}
