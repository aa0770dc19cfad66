package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"picket/page"
)

// version is set when a release is built (-ldflags "-X main.version=1.2.3").
var version = ""

// versionCommand shows which picket this is and what it was built with.
type versionCommand struct{}

func (versionCommand) Help() string {
	return `Examples:
  picket version`
}

// Run prints a line with the name, the version, the Go release and the platform, and one about what this build has.
func (versionCommand) Run(e *env) error {
	has := fmt.Sprintf("page for phones: %d bytes", page.Size())
	if !page.Built() {
		has = "page for phones: none in this build, which was made without node and npm"
	}
	_, err := fmt.Fprintf(e.stdout, "picket %s (%s %s/%s)\n%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, has)
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
