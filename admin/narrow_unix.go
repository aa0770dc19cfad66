//go:build unix

package admin

import "golang.org/x/sys/unix"

// narrow has files made without any right for others, until the function that it returns is called.
func narrow() func() {
	old := unix.Umask(0o177)
	return func() { unix.Umask(old) }
}
