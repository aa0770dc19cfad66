package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// open is a place in Homebrew's formula that waits for an archive's checksum.
var open = regexp.MustCompile(`SHA256 of ([^"]+)`)

// formula fills the version and the archives' checksums into Homebrew's formula, where this run has made all the archives that it names.
func (r *release) formula() error {
	draft, err := os.ReadFile(filepath.Join(r.source, "deploy", "homebrew", "picket.rb"))
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(draft), "VERSION", r.version)
	for _, archive := range open.FindAllStringSubmatch(text, -1) {
		sum, _, err := r.sum(archive[1])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Printf("no formula for Homebrew: there is no %s\n", archive[1])
			return nil
		case err != nil:
			return err
		}
		text = strings.Replace(text, archive[0], sum, 1)
	}
	_, text, found := strings.Cut(text, "\nclass ") // without the words about the draft
	if !found {
		return errors.New("deploy/homebrew/picket.rb has no class")
	}
	return r.create("picket.rb", func(w io.Writer) error {
		_, err := io.WriteString(w, "class "+text)
		return err
	})
}
