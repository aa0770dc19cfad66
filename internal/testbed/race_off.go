//go:build unix && !race

package testbed

// Race tells whether tests and program are built with the race detector. They are several times slower then, and take several times the memory.
const Race = false
