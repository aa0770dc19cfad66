//go:build !linux

package broker

// fileLimit is taken for how many descriptors the process may have open, where there is no portable way to ask.
func fileLimit() uint64 { return 8192 }
