// Package logtext makes untrusted text safe for a log.
package logtext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how many characters of an untrusted name are logged.
const MaxName = 40

// Fit makes untrusted text safe for a log: printable, on one line, and at most
// max characters long.
func Fit(text string, max int) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	count := 0
	for i := range text {
		if count++; count > max {
			return text[:i] + "…"
		}
	}
	return text
}

// FitAll makes an untrusted list safe for a log: at most the first most texts,
// each as [Fit] returns it.
func FitAll(list []string, most, max int) []string {
	more := len(list) > most
	fitting := make([]string, 0, min(len(list), most)+1)
	for _, text := range list[:min(len(list), most)] {
		fitting = append(fitting, Fit(text, max))
	}
	if more {
		fitting = append(fitting, "…")
	}
	return fitting
}
