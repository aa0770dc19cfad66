//go:build !unix

package access

import (
	"io/fs"
	"os"
)

// permissionWarnings returns nothing: the system has no Unix permissions.
func permissionWarnings(string, fs.FileInfo) []string { return nil }

// keepOwner does nothing: the system has no Unix owners.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// syncFolder does nothing: the system has no folders that can be synced.
func syncFolder(string) error { return nil }
