// Package oserror has the operating system's errors under the names that the storage engine uses.
package oserror

import (
	"errors"
	"io/fs"
)

// The errors of package io/fs.
var (
	ErrInvalid    = fs.ErrInvalid
	ErrPermission = fs.ErrPermission
	ErrExist      = fs.ErrExist
	ErrNotExist   = fs.ErrNotExist
)

// IsExist tells whether something was there already, also where the error is wrapped.
func IsExist(err error) bool { return errors.Is(err, fs.ErrExist) }

// IsNotExist tells whether something was not there, also where the error is wrapped.
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// IsPermission tells whether something is not permitted, also where the error is wrapped.
func IsPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }
