// Package sentinel holds no code, only tests: picket sentinel beside real redis-server and redis-sentinel processes, and the client
// libraries that people use with them. What is in the way is a failure that says how to install it:
//
//	apt-get install redis-server redis-sentinel redis-tools iproute2
//
// Every test has processes, ports and folders of its own, so that they run side by side; most of their time is waiting. Nothing asserts
// how long something takes: a busy machine is no defect. How fast a failover is, and what watching costs, beside sentinels of Redis:
//
//	make bench-sentinel
//
// With go test -race the program under test has the race detector in it too.
package sentinel
