package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// target is a system and a processor.
type target struct {
	os, arch string
	arm      string // GOARM
	deb      string // the processor as Debian calls it; rpm and apk have names of their own, which nfpm knows
}

// targets are what there are binaries for.
var targets = []target{
	{os: "linux", arch: "amd64"},
	{os: "linux", arch: "arm64"},
	{os: "linux", arch: "arm", arm: "7"},
	{os: "linux", arch: "arm", arm: "6"},
	{os: "linux", arch: "riscv64"},
	{os: "darwin", arch: "amd64"},
	{os: "darwin", arch: "arm64"},
	{os: "windows", arch: "amd64"},
	{os: "windows", arch: "arm64"},
	{os: "freebsd", arch: "amd64"},
	{os: "freebsd", arch: "arm64"},
}

// String is "linux/armv7".
func (t target) String() string {
	if t.arm != "" {
		return t.os + "/armv" + t.arm
	}
	return t.os + "/" + t.arch
}

// file is the target as part of a file's name.
func (t target) file() string { return strings.ReplaceAll(t.String(), "/", "-") }

// binary is where a target's binary is built.
func (r *release) binary(t target) string {
	name := "picket"
	if t.os == "windows" {
		name += ".exe"
	}
	return filepath.Join(r.work, t.file(), name)
}

// maxBinary is the size in bytes that no binary may exceed. The largest, that for macOS on amd64, has some 28 MB. What makes one grow by half is a call of reflect's MethodByName, or of a library that has one,
// such as text/template: the linker then has to keep every exported method. go build -ldflags=-dumpdep ./cmd/picket 2>&1 | grep ReflectMethod shows it.
const maxBinary = 29e6

// build compiles one binary: static, without symbols, without paths of this machine.
func (r *release) build(t target) error {
	flags := fmt.Sprintf("-s -w -buildid= -X main.version=%s -X main.commit=%s -X main.date=%s", r.version, r.commit, r.date.Format(time.RFC3339))
	c := r.command("go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags, "-o", r.binary(t), "./cmd/picket")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS="+t.os, "GOARCH="+t.arch, "GOARM="+t.arm)
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("building for %s: %w", t, err)
	}
	st, err := os.Stat(r.binary(t))
	if err != nil {
		return err
	}
	if st.Size() > maxBinary {
		return fmt.Errorf("the binary for %s has %.1f MB; the limit is %.0f: go build -ldflags=-dumpdep ./cmd/picket 2>&1 | grep ReflectMethod may say why", t, float64(st.Size())/1e6, maxBinary/1e6)
	}
	return nil
}

// manuals has the program write its man pages and completions.
func (r *release) manuals() error {
	here := target{os: runtime.GOOS, arch: runtime.GOARCH}
	if err := r.build(here); err != nil {
		return err
	}
	c := r.command(r.binary(here), "manual", filepath.Join(r.work, "manual"))
	c.Stderr = os.Stderr
	return c.Run()
}
