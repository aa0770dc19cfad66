//go:build !linux

package process

// Try runs f with the rights of this process: only Linux can lend another user's to a part of it.
func (*User) Try(f func()) error {
	f()
	return nil
}
