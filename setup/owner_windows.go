package setup

import "os"

// ownAsFolder has nothing to do: files get the rights of their folder here.
func ownAsFolder(*os.File) error { return nil }
