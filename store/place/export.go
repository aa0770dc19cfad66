package place

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"picket/store"
	"picket/store/mosqdb"
)

// Export writes what a store holds as mosquitto's file, under a name that is not taken yet. each calls a function with everything that is in the store, in the
// order in which stores list it. A file that lacks something is not left behind.
func Export(name string, each func(func(store.Item) error) error) (sum mosqdb.Exported, err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return sum, fmt.Errorf("%s is there already: name another place, or move that one away", name)
	}
	if err != nil {
		return sum, err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	w := mosqdb.NewWriter(file, time.Now().Unix())
	if err := each(w.Add); err != nil {
		return sum, err
	}
	if sum, err = w.Finish(); err != nil {
		return sum, err
	}
	return sum, file.Sync()
}
