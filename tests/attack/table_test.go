//go:build linux

package attack

import "fmt"

var attacks = []attack{
	{name: "subscriber that never reads, 1 GiB at QoS 0", run: unreadQoS0, memory: 128 * mib,
		because: "8 MiB wait for the client at the most, the rest is dropped; the buffers of reading and routing take as much again"},
	{name: "subscriber that never reads, 1 GiB at QoS 1", run: unreadQoS1, memory: 256 * mib,
		because: "1,000 messages of 64 KiB (max_queued_messages) are 63 MiB, 8 MiB wait to be written"},
	{name: "50 subscribers that never read", config: fmt.Sprint("memory_limit ", 128*mib), run: unreadByMany, memory: 192 * mib,
		because: "memory_limit is 128 MiB for all of them, and half as much more is the collector's"},
	{name: "100,000 retained topics", run: retainedTopics, memory: 256 * mib,
		because: "a retained message of 100 bytes with its topic and its place in the tree is well below 1 KiB"},
	{name: "retained topics asked for 1,000 times", run: retainedAgain, memory: 256 * mib,
		because: "the client does not read; what it has asked for is noted once, not copied for each request"},
	{name: "20,000 topics of 65,535 bytes", run: longTopics, memory: 128 * mib,
		because: "what a broker remembers about topics that nobody subscribes to is bounded in bytes"},
	{name: "65,535 slashes", run: slashes, memory: 64 * mib,
		because: "nothing of it is kept"},
	{name: "32,768 overlapping filters", run: overlappingFilters, memory: 64 * mib,
		because: "32,768 subscriptions and one cached match"},
	{name: "10,000 QoS 2 messages not released", run: unreleased, memory: 128 * mib,
		because: "of 10,000 messages of 4 KiB, 39 MiB, at most the identifiers are kept"},
	{name: "QoS 2 subscriber that answers nothing", run: unanswered, memory: 64 * mib,
		because: "1,020 messages of 4 KiB (max_inflight_messages and max_queued_messages) are 4 MiB"},
	{name: "payload of 255 MiB", run: hugePayload, memory: 1024 * mib,
		because: "the message is there twice, as it was read and as it is to be written"},
	{name: "400 payloads of 255 MiB announced, not sent", run: announced, waits: true, memory: 64 * mib,
		because: "no more may be allocated than has arrived"},
	{name: "2,000 wills at once", config: "max_queued_messages 2000", run: wills, memory: 64 * mib,
		because: "2,000 sessions with a will of 1 KiB"},
	{name: "1,000,000 subscriptions", run: subscriptions, memory: 1024 * mib,
		because: "a subscription takes 250 bytes in the index and 150 in its session"},
	{name: "500 slow CONNECTs", run: slowConnects, waits: true, memory: 32 * mib,
		because: "a connection that has sent a few bytes holds no more than these"},
	{name: "500 slow handshakes, TLS and HTTP", config: handshakes, run: slowHandshakes, waits: true, memory: 64 * mib,
		because: "a TLS connection that has begun holds its state and a record of 512 bytes, an HTTP request a buffer of 4 KiB"},
	{name: "1,000 silent clients", run: silent, waits: true, memory: 32 * mib,
		because: "1,000 sessions"},
	{name: "1,000 half-closed connections", run: halfClosed, memory: 32 * mib,
		because: "1,000 connections"},
	{name: "5,000 connections opened and closed", run: flood, memory: 64 * mib,
		because: "nothing of them is kept"},
	{name: "3,000 connections that say nothing", files: less(4000), run: speechless, memory: 32 * mib,
		because: "of 4,000 files a quarter may be connections without CONNECT"},
	{name: "more clients than files", files: 500, run: outOfFiles, memory: 32 * mib,
		because: "500 files are fewer than 500 connections"},
	{name: "takeover loop", run: takeoverLoop, waits: true, memory: 32 * mib,
		because: "there is one session"},
	{name: "600 CONNECTs of a MiB without their end", config: limited, run: unfinishedConnects, memory: withLimit,
		because: "an eighth of memory_limit may be held by connections that are no clients"},
	{name: "5,000 half handshakes and requests of one address", config: handshakes + limited, run: crowdedDoors, memory: withLimit,
		because: "an eighth of memory_limit may be held by connections that are no clients"},
	{name: "1,100 silent ones on an auto port", config: "listener ${PORT_WS} 127.0.0.1\nprotocol auto\n" + limited, files: 1024, run: silentOnAuto, memory: 64 * mib,
		because: "a quarter of the files may be connections that are no clients"},
	{name: "wrong passwords of one address", config: "password_file ${DIR}/passwords\n" + limited, run: wrongPasswords, memory: 64 * mib,
		because: "64 checks of one address are under way at the most"},
	{name: "subscriptions without end", config: limited, run: manySubscriptions, memory: withLimit,
		because: "memory_limit bounds them, and half as much is the collector's"},
	{name: "40 receivers with all topic aliases", config: limited, run: greedyAliases, memory: withLimit,
		because: "memory_limit bounds the tables of aliases"},
	{name: "60,000 filters of a client that does not read", config: limited, run: endlessReplays, memory: 256 * mib,
		because: "the message is there once, and a filter takes some hundred bytes"},
}

// limited is a memory_limit of 512 MiB, and withLimit what the process may grow by at the most then: half as much again.
const (
	limited   = "memory_limit 536870912\n"
	withLimit = 768 * mib
)

// handshakes is a configuration with more than one way in.
const handshakes = `
listener ${PORT_TLS} 127.0.0.1
certfile ${CERT}
keyfile ${KEY}
listener ${PORT_WS} 127.0.0.1
protocol websockets
`
