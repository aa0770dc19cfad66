// Package rights holds no code, only tests: users and rights that are changed while the broker runs, as mosquitto's dynamic security has them, by mosquitto's own program
// for it and beside a real mosquitto.
package rights
