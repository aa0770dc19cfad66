// Package protojson is empty: tests of the client of Prometheus name it, and go mod tidy wants to find it. See package proto.
package protojson
