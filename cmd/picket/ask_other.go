//go:build !unix

package main

import "errors"

// askToReload cannot be done without signals.
func askToReload(int) error {
	return errors.New("this system has no signals: start the broker again for the new password to count")
}
