// Command release builds what people install: archives, packages for Linux distributions, and a container image, each with its list of parts, and
// the checksums of all. It is a module of its own, so that its libraries are no part of the broker.
//
// The same sources give the same bytes: times in archives are the commit's, nothing depends on the machine. Run it by "make release".
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is one run.
type release struct {
	ctx     context.Context
	source  string // root of the repository
	out     string // folder of the results
	work    string // folder of binaries, manuals and completions, removed at the end
	version string
	commit  string
	date    time.Time // of the commit
	only    []string  // targets; empty: all
	made    []string  // names of the results
}

func run(ctx context.Context) error {
	r := &release{ctx: ctx}
	var only string
	flag.StringVar(&r.source, "source", ".", "root of the repository")
	flag.StringVar(&r.out, "out", "dist", "folder for the results, which is emptied first")
	flag.StringVar(&r.version, "version", "", "version; if not given, the tag vX.Y.Z of the commit, or 0.0.0 with the commit's date and name")
	flag.StringVar(&only, "only", "", "targets, such as linux/amd64,windows/amd64; if not given, all")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if only != "" {
		r.only = strings.Split(only, ",")
	}
	if err := r.identify(); err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	var err error
	if r.work, err = os.MkdirTemp("", "picket-release-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	return r.make()
}

// identify finds out which sources these are.
func (r *release) identify() (err error) {
	for _, dir := range []*string{&r.source, &r.out} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	described, err := r.git("log", "-1", "--format=%H %cI")
	if err != nil {
		return err
	}
	hash, at, _ := strings.Cut(described, " ")
	r.commit = hash
	if r.date, err = time.Parse(time.RFC3339, at); err != nil {
		return err
	}
	r.date = r.date.UTC()
	if changes, err := r.git("status", "--porcelain", "--untracked-files=no"); err != nil {
		return err
	} else if changes != "" {
		r.commit += "-dirty"
	}
	if r.version == "" {
		r.version = "0.0.0-" + r.date.Format("20060102150405") + "." + hash[:10]
		if tag, err := r.git("describe", "--tags", "--exact-match", "--match", "v[0-9]*"); err == nil {
			r.version = strings.TrimPrefix(tag, "v")
		}
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`).MatchString(r.version) {
		return fmt.Errorf("version %q: X.Y.Z or X.Y.Z-WORD is expected", r.version)
	}
	return nil
}

func (r *release) git(args ...string) (string, error) {
	out, err := r.command("git", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

func (r *release) command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(r.ctx, name, args...) //nolint:gosec // the names are in this program
	c.Dir = r.source
	return c
}

// make makes everything. The manuals are made by the program as built for this machine.
func (r *release) make() error {
	var chosen []target
	for _, t := range targets {
		if len(r.only) == 0 || slices.Contains(r.only, t.String()) {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 || len(r.only) > 0 && len(chosen) != len(r.only) {
		return fmt.Errorf("-only %s: the targets are %v", strings.Join(r.only, ","), targets)
	}
	if err := r.manuals(); err != nil {
		return err
	}
	var images []target
	for _, t := range chosen {
		if err := r.build(t); err != nil {
			return err
		}
		if err := r.archive(t); err != nil {
			return err
		}
		if err := r.parts(t); err != nil {
			return err
		}
		if t.os != "linux" {
			continue
		}
		images = append(images, t)
		if err := r.packages(t); err != nil {
			return err
		}
	}
	if len(images) > 0 {
		if err := r.image(images); err != nil {
			return err
		}
	}
	if err := r.formula(); err != nil {
		return err
	}
	return r.checksums()
}

// sum is the checksum of one of the results, and its size in bytes.
func (r *release) sum(name string) (hex string, size int64, err error) {
	f, err := os.Open(filepath.Join(r.out, name))
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err = io.Copy(sum, f)
	return fmt.Sprintf("%x", sum.Sum(nil)), size, err
}

// checksums writes the file that "sha256sum -c" takes.
func (r *release) checksums() error {
	slices.Sort(r.made)
	var lines strings.Builder
	for _, name := range r.made {
		sum, size, err := r.sum(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%s  %s\n", sum, name)
		fmt.Printf("%10d  %s\n", size, name)
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(lines.String()), 0o644) //nolint:gosec // for everybody
}
