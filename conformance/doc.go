// Package conformance holds the tests that show, clause by clause, that the broker does what MQTT 3.1.1 and MQTT 5.0
// demand of a server. docs/conformance.md lists the clauses, each with its test.
//
// The tests build the program, start it as a user would, and speak to it in packets over TCP. To see what another broker
// makes of them, name its program: CONFORMANCE_BROKER=/usr/sbin/mosquitto go test ./conformance
package conformance
