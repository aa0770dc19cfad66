//go:build !unix

package sentinel

import (
	"errors"
	"io/fs"
	"os"
)

func umask() fs.FileMode { return 0o022 }

func writable(path string) bool {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

func onlyInPlace(err error) bool { return errors.Is(err, fs.ErrPermission) }

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

func exitSignal(st *os.ProcessState) (status, signal int) { return st.ExitCode(), 0 }

// processorTime is not known here.
func processorTime() (system, user float64) { return 0, 0 }
