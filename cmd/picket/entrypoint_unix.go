//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"picket/process"
)

// containerFolders are those that people mount on the image, as on that of mosquitto: an engine makes them root's.
var containerFolders = []string{"/mosquitto/data", "/mosquitto/log"}

// entryCommand is what the container image begins with: it gives the folders that belong to root to the broker's user, and becomes the program that
// its arguments name.
type entryCommand struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run becomes the program.
func (c *entryCommand) Run(e *env) error {
	if len(c.Args) == 0 {
		return &usageError{text: "entrypoint: name the program to start"}
	}
	if process.IsRoot() {
		for _, dir := range containerFolders {
			if err := giveAway(dir); err != nil {
				fmt.Fprintf(e.stderr, "Warning: %v\n", err)
			}
		}
	}
	path, err := exec.LookPath(c.Args[0])
	if err != nil {
		return &statusError{127, err.Error()}
	}
	return fmt.Errorf("%s: %w", path, syscall.Exec(path, c.Args, os.Environ())) //nolint:gosec // it is asked to
}

// giveAway has a folder that is root's belong to the broker's user.
func giveAway(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 0 {
		return nil
	}
	user, err := process.LookupUser("mosquitto")
	if err != nil {
		return err
	}
	return user.Own(dir)
}
