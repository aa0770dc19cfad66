// Package crash has no code of its own: its tests kill a broker's process again and again while clients work with it, start it again on
// the same directory, and hold it to its promise: what it has acknowledged is kept.
//
// # The world
//
// A world is one broker, its directory, and clients with sessions that survive their connections, in MQTT 3.1.1 and 5.0. Publishers send
// QoS 1 and 2, some of it retained, and remember what was acknowledged. Subscribers share topics; some are connected all the time, some
// for a moment now and then, some take their own connection over. They subscribe and unsubscribe, and acknowledge late, and send again after a crash what
// the standard says (MQTT-4.4.0-1). Further clients make sessions and remove them.
//
// A life is the time from the broker's start to its end by SIGKILL, at a random moment or in the instant in which some client reads a
// CONNACK, SUBACK, PUBACK, PUBREC, PUBREL or PUBCOMP; some lives end during the start, some by SIGTERM. Every few lives the world comes to rest: everything is
// delivered, and what is missing then is lost.
//
// # The ledger
//
// All clients write into one ledger, whose moments are in the order of what happened. A message is owed to a session from its PUBACK or
// PUBREC on, if the SUBACK came before the message was sent and UNSUBSCRIBE was not sent before it was acknowledged. What is checked:
//
//	lost           an owed message does not come
//	doubled        a QoS 2 message comes twice
//	order          of one publisher's messages on one topic a lower one comes first after a higher one (repetitions at QoS 1 may follow)
//	session        a session whose CONNACK was received is gone, or one that was ended with a CONNACK is back
//	unsubscribed   a message arrives that was sent after UNSUBACK
//	retained       the retained message is older than the last acknowledged one
//	unacknowledged a message that was not acknowledged does not come again under its identifier, or without DUP
//	protocol       an acknowledgement that nothing was sent for, a message that nobody has sent, ...
//
// # Running it
//
//	go test ./tests/crash -run TestKills -v                fifty kills, as in make test
//	make crash KILLS=10000                                 any number
//	go test ./tests/crash -run TestKills -v -seed 42       one world again: the same clients, topics and kinds of ends
//	make crash-redis KILLS=1000                            the store in Redis, whose servers are killed and stopped, too
//	go test ./tests/crash -run TestPeer -v -peer mosquitto lost and doubled messages of Debian's mosquitto
//	go test ./tests/crash -run TestBacklog -v -queued 1000000  memory, disk and restart with a million queued messages
//	go test ./tests/crash -run '^$' -bench Syncs -benchtime 1x  how many messages share one fsync
//
// With -binary PROGRAM another picket is tested.
//
// What the scheduler does is not in the seed, so a failure may need some repetitions: -count 20. The directory of a world that failed is kept,
// with the broker's log.
package crash
