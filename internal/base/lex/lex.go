// Package lex finds the longest match of many regular expressions at once, as the scanners do that
// lex, flex and JFlex generate.
//
//	l := lex.New([]lex.Rule{{Pattern: `[a-z]+`}, {Pattern: `[0-9]+`, Before: `%`}})
//	rule, end := l.Match(utf16.Encode([]rune("12%")), 0) // 1, 2
//
// Patterns are those of package regexp without anchors. They see UTF-16, as those of JFlex do: a
// character beyond U+FFFF is two. An automaton grows with what is read, to a size that only the rules
// bound, so that a text takes time in proportion to its length.
package lex

import (
	"cmp"
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sync"
	"unicode"
)

// Rule is a regular expression. With Before, it matches only before that, which counts for what is
// longest and is not part of the match.
type Rule struct {
	Pattern, Before string
}

// Lexer has the rules. Any number of goroutines may use it.
type Lexer struct {
	rules []Rule
	all   *automaton // every rule, with what it stands before
	parts map[int]*[2]*automaton
}

// New returns a lexer of the rules. It panics if a pattern is no regular expression.
func New(rules []Rule) *Lexer {
	l := &Lexer{rules: rules, parts: map[int]*[2]*automaton{}}
	var patterns []string
	for i, r := range rules {
		patterns = append(patterns, "(?:"+r.Pattern+")(?:"+r.Before+")")
		if r.Before != "" {
			l.parts[i] = &[2]*automaton{newAutomaton(r.Pattern), newAutomaton(r.Before)}
		}
	}
	l.all = newAutomaton(patterns...)
	return l
}

// Match returns the rule with the longest match at a place of the text, the first of several, and the
// match's end. The rule is -1 where none matches.
func (l *Lexer) Match(text []uint16, at int) (rule, end int) {
	rule, end = l.all.longest(text, at)
	if rule < 0 || l.parts[rule] == nil {
		return rule, end
	}
	first, second := l.parts[rule][0], l.parts[rule][1]
	ends := first.ends(text[:end], at)
	for _, split := range slices.Backward(ends) {
		if _, rest := second.longest(text[:end], split); rest == end && split < end {
			return rule, split
		}
	}
	return rule, end
}

const (
	dead    = 0 // the state from which nothing matches
	unknown = -1
)

// automaton is a deterministic automaton whose states are made when they are first reached.
type automaton struct {
	code    []syntax.Inst
	rule    []int32 // of an instruction
	classes [1 << 16]uint8
	of      [256]rune // a member of each class
	count   int       // of classes

	mu     sync.Mutex
	states []state
	known  map[string]int32
}

type state struct {
	code []uint32 // instructions that read a character
	rule int32    // that ends here, or -1
	next []int32  // by class
}

func newAutomaton(patterns ...string) *automaton {
	a := &automaton{known: map[string]int32{}}
	var start []uint32
	for i, pattern := range patterns {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			panic("lex: " + pattern + ": " + err.Error())
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil {
			panic("lex: " + pattern + ": " + err.Error())
		}
		base := uint32(len(a.code))
		for _, inst := range prog.Inst {
			switch inst.Op {
			case syntax.InstAlt:
				inst.Arg += base
				inst.Out += base
			case syntax.InstEmptyWidth, syntax.InstAltMatch:
				panic("lex: " + pattern + ": anchors are not known")
			default:
				inst.Out += base
			}
			a.code = append(a.code, inst)
			a.rule = append(a.rule, int32(i))
		}
		start = append(start, base+uint32(prog.Start))
	}
	a.classify()
	a.state(nil)
	a.state(start)
	return a
}

// classify finds which characters no pattern tells apart.
func (a *automaton) classify() {
	bounds := []rune{0}
	sets := map[string]*syntax.Inst{}
	for i := range a.code {
		inst := &a.code[i]
		switch inst.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		default:
			continue
		}
		key := string(inst.Rune) + string(rune(inst.Arg)) // Arg says whether case counts
		if _, again := sets[key]; again {
			continue
		}
		sets[key] = inst
		if len(inst.Rune) == 1 { // with what it folds to
			bounds = append(bounds, inst.Rune[0], inst.Rune[0]+1)
			for r := unicode.SimpleFold(inst.Rune[0]); r != inst.Rune[0]; r = unicode.SimpleFold(r) {
				bounds = append(bounds, r, r+1)
			}
			continue
		}
		for k := 0; k < len(inst.Rune); k += 2 {
			bounds = append(bounds, inst.Rune[k], inst.Rune[k+1]+1)
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	seen := map[string]uint8{}
	keys := make([]string, 0, len(sets))
	for k := range sets {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	signature := make([]byte, len(keys))
	for i, from := range bounds {
		if from > 0xffff {
			break
		}
		for k, key := range keys {
			signature[k] = 0
			if sets[key].MatchRune(from) {
				signature[k] = 1
			}
		}
		class, known := seen[string(signature)]
		if !known {
			if len(seen) == 256 {
				panic("lex: more than 256 classes of characters")
			}
			class = uint8(len(seen))
			seen[string(signature)] = class
			a.of[class] = from
		}
		to := rune(0xffff)
		if i+1 < len(bounds) {
			to = min(to, bounds[i+1]-1)
		}
		for c := from; c <= to; c++ {
			a.classes[c] = class
		}
	}
	a.count = len(seen)
}

// state returns the number of the state that stands at the instructions.
func (a *automaton) state(at []uint32) int32 {
	s := state{rule: -1}
	seen := map[uint32]bool{}
	for len(at) > 0 {
		pc := at[len(at)-1]
		at = at[:len(at)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch inst := &a.code[pc]; inst.Op {
		case syntax.InstAlt:
			at = append(at, inst.Out, inst.Arg)
		case syntax.InstNop, syntax.InstCapture:
			at = append(at, inst.Out)
		case syntax.InstMatch:
			if s.rule < 0 || a.rule[pc] < s.rule {
				s.rule = a.rule[pc]
			}
		case syntax.InstFail:
		default:
			s.code = append(s.code, pc)
		}
	}
	slices.SortFunc(s.code, cmp.Compare[uint32])
	key := make([]byte, 4, 4+4*len(s.code))
	binary.LittleEndian.PutUint32(key, uint32(s.rule))
	for _, pc := range s.code {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if n, known := a.known[string(key)]; known {
		return n
	}
	s.next = slices.Repeat([]int32{unknown}, a.count)
	a.states = append(a.states, s)
	n := int32(len(a.states) - 1)
	a.known[string(key)] = n
	return n
}

func (a *automaton) step(from int32, class uint8) int32 {
	to := a.states[from].next[class]
	if to == unknown {
		var at []uint32
		for _, pc := range a.states[from].code {
			if a.code[pc].MatchRune(a.of[class]) {
				at = append(at, a.code[pc].Out)
			}
		}
		to = a.state(at)
		a.states[from].next[class] = to
	}
	return to
}

// run calls found for every rule that ends, in the order of the ends; the empty match is none.
func (a *automaton) run(text []uint16, at int, found func(rule int32, end int)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := int32(1)
	for i := at; i < len(text) && s != dead; {
		s = a.step(s, a.classes[text[i]])
		i++
		if rule := a.states[s].rule; rule >= 0 {
			found(rule, i)
		}
	}
}

func (a *automaton) longest(text []uint16, at int) (rule, end int) {
	rule, end = -1, at
	a.run(text, at, func(r int32, e int) { rule, end = int(r), e })
	return rule, end
}

func (a *automaton) ends(text []uint16, at int) (ends []int) {
	a.run(text, at, func(_ int32, e int) { ends = append(ends, e) })
	return ends
}
