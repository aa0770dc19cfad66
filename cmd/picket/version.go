package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set when a release is built (-ldflags "-X main.version=1.2.3").
var version = ""

// versionCommand shows which picket this is and what it was built with.
type versionCommand struct{}

func (versionCommand) Help() string {
	return `Examples:
  picket version`
}

// Run prints one line: the name, the version, the Go release and the platform.
func (versionCommand) Run(e *env) error {
	_, err := fmt.Fprintf(e.stdout, "picket %s (%s %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
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
