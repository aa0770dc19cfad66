package broker

import (
	"io"
	"math/rand/v2"
	"path"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/packet"
)

// TestDamagedStore flips bits and cuts files of a store. The broker starts all the same, and what it delivers and retains are messages that were
// published, each at most once at QoS 2, in their order.
func TestDamagedStore(t *testing.T) {
	images := live(t, 1)
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 12 {
		img := images[len(images)-1-i%3]
		fs := vfs.NewMem()
		if _, err := vfs.Clone(img.fs, fs, "/store", "/store", vfs.CloneSync); err != nil {
			t.Fatal(err)
		}
		name := damage(t, fs, rng)
		t.Run(name, func(t *testing.T) {
			x := newStored(t, fs)
			away := x.connect(t, packet.V5, persistent("away"))
			if ack, ok := away.expect().(*packet.Connack); !ok || ack.Code != packet.Success {
				t.Fatalf("%+v", ack)
			}
			if m := x.b.retained.get("m/0"); m != nil {
				if n, err := strconv.Atoi(string(m.Payload)); err != nil || n < 1 || n%10 != 0 {
					t.Fatalf("%q is retained", m.Payload)
				}
			}
			var last [2]int
			for quiet := 0; quiet < 20; {
				one := away.next()
				switch one := one.(type) {
				case nil:
					quiet++
					time.Sleep(5 * time.Millisecond) // nobody knows how much is left of the queue
				case *packet.Publish:
					i := int(one.QoS) - 1
					n, err := strconv.Atoi(string(one.Payload))
					if err != nil || string(one.Topic) != "m/"+itoa(i) || n <= last[i] {
						t.Fatalf("%s %q after %d: %v", one.Topic, one.Payload, last[i], err)
					}
					last[i], quiet = n, 0
					away.send(&packet.Ack{Kind: [2]packet.Type{packet.PUBACK, packet.PUBREC}[i], ID: one.ID})
				case *packet.Ack:
					away.send(&packet.Ack{Kind: packet.PUBCOMP, ID: one.ID})
				}
			}
			away.leave()
		})
	}
}

// damage changes one file of the store's database, and returns what it did.
func damage(t *testing.T, fs vfs.FS, rng *rand.Rand) string {
	t.Helper()
	names, err := fs.List("/store/db")
	if err != nil {
		t.Fatal(err)
	}
	for {
		name := path.Join("/store/db", names[rng.IntN(len(names))])
		f, err := fs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil || len(data) == 0 {
			continue // a directory, or nothing to damage
		}
		what := path.Base(name)
		if at := rng.IntN(len(data)); rng.IntN(3) == 0 {
			data, what = data[:at], what+" cut at "+itoa(at)
		} else {
			data[at] ^= 1 << rng.IntN(8)
			what += " bit in byte " + itoa(at)
		}
		out, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := out.Sync(); err != nil {
			t.Fatal(err)
		}
		_ = out.Close()
		return what
	}
}
