package process

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Try runs f with the user's rights to files, and those of the user's groups, before the process becomes that user. Only what f itself opens counts,
// not the goroutines that it starts. The process must be root's.
func (u *User) Try(f func()) error {
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread, which is no longer like the others, ends with this goroutine
		if err := u.takeRights(); err != nil {
			done <- err
			return
		}
		f()
	}()
	return <-done
}

// takeRights gives the calling thread alone the user's rights to files: package syscall would change all threads.
func (u *User) takeRights() error {
	groups := make([]uint32, len(u.groups)+1)
	for i, g := range u.groups {
		groups[i] = uint32(g)
	}
	if _, _, errno := unix.RawSyscall(setgroups, uintptr(len(u.groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
		return fmt.Errorf("setting groups: %w", errno)
	}
	// Neither call says whether it worked; the second of each tells what is in force.
	_, _ = unix.SetfsgidRetGid(u.gid)
	_, _ = unix.SetfsuidRetUid(u.uid)
	gid, _ := unix.SetfsgidRetGid(-1)
	uid, _ := unix.SetfsuidRetUid(-1)
	if uid != u.uid || gid != u.gid {
		return fmt.Errorf("taking the rights of user %s: not permitted", u.Name)
	}
	return nil
}
