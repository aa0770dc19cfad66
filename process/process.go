// Package process is what a server does to its own process before and while it serves: raising the limit of open files,
// giving up root's rights, going to the background, writing a file with its process id, and taking requests by signal.
package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
)

// Request is what a signal asks of a running server.
type Request byte

// The requests, and the signals that make them (mosquitto's own). SIGINT and SIGTERM are not among them.
const (
	Reload Request = iota // SIGHUP: read the configuration again, re-open log files
	Save                  // SIGUSR1: write now what persists
	Dump                  // SIGUSR2: show the subscriptions
)

// WritePIDFile writes the process id and a newline to path, in place of what was there. remove deletes the file, unless another
// process has written it since.
func WritePIDFile(path string) (remove func() error, err error) {
	text := strconv.Itoa(os.Getpid()) + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	return func() error {
		now, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && string(now) != text {
			return nil
		}
		if err != nil {
			return err
		}
		return os.Remove(path)
	}, nil
}

// User is an account of the system.
type User struct {
	Name     string
	uid, gid int
	groups   []int
}

// LookupUser finds the first of names that exists. The error names the first.
func LookupUser(names ...string) (*User, error) {
	var first error
	for _, name := range names {
		u, err := lookup(name)
		if err == nil {
			return u, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// Owner is the name of the user that a file or folder belongs to; empty where that user has none, and on systems without such users.
func Owner(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	uid, known := ownerID(info)
	if !known {
		return "", nil
	}
	account, err := user.LookupId(strconv.Itoa(uid))
	if errors.As(err, new(user.UnknownUserIdError)) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return account.Username, nil
}

func lookup(name string) (*User, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	u := &User{Name: name}
	if u.uid, err = strconv.Atoi(account.Uid); err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	if u.gid, err = strconv.Atoi(account.Gid); err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	ids, err := account.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", name, err)
	}
	for _, id := range ids {
		gid, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("groups of user %s: %w", name, err)
		}
		u.groups = append(u.groups, gid)
	}
	return u, nil
}
