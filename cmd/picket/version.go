package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"picket/page"
)

// What a release is built from (-ldflags "-X main.version=1.2.3 -X main.commit=... -X main.date=..."). Other builds have what the Go tool
// wrote down of the working copy, which may be nothing.
var (
	version = ""
	commit  = "" // of the sources, in hexadecimal
	date    = "" // of the commit, as RFC 3339 has it
)

// versionCommand shows which picket this is and what it was built with.
type versionCommand struct{}

func (versionCommand) details() details {
	return details{examples: `picket version`}
}

// Run prints a line with the name, the version, the Go release and the platform, one about the sources, and one about what this build has.
func (versionCommand) Run(e *env) error {
	has := fmt.Sprintf("page for phones: %d bytes", page.Size())
	if !page.Built() {
		has = "page for phones: none in this build, which was made without node and npm"
	}
	_, err := fmt.Fprintf(e.stdout, "picket %s (%s %s/%s)\n%s\n%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, sources(), has)
	return err
}

// buildVersion is the release, or for other builds what the Go tool wrote down of the working copy.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

// sources says which commit this is, of when.
func sources() string {
	revision, at, modified := commit, date, false
	if info, ok := debug.ReadBuildInfo(); ok && revision == "" {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.time":
				at = s.Value
			case "vcs.modified":
				modified = s.Value == "true"
			}
		}
	}
	if revision == "" {
		return "commit: not known to this build, which was made outside of a working copy"
	}
	line := "commit " + revision
	if at != "" {
		day, _, _ := strings.Cut(at, "T")
		line += " of " + day
	}
	if modified {
		line += ", with changes that are not in it"
	}
	return line
}

// versionFlag is --version.
type versionFlag bool

// answer shows what "picket version" shows.
func (versionFlag) answer(e *env, _ *kong.Context) error { return versionCommand{}.Run(e) }
