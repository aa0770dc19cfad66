package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var (
	typedLine = regexp.MustCompile(`(?m)^ +\$ (?:sudo )?(picket .*)$`)              // in a block
	codeSpan  = regexp.MustCompile("`(?:sudo )?(picket [^`]+)`")                    // within a sentence
	spoken    = regexp.MustCompile(`on\|off| (PORT|端口)$|^picket echo: |--cluster$`) // spans that are no whole command line
	shellWord = regexp.MustCompile(`'([^']*)'|"([^"]*)"|([^\s'"]+)`)
)

// Every command line that the documents show is one that the program takes: in the blocks to the letter, in sentences with what they leave out.
func TestDocumentedCommands(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../deploy/*.md", "../../deploy/*/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	var parser *kong.Kong
	lines := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		typed := typedLine.FindAllStringSubmatch(string(data), -1)
		for i, m := range slices.Concat(typed, codeSpan.FindAllStringSubmatch(string(data), -1)) {
			words := commandWords(m[1])
			if len(words) == 0 || i >= len(typed) && spoken.MatchString(m[1]) {
				continue
			}
			lines++
			if parser == nil || i < len(typed) { // what has been set stays set
				if parser, err = newParser(&env{stdout: io.Discard, stderr: io.Discard}); err != nil {
					t.Fatal(err)
				}
			}
			if err := taken(parser, words, i < len(typed)); err != nil {
				t.Errorf("%s: %s: %v", file, m[1], err)
			}
		}
	}
	if lines < 200 {
		t.Errorf("%d command lines were found", lines)
	}
}

// commandWords are the words behind "picket", up to what is the shell's; none where the text leaves some out.
func commandWords(line string) (words []string) {
	if strings.Contains(line, "…") {
		return nil
	}
	for _, m := range shellWord.FindAllStringSubmatch(strings.TrimPrefix(line, "picket "), -1) {
		if slices.Contains([]string{"|", "#", "&&", "&", ">", "<", ">>", ";"}, m[3]) {
			break
		}
		words = append(words, m[1]+m[2]+m[3])
	}
	return words
}

// taken tells whether a command line names commands and options that there are, and in a block, whether anything is missing.
func taken(parser *kong.Kong, words []string, whole bool) error {
	parsed, err := kong.Trace(parser, doctorWords(words))
	if err != nil {
		return err
	}
	if parsed.Error != nil {
		return plain(parsed.Error)
	}
	if _, err := parsed.Apply(); err != nil || !whole {
		return err
	}
	return check(parsed)
}
