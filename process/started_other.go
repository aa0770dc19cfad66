//go:build !linux

package process

// Started does nothing here.
func Started() {}
