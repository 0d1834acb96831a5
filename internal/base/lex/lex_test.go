package lex

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func match(l *Lexer, text string, at int) (rule, end int) {
	return l.Match(utf16.Encode([]rune(text)), at)
}

func TestMatch(t *testing.T) {
	l := New([]Rule{
		{Pattern: `if`},
		{Pattern: `[a-z]+`},
		{Pattern: `[0-9]+`, Before: `%|percent`},
		{Pattern: `[0-9]+`},
		{Pattern: `x*`, Before: `x*y`},
		{Pattern: `é{2,3}`},
		{Pattern: `[^a-z ]z`},
		{Pattern: `[Kk]K`}, // a class that becomes a letter of any case, and one of one case
	})
	for _, c := range []struct {
		text      string
		at        int
		rule, end int
	}{
		{"if", 0, 0, 2},         // the first of equals
		{"iffy", 0, 1, 4},       // the longest
		{"12%", 0, 2, 2},        // before
		{"12percents", 0, 2, 2}, // before
		{"12 %", 0, 3, 2},       // not before
		{"12%", 1, 2, 2},        // from a place on
		{"if", 2, -1, 2},        // at the end
		{"!", 0, -1, 0},         // none
		{"ééé", 0, 5, 3}, {"é", 0, -1, 0},
		{"😀z", 0, -1, 0}, {"😀z", 1, 6, 3}, // two halves
		{"KK", 0, 7, 2}, {"kK", 0, 7, 2}, {"Kk", 0, -1, 0},
	} {
		if rule, end := match(l, c.text, c.at); rule != c.rule || rule >= 0 && end != c.end {
			t.Errorf("%q from %d: rule %d to %d, want %d to %d", c.text, c.at, rule, end, c.rule, c.end)
		}
	}
	// Of several places to split, the last.
	if rule, end := match(New([]Rule{{Pattern: `x+`, Before: `x*y`}}), "xxxy", 0); rule != 0 || end != 3 {
		t.Errorf("rule %d to %d", rule, end)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, pattern := range []string{`(`, `^a`, `a\b`} {
		t.Run(pattern, func(t *testing.T) {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(r.(string), pattern) {
					t.Errorf("panicked with %v", r)
				}
			}()
			New([]Rule{{Pattern: pattern}})
		})
	}
}

// Package regexp finds the same.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"", "abba12.5", "a.b.c.", "aab", "ＡK", "\xff"} {
		f.Add(s)
	}
	patterns := []string{`(?:ab?)+`, `[0-9]+(?:\.[0-9]+)*`, `(?:[a-c]\.)+`, `a{2,3}b`, `[^a-z0-9]+`, `\p{L}+`}
	var rules []Rule
	var want []*regexp.Regexp
	for _, p := range patterns {
		rules = append(rules, Rule{Pattern: p})
		re := regexp.MustCompile(`^(?:` + p + `)`)
		re.Longest()
		want = append(want, re)
	}
	l := New(rules)
	f.Fuzz(func(t *testing.T, text string) {
		runes := []rune(strings.ToValidUTF8(text, "?"))
		runes = slices.DeleteFunc(runes, func(r rune) bool { return r > 0xffff })
		best, end := -1, 0
		for i, re := range want {
			if n := len([]rune(re.FindString(string(runes)))); n > end {
				best, end = i, n
			}
		}
		if rule, to := match(l, string(runes), 0); rule != best || rule >= 0 && to != end {
			t.Errorf("%q: rule %d to %d, want %d to %d", string(runes), rule, to, best, end)
		}
	})
}
