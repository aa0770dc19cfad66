//go:build !linux

package process

import "os"

// Writable says why a file cannot be written, or no file be made in a folder; nil when it can, as far as that can be told without trying.
func Writable(path string) error {
	_, err := os.Stat(path)
	return err
}
