// Package attack has no code of its own: its tests start the real broker as a process, do to it over real sockets what
// an attacker, a broken client or a bad day does, and look at two things meanwhile. How much memory the process holds
// at most (VmHWM in /proc/PID/status), and how long a well-behaved client waits for its own messages.
//
// The tests run against another broker that reads mosquitto.conf, too, which shows what is the broker and what is the
// test:
//
//	go test -v ./tests/attack -broker /usr/sbin/mosquitto
//
// With -v a table says what was measured.
package attack
