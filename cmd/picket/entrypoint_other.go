//go:build !unix

package main

import "errors"

// entryCommand is what the container image, which is for Linux, begins with.
type entryCommand struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run refuses.
func (entryCommand) Run(*env) error { return errors.New("entrypoint is for containers") }
