// Package api holds no code, only tests: the HTTP API of a running broker, asked by curl and by Go's client, with clients of mosquitto connected.
package api
