//go:build unix

package process

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// RaiseFileLimit raises the soft limit of open files, which is also the limit of connections, to the hard one, and returns it.
func RaiseFileLimit() (limit uint64, err error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	if r.Cur == r.Max {
		return uint64(r.Cur), nil
	}
	before := r.Cur
	r.Cur = r.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return uint64(before), fmt.Errorf("limit of open files: %w", err)
	}
	return uint64(r.Cur), nil
}

// IsRoot reports whether the process has root's rights.
func IsRoot() bool { return os.Geteuid() == 0 }

// Become gives up root's rights for those of u, for good: groups, group and user of every thread.
func Become(u *User) error {
	if err := syscall.Setgroups(u.groups); err != nil {
		return fmt.Errorf("setting groups: %w", err)
	}
	if err := syscall.Setgid(u.gid); err != nil {
		return fmt.Errorf("setting gid: %w", err)
	}
	if err := syscall.Setuid(u.uid); err != nil {
		return fmt.Errorf("setting uid: %w", err)
	}
	return nil
}

// backgroundMark is the environment variable that tells the child of [Background] what it is.
const backgroundMark = "PICKET_BACKGROUND"

// readyFile is the descriptor on which the child of [Background] reports.
const readyFile = 3

// Background starts the program again with the same arguments in a session of its own and waits until that has called [Ready]
// or has ended. status is the exit status to end with: 0, or the child's when it ended first, whose messages have gone to stderr.
func Background() (status int, err error) {
	exe, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("going to the background: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 1, fmt.Errorf("going to the background: %w", err)
	}
	defer r.Close()
	child := exec.Command(exe, os.Args[1:]...)
	child.Args[0] = os.Args[0]
	child.Env = append(os.Environ(), backgroundMark+"=1")
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.ExtraFiles = []*os.File{w}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = child.Start()
	w.Close()
	if err != nil {
		return 1, fmt.Errorf("going to the background: %w", err)
	}
	var ready [1]byte
	if n, _ := r.Read(ready[:]); n == 1 {
		return 0, child.Process.Release()
	}
	_ = child.Wait() // the status says it all
	return child.ProcessState.ExitCode(), nil
}

// InBackground reports whether the process was started by [Background].
func InBackground() bool { return os.Getenv(backgroundMark) != "" }

// Ready tells the process that called [Background] that all is well, and lets go of the terminal. In a process that was not started so
// it does nothing.
func Ready() error {
	if !InBackground() {
		return nil
	}
	if err := os.Unsetenv(backgroundMark); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("letting go of the terminal: %w", err)
	}
	defer null.Close()
	for fd := range 3 {
		if err := dup(int(null.Fd()), fd); err != nil {
			return fmt.Errorf("letting go of the terminal: %w", err)
		}
	}
	parent := os.NewFile(readyFile, "ready")
	defer parent.Close()
	_, err = parent.Write([]byte{1})
	return err
}
