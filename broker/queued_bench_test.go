package broker

import (
	"testing"

	"picket/packet"
)

// BenchmarkQueued is what a message costs that has to wait for its receiver's window: of eight batches, seven are queued.
func BenchmarkQueued(b *testing.B) {
	for _, qos := range []byte{1, 2} {
		b.Run("QoS "+itoa(int(qos)), func(b *testing.B) {
			const batches = 8
			x := newBench(b, func(c *Config) { c.MaxInflightMessages, c.MaxQueuedMessages = perBatch, 0 })
			_, receiver := x.client(b, "receiver", packet.V311)
			x.subscribe(b, receiver, packet.V311, "home/garden/#", qos)
			_, sender := x.client(b, "sender", packet.V311)
			published := batch(packet.V311, qos, 1, perBatch)
			var read, answer []byte
			last := uint16(0)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batches * perBatch {
				for range batches {
					read = append(read[:0], published...)
					x.feed(b, sender, read)
					if qos == 2 {
						from := uint16(0)
						answer = acks(answer[:0], packet.PUBREL, &from, perBatch)
						x.feed(b, sender, answer)
					}
				}
				for range batches {
					if qos == 2 {
						from := last
						answer = acks(answer[:0], packet.PUBREC, &from, perBatch)
						x.feed(b, receiver, answer)
						answer = acks(answer[:0], packet.PUBCOMP, &last, perBatch)
					} else {
						answer = acks(answer[:0], packet.PUBACK, &last, perBatch)
					}
					x.feed(b, receiver, answer)
				}
			}
		})
	}
}
